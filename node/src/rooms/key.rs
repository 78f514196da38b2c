//! What a store keeps of publish keys.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use isocast_media::UnixMs;
use sha2::Sha256;

use super::seal::Sealer;
use super::{PublishKey, Room};
use crate::data::Secret;

/// A key's HMAC-SHA256 (RFC 2104) under the data folder's secret.
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

/// A room and the keys that open it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) room: Room,
    pub(super) hash: KeyHash,
    /// Of the key before, which may open it until [`Room::previous_key_until`].
    pub(super) previous_hash: Option<KeyHash>,
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

    /// Seals other secrets under the same one.
    pub(super) fn sealer(&self) -> Sealer {
        Sealer::new(&self.secret)
    }

    pub(super) fn hash(&self, key: &PublishKey) -> KeyHash {
        KeyHash(self.mac(key).finalize().into_bytes().into())
    }

    /// The room, if the key opens it now. Whatever is stored, this compares with two hashes, each
    /// in constant time.
    pub(super) fn admit(
        &self,
        key: &PublishKey,
        stored: Option<Stored>,
        now: UnixMs,
    ) -> Option<Room> {
        let hash = stored.as_ref().map(|stored| stored.hash);
        let previous = stored.as_ref().and_then(|stored| stored.previous_hash);
        let is_present = self.is_of(&hash.unwrap_or(KeyHash::NOBODYS), key);
        let is_previous = self.is_of(&previous.unwrap_or(KeyHash::NOBODYS), key);
        let room = stored?.room;
        let overlaps = room.previous_key_until.is_some_and(|until| now < until);
        (is_present || (is_previous && overlaps)).then_some(room)
    }

    /// Compares in constant time.
    pub(super) fn is_of(&self, hash: &KeyHash, key: &PublishKey) -> bool {
        self.mac(key).verify_slice(&hash.0).is_ok()
    }

    /// Tells one secret from another, and nothing else of it. No key begins like its text.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.reveal());
        let mac = mac.expect("HMAC takes keys of every length");
        mac.chain_update("isocast store secret\0")
            .finalize()
            .into_bytes()
            .into()
    }

    fn mac(&self, key: &PublishKey) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.reveal());
        mac.expect("HMAC takes keys of every length")
            .chain_update(key.reveal())
    }
}

#[cfg(test)]
mod tests {
    use super::super::RoomId;
    use super::*;

    #[test]
    fn a_hash_holds_for_its_key_and_secret_only() {
        let room = |id| RoomId::parse(id).expect("an id");
        let key = PublishKey::parse("room_a_key_x").expect("a key");
        let other = PublishKey::parse("room_a_key_y").expect("a key");
        let stored = Room {
            id: room("a"),
            playback: super::super::Playback::Private,
            on_conflict: super::super::OnConflict::Refuse,
            limits: super::super::RoomLimits::default(),
            created_at: UnixMs(1),
            key_generation: 2,
            previous_key_until: Some(UnixMs(100)),
        };
        let hasher = KeyHasher::new(Secret::new([1; 32]));
        let hash = hasher.hash(&key);
        let with = |hash, previous_hash| {
            Some(Stored {
                room: stored.clone(),
                hash,
                previous_hash,
            })
        };
        let now = UnixMs(99);
        let opened = Some(stored.clone());
        assert_eq!(hasher.admit(&key, with(hash, None), now), opened);
        assert_eq!(hasher.admit(&other, with(hash, None), now), None);
        assert_eq!(hasher.admit(&key, None, now), None);
        let others = hasher.hash(&other);
        let both = with(hash, Some(others));
        assert_eq!(hasher.admit(&key, both.clone(), now), opened);
        assert_eq!(hasher.admit(&other, both.clone(), now), opened, "it was");
        assert_eq!(hasher.admit(&other, both.clone(), UnixMs(100)), None);
        assert_eq!(hasher.admit(&key, both, UnixMs(100)), opened);
        let elsewhere = KeyHasher::new(Secret::new([2; 32]));
        assert_eq!(elsewhere.admit(&key, with(hash, Some(hash)), now), None);
        for bit in 0..256 {
            let mut wrong = hash;
            wrong.0[bit / 8] ^= 1 << (bit % 8);
            let admitted = hasher.admit(&key, with(wrong, Some(wrong)), now);
            assert_eq!(admitted, None, "bit {bit}");
        }
    }
}
