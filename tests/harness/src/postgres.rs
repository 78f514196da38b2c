use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::certificate::Certificate;
use crate::nginx::free_address;
use crate::process::{Process, Signal, run};
use crate::scratch::Scratch;
use crate::tools::tool;
use crate::wait;

const BIN: &str = "/usr/lib/postgresql/15/bin";

/// Who may come how: the superuser from this machine, everybody else by TLS and with a password.
const WHO: &str = "host all postgres 127.0.0.1/32 trust
hostssl all all 127.0.0.1/32 scram-sha-256
";

/// Nothing outlives the machine, so nothing is written through to the disk. Ids sort by language where
/// nothing else is said.
const SETTINGS: &str = "unix_socket_directories = ''
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
shared_buffers = 16MB
max_connections = 200
ssl = on
ssl_cert_file = 'cert.pem'
ssl_key_file = 'key.pem'
";

/// Debian's PostgreSQL on loopback, with databases of the test's own.
#[derive(Debug)]
pub struct Postgres {
    process: Option<Process>,
    pub address: SocketAddr,
    /// Vouches for the server.
    pub certificate: Certificate,
    folder: PathBuf,
    scratch: Scratch,
}

impl Postgres {
    /// Starts on a free port.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn start() -> Self {
        let scratch = Scratch::new("postgres");
        let folder = folder_of_its_user();
        let made = run(as_its_user(&Path::new(BIN).join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=postgres"])
            .args(["--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--locale-provider=icu", "--icu-locale=en", "--pgdata"])
            .arg(&folder));
        assert_eq!(made.code, Some(0), "initdb: {}{}", made.out, made.err);
        let certificate = Certificate::issue(scratch.path());
        for (name, file) in [
            ("cert.pem", &certificate.cert_file),
            ("key.pem", &certificate.key_file),
        ] {
            let copy = folder.join(name);
            std::fs::copy(file, &copy).expect("a folder of ours");
            let owner = std::fs::metadata(&folder).expect("it is there");
            use std::os::unix::fs::MetadataExt;
            chown(&copy, Some(owner.uid()), Some(owner.gid())).expect("a file of ours");
        }
        std::fs::write(folder.join("pg_hba.conf"), WHO).expect("a folder of ours");
        let address = free_address();
        let settings = format!(
            "{SETTINGS}listen_addresses = '127.0.0.1'\nport = {}\n",
            address.port()
        );
        std::fs::write(folder.join("postgresql.conf"), settings).expect("a folder of ours");
        let mut server = Self {
            process: None,
            address,
            certificate,
            folder,
            scratch,
        };
        server.start_again();
        server
    }

    /// The one that all tests of this process use at once; it ends with the last of them.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Ends it at once, in the middle of whatever it does; its databases stay.
    ///
    /// # Panics
    /// If it does not end.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::QUIT);
            process.wait(20);
        }
    }

    /// After [`Postgres::kill`], where it was.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&mut self) {
        let mut command = as_its_user(&Path::new(BIN).join("postgres"));
        command.arg("-D").arg(&self.folder);
        let log = self.scratch.file("postgres.log");
        self.process = Some(Process::start("postgres", &mut command, &log));
        wait::until("PostgreSQL", 30, || self.try_sql("postgres", "SELECT 1"));
    }

    /// A new, empty database; its name.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// A new role that may only connect, with a password, by TLS; the URL it uses.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn role(&self, name: &str, password: &str, database: &str) -> String {
        let role = format!(
            "DO $$ BEGIN CREATE ROLE {name} LOGIN PASSWORD '{password}'; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        self.sql("postgres", &role);
        let hex = |byte: u8| format!("%{byte:02x}");
        let password: String = password.bytes().map(hex).collect();
        format!("postgres://{name}:{password}@{}/{database}", self.address)
    }

    /// What the superuser uses: without TLS or password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@{}/{database}?sslmode=disable",
            self.address
        )
    }

    /// Runs SQL as the superuser; the rows, a line each.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn ask(&self, database: &str, sql: &str) -> String {
        let output = run(&mut self.psql(database, sql));
        assert_eq!(output.code, Some(0), "{sql}: {}", output.err);
        output.out
    }

    /// The same for what gives no rows.
    ///
    /// # Panics
    /// If it fails.
    pub fn sql(&self, database: &str, sql: &str) {
        let _ = self.ask(database, sql);
    }

    fn try_sql(&self, database: &str, sql: &str) -> Option<()> {
        TcpStream::connect(self.address).ok()?;
        (run(&mut self.psql(database, sql)).code == Some(0)).then_some(())
    }

    fn psql(&self, database: &str, sql: &str) -> Command {
        let mut command = Command::new(Path::new(BIN).join("psql"));
        command
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--command", sql])
            .arg(self.url(database));
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Its other processes are in groups of their own, and end when it tells them to.
            process.signal(Signal::QUIT);
            process.ends_within(std::time::Duration::from_secs(10));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// It does not run as root.
fn as_its_user(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new(tool("setpriv"));
    command
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
        .arg(program)
        .current_dir("/");
    command
}

/// Not in the target folder, which its user may be unable to reach.
fn folder_of_its_user() -> PathBuf {
    let name = std::env::temp_dir().join("isocast-postgres-XXXXXXXX");
    let made = run(as_its_user(&tool("mktemp")).arg("-d").arg(name));
    assert_eq!(made.code, Some(0), "mktemp: {}", made.err);
    PathBuf::from(made.out.trim())
}
