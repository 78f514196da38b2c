//! Programs that a test runs. None outlives the test.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, kill_process, kill_process_group};

pub use rustix::process::Signal;

use crate::wait;

/// Lines of a log that are shown when its test fails.
const LOG_LINES_SHOWN: usize = 60;

/// A running program whose output goes to a file. Dropping it kills it and its children.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts it, in a process group of its own and without input.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = File::create(log).expect("the log can be made");
        let same = file.try_clone().expect("a file can be shared");
        let command = command.stdin(Stdio::null()).stdout(same).stderr(file);
        let child = command.process_group(0).spawn();
        Self {
            name: name.to_owned(),
            child: child.unwrap_or_else(|error| panic!("{name} does not start: {error}")),
            log: log.to_owned(),
            ended: None,
        }
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.look().is_none()
    }

    /// Sends a signal to the program, not to its children.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            kill_process(self.pid(), signal).expect("our own child can be signalled");
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it still runs after `seconds`.
    pub fn wait(&mut self, seconds: u64) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait::until(&what, seconds, || self.look())
    }

    /// Waits for its end, and insists on a good one.
    ///
    /// # Panics
    /// If it still runs after `seconds`, or has failed.
    pub fn wait_for_success(&mut self, seconds: u64) {
        let status = self.wait(seconds);
        assert!(status.success(), "{}: {status}\n{}", self.name, self.log());
    }

    /// Waits for its end.
    pub fn ends_within(&mut self, time: Duration) -> Option<ExitStatus> {
        wait::within(time, || self.look())
    }

    /// All it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn look(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self
                .child
                .try_wait()
                .expect("our own child can be waited for");
        }
        self.ended
    }

    fn pid(&self) -> Pid {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        Pid::from_raw(id).expect("process ids are not zero")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            eprintln!("--- {} ---\n{}\n---", self.name, shown.join("\n"));
        }
    }
}

/// What a program that has ended printed.
#[derive(Debug)]
pub struct Output {
    /// None if it was killed.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs a program that ends by itself.
///
/// # Panics
/// If it cannot be started.
pub fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}
