//! TLS: the certificate of the public ports, what connections are accepted with, and its replacement while the node runs;
//! and the certificates by which nodes know each other.

mod certificate;
mod mutual;
mod reload;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use certificate::{Certificate, Error, Files};
pub(crate) use mutual::{Mutual, rejected, server_name};
pub(crate) use reload::Reloader;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio_rustls::TlsAcceptor;

use rustls::sign::SingleCertAndKey;

/// What connections are accepted with from now on.
#[derive(Clone)]
pub(crate) struct Acceptors {
    pub rtmps: TlsAcceptor,
    pub https: TlsAcceptor,
}

impl Acceptors {
    fn new(certificate: &Certificate) -> Self {
        Self {
            // Encoders and players name no protocol (RFC 7301) for RTMP.
            rtmps: acceptor(certificate, &[]),
            https: acceptor(certificate, &[HTTP2, b"http/1.1"]),
        }
    }
}

/// HTTP/2's name in ALPN (RFC 9113 §3.2).
pub(crate) const HTTP2: &[u8] = b"h2";

/// A configuration of its own for each certificate: sessions are not resumed over a replacement.
fn acceptor(certificate: &Certificate, protocols: &[&[u8]]) -> TlsAcceptor {
    let mut config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("the provider has the suites of TLS 1.2 and 1.3")
        .with_no_client_auth()
        // Whatever name a client asks for.
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(
            &certificate.key,
        ))));
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

impl std::fmt::Debug for Acceptors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptors")
    }
}
