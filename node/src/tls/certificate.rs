//! The certificate and its private key, from the two files that the configuration names.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, InconsistentKeys};
use sha2::{Digest, Sha256};
use x509_cert::der::Decode;

use crate::config;
use crate::data::{self, Secret};

/// Chains of a few kilobytes are long.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// A file, and the key of the configuration that names it.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) key: &'static str,
    pub(super) path: PathBuf,
}

impl Named {
    pub(super) fn new(key: &'static str, path: &Path) -> Self {
        let path = path.to_owned();
        Self { key, path }
    }

    pub(super) fn read(&self) -> Result<Vec<u8>, Error> {
        data::read_file(&self.path, FILE_BYTES_MAX).map_err(|error| self.wrong(&error.to_string()))
    }

    pub(super) fn wrong(&self, what: &str) -> Error {
        Error {
            key: self.key,
            what: format!("{}: {what}", self.path.display()),
        }
    }
}

/// Where a certificate and its private key are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(super) cert: Named,
    pub(super) key: Named,
}

impl From<&config::Tls> for Files {
    fn from(tls: &config::Tls) -> Self {
        Self {
            cert: Named::new("tls.cert_file", &tls.cert_file),
            key: Named::new("tls.key_file", &tls.key_file),
        }
    }
}

/// What is wrong with one of the files, and which key of the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Error {
    pub key: &'static str,
    what: String,
}

impl Error {
    /// One of the files is to blame; it is not known which.
    pub(super) fn of_either(files: &Files, what: &str) -> Self {
        let (cert, key) = (files.cert.path.display(), files.key.path.display());
        Self {
            key: files.cert.key,
            what: format!("{cert} or {key}: {what}"),
        }
    }
}

/// A certificate whose private key is at hand.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(crate) expires: SystemTime,
}

impl Certificate {
    pub(crate) fn read(files: &Files) -> Result<Self, Error> {
        Contents::read(files)?.certificate()
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expires <= SystemTime::now()
    }
}

/// Both files as they are now, whatever they hold.
pub(super) struct Contents<'f> {
    files: &'f Files,
    chain: Vec<u8>,
    key: Secret<Vec<u8>>,
}

impl<'f> Contents<'f> {
    pub(super) fn read(files: &'f Files) -> Result<Self, Error> {
        Ok(Self {
            files,
            chain: files.cert.read()?,
            key: Secret::new(files.key.read()?),
        })
    }

    /// Differs where one of the files does.
    pub(super) fn digest(&self) -> [u8; 32] {
        let parts = [
            Sha256::digest(&self.chain),
            Sha256::digest(self.key.reveal()),
        ];
        Sha256::digest(parts.concat()).into()
    }

    pub(super) fn certificate(&self) -> Result<Certificate, Error> {
        let Files {
            cert: cert_file,
            key: key_file,
        } = self.files;
        let of_chain = |what: &str| cert_file.wrong(what);
        let of_key = |what: &str| key_file.wrong(what);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.chain)
            .collect::<Result<_, _>>()
            .map_err(|_| of_chain("is broken PEM"))?;
        let first = chain
            .first()
            .ok_or_else(|| of_chain("holds no certificate in PEM"))?;
        let expires = expires(first).ok_or_else(|| of_chain("its first certificate is broken"))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.reveal())
            .map_err(|_| of_key("holds no private key in PEM without a passphrase"))?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let key = key.map_err(|error| match error {
            TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let cert_key = cert_file.key;
                of_key(&format!(
                    "does not belong to the first certificate of {cert_key}"
                ))
            }
            TlsError::InvalidCertificate(_) => of_chain("its first certificate is broken"),
            _ => of_key("its key is broken, or of a kind that is not supported"),
        })?;
        Ok(Certificate {
            key: Arc::new(key),
            expires,
        })
    }
}

/// The end of its validity (RFC 5280 §4.1.2.5).
fn expires(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let not_after = certificate.tbs_certificate().validity().not_after;
    let since_1970: Duration = not_after.to_unix_duration();
    SystemTime::UNIX_EPOCH.checked_add(since_1970)
}
