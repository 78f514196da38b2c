//! The two tokens of a LiveCluster's nodes, each in a Secret that is made once.

use std::collections::BTreeMap;

use isocast_admin::{Secret, random};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as SecretObject;

use super::validate::Valid;
use crate::names::hash;

/// Which of the Secret's data.
const KEY: &str = "token";

#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub admin: Token,
    pub api: Token,
}

#[derive(Clone, Debug)]
pub(crate) enum Token {
    /// It is in its Secret.
    Found(Secret<String>),
    /// There is no Secret, or nothing usable in it: this one is to be written.
    New(Secret<String>),
}

impl Token {
    /// The token in the Secret, if it is one that a node takes.
    pub(crate) fn of(found: Option<&SecretObject>) -> Self {
        let data = found.and_then(|secret| secret.data.as_ref()?.get(KEY));
        let text = data.and_then(|ByteString(bytes)| std::str::from_utf8(bytes).ok());
        let is_token = |text: &str| {
            (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match text.map(str::trim).filter(|text| is_token(text)) {
            Some(text) => Self::Found(Secret::new(text.to_owned())),
            None => Self::New(Secret::new(format!("isocast_{}", random::base62_256()))),
        }
    }

    pub(crate) fn secret(&self) -> &Secret<String> {
        let (Self::Found(token) | Self::New(token)) = self;
        token
    }
}

impl Tokens {
    /// For a LiveCluster that has none yet.
    pub(crate) fn new() -> Self {
        Self {
            admin: Token::of(None),
            api: Token::of(None),
        }
    }

    /// Tells versions apart, and nothing about the tokens: each is 256 random bits.
    pub(crate) fn hash(&self) -> String {
        hash(
            format!(
                "isocast tokens\0{}\0{}",
                self.admin.secret().reveal(),
                self.api.secret().reveal()
            )
            .as_bytes(),
        )
    }

    /// The Secrets that have to be written.
    pub(crate) fn missing(&self, valid: &Valid) -> Vec<SecretObject> {
        let all = [
            (&self.admin, valid.names.admin_token()),
            (&self.api, valid.names.api_token()),
        ];
        let new = all.into_iter().filter_map(|(token, name)| match token {
            Token::New(token) => Some((token, name)),
            Token::Found(_) => None,
        });
        new.map(|(token, name)| SecretObject {
            metadata: valid.names.metadata(name, &valid.owner),
            type_: Some("Opaque".to_owned()),
            data: Some(BTreeMap::from([(
                KEY.to_owned(),
                ByteString(token.reveal().clone().into_bytes()),
            )])),
            ..SecretObject::default()
        })
        .collect()
    }
}
