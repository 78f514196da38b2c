//! A server that is a process of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::proc;

const READY_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
/// How much of a log an error shows, in lines.
const LOG_LINES: usize = 5;

/// A running process; it is stopped, with its children, when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    folder: Folder,
}

/// How to see that a server takes connections.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ready {
    /// It accepts one.
    Accepts(SocketAddr),
    /// `GET /readyz` answers 200.
    Says(SocketAddr),
}

impl Process {
    /// Starts `command`, which owns `folder` from now on, and waits until it is ready.
    pub(super) async fn start(
        mut command: Command,
        folder: Folder,
        ready: Ready,
    ) -> anyhow::Result<Self> {
        let log = File::create(folder.log()).context("the server's log cannot be made")?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command
            .spawn()
            .context("taskset (Debian: util-linux) cannot be run")?;
        let mut process = Self { child, folder };
        let deadline = Instant::now() + READY_WITHIN;
        while !ready.is_so().await {
            if let Some(status) = process.child.try_wait()? {
                bail!("the server ended ({status}): {}", process.folder.log_end());
            }
            if Instant::now() > deadline {
                bail!("the server did not get ready: {}", process.folder.log_end());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(process)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    /// At once: what it served was made up, and a drain would only take time.
    fn drop(&mut self) {
        let ids = proc::tree_ids(self.child.id()).unwrap_or_default();
        let _ = Command::new("kill")
            .arg("-KILL")
            .args(ids.iter().map(u32::to_string))
            .status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ready {
    async fn is_so(self) -> bool {
        match self {
            Self::Accepts(at) => TcpStream::connect(at).await.is_ok(),
            Self::Says(at) => says_ready(at).await.unwrap_or(false),
        }
    }
}

async fn says_ready(at: SocketAddr) -> std::io::Result<bool> {
    let mut socket = TcpStream::connect(at).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut status = [0; 12];
    socket.read_exact(&mut status).await?;
    Ok(status.ends_with(b" 200"))
}

/// A temporary folder of this tool's; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("isocast-bench-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    fn log_end(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines
            .get(lines.len().saturating_sub(LOG_LINES)..)
            .unwrap_or_default()
            .join("; ")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
