//! Certificates by which the nodes of a cluster know each other.
//!
//! Who has one belongs to the cluster: it is signed by the authority that is kept for this, and it is for
//! [`NAME`]. Both ends look at the same, and neither looks at which node it is: a member is trusted to say so
//! itself.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore,
    ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::certificate::Named;
use super::{Certificate, Error, Files, HTTP2};
use crate::config;

/// The DNS name that every node's certificate is for (RFC 5280 §4.2.1.6).
pub(crate) const NAME: &str = "isocast-peer";

/// What a node accepts peers with, and calls them with.
#[derive(Clone)]
pub(crate) struct Mutual {
    /// Takes callers without a certificate too, for probes have none.
    acceptor: TlsAcceptor,
    caller: Arc<ClientConfig>,
}

impl Mutual {
    pub(crate) fn read(peers: &config::Peers) -> Result<Self, Error> {
        let certificate = Certificate::read(&Files {
            cert: Named::new("peers.tls_cert_file", &peers.tls_cert_file),
            key: Named::new("peers.tls_key_file", &peers.tls_key_file),
        })?;
        let authorities = Named::new("peers.tls_ca_file", &peers.tls_ca_file);
        let roots = Arc::new(roots(&authorities)?);
        // What this node shows has to pass at its peers.
        let own = certificate.key.end_entity_cert();
        if own.and_then(is_for_a_peer).is_err() {
            let file = Named::new("peers.tls_cert_file", &peers.tls_cert_file);
            return Err(file.wrong("its first certificate is not for the DNS name isocast-peer"));
        }
        let certificate = Arc::new(SingleCertAndKey::from(certificate.key));
        let provider = Arc::new(aws_lc_rs::default_provider());
        const SUITES: &str = "the provider has the suites of TLS 1.3";

        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(|_| authorities.wrong("holds no certificate that can sign others"))?;
        let mut accepted = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .expect(SUITES)
            .with_client_cert_verifier(Arc::new(Members(verifier)))
            .with_cert_resolver(Arc::clone(&certificate) as _);
        accepted.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
        // A session that is resumed shows no certificate, which may have expired since.
        accepted.session_storage = Arc::new(NoServerSessionStorage {});
        accepted.send_tls13_tickets = 0;

        let caller = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .expect(SUITES)
            .with_root_certificates(roots)
            .with_client_cert_resolver(certificate);
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(accepted)),
            caller: Arc::new(caller),
        })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Offers these protocols (RFC 7301).
    pub(crate) fn connector(&self, protocols: &[&[u8]]) -> TlsConnector {
        let mut config = ClientConfig::clone(&self.caller);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

impl std::fmt::Debug for Mutual {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mutual")
    }
}

/// Whom a peer is to be, by its certificate.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("it is a DNS name")
}

fn roots(file: &Named) -> Result<RootCertStore, Error> {
    let text = file.read()?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|_| file.wrong("is broken PEM"))?;
        let added = roots.add(certificate);
        added.map_err(|_| file.wrong("one of its certificates is broken"))?;
    }
    match roots.is_empty() {
        true => Err(file.wrong("holds no certificate in PEM")),
        false => Ok(roots),
    }
}

fn is_for_a_peer(certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
    verify_server_name(&ParsedCertificate::try_from(certificate)?, &server_name())
}

/// Takes who has a certificate of the authority that is for [`NAME`].
#[derive(Debug)]
struct Members(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Members {
    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        is_for_a_peer(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// What is wrong with a peer's certificate, as metrics call it; `None` where it is something else.
pub(crate) fn rejected(error: &rustls::Error) -> Option<&'static str> {
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return None;
    };
    Some(match wrong {
        // A bad signature: an authority of the same name, with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "certificate_of_others",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate_expired"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate_wrong_name"
        }
        _ => "certificate_bad",
    })
}
