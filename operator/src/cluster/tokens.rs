//! The secrets of a LiveCluster's nodes that the operator makes, each once.

use std::collections::BTreeMap;

use isocast_admin::{Secret, random};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as SecretObject;

use super::validate::Valid;
use crate::names::{Names, hash};

#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    /// Of the internal port.
    pub admin: Token,
    /// Of the public API.
    pub api: Token,
    /// What signs play links: lines of `<id> <secret>`, of which the first signs.
    pub play: Token,
    /// The same for the publish keys of a moment.
    pub publish: Token,
    /// Tells versions of the certificate apart; `None`: there is none.
    pub certificate: Option<String>,
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
    fn of(found: Option<&SecretObject>, key: &str) -> Self {
        let is_token = |text: &&str| {
            (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match text(found, key).map(str::trim).filter(is_token) {
            Some(text) => Self::Found(Secret::new(text.to_owned())),
            None => Self::New(Secret::new(format!("isocast_{}", random::base62_256()))),
        }
    }

    /// What signs. People add lines to it by themselves, so that what is there stays as it is.
    fn signing(found: Option<&SecretObject>, key: &str) -> Self {
        match text(found, key).filter(|text| !text.trim().is_empty()) {
            Some(text) => Self::Found(Secret::new(text.to_owned())),
            None => Self::New(Secret::new(format!("k1 {}\n", random::base62_256()))),
        }
    }

    pub(crate) fn secret(&self) -> &Secret<String> {
        let (Self::Found(token) | Self::New(token)) = self;
        token
    }

    fn is_new(&self) -> bool {
        matches!(self, Self::New(_))
    }
}

fn text<'a>(found: Option<&'a SecretObject>, key: &str) -> Option<&'a str> {
    let ByteString(bytes) = found?.data.as_ref()?.get(key)?;
    std::str::from_utf8(bytes).ok()
}

impl Tokens {
    /// Those in the Secrets, by the names of these.
    pub(crate) fn of(
        names: &Names,
        found: impl Fn(&str) -> Option<SecretObject>,
        certificate: Option<String>,
    ) -> Self {
        let [admin, api, signing] = secret_names(names).map(|name| found(&name));
        Self {
            admin: Token::of(admin.as_ref(), TOKEN),
            api: Token::of(api.as_ref(), TOKEN),
            play: Token::signing(signing.as_ref(), PLAY),
            publish: Token::signing(signing.as_ref(), PUBLISH),
            certificate,
        }
    }

    /// Tells versions apart, and nothing about the secrets: each has 256 random bits.
    pub(crate) fn hash(&self) -> String {
        let mut text = "isocast tokens".to_owned();
        for token in [&self.admin, &self.api, &self.play, &self.publish] {
            text = text + "\0" + token.secret().reveal();
        }
        text = text + "\0" + self.certificate.as_deref().unwrap_or_default();
        hash(text.as_bytes())
    }

    /// The Secrets that have to be written.
    pub(crate) fn missing(&self, valid: &Valid) -> Vec<SecretObject> {
        let [admin, api, signing] = secret_names(&valid.names);
        [
            (admin, vec![(TOKEN, &self.admin)]),
            (api, vec![(TOKEN, &self.api)]),
            (signing, vec![(PLAY, &self.play), (PUBLISH, &self.publish)]),
        ]
        .into_iter()
        .filter(|(_, tokens)| tokens.iter().any(|(_, token)| token.is_new()))
        .map(|(name, tokens)| SecretObject {
            metadata: valid.names.metadata(name, &valid.owner),
            type_: Some("Opaque".to_owned()),
            data: Some(tokens.into_iter().map(data).collect::<BTreeMap<_, _>>()),
            ..SecretObject::default()
        })
        .collect()
    }

    #[cfg(test)]
    pub(crate) fn of_a_test(token: fn(Secret<String>) -> Token, text: &str) -> Self {
        let token = |of: &str| token(Secret::new(format!("{of}{text}")));
        Self {
            admin: token("isocast_admin-"),
            api: token("isocast_api-"),
            play: token("k1 play-"),
            publish: token("k1 publish-"),
            certificate: None,
        }
    }
}

/// The names of all Secrets that are made here.
pub(crate) fn secret_names(names: &Names) -> [String; 3] {
    [names.admin_token(), names.api_token(), names.signing()]
}

/// Which of a Secret's data.
const TOKEN: &str = "token";
const PLAY: &str = "play";
const PUBLISH: &str = "publish";

fn data((key, token): (&str, &Token)) -> (String, ByteString) {
    let bytes = token.secret().reveal().clone().into_bytes();
    (key.to_owned(), ByteString(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(signing: Option<serde_json::Value>) -> Tokens {
        let names = Names {
            cluster: "live".into(),
            namespace: "tv".into(),
        };
        let signing = signing.map(|data| {
            let object = json!({"metadata": {"name": "live-signing"}, "data": data});
            serde_json::from_value::<SecretObject>(object).expect("a Secret")
        });
        let found = |name: &str| signing.clone().filter(|_| name == "live-signing");
        Tokens::of(&names, found, None)
    }

    #[test]
    fn what_people_added_to_the_signing_secret_stays() {
        // "k2 b\nk1 a\n", and nothing for publish.
        let tokens = of(Some(json!({"play": "azIgYgprMSBhCg==", "publish": ""})));
        assert!(!tokens.play.is_new());
        assert_eq!(tokens.play.secret().reveal(), "k2 b\nk1 a\n");
        assert!(tokens.publish.is_new());
        let line = tokens.publish.secret().reveal();
        assert!(line.starts_with("k1 ") && line.len() == 3 + 43 + 1);
    }

    #[test]
    fn another_certificate_is_another_version() {
        let tokens = Tokens::of_a_test(Token::Found, "t");
        let renewed = Tokens {
            certificate: Some("2".into()),
            ..tokens.clone()
        };
        assert_ne!(tokens.hash(), renewed.hash());
        assert!(of(None).play.is_new());
    }
}
