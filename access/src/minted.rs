//! Publish keys that are made on demand, say themselves until when they are good, and are kept
//! nowhere.

use hmac::Mac;
use isocast_admin::{PublishKey, RoomId, base62, random};

use crate::Keyring;
use crate::keyring::{ID_CHARS_MAX, Key};

/// What a minted key says, once its MAC has been found right.
///
/// The part after `_key_` is `m1`, the length of the secret's name and that name, then in base 62
/// the room's key generation, the second since 1970 at which the key ends, a random number that
/// makes each key another one, and 160 bits of the MAC: 54 characters at most, which is what a
/// publish key has room for beside the longest room id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minted {
    /// [`key_generation`](isocast_admin::RoomIs::key_generation) of the room when it was made.
    pub generation: u32,
    /// The second since 1970 at which it ends.
    pub expires_at_s: u64,
}

const PURPOSE: &str = "isocast publish v1";
const START: &str = "m1";
/// 62^6 > 2^35.
const NUMBER_CHARS: usize = 6;
/// 62^8 > 2^47.
const NONCE_CHARS: usize = 8;
const MAC_BYTES: usize = 20;
const MAC_CHARS: usize = 27;
/// The last second that six digits hold.
const EXPIRES_AT_S_MAX: u64 = 62_u64.pow(NUMBER_CHARS as u32) - 1;

impl Minted {
    /// A new key that says this, by the keyring's first secret.
    pub fn mint(self, keys: &Keyring, room: &RoomId) -> PublishKey {
        let key = keys.signer();
        let nonce = base62::encode(random::bytes::<8>());
        let said = format!(
            "{START}{}{}{}{}{}",
            key.id.len(),
            key.id,
            base62::digits::<NUMBER_CHARS>(self.generation.into()),
            base62::digits::<NUMBER_CHARS>(self.expires_at_s.min(EXPIRES_AT_S_MAX)),
            &nonce[..NONCE_CHARS],
        );
        let secret = format!("{said}{}", mac(key, room, &said));
        PublishKey::with_secret(room, &secret).expect("letters and digits, within its length")
    }

    /// What a key says; `None` for one that was not minted by any of these secrets for its room.
    pub fn read(keys: &Keyring, presented: &PublishKey) -> Option<Self> {
        let mut rest = presented.secret().strip_prefix(START)?;
        let id_chars: usize = take(&mut rest, 1)?.parse().ok()?;
        if !(1..=ID_CHARS_MAX).contains(&id_chars) {
            return None;
        }
        let id = take(&mut rest, id_chars)?;
        let generation = base62::number(take(&mut rest, NUMBER_CHARS)?)?;
        let expires_at_s = base62::number(take(&mut rest, NUMBER_CHARS)?)?;
        take(&mut rest, NONCE_CHARS)?;
        if rest.len() != MAC_CHARS {
            return None;
        }
        let said = presented.secret().strip_suffix(rest)?;
        let key = keys.named(id)?;
        same(&mac(key, presented.room(), said), rest).then_some(Self {
            generation: generation.try_into().ok()?,
            expires_at_s,
        })
    }
}

/// The next `chars` of a text that is ASCII.
fn take<'t>(rest: &mut &'t str, chars: usize) -> Option<&'t str> {
    let (taken, left) = rest.split_at_checked(chars)?;
    *rest = left;
    Some(taken)
}

fn mac(key: &Key, room: &RoomId, said: &str) -> String {
    let fields = [room.as_str().as_bytes(), said.as_bytes()];
    let whole: [u8; 32] = key.mac(PURPOSE, &fields).finalize().into_bytes().into();
    let first: [u8; MAC_BYTES] = std::array::from_fn(|at| whole[at]);
    base62::encode(first)
}

/// Compares every byte, whatever it finds.
fn same(one: &str, other: &str) -> bool {
    let pairs = one.bytes().zip(other.bytes());
    let differences = pairs.fold(0, |found, (a, b)| found | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(names: &[&str]) -> Keyring {
        let line = |name: &&str| format!("{name} {}\n", name.repeat(32));
        Keyring::parse(&names.iter().map(line).collect::<String>()).expect("a keyring")
    }

    fn room(id: &str) -> RoomId {
        RoomId::parse(id).expect("an id")
    }

    const SAYS: Minted = Minted {
        generation: 7,
        expires_at_s: 1_800_000_000,
    };

    #[test]
    fn a_minted_key_says_what_it_was_made_for() {
        let ends = Minted {
            generation: u32::MAX,
            expires_at_s: EXPIRES_AT_S_MAX,
        };
        let zero = Minted {
            generation: 0,
            expires_at_s: 0,
        };
        for says in [SAYS, ends, zero] {
            for (id, name) in [("a", "k"), (&*"z".repeat(64), "abcd"), ("x_key_m1", "k2")] {
                let (keys, room) = (keys(&[name]), room(id));
                let key = says.mint(&keys, &room);
                assert_eq!(Minted::read(&keys, &key), Some(says), "{key:?}");
                let again = PublishKey::parse(key.reveal()).expect("a publish key");
                assert_eq!(Minted::read(&keys, &again), Some(says));
                assert_ne!(says.mint(&keys, &room).reveal(), key.reveal());
            }
        }
    }

    #[test]
    fn a_key_holds_for_its_room_and_secret_only() {
        let key = SAYS.mint(&keys(&["a"]), &room("demo"));
        assert_eq!(Minted::read(&keys(&["b", "a"]), &key), Some(SAYS));
        assert_eq!(Minted::read(&keys(&["b"]), &key), None);
        let same_name = Keyring::parse(&format!("a {}", "x".repeat(32))).expect("a keyring");
        assert_eq!(Minted::read(&same_name, &key), None);
        let elsewhere = PublishKey::with_secret(&room("other"), key.secret()).expect("a key");
        assert_eq!(Minted::read(&keys(&["a"]), &elsewhere), None);
        let own = PublishKey::generate(&room("demo"));
        assert_eq!(Minted::read(&keys(&["a"]), &own), None);
    }

    proptest! {
        #[test]
        fn any_other_character_is_refused(at in 0_usize..52, with in "[0-9A-Za-z]") {
            let (keys, room) = (keys(&["a"]), room("demo"));
            let key = SAYS.mint(&keys, &room);
            let mut other = key.secret().to_owned();
            prop_assume!(at < other.len());
            other.replace_range(at..=at, &with);
            let changed = PublishKey::with_secret(&room, &other).expect("a key");
            let is_same = other == key.secret();
            prop_assert_eq!(Minted::read(&keys, &changed).is_some(), is_same);
        }

        #[test]
        fn any_text_is_answered(text in "m1[0-9A-Za-z]{1,54}") {
            let room = room("a");
            if let Ok(key) = PublishKey::with_secret(&room, &text) {
                prop_assert_eq!(Minted::read(&keys(&["a"]), &key), None);
            }
        }
    }
}
