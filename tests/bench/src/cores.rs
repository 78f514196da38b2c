//! Which core runs what. The server and the tool never share one, so that neither waits for the
//! other's turn and the server's CPU time is its own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

pub(crate) const SERVER: usize = 0;
pub(crate) const TOOL: usize = 1;

/// A command that runs `program` on `core`. The process is the program's own: `taskset` becomes it.
pub(crate) fn command_on(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// Keeps this process, with all its threads and those to come, on `core`.
pub(crate) fn keep_process_on(core: usize) -> anyhow::Result<()> {
    taskset(&[
        "-a",
        "-c",
        "-p",
        &core.to_string(),
        &std::process::id().to_string(),
    ])
}

/// Keeps one thread of this process on `core`.
pub(crate) fn keep_thread_on(core: usize, thread: u32) -> anyhow::Result<()> {
    taskset(&["-c", "-p", &core.to_string(), &thread.to_string()])
}

/// The kernel's number of the calling thread. `/proc/thread-self` leads to `PID/task/THREAD`.
pub(crate) fn this_thread() -> anyhow::Result<u32> {
    let link = std::fs::read_link("/proc/thread-self").context("/proc is not mounted")?;
    let name = link.file_name().and_then(|name| name.to_str());
    let thread = name.and_then(|name| name.parse().ok());
    thread.context("/proc/thread-self does not lead to a thread")
}

fn taskset(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("taskset");
    let status = command.args(arguments).stdout(Stdio::null()).status();
    if !status
        .context("taskset (Debian: util-linux) cannot be run")?
        .success()
    {
        bail!("cores {SERVER} and {TOOL} are both needed, and taskset was refused one of them");
    }
    Ok(())
}
