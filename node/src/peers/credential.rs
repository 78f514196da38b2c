use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tonic::metadata::{Ascii, MetadataValue};

use crate::config;
use crate::data::{Reread, Secret, TokenFile, same_secret};
use crate::outbound::{Connection, Dialler, Error, HostPort};
use crate::tls::{self, Mutual};

/// By what the nodes of a cluster know each other.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// A secret that all of them have, said in the clear. Two, while one takes the other's place.
    Token(Arc<Reread<Vec<Secret<String>>>>),
    /// A certificate for each, of an authority that has signed nothing else.
    Certificate(Arc<Reread<Mutual>>),
}

impl Credential {
    /// `None` where the configuration has none: this node is alone.
    pub(crate) fn read(config: &config::Peers) -> anyhow::Result<Option<Self>> {
        if config.has_certificate() {
            let config = config.clone();
            let mutual = Reread::open(move || Mutual::read(&config));
            let mutual = mutual.map_err(|error| anyhow::anyhow!("{}: {error}", error.key))?;
            return Ok(Some(Self::Certificate(Arc::new(mutual))));
        }
        if config.has_token() {
            let file = TokenFile::configured(&config.token_file);
            let tokens = Reread::open(move || file.read_lines()).context("peers.token_file")?;
            tracing::warn!(
                "nodes talk to each other in the clear: peers.tls_cert_file and its like encrypt what they say"
            );
            return Ok(Some(Self::Token(Arc::new(tokens))));
        }
        Ok(None)
    }

    /// What the internal port shows to peers.
    pub(crate) fn mutual(&self) -> Option<&Arc<Reread<Mutual>>> {
        match self {
            Self::Certificate(mutual) => Some(mutual),
            Self::Token(_) => None,
        }
    }

    /// Whether a request came from a peer: what it said, and whether its connection has shown a certificate.
    pub(crate) async fn admits(&self, bearer: Option<&str>, has_certificate: bool) -> bool {
        match self {
            Self::Certificate(_) => has_certificate,
            Self::Token(tokens) => {
                let tokens = tokens.now().await;
                // Each of them, however many are the right one.
                let same = |token: &Secret<String>| {
                    let said = bearer.unwrap_or_default();
                    same_secret(said.as_bytes(), token.reveal().as_bytes())
                };
                tokens.iter().map(same).fold(false, |any, is| any | is)
            }
        }
    }

    /// What is to be said to a peer; nothing where a certificate is shown.
    pub(crate) async fn token(&self) -> Option<Secret<String>> {
        match self {
            Self::Token(tokens) => tokens.now().await.first().cloned(),
            Self::Certificate(_) => None,
        }
    }

    /// The same as a request has it.
    pub(crate) async fn bearer(&self) -> Option<MetadataValue<Ascii>> {
        let token = self.token().await?;
        let mut value: MetadataValue<_> = format!("Bearer {}", token.reveal()).parse().ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A connection to a peer's internal port, on which these protocols may be agreed on (RFC 7301).
    pub(crate) async fn connect(
        &self,
        dialler: &Dialler,
        at: &HostPort,
        protocols: &[&[u8]],
        deadline: Duration,
    ) -> Result<Box<dyn Connection>, Error> {
        let tls = match self {
            Self::Token(_) => None,
            Self::Certificate(mutual) => {
                let connector = mutual.now().await.connector(protocols);
                Some((connector, tls::server_name()))
            }
        };
        dialler.peer(at, tls, deadline).await
    }
}
