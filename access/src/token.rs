//! Bearer tokens that somebody else signs: JSON Web Tokens (RFC 7519) by keys of a set (RFC 7517).

mod bad_token;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use isocast_admin::RoomId;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

pub use bad_token::BadToken;

/// What a caller wants to do. Each is a word of a token's `scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Look at rooms.
    RoomsRead,
    /// Make, change and delete rooms, and replace their keys.
    RoomsWrite,
    /// Have publish keys minted.
    RoomsPublish,
    /// Look at statistics.
    StatsRead,
}

impl Action {
    const ALL: [Self; 4] = [
        Self::RoomsRead,
        Self::RoomsWrite,
        Self::RoomsPublish,
        Self::StatsRead,
    ];

    /// As a scope names it.
    pub fn scope(self) -> &'static str {
        match self {
            Self::RoomsRead => "rooms:read",
            Self::RoomsWrite => "rooms:write",
            Self::RoomsPublish => "rooms:publish",
            Self::StatsRead => "stats:read",
        }
    }
}

/// What a caller may do, and with which rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    actions: BTreeSet<Action>,
    /// All rooms, where there is no list.
    rooms: Option<BTreeSet<RoomId>>,
}

impl Grant {
    /// Everything, with all rooms.
    pub fn all() -> Self {
        Self {
            actions: Action::ALL.into(),
            rooms: None,
        }
    }

    /// Whether this may be done, with some room at least.
    pub fn allows(&self, action: Action) -> bool {
        self.actions.contains(&action)
    }

    /// Whether this room is one of those it is for.
    pub fn covers(&self, room: &RoomId) -> bool {
        self.rooms.as_ref().is_none_or(|rooms| rooms.contains(room))
    }

    /// Whether it is for certain rooms only.
    pub fn is_limited(&self) -> bool {
        self.rooms.is_some()
    }
}

/// Public keys by name, each for one algorithm: a token chooses a key, never how it is used.
#[derive(Clone)]
pub struct KeySet {
    keys: HashMap<String, (Algorithm, DecodingKey)>,
}

/// The text is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    /// It has another form.
    #[error("is no JSON Web Key Set (RFC 7517 §5)")]
    Form,
    /// There is nothing to check tokens with.
    #[error(
        "holds no public key that signs with RS256, PS256, ES256, ES384 or EdDSA and has a `kid`; an RSA key also needs its `alg`"
    )]
    Empty,
    /// More than anybody uses at once.
    #[error("holds more than 32 keys")]
    TooMany,
    /// A name does not tell which key is meant.
    #[error("uses a `kid` twice")]
    NameTwice,
}

/// Who must have signed a token, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'e> {
    /// The `iss` of every token.
    pub issuer: &'e str,
    /// What is in the `aud` of every token.
    pub audience: &'e str,
}

const KEYS_MAX: usize = 32;
const TOKEN_BYTES_MAX: usize = 8 << 10;
const KID_BYTES_MAX: usize = 128;
/// Rooms in a token: more do not fit into it anyway.
const ROOMS_MAX: usize = 1000;
/// How far the issuer's clock may be from ours.
const LEEWAY_S: f64 = 5.0;

impl KeySet {
    /// Reads a set. Keys for other uses and algorithms are left out.
    pub fn parse(text: &str) -> Result<Self, BadKeySet> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_str(text).map_err(|_| BadKeySet::Form)?;
        if set.keys.len() > KEYS_MAX {
            return Err(BadKeySet::TooMany);
        }
        let mut keys = HashMap::new();
        for value in set.keys {
            // A key of a kind that is not known here says nothing about the others.
            let Some((kid, key)) = serde_json::from_value(value).ok().and_then(usable) else {
                continue;
            };
            if keys.insert(kid, key).is_some() {
                return Err(BadKeySet::NameTwice);
            }
        }
        if keys.is_empty() {
            return Err(BadKeySet::Empty);
        }
        Ok(Self { keys })
    }

    /// Whether there is a key of this name.
    pub fn has(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// What a token allows. Only one that was good is told to have expired.
    pub fn verify(
        &self,
        expected: Expected<'_>,
        token: &str,
        now_s: u64,
    ) -> Result<Grant, BadToken> {
        let (header, kid) = header(token)?;
        let (algorithm, key) = self.keys.get(&kid).ok_or(BadToken::KeyUnknown)?;
        if header.crit.is_some() {
            return Err(BadToken::Extension);
        }

        let mut validation = Validation::new(*algorithm);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss"]);
        validation.set_issuer(&[expected.issuer]);
        validation.set_audience(&[expected.audience]);
        // The time is handed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = decode::<Claims>(token, key, &validation);
        let claims = claims.map_err(|error| BadToken::of(error.kind()))?.claims;
        claims.grant(now_s)
    }
}

/// The name of the key that a token says it is signed with. Nothing of it is proven yet.
pub fn key_named_by(token: &str) -> Result<String, BadToken> {
    header(token).map(|(_, kid)| kid)
}

fn header(token: &str) -> Result<(Header, String), BadToken> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(BadToken::Form);
    }
    let mut header = decode_header(token).map_err(|_| BadToken::Form)?;
    let kid = header.kid.take().ok_or(BadToken::KeyUnnamed)?;
    if kid.len() > KID_BYTES_MAX {
        return Err(BadToken::KeyUnnamed);
    }
    Ok((header, kid))
}

/// The key under its name, if it is one that signs tokens.
fn usable(jwk: Jwk) -> Option<(String, (Algorithm, DecodingKey))> {
    let signs = match &jwk.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(_) => false,
    };
    let algorithm = algorithm(&jwk).filter(|_| signs)?;
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    let kid = jwk.common.key_id?;
    let is_name = (1..=KID_BYTES_MAX).contains(&kid.len());
    is_name.then_some((kid, (algorithm, key)))
}

/// What the key says, as far as that fits its kind.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let said = jwk.common.key_algorithm.as_ref();
    let (by_kind, words): (Option<Algorithm>, &[KeyAlgorithm]) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => match said? {
            KeyAlgorithm::RS256 => (Some(Algorithm::RS256), &[KeyAlgorithm::RS256]),
            KeyAlgorithm::PS256 => (Some(Algorithm::PS256), &[KeyAlgorithm::PS256]),
            _ => (None, &[]),
        },
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => (Some(Algorithm::ES256), &[KeyAlgorithm::ES256]),
            EllipticCurve::P384 => (Some(Algorithm::ES384), &[KeyAlgorithm::ES384]),
            _ => (None, &[]),
        },
        AlgorithmParameters::OctetKeyPair(pair) => match pair.curve {
            EllipticCurve::Ed25519 => (Some(Algorithm::EdDSA), &[KeyAlgorithm::EdDSA]),
            _ => (None, &[]),
        },
        _ => (None, &[]),
    };
    by_kind.filter(|_| said.is_none_or(|said| words.contains(said)))
}

/// As they came, so that it can be said which has another form.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    exp: Value,
    #[serde(default)]
    nbf: Value,
    #[serde(default = "nothing")]
    scope: Value,
    rooms: Option<Value>,
}

fn nothing() -> Value {
    Value::String(String::new())
}

impl Claims {
    fn grant(self, now_s: u64) -> Result<Grant, BadToken> {
        let nbf = self.nbf.as_f64().ok_or(BadToken::Nbf)?;
        let exp = self.exp.as_f64().ok_or(BadToken::Exp)?;
        // Words of other services in the scope say nothing here.
        let words: BTreeSet<_> = self
            .scope
            .as_str()
            .ok_or(BadToken::Scope)?
            .split(' ')
            .collect();
        let actions = Action::ALL.into_iter();
        let actions = actions.filter(|action| words.contains(action.scope()));
        let actions = actions.collect();
        let rooms = self.rooms.map(rooms).transpose()?;

        let now = now_s as f64;
        if nbf > now + LEEWAY_S {
            return Err(BadToken::Early);
        }
        if exp <= now - LEEWAY_S {
            return Err(BadToken::Expired);
        }
        Ok(Grant { actions, rooms })
    }
}

fn rooms(claim: Value) -> Result<BTreeSet<RoomId>, BadToken> {
    let rooms: Vec<RoomId> = serde_json::from_value(claim).map_err(|_| BadToken::Rooms)?;
    if rooms.len() > ROOMS_MAX {
        return Err(BadToken::Rooms);
    }
    Ok(rooms.into_iter().collect())
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.keys.keys().collect();
        names.sort();
        f.debug_tuple("KeySet").field(&names).finish()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    };
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    const NOW_S: u64 = 1_800_000_000;
    const EXPECTED: Expected<'_> = Expected {
        issuer: "https://id.example",
        audience: "isocast",
    };

    fn b64(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

    /// Somebody who signs tokens, and the public key that says so.
    struct Issuer {
        jwk: Value,
        sign: Sign,
    }

    impl Issuer {
        fn rsa(alg: &str, kid: &str) -> Self {
            let encoding: &'static dyn RsaEncoding = match alg {
                "PS256" => &RSA_PSS_SHA256,
                _ => &RSA_PKCS1_SHA256,
            };
            let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
            let public = key.public_key();
            let n = b64(public.modulus().big_endian_without_leading_zero());
            let e = b64(public.exponent().big_endian_without_leading_zero());
            let sign = move |text: &[u8]| {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &SystemRandom::new(), text, &mut signature)
                    .expect("signed");
                signature
            };
            Self {
                jwk: json!({"kty": "RSA", "alg": alg, "kid": kid, "n": n, "e": e}),
                sign: Box::new(sign),
            }
        }

        fn ec(alg: &str, kid: &str) -> Self {
            let (curve, kind) = match alg {
                "ES384" => ("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
                _ => ("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
            };
            let key = EcdsaKeyPair::generate(kind).expect("a key");
            let point = &key.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            Self {
                jwk: json!({"kty": "EC", "crv": curve, "kid": kid, "x": b64(x), "y": b64(y)}),
                sign: Box::new(move |text| {
                    let signature = key.sign(&SystemRandom::new(), text);
                    signature.expect("signed").as_ref().to_vec()
                }),
            }
        }

        fn ed(kid: &str) -> Self {
            let key = Ed25519KeyPair::generate().expect("a key");
            let x = b64(key.public_key().as_ref());
            Self {
                jwk: json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x}),
                sign: Box::new(move |text| key.sign(text).as_ref().to_vec()),
            }
        }

        fn token(&self, header: &Value, claims: &Value) -> String {
            let said = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
            let signature = (self.sign)(said.as_bytes());
            format!("{said}.{}", b64(signature))
        }
    }

    fn set(issuers: &[&Issuer]) -> KeySet {
        let keys: Vec<_> = issuers.iter().map(|issuer| &issuer.jwk).collect();
        KeySet::parse(&json!({ "keys": keys }).to_string()).expect("a key set")
    }

    fn claims() -> Value {
        json!({
            "iss": EXPECTED.issuer, "aud": EXPECTED.audience,
            "exp": NOW_S + 60, "nbf": NOW_S - 60, "scope": "rooms:read stats:read",
        })
    }

    fn with(mut value: Value, name: &str, other: Value) -> Value {
        let map = value.as_object_mut().expect("an object");
        match other {
            Value::Null => drop(map.remove(name)),
            other => drop(map.insert(name.into(), other)),
        }
        value
    }

    #[test]
    fn each_algorithm_signs_tokens() {
        for (alg, issuer) in [
            ("RS256", Issuer::rsa("RS256", "a")),
            ("PS256", Issuer::rsa("PS256", "a")),
            ("ES256", Issuer::ec("ES256", "a")),
            ("ES384", Issuer::ec("ES384", "a")),
            ("EdDSA", Issuer::ed("a")),
        ] {
            let header = json!({"alg": alg, "kid": "a", "typ": "JWT"});
            let token = issuer.token(&header, &claims());
            let grant = set(&[&issuer]).verify(EXPECTED, &token, NOW_S);
            let grant = grant.unwrap_or_else(|denied| panic!("{alg}: {denied:?}"));
            assert!(grant.allows(Action::RoomsRead) && grant.allows(Action::StatsRead));
            assert!(!grant.allows(Action::RoomsWrite) && !grant.allows(Action::RoomsPublish));
            assert!(!grant.is_limited());
            let (said, signature) = token.rsplit_once('.').expect("a signature");
            let other = if signature.starts_with('A') { 'B' } else { 'A' };
            let forged = format!("{said}.{other}{}", &signature[1..]);
            let denied = set(&[&issuer]).verify(EXPECTED, &forged, NOW_S);
            assert_eq!(denied, Err(BadToken::Signature), "{alg}");
        }
    }

    #[test]
    fn claims_must_be_there_and_right() {
        let issuer = Issuer::ed("a");
        let keys = set(&[&issuer]);
        let header = json!({"alg": "EdDSA", "kid": "a"});
        for (name, value, expected) in [
            ("scope", json!("rooms:read"), Ok(())),
            ("aud", json!(["other", "isocast"]), Ok(())),
            ("exp", json!(NOW_S - 4), Ok(())),
            ("exp", json!(NOW_S as f64 + 0.5), Ok(())),
            ("exp", json!(NOW_S - 5), Err(BadToken::Expired)),
            ("exp", json!(0), Err(BadToken::Expired)),
            ("exp", json!((NOW_S + 60).to_string()), Err(BadToken::Exp)),
            ("exp", Value::Null, Err(BadToken::Exp)),
            ("exp", json!(true), Err(BadToken::Exp)),
            ("nbf", json!(NOW_S + 5), Ok(())),
            ("nbf", json!(NOW_S + 6), Err(BadToken::Early)),
            ("nbf", Value::Null, Err(BadToken::Nbf)),
            ("nbf", json!("0"), Err(BadToken::Nbf)),
            ("iss", json!("https://evil.example"), Err(BadToken::Issuer)),
            ("iss", Value::Null, Err(BadToken::Issuer)),
            ("aud", json!("other"), Err(BadToken::Audience)),
            ("aud", json!([]), Err(BadToken::Audience)),
            ("aud", Value::Null, Err(BadToken::Audience)),
            ("scope", json!(["rooms:read"]), Err(BadToken::Scope)),
            ("rooms", json!(["a", "../b"]), Err(BadToken::Rooms)),
            ("rooms", json!(vec!["a"; 1001]), Err(BadToken::Rooms)),
            ("rooms", json!("a"), Err(BadToken::Rooms)),
        ] {
            let token = issuer.token(&header, &with(claims(), name, value.clone()));
            let verdict = keys.verify(EXPECTED, &token, NOW_S).map(drop);
            assert_eq!(verdict, expected, "{name}: {value}");
        }
        let expired = with(claims(), "exp", json!(1));
        let expired = with(expired, "iss", json!("https://evil.example"));
        let verdict = keys.verify(EXPECTED, &issuer.token(&header, &expired), NOW_S);
        assert_eq!(verdict, Err(BadToken::Issuer), "it never was good");
    }

    #[test]
    fn a_token_does_not_choose_how_its_key_is_used() {
        let (rsa, ed) = (Issuer::rsa("RS256", "r"), Issuer::ed("e"));
        let keys = set(&[&rsa, &ed]);
        let n = rsa.jwk["n"].as_str().expect("a modulus").to_owned();
        let hs256 = Issuer {
            jwk: Value::Null,
            sign: Box::new(move |text| {
                use hmac::{Hmac, KeyInit, Mac};
                let key = URL_SAFE_NO_PAD.decode(&n).expect("our own form");
                let mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("any key");
                mac.chain_update(text).finalize().into_bytes().to_vec()
            }),
        };
        let long = "k".repeat(129);
        use BadToken::{Algorithm, Extension, Form, KeyUnknown, KeyUnnamed};
        for (header, signer, expected) in [
            (json!({"alg": "HS256", "kid": "r"}), &hs256, Algorithm),
            (json!({"alg": "RS256", "kid": "e"}), &rsa, Algorithm),
            (json!({"alg": "PS256", "kid": "r"}), &rsa, Algorithm),
            (json!({"alg": "EdDSA", "kid": "r"}), &ed, Algorithm),
            (json!({"alg": "none", "kid": "e"}), &ed, Form),
            (json!({"alg": "EdDSA"}), &ed, KeyUnnamed),
            (json!({"alg": "EdDSA", "kid": 1}), &ed, Form),
            (json!({"alg": "EdDSA", "kid": "E"}), &ed, KeyUnknown),
            (json!({"alg": "EdDSA", "kid": "../e"}), &ed, KeyUnknown),
            (
                json!({"alg": "EdDSA", "kid": "e' OR 1=1 --"}),
                &ed,
                KeyUnknown,
            ),
            (json!({"alg": "EdDSA", "kid": long}), &ed, KeyUnnamed),
            (
                json!({"alg": "EdDSA", "kid": "e", "crit": ["b64"]}),
                &ed,
                Extension,
            ),
            (
                json!({"alg": "EdDSA", "kid": "x", "jwk": ed.jwk}),
                &ed,
                KeyUnknown,
            ),
        ] {
            let token = signer.token(&header, &claims());
            let verdict = keys.verify(EXPECTED, &token, NOW_S);
            assert_eq!(verdict, Err(expected), "{header}");
        }
        let good = ed.token(&json!({"alg": "EdDSA", "kid": "e"}), &claims());
        assert_eq!(key_named_by(&good).as_deref(), Ok("e"));
        assert!(keys.has("e") && !keys.has("E"));
        assert!(keys.verify(EXPECTED, &good, NOW_S).is_ok());
        let unsigned = good.rsplit_once('.').expect("a signature").0;
        for text in [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            unsigned,
            &format!("{unsigned}."),
            &format!("{good}."),
            &format!("{good}\0"),
            &"a".repeat(1 << 20),
            &format!("{}.a.b", "e30".repeat(2000)),
        ] {
            let denied = keys.verify(EXPECTED, text, NOW_S).expect_err(text);
            let is_form = matches!(denied, BadToken::Form | BadToken::Signature);
            assert!(is_form, "{text}: {denied}");
        }
        let padded = with(claims(), "pad", json!("x".repeat(TOKEN_BYTES_MAX)));
        let padded = ed.token(&json!({"alg": "EdDSA", "kid": "e"}), &padded);
        assert_eq!(keys.verify(EXPECTED, &padded, NOW_S), Err(BadToken::Form));
    }

    #[test]
    fn a_token_may_be_for_certain_rooms() {
        let issuer = Issuer::ed("a");
        let limited = with(claims(), "rooms", json!(["a", "b"]));
        let token = issuer.token(&json!({"alg": "EdDSA", "kid": "a"}), &limited);
        let grant = set(&[&issuer]).verify(EXPECTED, &token, NOW_S);
        let grant = grant.expect("good");
        let room = |id| RoomId::parse(id).expect("an id");
        assert!(grant.is_limited());
        assert!(grant.covers(&room("a")) && !grant.covers(&room("c")));
        assert!(Grant::all().covers(&room("c")) && !Grant::all().is_limited());
    }

    #[test]
    fn key_sets_are_read_or_refused() {
        let (ed, rsa, ec) = (
            Issuer::ed("a"),
            Issuer::rsa("RS256", "r"),
            Issuer::ec("ES256", "c"),
        );
        let parse = |keys: Vec<Value>| KeySet::parse(&json!({ "keys": keys }).to_string());
        let error = |keys| parse(keys).err();
        let good = ed.jwk.clone();
        assert_eq!(error(vec![good.clone(), rsa.jwk.clone()]), None);
        let symmetric = json!({"kty": "oct", "kid": "s", "alg": "HS256", "k": "AAAA"});
        let others = vec![
            symmetric,
            json!({"kty": "newer", "kid": "n"}),
            json!(7),
            with(good.clone(), "kid", Value::Null),
            with(good.clone(), "use", json!("enc")),
            with(rsa.jwk.clone(), "alg", Value::Null),
            with(rsa.jwk.clone(), "alg", json!("RS512")),
            with(ec.jwk, "alg", json!("ES384")),
            with(good.clone(), "kid", json!("k".repeat(129))),
        ];
        assert_eq!(error(others.clone()), Some(BadKeySet::Empty));
        let all = [others, vec![good.clone()]].concat();
        assert_eq!(error(all), None, "what is not known here is left out");
        let twice = vec![good.clone(), good.clone()];
        assert_eq!(error(twice), Some(BadKeySet::NameTwice));
        assert_eq!(error(vec![good; 33]), Some(BadKeySet::TooMany));
        for text in ["", "[]", "{}", "null", "{\"keys\": 1}"] {
            assert_eq!(KeySet::parse(text).err(), Some(BadKeySet::Form), "{text}");
        }
    }
}
