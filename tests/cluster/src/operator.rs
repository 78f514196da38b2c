//! The operator as a process of the test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use isocast_harness::{Process, Scratch, Signal, http, target_folder, wait};

use crate::{Lab, Namespace};

const START_S: u64 = 30;
const STOP_S: u64 = 20;

/// An operator that works in some namespaces, and only there.
#[derive(Debug)]
pub struct Operator {
    kubeconfig: PathBuf,
    namespaces: Vec<String>,
    elects: bool,
    process: Process,
    listen: SocketAddr,
    /// Of all its runs.
    runs: u32,
    scratch: Scratch,
}

impl Operator {
    /// Starts it for one namespace and waits until it works.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn start(namespace: &Namespace) -> Self {
        Self::start_for(namespace.lab, &[&namespace.name])
    }

    /// The same for several; its lease is in the first.
    ///
    /// # Panics
    /// If it does not start to work.
    #[must_use]
    pub fn start_for(lab: &'static Lab, namespaces: &[&str]) -> Self {
        let mut operator = Self::begin(lab.kubeconfig(), namespaces, true);
        operator.wait_for_work();
        operator
    }

    /// Starts one that finds the API server by this kubeconfig, and that works only while it leads
    /// if it `elects`. Waits for nothing.
    #[must_use]
    pub fn begin(kubeconfig: &Path, namespaces: &[&str], elects: bool) -> Self {
        let scratch = Scratch::new("operator");
        let namespaces: Vec<_> = namespaces.iter().map(|&name| name.to_owned()).collect();
        let (process, listen) = begin(kubeconfig, &namespaces, elects, &log(&scratch, 0));
        Self {
            kubeconfig: kubeconfig.to_owned(),
            namespaces,
            elects,
            process,
            listen,
            runs: 1,
            scratch,
        }
    }

    /// Ends it at once, as a lost machine does.
    pub fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        let _ = self.process.wait(STOP_S);
    }

    /// Ends it as Kubernetes does, and insists on a good end.
    ///
    /// # Panics
    /// If it does not end, or not well.
    pub fn stop(&mut self) {
        self.process.signal(Signal::TERM);
        self.process.wait_for_success(STOP_S);
    }

    /// Starts it again after its end, and waits until it works.
    ///
    /// # Panics
    /// If it does not.
    pub fn start_again(&mut self) {
        assert!(!self.process.is_running(), "the operator has not ended");
        let log = log(&self.scratch, self.runs);
        let (process, listen) = begin(&self.kubeconfig, &self.namespaces, self.elects, &log);
        (self.process, self.listen) = (process, listen);
        self.runs += 1;
        self.wait_for_work();
    }

    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// All that it has logged, in all its runs.
    #[must_use]
    pub fn log(&self) -> String {
        let logs = (0..self.runs).map(|run| std::fs::read_to_string(log(&self.scratch, run)));
        logs.map(Result::unwrap_or_default).collect()
    }

    #[must_use]
    pub fn metrics(&self) -> String {
        http::get(self.listen, "/metrics").text()
    }

    /// A series of its metrics, by its name with labels as it is written.
    #[must_use]
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.metrics();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or_default()
    }

    /// Resident memory, in KiB.
    ///
    /// # Panics
    /// If it is gone.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("the operator runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        number.expect("every process has a VmRSS")
    }

    /// Waits until it watches, which with an election is once it leads.
    ///
    /// # Panics
    /// If it does not.
    pub fn wait_for_work(&mut self) {
        wait::until("an operator that works", START_S, || {
            let log = self.process.log();
            assert!(self.process.is_running(), "the operator has ended: {log}");
            // Before it is bound there is nobody to ask.
            log.contains("watching").then_some(())
        });
    }
}

/// The operator's release binary, or the one that `ISOCAST_OPERATOR` names.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn operator_binary() -> PathBuf {
    let path = match std::env::var_os("ISOCAST_OPERATOR") {
        Some(path) => PathBuf::from(path),
        None => target_folder().join("release/isocast-operator"),
    };
    assert!(
        path.is_file(),
        "{} is not there: run `make build` first, or name a binary in ISOCAST_OPERATOR",
        path.display()
    );
    path
}

fn begin(
    kubeconfig: &Path,
    namespaces: &[String],
    elects: bool,
    log: &Path,
) -> (Process, SocketAddr) {
    let listen = free_address();
    let mut command = Command::new(operator_binary());
    command.env("KUBECONFIG", kubeconfig);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        command.env_remove(name);
    }
    command.args(["run", "--log-format", "json"]);
    command.args(["--namespaces", &namespaces.join(",")]);
    command.args(["--lease-namespace", &namespaces[0]]);
    command.args(["--leader-election", &elects.to_string()]);
    command.args(["--listen", &listen.to_string()]);
    let process = Process::start("isocast-operator", &mut command, log);
    (process, listen)
}

fn log(scratch: &Scratch, run: u32) -> PathBuf {
    scratch.file(&format!("operator-{run}.log"))
}

/// The system does not give the same port out again soon.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    listener.local_addr().expect("a listener has an address")
}
