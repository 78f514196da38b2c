use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::{Error, KeyringFile, Lock, NodeFile, TokenFile, private};
use crate::rooms::RoomId;

const API_TOKEN: &str = "api-token";
const ADMIN_TOKEN: &str = "admin-token";
const PLAY_SECRET: &str = "play-secret";
const PUBLISH_SECRET: &str = "publish-secret";
const WEBHOOK_SECRET: &str = "webhook-secret";
pub(super) const SECRET: &str = "secret";
pub(super) const NODE: &str = "node.json";
const ROOMS: &str = "rooms.sqlite";
const KEYS: &str = "keys";

/// A data folder that exists.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens the folder, and makes it (mode 0700) if there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        make_private_folder(path)?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Takes the folder for this process; `None` if another process has it.
    pub(crate) fn lock(&self) -> Result<Option<Lock>, Error> {
        Lock::take(self.clone())
    }

    /// Like [`Folder::lock`], but waits this long for another process: a room command holds the
    /// folder for a moment only, and a node that starts just then should not fail.
    pub(crate) async fn lock_within(&self, patience: Duration) -> Result<Option<Lock>, Error> {
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        let give_up = Instant::now() + patience;
        loop {
            match self.lock()? {
                None if Instant::now() < give_up => tokio::time::sleep(LOOK_AGAIN).await,
                answer => return Ok(answer),
            }
        }
    }

    /// Where the public API's token is: in the file that is configured, else in this folder.
    pub(crate) fn api_token(&self, configured: &Path) -> TokenFile {
        self.token_file(API_TOKEN, configured)
    }

    /// The same for the admin API.
    pub(crate) fn admin_token(&self, configured: &Path) -> TokenFile {
        self.token_file(ADMIN_TOKEN, configured)
    }

    /// The same for what webhooks are signed with.
    pub(crate) fn webhook_secret(&self, configured: &Path) -> TokenFile {
        self.token_file(WEBHOOK_SECRET, configured)
    }

    fn token_file(&self, name: &str, configured: &Path) -> TokenFile {
        let (path, is_ours) = self.place(name, configured);
        TokenFile { path, is_ours }
    }

    /// Where the secrets are that sign addresses for viewers.
    pub(crate) fn play_secret(&self, configured: &Path) -> KeyringFile {
        let (path, is_ours) = self.place(PLAY_SECRET, configured);
        KeyringFile { path, is_ours }
    }

    /// The same for minted publish keys.
    pub(crate) fn publish_secret(&self, configured: &Path) -> KeyringFile {
        let (path, is_ours) = self.place(PUBLISH_SECRET, configured);
        KeyringFile { path, is_ours }
    }

    /// The file that is configured, else ours.
    pub(super) fn place(&self, name: &str, configured: &Path) -> (PathBuf, bool) {
        match configured.as_os_str().is_empty() {
            true => (self.file(name), true),
            false => (configured.to_owned(), false),
        }
    }

    /// What the running node has said about itself.
    pub(crate) fn node(&self) -> Result<Option<NodeFile>, Error> {
        let Some(text) = private::read(&self.file(NODE))? else {
            return Ok(None);
        };
        match serde_json::from_str(text.reveal()) {
            Ok(node) => Ok(Some(node)),
            Err(_) => Err(Error::Content {
                path: self.file(NODE),
                what: "is not what a node writes",
            }),
        }
    }

    /// Where the rooms are.
    pub(crate) fn rooms_file(&self) -> PathBuf {
        self.file(ROOMS)
    }

    /// Keeps a publish key in a file of its own (mode 0600) and returns its path.
    pub(crate) fn keep_key(&self, room: &RoomId, key: &str) -> Result<PathBuf, Error> {
        let folder = self.file(KEYS);
        make_private_folder(&folder)?;
        let path = folder.join(room.as_str());
        private::write(&path, &format!("{key}\n"))?;
        Ok(path)
    }

    /// Removes the kept key of a room, if there is one: it opens nothing any more.
    pub(crate) fn forget_key(&self, room: &RoomId) -> Result<(), Error> {
        let path = self.file(KEYS).join(room.as_str());
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Io { path, source }),
            _ => Ok(()),
        }
    }

    /// Secret files, these among them, that every user of the machine can read. Worth a warning.
    pub(crate) fn exposed(&self, configured: &[&Path]) -> Vec<PathBuf> {
        let files = [SECRET, ROOMS].map(|name| self.file(name)).into_iter();
        files
            .chain(configured.iter().map(|path| path.to_path_buf()))
            .filter(|path| is_world_readable(path))
            .collect()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn make_private_folder(path: &Path) -> Result<(), Error> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => Error::Content {
            path: path.to_owned(),
            what: "is no folder",
        },
        _ => Error::Io {
            path: path.to_owned(),
            source,
        },
    })
}

fn is_world_readable(path: &Path) -> bool {
    const OTHERS: u32 = 0o007;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & OTHERS != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::scratch::Scratch;
    use super::*;

    fn tokens(folder: &Folder) -> [TokenFile; 2] {
        let nothing = Path::new("");
        [folder.api_token(nothing), folder.admin_token(nothing)]
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("it exists").mode() & 0o777
    }

    #[test]
    fn everything_is_private_and_stays_the_same() {
        let scratch = Scratch::new();
        let path = scratch.path().join("a/b");
        let folder = Folder::open(&path).expect("made");
        assert_eq!(mode(&path), 0o700);
        let [api, admin] = tokens(&folder);
        assert!(api.read().expect("readable").is_none());

        let lock = folder.lock().expect("readable").expect("free");
        let token = lock.token(&api).expect("made");
        let other = lock.token(&admin).expect("made");
        assert_ne!(token.reveal(), other.reveal());
        let secret = lock.secret(Path::new("")).expect("made");
        let key = folder
            .keep_key(&RoomId::parse("demo").expect("an id"), "room_demo_key_x")
            .expect("kept");
        for file in [
            path.join("api-token"),
            path.join("admin-token"),
            path.join("secret"),
            path.join("lock"),
            key.clone(),
        ] {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        assert_eq!(mode(&path.join("keys")), 0o700);
        assert_eq!(
            std::fs::read_to_string(key).expect("readable"),
            "room_demo_key_x\n"
        );

        assert_eq!(token.reveal().len(), "isocast_".len() + 43);
        assert!(token.reveal().starts_with("isocast_"));
        drop(lock);
        let lock = folder.lock().expect("readable").expect("free again");
        assert_eq!(lock.token(&api).expect("kept").reveal(), token.reveal());
        assert_eq!(
            lock.secret(Path::new("")).expect("kept").reveal(),
            secret.reveal()
        );
        let read = api.read().expect("readable").expect("there");
        assert_eq!(read.reveal(), token.reveal());
    }

    #[test]
    fn files_that_others_can_read_are_told() {
        let scratch = Scratch::new();
        let folder = Folder::open(scratch.path()).expect("there");
        let lock = folder.lock().expect("readable").expect("free");
        let [api, _] = tokens(&folder);
        lock.token(&api).expect("made");
        lock.secret(Path::new("")).expect("made");
        assert_eq!(folder.exposed(&[api.path()]), Vec::<PathBuf>::new());
        let secret = scratch.path().join("secret");
        for (mode, told) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
            std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).expect("ours");
            assert_eq!(folder.exposed(&[]).contains(&secret), told, "{mode:o}");
        }

        scratch.write("mounted", b"token-from-elsewhere");
        let mounted = folder.api_token(&scratch.path().join("mounted"));
        for (mode, told) in [(0o644, true), (0o440, false)] {
            std::fs::set_permissions(mounted.path(), std::fs::Permissions::from_mode(mode))
                .expect("ours");
            let exposed = folder.exposed(&[mounted.path()]);
            assert_eq!(exposed.contains(&mounted.path), told, "{mode:o}");
        }
    }

    #[test]
    fn a_token_from_elsewhere_is_read_and_never_made() {
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.path().join("data")).expect("made");
        let lock = folder.lock().expect("readable").expect("free");
        let path = scratch.path().join("mounted");
        let mounted = folder.admin_token(&path);
        let line = lock.token(&mounted).expect_err("not there").to_string();
        assert_eq!(line, format!("{}: is missing", path.display()));
        scratch.write("mounted", b"short");
        let line = lock.token(&mounted).expect_err("too short").to_string();
        assert!(line.starts_with(&path.display().to_string()), "{line}");
        scratch.write("mounted", b" token-from-elsewhere\n");
        let token = lock.token(&mounted).expect("readable");
        assert_eq!(token.reveal(), "token-from-elsewhere");
        assert!(!scratch.path().join("data/admin-token").exists());
    }

    /// As a cluster mounts a volume: group-writable, with the group handed down.
    #[test]
    fn a_folder_that_is_there_keeps_its_mode_and_its_files_are_private() {
        let scratch = Scratch::new();
        let path = scratch.path().join("volume");
        std::fs::create_dir(&path).expect("ours");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o2775)).expect("ours");
        let folder = Folder::open(&path).expect("there");
        let lock = folder.lock().expect("readable").expect("free");
        let [api, admin] = tokens(&folder);
        lock.token(&api).expect("made");
        lock.token(&admin).expect("made");
        lock.secret(Path::new("")).expect("made");
        let whole = std::fs::metadata(&path).expect("it exists").mode() & 0o7777;
        assert_eq!(whole, 0o2775);
        for name in ["lock", "api-token", "admin-token", "secret"] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
        assert_eq!(
            folder.exposed(&[api.path(), admin.path()]),
            Vec::<PathBuf>::new()
        );
    }

    #[test]
    fn a_secret_that_rooms_need_is_not_replaced() {
        let scratch = Scratch::new();
        let folder = Folder::open(scratch.path()).expect("there");
        let lock = folder.lock().expect("readable").expect("free");
        std::fs::write(folder.rooms_file(), "rooms").expect("ours");
        let error = lock
            .secret(Path::new(""))
            .expect_err("the rooms' keys need the old one");
        assert!(error.to_string().contains("secret: is missing"), "{error}");
        assert!(!scratch.path().join("secret").exists());
    }

    #[test]
    fn broken_files_are_named_and_not_replaced() {
        for (name, content) in [
            ("api-token", ""),
            ("api-token", "short"),
            ("api-token", "isocast_with a space inside"),
            ("secret", ""),
            ("secret", "00ff"),
            ("secret", &"0g".repeat(32)),
            ("secret", &"é".repeat(32)),
        ] {
            let scratch = Scratch::new();
            let folder = Folder::open(scratch.path()).expect("there");
            let lock = folder.lock().expect("readable").expect("free");
            scratch.write(name, content.as_bytes());
            let error = match name {
                "secret" => lock.secret(Path::new("")).map(drop),
                _ => lock.token(&tokens(&folder)[0]).map(drop),
            };
            let line = error.expect_err(content).to_string();
            assert!(
                line.starts_with(&scratch.path().join(name).display().to_string()),
                "{line}"
            );
            assert_eq!(
                std::fs::read_to_string(scratch.path().join(name)).expect("there"),
                content
            );
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let scratch = Scratch::new();
        scratch.write("file", b"");
        let path = scratch.path().join("file/data");
        let line = Folder::open(&path).expect_err("below a file").to_string();
        assert!(line.starts_with(&path.display().to_string()), "{line}");

        let path = scratch.path().join("file");
        let line = Folder::open(&path).expect_err("a file").to_string();
        assert_eq!(line, format!("{}: is no folder", path.display()));
    }
}
