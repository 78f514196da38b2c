//! Small files for this user only.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Error, Secret, file};

/// Far above every file of ours, far below what would hurt.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The text of a file; `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Secret<String>>, Error> {
    let mut text = String::new();
    let result =
        file::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    match result {
        Ok(_) => Ok(Some(Secret::new(text))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes a whole file with mode 0600. A crash leaves the old file or the new one, never a part.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = write_new(&new, text)
        .and_then(|()| std::fs::rename(&new, path))
        // The new name is on disk only with its folder.
        .and_then(|()| File::open(path.parent().unwrap_or(path))?.sync_all());
    written.map_err(|source| {
        let _ = std::fs::remove_file(&new);
        Error::Io {
            path: path.to_owned(),
            source,
        }
    })
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    // A crashed process with our id may have left one, maybe with another mode.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
