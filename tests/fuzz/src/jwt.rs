//! Tokens of others and the sets of keys that check them.

use isocast_access::{Expected, KeySet};

/// The key of RFC 8037 appendix A.2.
const KEY_SET: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// `allowed` and `denied` for a token, `set` for a set of keys, `malformed` for the rest.
pub fn target(data: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(data) else {
        return "malformed";
    };
    let keys = KeySet::parse(KEY_SET).expect("a key set");
    let expected = Expected {
        issuer: "i",
        audience: "a",
    };
    let verdict = keys.verify(expected, text, 1_800_000_000);
    if verdict.is_ok() {
        return "allowed";
    }
    match KeySet::parse(text) {
        Ok(keys) => {
            let _ = keys.verify(expected, text, 0);
            "set"
        }
        Err(_) if text.matches('.').count() == 2 => "denied",
        Err(_) => "malformed",
    }
}
