use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::certificate::Certificate;
use crate::http::{self, Answer};
use crate::process::{Output, Process, Signal, run};
use crate::scratch::Scratch;
use crate::tools::{node_binary, tool};
use crate::wait;

/// A node may take this long to be ready, on a machine that is busy with other tests.
const START_S: u64 = 20;
/// Its own deadline is a minute; without a drain delay it needs none of it.
const STOP_S: u64 = 15;

/// What a test wants different from the defaults.
#[derive(Clone, Debug, Default)]
pub struct NodeOptions {
    /// By key, for a key may be set only once.
    settings: BTreeMap<String, String>,
    tls: bool,
    open_files_max: Option<u32>,
    environment: BTreeMap<String, String>,
}

/// Free ports, and nothing to wait for at the end.
const ALWAYS: [(&str, &str); 9] = [
    ("listen.rtmp", "127.0.0.1:0"),
    ("listen.http", "127.0.0.1:0"),
    ("listen.internal", "127.0.0.1:0"),
    ("listen.relay", "127.0.0.1:0"),
    ("listen.rtmps", "127.0.0.1:0"),
    ("listen.https", "127.0.0.1:0"),
    ("node.drain_delay_s", "0"),
    ("node.drain_spread_s", "0"),
    ("log.format", "json"),
];

impl NodeOptions {
    #[must_use]
    pub fn set(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.settings.insert(key.to_owned(), value.to_string());
        self
    }

    /// With RTMPS and HTTPS, by a certificate of its own.
    #[must_use]
    pub fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// Lets the node open no more files than this.
    #[must_use]
    pub fn open_files_max(mut self, count: u32) -> Self {
        self.open_files_max = Some(count);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts the node and waits until it is ready.
    ///
    /// # Panics
    /// If it is not ready in time.
    #[must_use]
    pub fn start(self) -> Node {
        Node::start_in(Scratch::new("node"), &self)
    }
}

/// A node that runs, ready for publishers and viewers.
#[derive(Debug)]
pub struct Node {
    process: Process,
    /// Where to publish and play.
    pub rtmp: SocketAddr,
    pub http: SocketAddr,
    /// Health, metrics and the admin API.
    pub internal: SocketAddr,
    secure: Option<Secure>,
    pub token: String,
    data_dir: PathBuf,
    scratch: Scratch,
}

/// What a node with a certificate has more.
#[derive(Clone, Debug)]
pub struct Secure {
    pub rtmps: SocketAddr,
    pub https: SocketAddr,
    pub certificate: Certificate,
}

/// A room that the test has made.
#[derive(Clone, Debug)]
pub struct Room {
    pub id: String,
    pub key: String,
}

impl Node {
    #[must_use]
    pub fn start() -> Self {
        NodeOptions::default().start()
    }

    fn start_in(scratch: Scratch, options: &NodeOptions) -> Self {
        let data_dir = scratch.file("data");
        let mut command = match options.open_files_max {
            None => Command::new(node_binary()),
            Some(count) => {
                let mut command = Command::new(tool("prlimit"));
                command
                    .arg(format!("--nofile={count}:{count}"))
                    .arg(node_binary());
                command
            }
        };
        command
            .current_dir(scratch.path())
            .envs(&options.environment)
            .arg("--data-dir")
            .arg(&data_dir);
        let mut settings = options.settings.clone();
        let token_file = settings.get("api.token_file").map(PathBuf::from);
        let token_file = token_file.unwrap_or_else(|| data_dir.join("api-token"));
        let certificate = options.tls.then(|| Certificate::issue(scratch.path()));
        if let Some(certificate) = &certificate {
            for (key, file) in [
                ("tls.cert_file", &certificate.cert_file),
                ("tls.key_file", &certificate.key_file),
            ] {
                settings.insert(key.to_owned(), file.display().to_string());
            }
        }
        for (key, value) in ALWAYS {
            settings
                .entry(key.to_owned())
                .or_insert_with(|| value.to_owned());
        }
        for (key, value) in settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let mut process = Process::start("isocast-node", &mut command, &scratch.file("node.log"));
        let told = wait::until("the node's addresses", START_S, || {
            assert!(
                process.is_running(),
                "the node has ended: {}",
                process.log()
            );
            node_file(&data_dir, process.id())
        });
        let [rtmp, http, internal] = ["rtmp", "http", "internal"].map(|name| address(&told, name));
        let secure = certificate.map(|certificate| Secure {
            rtmps: address(&told, "rtmps"),
            https: address(&told, "https"),
            certificate,
        });
        wait::until("a ready node", START_S, || {
            (http::get(internal, "/readyz").status == 200).then_some(())
        });
        let token = std::fs::read_to_string(token_file);
        Self {
            process,
            rtmp,
            http,
            internal,
            secure,
            token: token
                .expect("a node that runs has a token")
                .trim()
                .to_owned(),
            data_dir,
            scratch,
        }
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// A folder for the test's own files, removed with the node.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.scratch.file(name)
    }

    /// # Panics
    /// If it was started without.
    #[must_use]
    pub fn secure(&self) -> &Secure {
        self.secure.as_ref().expect("the test has asked for TLS")
    }

    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// A room that everyone may watch, where a newcomer takes over.
    #[must_use]
    pub fn public_room(&self, id: &str) -> Room {
        self.room(id, "public", "takeover")
    }

    /// Makes a room through the API.
    ///
    /// # Panics
    /// If the node refuses.
    #[must_use]
    pub fn room(&self, id: &str, playback: &str, on_conflict: &str) -> Room {
        let body = json!({"id": id, "playback": playback, "on_conflict": on_conflict});
        let answer = self.operator("POST", "/api/v1/rooms", body.to_string().as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.text());
        let key = answer.json()["stream_key"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Room {
            id: id.to_owned(),
            key,
        }
    }

    /// Asks the API, with its token.
    #[must_use]
    pub fn operator(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        http::request(self.http, method, path, &headers, body)
    }

    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        http::get(self.http, path)
    }

    /// Runs `isocast-node` with these arguments on this node's data folder.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(node_binary());
        command.current_dir(self.scratch.path()).args(arguments);
        run(command.arg("--data-dir").arg(&self.data_dir))
    }

    #[must_use]
    pub fn publish_url(&self, room: &Room) -> String {
        format!("rtmp://{}/live/{}", self.rtmp, room.key)
    }

    #[must_use]
    pub fn rtmp_url(&self, room: &Room) -> String {
        format!("rtmp://{}/live/room_{}", self.rtmp, room.id)
    }

    #[must_use]
    pub fn http_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Waits until the room is live.
    ///
    /// # Panics
    /// If it is not in time.
    pub fn wait_for_live(&self, room: &Room) {
        let path = format!("/api/v1/live/{}", room.id);
        wait::until(&format!("{path} live"), 15, || {
            let answer = self.get(&path);
            (answer.status == 200 && answer.json()["state"] == "live").then_some(())
        });
    }

    /// Waits until a path answers with this status.
    ///
    /// # Panics
    /// If it does not in time.
    pub fn wait_for_status(&self, path: &str, status: u16, seconds: u64) {
        wait::until(&format!("{status} from {path}"), seconds, || {
            (self.get(path).status == status).then_some(())
        });
    }

    /// A series of `/metrics`, summed over the labels that are not named; 0 if there is none.
    /// `series` is a name, or a name with one label: `name{label="value"`.
    #[must_use]
    pub fn metric(&self, series: &str) -> f64 {
        let text = http::get(self.internal, "/metrics").text();
        let (name, label) = series.split_once('{').unwrap_or((series, ""));
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| {
            let (found, value) = line.rsplit_once(' ')?;
            let (found, labels) = found.split_once('{').unwrap_or((found, ""));
            (found == name && labels.contains(label)).then(|| value.parse::<f64>().ok())?
        });
        values.sum()
    }

    /// Resident memory, in KiB.
    ///
    /// # Panics
    /// If the node is gone.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("the node runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        number.expect("every process has a VmRSS")
    }

    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until a node that was told to stop has ended, and insists on a good end; its log.
    ///
    /// # Panics
    /// If it has not ended in time, or not well.
    pub fn wait_for_end(mut self, seconds: u64) -> String {
        self.process.wait_for_success(seconds);
        self.process.log()
    }

    /// Stops it like Kubernetes does, and insists on a good end; its log.
    ///
    /// # Panics
    /// If it does not end, or not well.
    pub fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        self.wait_for_end(STOP_S)
    }
}

/// What a node with this process id has written down.
fn node_file(data_dir: &Path, pid: u32) -> Option<serde_json::Value> {
    let text = std::fs::read(data_dir.join("node.json")).ok()?;
    let json: serde_json::Value = serde_json::from_slice(&text).ok()?;
    (json["pid"] == pid).then_some(json)
}

fn address(told: &serde_json::Value, name: &str) -> SocketAddr {
    let address = told[name].as_str().and_then(|text| text.parse().ok());
    address.unwrap_or_else(|| panic!("no address of {name} in {told}"))
}
