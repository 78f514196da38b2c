//! Publish keys: who has one may publish into its room.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::id::{BadId, RoomId};
use crate::random;

/// `room_<id>_key_<secret>`. Neither `Display` nor `Debug` tells it; [`PublishKey::reveal`] does.
#[derive(Clone)]
pub struct PublishKey {
    room: RoomId,
    text: String,
}

/// The text is no publish key. It is not repeated here: it may be nearly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a publish key is room_<id>_key_<secret>")]
pub struct BadKey;

const SEPARATOR: &str = "_key_";
/// Letters and digits that a secret of somebody's own has at least: by chance they are 119 bits. The
/// fingerprint is told freely, and must not help to guess the key.
pub const SECRET_CHARS_MIN: usize = 20;
/// `room_` + an id of 64 + `_key_` + a secret of 43 are 117 bytes.
const BYTES_MAX: usize = 128;

impl PublishKey {
    /// Reads a key. An id may hold `_key_`, a secret cannot, so the last one separates.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        if text.len() > BYTES_MAX {
            return Err(BadKey);
        }
        let (stream, secret) = text.rsplit_once(SEPARATOR).ok_or(BadKey)?;
        let room = RoomId::from_stream_name(stream).map_err(|BadId| BadKey)?;
        let is_secret =
            !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_secret {
            Ok(Self {
                room,
                text: text.to_owned(),
            })
        } else {
            Err(BadKey)
        }
    }

    /// A new key with 256 random bits.
    pub fn generate(room: &RoomId) -> Self {
        let text = format!("{}{SEPARATOR}{}", room.stream_name(), random::base62_256());
        Self {
            room: room.clone(),
            text,
        }
    }

    /// The key of this room with this secret.
    pub fn with_secret(room: &RoomId, secret: &str) -> Result<Self, BadKey> {
        Self::parse(&format!("{}{SEPARATOR}{secret}", room.stream_name()))
    }

    /// The room that it opens.
    pub fn room(&self) -> &RoomId {
        &self.room
    }

    /// The key itself: to hand to its owner once, never to log.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The part after `_key_`: no less a secret than the whole.
    pub fn secret(&self) -> &str {
        let parts = self.text.rsplit_once(SEPARATOR);
        parts.map_or("", |(_, secret)| secret)
    }

    /// Whether it could be guessed, or searched by its fingerprint.
    pub fn is_too_short(&self) -> bool {
        self.secret().len() < SECRET_CHARS_MIN
    }

    /// 16 hexadecimal digits that tell keys apart in logs and the registry and tell nothing about
    /// them: the secret's 256 bits cannot be searched.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::new()
            .chain_update("isocast publish key fingerprint\0")
            .chain_update(&self.text)
            .finalize();
        digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl fmt::Debug for PublishKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishKey(room_{}_key_…)", self.room)
    }
}

/// A publish key in JSON, told in full: for `#[serde(with = "revealed")]` where it goes to its owner.
pub mod revealed {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::PublishKey;

    /// Writes the key itself.
    pub fn serialize<S: Serializer>(key: &PublishKey, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(key.reveal())
    }

    /// Reads a key; what is none is not repeated in the error.
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<PublishKey, D::Error> {
        PublishKey::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_or_refused() {
        let at_the_limit = format!("room_a_key_{}", "x".repeat(117));
        let above_the_limit = format!("room_a_key_{}", "x".repeat(118));
        for (text, room) in [
            ("room_demo_key_s3cret", Some("demo")),
            ("room_a_key_b_key_c", Some("a_key_b")),
            ("room__key__key_c", Some("_key_")),
            (&at_the_limit, Some("a")),
            (&above_the_limit, None),
            ("", None),
            ("room_demo", None),
            ("room_demo_key_", None),
            ("demo_key_x", None),
            ("room__key_x", None),
            ("room_room_a_key_x", None),
            ("room_demo_key_a b", None),
            ("room_demo_key_a-b", None),
            ("room_demo_key_a_b", None),
            ("room_demo_key_é", None),
            ("room_demo_key_x?token=1", None),
            ("room_../x_key_x", None),
        ] {
            let read = PublishKey::parse(text);
            assert_eq!(
                read.as_ref().ok().map(|key| key.room().as_str()),
                room,
                "{text:?}"
            );
            if let Ok(key) = read {
                assert_eq!(key.reveal(), text);
            }
        }
    }

    #[test]
    fn a_new_key_reads_back_and_is_not_shown() {
        for id in ["demo", "a_key_b", &"z".repeat(64)] {
            let room = RoomId::parse(id).expect("an id");
            let key = PublishKey::generate(&room);
            let read = PublishKey::parse(key.reveal()).expect("our own form");
            assert_eq!((read.room(), read.reveal()), (&room, key.reveal()));
            let secret = key.secret();
            assert_eq!(secret.len(), 43);
            let made = PublishKey::with_secret(&room, secret).expect("the same");
            assert_eq!(made.reveal(), key.reveal());
            assert!(!format!("{key:?}").contains(secret));
            assert!(!key.reveal().contains(&key.fingerprint()));
            assert_eq!(key.fingerprint(), read.fingerprint());
            assert_ne!(key.fingerprint(), PublishKey::generate(&room).fingerprint());
        }
    }
}
