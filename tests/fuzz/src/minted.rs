//! Publish keys, minted ones among them, and the keyrings that mint them.

use isocast_access::{Keyring, Minted};
use isocast_admin::PublishKey;

/// `minted` for a key of the keyring, `key` for another one, `keyring` and `malformed` for the rest.
pub fn target(data: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(data) else {
        return "malformed";
    };
    let keys = Keyring::parse("k1 0123456789abcdefghijklmnopqrstuv").expect("a keyring");
    if let Ok(key) = PublishKey::parse(text) {
        return match Minted::read(&keys, &key) {
            Some(says) => {
                let again = says.mint(&keys, key.room());
                assert_eq!(Minted::read(&keys, &again), Some(says));
                "minted"
            }
            None => "key",
        };
    }
    match Keyring::parse(text) {
        Ok(_) => "keyring",
        Err(_) => "malformed",
    }
}
