//! Publish keys: who has one may publish into its room.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{BadId, Room, RoomId};
use crate::data::{Secret, random};

/// `room_<id>_key_<secret>`. Neither `Display` nor `Debug` tells it; [`PublishKey::reveal`] does.
#[derive(Clone)]
pub(crate) struct PublishKey {
    room: RoomId,
    text: String,
}

/// The text is no publish key. It is not repeated here: it may be nearly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a publish key is room_<id>_key_<secret>")]
pub(crate) struct BadKey;

const SEPARATOR: &str = "_key_";
/// `room_` + an id of 64 + `_key_` + a secret of 43 are 117 bytes.
const BYTES_MAX: usize = 128;

impl PublishKey {
    /// An id may hold `_key_`, a secret cannot, so the last one separates.
    pub(crate) fn parse(text: &str) -> Result<Self, BadKey> {
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
    pub(crate) fn generate(room: &RoomId) -> Self {
        let text = format!("{}{SEPARATOR}{}", room.stream_name(), random::base62_256());
        Self {
            room: room.clone(),
            text,
        }
    }

    pub(crate) fn room(&self) -> &RoomId {
        &self.room
    }

    /// The key itself: to hand to its owner once, never to log.
    pub(crate) fn reveal(&self) -> &str {
        &self.text
    }

    /// 16 hexadecimal digits that tell keys apart in logs and the registry and tell nothing about
    /// them: the secret's 256 bits cannot be searched.
    pub(crate) fn fingerprint(&self) -> String {
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

/// What a store keeps of a key: HMAC-SHA256 (RFC 2104) under the data folder's secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyHash(pub(super) [u8; 32]);

impl KeyHash {
    /// Compared where there is no room, so that its absence takes the same work.
    const NOBODYS: Self = Self([0; 32]);
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// Hashes and checks keys under one secret.
#[derive(Clone, Debug)]
pub(crate) struct KeyHasher {
    secret: Secret<[u8; 32]>,
}

impl KeyHasher {
    pub(crate) fn new(secret: Secret<[u8; 32]>) -> Self {
        Self { secret }
    }

    pub(super) fn hash(&self, key: &PublishKey) -> KeyHash {
        KeyHash(self.mac(key).finalize().into_bytes().into())
    }

    /// The room, if the key is the one stored for it. With and without a stored room this does one
    /// HMAC and one comparison in constant time.
    pub(super) fn admit(&self, key: &PublishKey, stored: Option<(Room, KeyHash)>) -> Option<Room> {
        let (room, hash) = match stored {
            Some((room, hash)) => (Some(room), hash),
            None => (None, KeyHash::NOBODYS),
        };
        let is_right = self.mac(key).verify_slice(&hash.0).is_ok();
        room.filter(|_| is_right)
    }

    fn mac(&self, key: &PublishKey) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.reveal());
        mac.expect("HMAC takes keys of every length")
            .chain_update(&key.text)
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
            let secret = key.reveal().rsplit_once("_key_").expect("our own form").1;
            assert_eq!(secret.len(), 43);
            assert!(!format!("{key:?}").contains(secret));
            assert!(!key.reveal().contains(&key.fingerprint()));
            assert_eq!(key.fingerprint(), read.fingerprint());
            assert_ne!(key.fingerprint(), PublishKey::generate(&room).fingerprint());
        }
    }

    #[test]
    fn a_hash_holds_for_its_key_and_secret_only() {
        let room = |id| RoomId::parse(id).expect("an id");
        let key = PublishKey::parse("room_a_key_x").expect("a key");
        let other = PublishKey::parse("room_a_key_y").expect("a key");
        let stored = Room {
            id: room("a"),
            playback: super::super::Playback::Private,
            on_conflict: super::super::OnConflict::Refuse,
            created_at: isocast_media::UnixMs(1),
            key_generation: 1,
        };
        let hasher = KeyHasher::new(Secret::new([1; 32]));
        let hash = hasher.hash(&key);
        let with = |hash| Some((stored.clone(), hash));
        assert_eq!(hasher.admit(&key, with(hash)), Some(stored.clone()));
        assert_eq!(hasher.admit(&other, with(hash)), None);
        assert_eq!(hasher.admit(&key, None), None);
        assert_eq!(
            KeyHasher::new(Secret::new([2; 32])).admit(&key, with(hash)),
            None
        );
        for bit in 0..256 {
            let mut wrong = hash;
            wrong.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(hasher.admit(&key, with(wrong)), None, "bit {bit}");
        }
    }
}
