//! The data folder: what one node keeps on disk, readable by its own user only.
//!
//! | name | what it is |
//! | --- | --- |
//! | `lock` | held by the process that works on the folder, for as long as it lives |
//! | `api-token` | the API token, made by the first start; unused where `api.token_file` names another |
//! | `admin-token` | the same for the admin API and `admin.token_file` |
//! | `play-secret` | the keyring that signs addresses for viewers, made by the first start; unused where `play.secret_file` names another |
//! | `publish-secret` | the same for minted publish keys and `publish.secret_file` |
//! | `webhook-secret` | what webhooks are signed with; unused where `webhooks.secret_file` names another |
//! | `secret` | 32 bytes in hex, under which publish keys are hashed; unused where `rooms.secret_file` names another |
//! | `node.json` | the running node's process and addresses |
//! | `rooms.sqlite` | the rooms; unused where `postgres.url_file` is set |
//! | `keys/<id>` | publish keys that were not shown on a terminal |
//!
//! Who holds the [`Lock`] may write; everyone else only reads.

mod file;
mod folder;
mod keyring;
mod lock;
mod private;
mod reading;
mod reread;
mod token;

#[cfg(test)]
pub(crate) mod scratch;

use std::path::{Path, PathBuf};

pub(crate) use file::read as read_file;
pub(crate) use folder::Folder;
pub(crate) use isocast_admin::{Secret, random};
pub(crate) use keyring::KeyringFile;
pub(crate) use lock::{Lock, NodeFile, read_secret};
pub(crate) use reading::Reading;
pub(crate) use reread::Reread;
pub(crate) use token::{Token, TokenFile, same as same_secret};

use isocast_access::{BadKeySet, KeySet};

/// What went wrong with the data folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {what}", path.display())]
    Content { path: PathBuf, what: &'static str },
    #[error("{} {error}", path.display())]
    KeySet { path: PathBuf, error: BadKeySet },
    #[error("{} {error}", path.display())]
    Keyring {
        path: PathBuf,
        error: isocast_access::BadKeyring,
    },
}

/// The public keys in a file that somebody else puts there.
pub(crate) fn read_key_set(path: &Path) -> Result<KeySet, Error> {
    let path = path.to_owned();
    let Some(text) = private::read(&path)? else {
        let what = "is missing";
        return Err(Error::Content { path, what });
    };
    KeySet::parse(text.reveal()).map_err(|error| Error::KeySet { path, error })
}

/// A secret of any form, in a file that somebody else puts there.
pub(crate) fn read_password(path: &Path) -> Result<Secret<String>, Error> {
    private::read(path)?.ok_or_else(|| Error::Content {
        path: path.to_owned(),
        what: "is missing",
    })
}
