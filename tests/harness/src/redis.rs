//! Redis, as nodes may find it. It keeps nothing on disk.

mod cluster;
mod sentinel;

use std::net::SocketAddr;
use std::process::Command;

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinel;

use crate::certificate::Certificate;
use crate::process::{Process, Signal, run};
use crate::scratch::Scratch;
use crate::tools::tool;
use crate::wait;

/// One server on a free port of 127.0.0.1.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    _scratch: Scratch,
    pub address: SocketAddr,
    /// What its commands are asked with.
    access: Vec<String>,
}

/// A user who may do what a node does, and no more.
#[derive(Clone, Copy, Debug)]
pub struct RedisUser<'a> {
    pub name: &'a str,
    pub password: &'a str,
    /// Of the keys and channels that it may touch.
    pub prefix: &'a str,
}

impl Redis {
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at(free_address())
    }

    /// Starts where another one was.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn start_at(address: SocketAddr) -> Self {
        let scratch = Scratch::new("redis");
        Self::launch(scratch, address, &listen(address), &[])
    }

    /// Over TLS only, with nobody but this user; the certificate is its own authority.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_secured(user: RedisUser<'_>) -> (Self, Certificate) {
        let (scratch, address) = (Scratch::new("redis"), free_address());
        let certificate = Certificate::issue(scratch.path());
        let RedisUser {
            name,
            password,
            prefix,
        } = user;
        let (cert, key) = (
            certificate.cert_file.display(),
            certificate.key_file.display(),
        );
        let lines = format!(
            "bind {ip}
port 0
tls-port {port}
tls-cert-file {cert}
tls-key-file {key}
tls-auth-clients no
user default on >{ADMIN} ~* &* +@all
user {name} on >{password} ~{prefix}* &{prefix}* -@all +@read +@write +@connection +@pubsub +@scripting +time -@dangerous -@admin -script|flush -script|kill
",
            ip = address.ip(),
            port = address.port(),
        );
        let cert = cert.to_string();
        let access = ["--tls", "--cacert", &cert, "-a", ADMIN, "--no-auth-warning"];
        let redis = Self::launch(scratch, address, &lines, &access);
        (redis, certificate)
    }

    /// What a command answers, asked by redis-cli as somebody who may do everything.
    ///
    /// # Panics
    /// If there is no redis-cli.
    pub fn ask(&self, command: &[&str]) -> String {
        let mut cli = Command::new(tool("redis-cli"));
        cli.args(["-h", &self.address.ip().to_string()]);
        cli.args(["-p", &self.address.port().to_string()]);
        cli.args(&self.access).args(command);
        let output = run(&mut cli);
        format!("{}{}", output.out, output.err).trim().to_owned()
    }

    /// Accepts connections and answers nothing, until it goes on.
    pub fn pause(&mut self) {
        self.process.signal(Signal::STOP);
    }

    pub fn go_on(&mut self) {
        self.process.signal(Signal::CONT);
    }

    /// Ends it at once; where it was.
    pub fn kill(mut self) -> SocketAddr {
        self.end();
        self.address
    }

    fn end(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait(10);
    }

    fn launch(scratch: Scratch, address: SocketAddr, lines: &str, access: &[&str]) -> Self {
        let folder = scratch.path().display();
        let text = format!("{lines}dir {folder}\nsave \"\"\nappendonly no\n");
        let command = server(&scratch, &text);
        Self::wait(scratch, address, command, access)
    }

    fn launch_sentinel(scratch: Scratch, address: SocketAddr, lines: &str) -> Self {
        let text = format!("{lines}dir {}\n", scratch.path().display());
        let mut command = server(&scratch, &text);
        command.arg("--sentinel");
        Self::wait(scratch, address, command, &[])
    }

    fn wait(scratch: Scratch, address: SocketAddr, mut command: Command, access: &[&str]) -> Self {
        let process = Process::start("redis", &mut command, &scratch.file("redis.log"));
        let redis = Self {
            process,
            _scratch: scratch,
            address,
            access: access.iter().map(|&word| word.to_owned()).collect(),
        };
        wait::until("redis", 10, || {
            (redis.ask(&["PING"]) == "PONG").then_some(())
        });
        redis
    }
}

/// Of the user who may do everything.
const ADMIN: &str = "all-rights";

/// A server that reads this configuration, which it may write to.
fn server(scratch: &Scratch, text: &str) -> Command {
    let file = scratch.file("redis.conf");
    std::fs::write(&file, text).expect("a folder of ours");
    let mut command = Command::new(tool("redis-server"));
    command.arg(file);
    command
}

fn listen(address: SocketAddr) -> String {
    format!("bind {}\nport {}\n", address.ip(), address.port())
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound port")
}
