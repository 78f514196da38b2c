//! Keyrings in files: our own, and those that somebody else puts there and replaces now and then.

use std::path::{Path, PathBuf};

use isocast_access::Keyring;

use super::{Error, private};

/// Where a keyring is.
#[derive(Clone, Debug)]
pub(crate) struct KeyringFile {
    pub(super) path: PathBuf,
    /// In the data folder, and made by the first start.
    pub(super) is_ours: bool,
}

impl KeyringFile {
    /// One that the configuration names.
    pub(crate) fn configured(path: &Path) -> Self {
        let (path, is_ours) = (path.to_owned(), false);
        Self { path, is_ours }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The keyring; `None` where there is no such file.
    pub(super) fn read(&self) -> Result<Option<Keyring>, Error> {
        let Some(text) = private::read(&self.path)? else {
            return Ok(None);
        };
        match Keyring::parse(text.reveal()) {
            Ok(keyring) => Ok(Some(keyring)),
            Err(error) => Err(Error::Keyring {
                path: self.path.clone(),
                error,
            }),
        }
    }

    /// The keyring, which has to be there.
    pub(crate) fn read_existing(&self) -> Result<Keyring, Error> {
        self.read()?.ok_or_else(|| Error::Content {
            path: self.path.clone(),
            what: "is missing",
        })
    }
}
