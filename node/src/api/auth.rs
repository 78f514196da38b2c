use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::app::App;
use crate::data::random;
use crate::error::Refusal;

/// Proof that a request carried the API token; a handler that takes it is for the operator only.
pub(super) struct Operator;

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let value = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = value
            .and_then(|value| value.split_once(' '))
            // The scheme's case does not matter (RFC 9110 §11.1).
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map_or("", |(_, token)| token);
        if same(token.trim().as_bytes(), app.api_token.reveal().as_bytes()) {
            Ok(Self)
        } else {
            Err(Refusal::Unauthorized)
        }
    }
}

/// Compares in a time that tells nothing about either, by way of HMACs under a key of the moment.
fn same(one: &[u8], other: &[u8]) -> bool {
    let key: [u8; 32] = random::bytes();
    let mac = |bytes| {
        let mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        mac.chain_update(bytes)
    };
    mac(one).verify(&mac(other).finalize().into_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn only_the_very_same_bytes_are_the_same() {
        for (one, other, expected) in [
            ("isocast_a", "isocast_a", true),
            ("isocast_a", "isocast_b", false),
            ("isocast_a", "isocast_", false),
            ("", "isocast_a", false),
        ] {
            assert_eq!(
                same(one.as_bytes(), other.as_bytes()),
                expected,
                "{one} {other}"
            );
        }
    }
}
