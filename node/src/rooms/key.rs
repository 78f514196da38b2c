//! What a store keeps of publish keys.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
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

    /// The room, if the key is the one stored for it. With and without a stored room this does one
    /// HMAC and one comparison in constant time.
    pub(super) fn admit(&self, key: &PublishKey, stored: Option<(Room, KeyHash)>) -> Option<Room> {
        let (room, hash) = match stored {
            Some((room, hash)) => (Some(room), hash),
            None => (None, KeyHash::NOBODYS),
        };
        let is_right = self.is_of(&hash, key);
        room.filter(|_| is_right)
    }

    /// Compares in constant time.
    pub(super) fn is_of(&self, hash: &KeyHash, key: &PublishKey) -> bool {
        self.mac(key).verify_slice(&hash.0).is_ok()
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
