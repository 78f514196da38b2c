//! Certificates of every kind in files, and their replacement.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::advance;
use tokio_rustls::TlsConnector;

use super::*;
use crate::config::Tls;
use crate::data::scratch::Scratch;
use crate::metrics::Metrics;

/// A certificate for `localhost`, signed by itself, and its key, in PEM.
pub(crate) struct Issued {
    chain: String,
    key: String,
}

impl Issued {
    pub(crate) fn new() -> Self {
        Self::until(2100)
    }

    /// Valid until the first day of this year.
    fn until(year: i32) -> Self {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        Self {
            chain: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// In two files of this folder.
    pub(crate) fn write(&self, folder: &Path) -> Files {
        let files = Tls {
            cert_file: folder.join("tls.crt"),
            key_file: folder.join("tls.key"),
        };
        std::fs::write(&files.cert_file, &self.chain).unwrap();
        std::fs::write(&files.key_file, &self.key).unwrap();
        (&files).into()
    }
}

/// A client that trusts this certificate only, and offers these protocols.
pub(crate) fn connector(issued: &Issued, protocols: &[&str]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(issued.chain.as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    TlsConnector::from(Arc::new(config))
}

#[test]
fn files_are_taken_or_refused_with_the_key_that_names_them() {
    let (good, other) = (Issued::new(), Issued::new());
    let with_passphrase = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let chain_of_two = good.chain.clone() + &other.chain;
    let wrong_order = other.chain.clone() + &good.chain;
    let cut = &good.chain[..good.chain.len() / 2];
    for (name, chain, key, mistake) in [
        ("good", good.chain.as_str(), good.key.as_str(), None),
        ("a chain", &chain_of_two, &good.key, None),
        (
            "no PEM",
            "hello",
            &good.key,
            Some(("tls.cert_file", "holds no certificate in PEM")),
        ),
        (
            "empty",
            "",
            &good.key,
            Some(("tls.cert_file", "holds no certificate in PEM")),
        ),
        (
            "cut",
            cut,
            &good.key,
            Some(("tls.cert_file", "is broken PEM")),
        ),
        (
            "no DER",
            no_der,
            &good.key,
            Some(("tls.cert_file", "its first certificate is broken")),
        ),
        (
            "the key of another",
            &good.chain,
            &other.key,
            Some((
                "tls.key_file",
                "does not belong to the first certificate of tls.cert_file",
            )),
        ),
        (
            "the chain upside down",
            &wrong_order,
            &good.key,
            Some((
                "tls.key_file",
                "does not belong to the first certificate of tls.cert_file",
            )),
        ),
        (
            "a passphrase",
            &good.chain,
            &with_passphrase,
            Some((
                "tls.key_file",
                "holds no private key in PEM without a passphrase",
            )),
        ),
        (
            "no key",
            &good.chain,
            &good.chain,
            Some((
                "tls.key_file",
                "holds no private key in PEM without a passphrase",
            )),
        ),
        (
            "a broken key",
            &good.chain,
            no_key,
            Some((
                "tls.key_file",
                "its key is broken, or of a kind that is not supported",
            )),
        ),
    ] {
        let scratch = Scratch::new();
        let issued = Issued {
            chain: chain.to_owned(),
            key: key.to_owned(),
        };
        let files = issued.write(scratch.path());
        let read = Certificate::read(&files);
        match mistake {
            None => assert!(read.is_ok(), "{name}: {read:?}"),
            Some((key, what)) => {
                let error = read.expect_err(name);
                assert_eq!(error.key, key, "{name}");
                assert!(
                    error.to_string().ends_with(&format!(": {what}")),
                    "{name}: {error}"
                );
                assert!(!error.to_string().contains("AAAA"), "{name}");
            }
        }
    }
}

#[test]
fn a_missing_or_endless_file_is_named() {
    let scratch = Scratch::new();
    let mut files = Issued::new().write(scratch.path());
    files.cert.path = scratch.path().join("none");
    let error = Certificate::read(&files).unwrap_err();
    assert!(error.key == "tls.cert_file" && error.to_string().contains("/none: No such file"));
    scratch.write("large", &vec![b'\n'; (256 << 10) + 1]);
    scratch.pipe("pipe");
    for (path, what) in [
        (scratch.path().join("large"), "is larger than 256 KiB"),
        ("/dev/zero".into(), "this is no file"),
        (scratch.path().join("pipe"), "this is no file"),
    ] {
        files.cert.path = path;
        let error = Certificate::read(&files).unwrap_err();
        let expected = format!("{}: {what}", files.cert.path.display());
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_end_of_a_certificate_is_known() {
    let scratch = Scratch::new();
    for (year, seconds, is_expired) in [(2001, 978_307_200, true), (2100, 4_102_444_800, false)] {
        let certificate = Certificate::read(&Issued::until(year).write(scratch.path())).unwrap();
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(certificate.expires, expected);
        assert_eq!(certificate.is_expired(), is_expired);
    }
}

/// How many replacements came to this result.
fn count(metrics: &Metrics, result: &str) -> Option<u64> {
    let line = format!("isocast_tls_reloads_total{{result=\"{result}\"}} ");
    let text = metrics.render("");
    let found = text.lines().find_map(|it| it.strip_prefix(&line));
    found.map(|count| count.parse().unwrap())
}

#[tokio::test]
async fn a_replacement_is_taken_and_a_broken_one_is_not() {
    let metrics = Metrics::new();
    let scratch = Scratch::new();
    let mut reloader = Reloader::start(Issued::new().write(scratch.path()), &metrics).unwrap();
    let mut acceptors = reloader.acceptors();
    let mut is_new = async |reloader: &mut Reloader| {
        reloader.look(&metrics).await;
        let is_new = acceptors.has_changed().unwrap();
        acceptors.mark_unchanged();
        is_new
    };
    assert!(!is_new(&mut reloader).await, "nothing has changed");
    Issued::until(2030).write(scratch.path());
    assert!(is_new(&mut reloader).await);
    assert!(!is_new(&mut reloader).await, "once for each change");
    assert_eq!(count(&metrics, "ok"), Some(1));
    let expiry = "isocast_tls_certificate_expiry_timestamp_seconds{} 1893456000";
    assert!(
        metrics.render("").contains(expiry),
        "{}",
        metrics.render("")
    );

    std::fs::write(scratch.path().join("tls.key"), Issued::new().key).unwrap();
    assert!(!is_new(&mut reloader).await);
    assert!(!is_new(&mut reloader).await);
    assert_eq!(count(&metrics, "failed"), Some(1), "counted once");
    std::fs::remove_file(scratch.path().join("tls.key")).unwrap();
    assert!(!is_new(&mut reloader).await);
    assert_eq!(count(&metrics, "failed"), Some(2));
    assert!(metrics.render("").contains(expiry), "the one before stays");

    Issued::new().write(scratch.path());
    assert!(is_new(&mut reloader).await);
    assert_eq!(count(&metrics, "ok"), Some(2));
}

/// As a kubelet replaces a mounted Secret: `..data` becomes another folder, and the files' names stay links through it.
#[tokio::test]
async fn a_moved_link_above_the_files_counts_as_a_change() {
    use std::os::unix::fs::symlink;
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path().join(name);
    for version in ["1", "2"] {
        std::fs::create_dir(path(version)).unwrap();
        Issued::new().write(&path(version));
    }
    symlink("1", path("..data")).unwrap();
    symlink("..data/tls.crt", path("tls.crt")).unwrap();
    symlink("..data/tls.key", path("tls.key")).unwrap();
    let files = Tls {
        cert_file: path("tls.crt"),
        key_file: path("tls.key"),
    };
    let metrics = Metrics::new();
    let mut reloader = Reloader::start((&files).into(), &metrics).unwrap();
    let acceptors = reloader.acceptors();
    symlink("2", path("..data_tmp")).unwrap();
    std::fs::rename(path("..data_tmp"), path("..data")).unwrap();
    reloader.look(&metrics).await;
    assert!(acceptors.has_changed().unwrap());
}

#[test]
fn a_file_that_does_not_come_is_not_waited_for_and_not_asked_for_twice() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .max_blocking_threads(1)
        .build();
    runtime.unwrap().block_on(files_do_not_come());
}

/// The one thread that reads files is held up, as by a mount that hangs.
async fn files_do_not_come() {
    let metrics = Metrics::new();
    let scratch = Scratch::new();
    let mut reloader = Reloader::start(Issued::new().write(scratch.path()), &metrics).unwrap();
    let acceptors = reloader.acceptors();
    let (let_go, held_up) = std::sync::mpsc::channel::<()>();
    let hanging = tokio::task::spawn_blocking(move || held_up.recv());
    Issued::new().write(scratch.path());
    tokio::join!(reloader.look(&metrics), advance(Duration::from_secs(6)));
    assert_eq!(count(&metrics, "failed"), Some(1));
    reloader.look(&metrics).await;
    assert_eq!(count(&metrics, "failed"), Some(1), "told once");
    let_go.send(()).unwrap();
    hanging.await.unwrap().unwrap();
    // The clock of the runtime stands still.
    let give_up = std::time::Instant::now() + Duration::from_secs(10);
    while !acceptors.has_changed().unwrap() {
        assert!(std::time::Instant::now() < give_up, "it is read in the end");
        tokio::task::yield_now().await;
        reloader.look(&metrics).await;
    }
    assert_eq!(count(&metrics, "ok"), Some(1));
}

#[test]
fn without_a_certificate_no_time_is_told() {
    assert!(!Metrics::new().render("").contains("timestamp_seconds{"));
}
