//! A folder for one test, removed at its end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// An empty folder with a name of its own.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("isocast-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // A killed run may have left a folder under a process id that is used again.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("the temporary folder is writable");
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path.join(name), content).expect("the scratch folder is writable");
    }

    /// A pipe that nobody writes to: whoever opens it to read waits.
    pub(crate) fn pipe(&self, name: &str) {
        let made = Command::new("mkfifo").arg(self.path.join(name)).status();
        assert!(made.expect("mkfifo is installed").success());
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
