use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, crypto};

use crate::data;

/// All public authorities together have 250 kB.
const CA_FILE_BYTES_MAX: u64 = 4 << 20;

/// Whose word is taken for who a server is: the public authorities built into the binary (an image
/// need hold nothing else), and those in a file of the operator's.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    pub(super) plain: Arc<ClientConfig>,
    /// The same, offering HTTP/1.1 (RFC 7301).
    pub(super) http: Arc<ClientConfig>,
}

impl Trust {
    /// `ca_file` holds PEM certificates; empty, there is none.
    pub(crate) fn new(ca_file: &Path) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if !ca_file.as_os_str().is_empty() {
            let name = || ca_file.display().to_string();
            let text = data::read_file(ca_file, CA_FILE_BYTES_MAX).with_context(name)?;
            let mut added = 0;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                roots
                    .add(certificate.with_context(name)?)
                    .with_context(name)?;
                added += 1;
            }
            ensure!(added > 0, "{}: holds no PEM certificate", name());
        }
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let plain = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("no TLS version is built in")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http = plain.clone();
        http.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            plain: Arc::new(plain),
            http: Arc::new(http),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scratch::Scratch;

    #[test]
    fn a_file_without_a_certificate_is_refused_by_name() {
        let scratch = Scratch::new();
        scratch.write("ca.pem", b"no certificate");
        let path = scratch.path().join("ca.pem");
        let error = Trust::new(&path).expect_err("nothing in it").to_string();
        assert!(
            error.contains("ca.pem: holds no PEM certificate"),
            "{error}"
        );
        assert!(Trust::new(&scratch.path().join("none.pem")).is_err());
        Trust::new(Path::new("")).expect("the built-in authorities");
    }

    #[test]
    fn what_never_ends_or_never_begins_is_not_read() {
        let scratch = Scratch::new();
        scratch.write("large", &vec![b'\n'; (4 << 20) + 1]);
        scratch.pipe("pipe");
        for (name, what) in [
            ("large", "large: is larger than 4096 KiB"),
            ("pipe", "pipe: this is no file"),
        ] {
            let error = Trust::new(&scratch.path().join(name)).expect_err(name);
            assert!(format!("{error:#}").ends_with(what), "{error:#}");
        }
    }
}
