use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};

/// A certificate for 127.0.0.1 that vouches for itself, and its key, in two PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

impl Certificate {
    /// Puts a new one into `folder`, over the one that was there.
    ///
    /// # Panics
    /// If the folder cannot be written to.
    #[must_use]
    pub fn issue(folder: &Path) -> Self {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let params = CertificateParams::new(names).expect("both are names");
        let key = KeyPair::generate().expect("the system has randomness");
        let issued = params.self_signed(&key).expect("nothing is missing");
        let files = Self {
            cert_file: folder.join("cert.pem"),
            key_file: folder.join("key.pem"),
        };
        put(&files.cert_file, &issued.pem());
        put(&files.key_file, &key.serialize_pem());
        files
    }

    /// # Panics
    /// If it is gone.
    #[must_use]
    pub fn pem(&self) -> String {
        std::fs::read_to_string(&self.cert_file).expect("it was issued")
    }
}

/// For its owner only, and never half of it.
fn put(file: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let new = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let opened = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new);
    opened
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&new, file))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
