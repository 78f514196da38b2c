//! Secrets of others that this node has to tell on: kept so that the store's file alone, or a
//! backup of it, does not tell them.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::data::{Secret, random};

/// Seals and opens under a key made of the data folder's secret.
pub(super) struct Sealer(LessSafeKey);

impl Sealer {
    pub(super) fn new(secret: &Secret<[u8; 32]>) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(secret.reveal());
        let mac = mac.expect("HMAC takes keys of every length");
        let key = mac.chain_update("isocast sealed secrets\0").finalize();
        let key = UnboundKey::new(&AES_256_GCM, &key.into_bytes());
        Self(LessSafeKey::new(key.expect("an HMAC-SHA256 is 32 bytes")))
    }

    /// `bound_to` has to be the same for opening: what is sealed cannot be moved elsewhere.
    pub(super) fn seal(&self, text: &Secret<String>, bound_to: &str) -> Vec<u8> {
        // A random nonce is safe for some 2^32 secrets under one key (NIST SP 800-38D §8.3).
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let mut sealed = text.reveal().clone().into_bytes();
        let aad = Aad::from(bound_to.as_bytes());
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .expect("a short text is within AES-GCM's bounds");
        [&nonce[..], &sealed].concat()
    }

    pub(super) fn open(&self, sealed: &[u8], bound_to: &str) -> Option<Secret<String>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(bound_to.as_bytes());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self.0.open_in_place(nonce, aad, &mut sealed).ok()?;
        Some(Secret::new(String::from_utf8(text.to_vec()).ok()?))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let sealer = Sealer::new(&Secret::new([1; 32]));
        let text = Secret::new("a stream key".to_owned());
        let sealed = sealer.seal(&text, "here");
        assert_ne!(sealed, sealer.seal(&text, "here"), "never the same twice");
        assert!(!sealed.windows(6).any(|bytes| bytes == b"stream"));
        let opened = sealer.open(&sealed, "here").expect("ours");
        assert_eq!(opened.reveal(), text.reveal());

        assert!(sealer.open(&sealed, "there").is_none());
        assert!(sealer.open(&sealed[1..], "here").is_none());
        assert!(sealer.open(&[], "here").is_none());
        let other = Sealer::new(&Secret::new([2; 32]));
        assert!(other.open(&sealed, "here").is_none());
        let mut bent = sealed.clone();
        *bent.last_mut().expect("not empty") ^= 1;
        assert!(sealer.open(&bent, "here").is_none());
    }
}
