//! Whose tokens open the API beside the node's own: an issuer's public keys, in a file or at a URL.

mod fetch;
mod http;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use isocast_access::{BadToken, Expected, Grant, KeySet, key_named_by};

use crate::clock::unix_now;
use crate::config;
use crate::data::Reread;
use crate::error::Refusal;

pub(crate) use fetch::FetchedKeys;
pub(crate) use http::HttpSource;

/// Who signs tokens, and what these must say.
#[derive(Debug)]
pub(crate) struct Issuer {
    keys: Keys,
    issuer: String,
    audience: String,
}

/// Where its keys are.
#[derive(Debug)]
pub(crate) enum Keys {
    File(Reread<KeySet>),
    Url(FetchedKeys),
}

impl Issuer {
    pub(crate) fn new(keys: Keys, auth: &config::Auth) -> Self {
        Self {
            keys,
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
        }
    }

    /// What a token allows.
    pub(crate) async fn verify(&self, token: &str) -> Result<Grant, Refusal> {
        let expected = Expected {
            issuer: &self.issuer,
            audience: &self.audience,
        };
        let key_set = self.keys.for_token(token).await?;
        let verdict = key_set.verify(expected, token, unix_now().whole_seconds());
        verdict.map_err(refusal)
    }
}

impl Keys {
    async fn for_token(&self, token: &str) -> Result<Arc<KeySet>, Refusal> {
        match self {
            Self::File(key_set) => Ok(key_set.now().await),
            Self::Url(keys) => {
                // What is no token at all costs its sender's time alone.
                let key = key_named_by(token).map_err(refusal)?;
                let key_set = keys.with(key).await;
                key_set.ok_or(Refusal::Unavailable("the server with the keys of tokens"))
            }
        }
    }
}

/// The reason is for whoever runs the node: strangers would learn from it what to try next.
fn refusal(reason: BadToken) -> Refusal {
    tracing::debug!(%reason, "token refused");
    match reason {
        BadToken::Expired => Refusal::TokenExpired,
        _ => Refusal::Unauthorized,
    }
}
