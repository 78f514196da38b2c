//! The lab's API server goes away and comes back.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use isocast_harness::{Signal, wait};
use rustix::process::{Pid, kill_process};

use crate::Lab;
use crate::api::JSON;

const BACK_S: u64 = 60;

/// While this is there, the API server of [`Lab::api`] does not answer; afterwards it does again.
#[derive(Debug)]
pub struct Outage {
    lab: &'static Lab,
    pid: Pid,
    /// How to start it again, where it is gone.
    command: Option<Command>,
}

impl Lab {
    /// The API server stands still: connections stay, and nobody speaks on them.
    ///
    /// # Panics
    /// If this is a cluster that was given: its API server is not the tests' to stop.
    #[must_use]
    pub fn freeze_api_server(&'static self) -> Outage {
        let pid = self.api_server();
        kill_process(pid, Signal::STOP).expect("the lab's processes are the tests'");
        Outage {
            lab: self,
            pid,
            command: None,
        }
    }

    /// The API server is killed: nobody listens there.
    ///
    /// # Panics
    /// As above.
    #[must_use]
    pub fn kill_api_server(&'static self) -> Outage {
        let pid = self.api_server();
        let command = command(pid, &self.run().join("logs/api-server.log"));
        kill_process(pid, Signal::KILL).expect("the lab's processes are the tests'");
        Outage {
            lab: self,
            pid,
            command: Some(command),
        }
    }

    fn api_server(&self) -> Pid {
        assert!(self.is_ours, "only the lab's API server may be stopped");
        let file = std::fs::read_to_string(self.api_server_file());
        let file = file.expect("a lab that is up knows its processes");
        let pid = file.split(' ').next().and_then(|pid| pid.parse().ok());
        pid.and_then(Pid::from_raw).expect("it begins with the id")
    }

    fn api_server_file(&self) -> PathBuf {
        self.run().join("pids/api-server")
    }

    fn run(&self) -> &Path {
        let run = self.kubeconfig.parent();
        run.expect("a lab's kubeconfig is in its folder")
    }
}

impl Outage {
    /// Waits until it answers again.
    ///
    /// # Panics
    /// If it does not.
    pub fn end(self) {
        let lab = self.lab;
        drop(self);
        wait::until("the API server", BACK_S, || {
            let answer = lab.try_ask("GET", "/readyz", JSON, "");
            answer
                .is_ok_and(|answer| answer.status == 200)
                .then_some(())
        });
    }
}

impl Drop for Outage {
    #[expect(
        clippy::zombie_processes,
        reason = "it lives as long as the lab, and that ends after this process"
    )]
    fn drop(&mut self) {
        let Some(command) = &mut self.command else {
            let _ = kill_process(self.pid, Signal::CONT);
            return;
        };
        let child = command.spawn().expect("it has started before");
        // So the lab knows it, and ends it with everything else.
        let text = format!("{} {}\n", child.id(), started(&child));
        std::fs::write(self.lab.api_server_file(), text).expect("the target folder can be written");
    }
}

/// The same program again, as it runs.
fn command(pid: Pid, log: &Path) -> Command {
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let words = |file: &str| {
        let bytes = std::fs::read(process.join(file)).expect("it runs");
        let words = bytes
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty());
        let words = words.map(|word| OsString::from_vec(word.to_vec()));
        words.collect::<Vec<_>>()
    };
    let arguments = words("cmdline");
    let mut command = Command::new(&arguments[0]);
    let folder = std::fs::read_link(process.join("cwd")).expect("it runs");
    command
        .args(&arguments[1..])
        .current_dir(folder)
        .env_clear();
    for variable in words("environ") {
        let text = variable.to_string_lossy().into_owned();
        if let Some((name, value)) = text.split_once('=') {
            command.env(name, value);
        }
    }
    let log = std::fs::OpenOptions::new().append(true).open(log);
    let log = log.expect("it has a log");
    let same = log.try_clone().expect("a file can be shared");
    command.stdin(Stdio::null()).stdout(same).stderr(log);
    command.process_group(0);
    command
}

/// In clock ticks since the machine's boot: the 22nd field of proc_pid_stat(5).
fn started(child: &Child) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id()));
    let stat = stat.expect("our own child is there until it is waited for");
    let (_, after_name) = stat.rsplit_once(')').expect("the name is in parentheses");
    let field = after_name.split_whitespace().nth(19);
    field.expect("every process has a start time").to_owned()
}
