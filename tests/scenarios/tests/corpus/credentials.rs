//! Whom the node trusts, and what they and others sign.

use std::path::PathBuf;
use std::sync::Mutex;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as URL_SAFE};
use isocast_access::Keyring;
use isocast_admin::RoomId;
use isocast_harness::{NodeOptions, Scratch};
use serde_json::json;

use super::bytes::{Piece, Variables, expand};

/// What a viewer shows.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(crate) room: String,
    /// From now on.
    pub(crate) ends_in_s: i64,
    pub(crate) by: Signer,
}

/// What a caller of the API shows.
#[derive(Clone, Debug)]
pub(crate) struct Jwt {
    pub(crate) header: Vec<Piece>,
    pub(crate) claims: Vec<Piece>,
    pub(crate) by: Signer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signer {
    /// Whom the node trusts.
    Issuer,
    /// The same, and then a bit of the signature is turned over.
    Altered,
    Stranger,
    /// By HS256, with a public key that the node trusts.
    PublicKey,
    Nobody,
}

impl Pass {
    /// `ROOM SECONDS by SIGNER`
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let [room, seconds, "by", by] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err("write `pass ROOM SECONDS by SIGNER`".into());
        };
        let ends_in_s = seconds.parse();
        Ok(Self {
            room: room.to_owned(),
            ends_in_s: ends_in_s.map_err(|_| format!("`{seconds}` are no seconds"))?,
            by: Signer::named(by)?,
        })
    }
}

impl Signer {
    pub(crate) fn named(word: &str) -> Result<Self, String> {
        Ok(match word {
            "issuer" => Self::Issuer,
            "altered" => Self::Altered,
            "stranger" => Self::Stranger,
            "public-key" => Self::PublicKey,
            "nobody" => Self::Nobody,
            _ => return Err(format!("`{word}` signs nothing")),
        })
    }
}

/// The node's `auth.issuer` and `auth.audience`.
const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "corpus";
const PLAY_SECRET: &str = "k1 a-secret-that-the-node-signs-and-verifies-with\n";
const OTHER_SECRET: &str = "k1 a-secret-of-the-same-name-that-is-another-one\n";

pub(crate) struct Credentials {
    folder: Scratch,
    issuer: Ed25519KeyPair,
    stranger: Ed25519KeyPair,
    /// In the node's set too, so that a forger can take its public half for a shared secret.
    rsa: RsaKeyPair,
    /// The signatures that were made.
    made: Mutex<Vec<String>>,
}

impl Credentials {
    pub(crate) fn new() -> Self {
        let credentials = Self {
            folder: Scratch::new("corpus-credentials"),
            issuer: Ed25519KeyPair::generate().expect("a key"),
            stranger: Ed25519KeyPair::generate().expect("a key"),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"),
            made: Mutex::default(),
        };
        let x = URL_SAFE.encode(credentials.issuer.public_key());
        let rsa = credentials.rsa.public_key();
        let n = URL_SAFE.encode(rsa.modulus().big_endian_without_leading_zero());
        let e = URL_SAFE.encode(rsa.exponent().big_endian_without_leading_zero());
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "use": "sig", "x": x},
            {"kty": "RSA", "alg": "RS256", "kid": "rsa", "use": "sig", "n": n, "e": e},
        ]});
        let write = |path: PathBuf, text: &str| std::fs::write(path, text).expect("writable");
        write(credentials.folder.file("jwks.json"), &set.to_string());
        write(credentials.folder.file("play-secret"), PLAY_SECRET);
        credentials
    }

    /// A node that trusts these.
    pub(crate) fn trusted(&self, options: NodeOptions) -> NodeOptions {
        options
            .set("auth.jwks_file", self.folder.file("jwks.json").display())
            .set("auth.issuer", ISSUER)
            .set("auth.audience", AUDIENCE)
            .set(
                "play.secret_file",
                self.folder.file("play-secret").display(),
            )
    }

    pub(crate) fn add_pass(&self, pass: &Pass, variables: &mut Variables) {
        let secret = match pass.by {
            Signer::Stranger => OTHER_SECRET,
            _ => PLAY_SECRET,
        };
        let keys = Keyring::parse(secret).expect("a keyring");
        let room = RoomId::parse(&pass.room).expect("an id");
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let ends_at_s = now.saturating_add_signed(pass.ends_in_s);
        let text = isocast_access::Pass::sign(&keys, &room, ends_at_s).to_string();
        let (expires, mac) = text.split_once('.').expect("the form of a pass");
        let mac = match pass.by {
            Signer::Altered => altered(mac),
            _ => mac.to_owned(),
        };
        variables.insert("EXPIRES", expires.to_owned());
        variables.insert("MAC", self.remember(mac));
    }

    pub(crate) fn add_jwt(&self, jwt: &Jwt, variables: &mut Variables) {
        let header = URL_SAFE.encode(expand(&jwt.header, variables));
        let claims = URL_SAFE.encode(expand(&jwt.claims, variables));
        let said = format!("{header}.{claims}");
        let sign = |key: &Ed25519KeyPair| URL_SAFE.encode(key.sign(said.as_bytes()));
        let signature = match jwt.by {
            Signer::Issuer => sign(&self.issuer),
            Signer::Altered => altered(&sign(&self.issuer)),
            Signer::Stranger => sign(&self.stranger),
            Signer::PublicKey => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.public_pem().as_bytes());
                URL_SAFE.encode(hmac::sign(&key, said.as_bytes()))
            }
            Signer::Nobody => String::new(),
        };
        variables.insert("HEADER", header);
        variables.insert("CLAIMS", claims);
        variables.insert("SIGNATURE", self.remember(signature));
    }

    /// What no log line may show.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.made.lock().expect("no thread panics with it").clone()
    }

    fn remember(&self, signature: String) -> String {
        if !signature.is_empty() {
            let mut made = self.made.lock().expect("no thread panics with it");
            made.push(signature.clone());
        }
        signature
    }

    /// As everybody may have it, and as libraries have taken it for the secret of HS256.
    fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.rsa.public_key().as_der().expect("a public key");
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<_> = text.as_bytes().chunks(64).collect();
        let lines = String::from_utf8(lines.join(&b'\n')).expect("base64");
        format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n")
    }
}

/// With one bit turned over.
fn altered(signature: &str) -> String {
    let mut bytes = URL_SAFE.decode(signature).expect("our own form");
    bytes[0] ^= 1;
    URL_SAFE.encode(bytes)
}
