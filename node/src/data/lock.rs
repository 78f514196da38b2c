//! One process at a time works on a data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::folder::{NODE, SECRET};
use super::{Error, Folder, KeyringFile, Secret, TokenFile, private, random};

/// The right to write in a data folder. Dropping it takes `node.json` away and frees the folder;
/// the kernel frees it too when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    folder: Folder,
    /// Closed after `drop` has run, which is what frees the lock.
    _file: File,
}

/// What a running node tells other processes on its machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeFile {
    pub pid: u32,
    /// The addresses it listens on, with the ports that port 0 became.
    pub http: SocketAddr,
    pub rtmp: SocketAddr,
    pub internal: SocketAddr,
    /// Only where it has a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtmps: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<SocketAddr>,
    /// Only where there are other nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<SocketAddr>,
}

impl Lock {
    pub(super) fn take(folder: Folder) -> Result<Option<Self>, Error> {
        let path = folder.file("lock");
        let failed = |source| Error::Io {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let lock = Self {
            folder,
            _file: file,
        };
        // A node that crashed has left its own; its addresses may be someone else's by now.
        lock.withdraw();
        Ok(Some(lock))
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Tells where this node listens, until the lock is dropped.
    pub(crate) fn announce(&self, node: &NodeFile) -> Result<(), Error> {
        let text = serde_json::to_string(node).expect("numbers and addresses are JSON");
        private::write(&self.folder.file(NODE), &text)
    }

    fn withdraw(&self) {
        // Nothing is lost if it stays: without the lock nobody believes it.
        let _ = std::fs::remove_file(self.folder.file(NODE));
    }

    /// The token in this file. The first call makes a file of the folder; any other is for somebody
    /// else to make.
    pub(crate) fn token(&self, file: &TokenFile) -> Result<Secret<String>, Error> {
        if !file.is_ours {
            return file.read_existing();
        }
        if let Some(token) = file.read()? {
            return Ok(token);
        }
        let token = format!("isocast_{}", random::base62_256());
        private::write(file.path(), &format!("{token}\n"))?;
        Ok(Secret::new(token))
    }

    /// Makes a keyring of the folder where there is none yet; any other is for somebody else to make.
    pub(crate) fn make_keyring(&self, file: &KeyringFile) -> Result<(), Error> {
        if file.is_ours && file.read()?.is_none() {
            private::write(file.path(), &format!("k1 {}\n", random::base62_256()))?;
        }
        Ok(())
    }

    /// The tokens of a file that may hold two; the first call makes a file of the folder.
    pub(crate) fn tokens(&self, file: &TokenFile) -> Result<Vec<Secret<String>>, Error> {
        if file.is_ours && !file.path().exists() {
            self.token(file)?;
        }
        file.read_lines()
    }

    /// The secret under which publish keys are hashed, in the file that is configured, which is for
    /// somebody else to make; without one in the folder, where the first call makes it.
    pub(crate) fn secret(&self, configured: &Path) -> Result<Secret<[u8; 32]>, Error> {
        let (path, is_ours) = self.folder.place(SECRET, configured);
        if !is_ours {
            return read_secret(&path);
        }
        if let Some(text) = private::read(&path)? {
            let what = "does not hold 64 hexadecimal digits; put the backup back: without it no publish key works";
            let bytes = from_hex(text.reveal().trim()).ok_or(Error::Content { path, what })?;
            return Ok(Secret::new(bytes));
        }
        if self.folder.rooms_file().exists() {
            let what = "is missing beside rooms that need it; put the backup back: without it no publish key works";
            return Err(Error::Content { path, what });
        }
        let bytes = random::bytes();
        private::write(&path, &format!("{}\n", to_hex(&bytes)))?;
        Ok(Secret::new(bytes))
    }
}

/// A secret of 64 hexadecimal digits that somebody else has put there.
pub(crate) fn read_secret(path: &Path) -> Result<Secret<[u8; 32]>, Error> {
    let wrong = |what| Error::Content {
        path: path.to_owned(),
        what,
    };
    let text = private::read(path)?.ok_or_else(|| wrong("is missing"))?;
    let bytes = from_hex(text.reveal().trim());
    let bytes = bytes.ok_or_else(|| wrong("does not hold 64 hexadecimal digits"))?;
    Ok(Secret::new(bytes))
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.withdraw();
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let scratch = Scratch::new();
        let folder = Folder::open(scratch.path()).expect("there");
        let lock = folder.lock().expect("readable").expect("free");
        assert!(folder.lock().expect("readable").is_none());
        drop(lock);
        assert!(folder.lock().expect("readable").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_waits_for_a_moment_and_not_for_ever() {
        let patience = std::time::Duration::from_secs(5);
        let scratch = Scratch::new();
        let folder = Folder::open(scratch.path()).expect("there");
        let lock = folder.lock().expect("readable").expect("free");
        let started = tokio::time::Instant::now();
        assert!(
            folder
                .lock_within(patience)
                .await
                .expect("readable")
                .is_none()
        );
        assert!(started.elapsed() >= patience);

        let (taken, ()) = tokio::join!(folder.lock_within(patience), async { drop(lock) });
        assert!(taken.expect("readable").is_some());
    }

    #[test]
    fn an_announcement_ends_with_the_lock() {
        let scratch = Scratch::new();
        let folder = Folder::open(scratch.path()).expect("there");
        let node = NodeFile {
            pid: 7,
            http: "0.0.0.0:8080".parse().expect("an address"),
            rtmp: "[::]:1935".parse().expect("an address"),
            internal: "127.0.0.1:8081".parse().expect("an address"),
            rtmps: None,
            https: None,
            relay: None,
        };
        let lock = folder.lock().expect("readable").expect("free");
        assert_eq!(folder.node().expect("readable"), None);
        lock.announce(&node).expect("written");
        assert_eq!(folder.node().expect("readable"), Some(node));
        drop(lock);
        assert_eq!(folder.node().expect("readable"), None);
    }

    #[test]
    fn what_a_crash_left_is_not_believed() {
        let scratch = Scratch::new();
        scratch.write("node.json", b"{\"pid\":1");
        let folder = Folder::open(scratch.path()).expect("there");
        assert!(folder.node().is_err());
        let _lock = folder.lock().expect("readable").expect("free");
        assert_eq!(folder.node().expect("readable"), None);
    }

    #[test]
    fn a_secret_from_elsewhere_is_read_and_never_made() {
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.path().join("data")).expect("made");
        let lock = folder.lock().expect("readable").expect("free");
        let path = scratch.path().join("mounted");
        let line = |lock: &Lock| lock.secret(&path).expect_err("of no use").to_string();
        assert_eq!(line(&lock), format!("{}: is missing", path.display()));
        scratch.write("mounted", b"00ff");
        assert!(line(&lock).ends_with("64 hexadecimal digits"));
        scratch.write("mounted", format!(" {}\n", "0f".repeat(32)).as_bytes());
        let secret = lock.secret(&path).expect("readable");
        assert_eq!(secret.reveal(), &[0x0f; 32]);
        assert!(!scratch.path().join("data/secret").exists());
    }

    #[test]
    fn hex_reads_back() {
        let bytes: [u8; 32] = std::array::from_fn(|at| at as u8 * 8);
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex(&"+1".repeat(32)), None);
    }
}
