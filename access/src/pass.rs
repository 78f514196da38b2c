//! Signed addresses: who has one may watch its room until it expires.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use isocast_admin::RoomId;
use sha2::Sha256;

use crate::Keyring;
use crate::keyring::Key;

/// What an address carries to be let in: `<exp>.<sig>`, or `exp=<exp>&sig=<sig>` as a query.
///
/// `exp` is the second since 1970 at which it ends. `sig` is the HMAC of room and `exp`, the same
/// for all protocols, in base64url (RFC 4648 §5) without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Pass {
    expires_at_s: u64,
    signature: [u8; 32],
}

/// The text is no pass. It is not repeated here: it may be nearly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signed address holds <exp>.<sig>")]
pub struct Malformed;

/// Why a pass lets nobody in. What exactly is wrong with one that never was good is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It was good once.
    Expired,
    /// It is not from here, for another room, or good for longer than is allowed.
    Invalid,
}

const PURPOSE: &str = "isocast play v1";
/// Seconds since 1970 have eleven digits from the year 5138 on.
const EXP_DIGITS_MAX: usize = 11;
/// How far the clock of whoever signed may be ahead of ours.
const CLOCKS_APART_S: u64 = 60;

impl Pass {
    /// A pass for this room, by the keyring's first secret.
    pub fn sign(keys: &Keyring, room: &RoomId, expires_at_s: u64) -> Self {
        let mac = mac(keys.signer(), room, expires_at_s);
        Self {
            expires_at_s,
            signature: mac.finalize().into_bytes().into(),
        }
    }

    /// Reads `<exp>.<sig>`. Every pass has one form only, so that caches keep it once.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (exp, sig) = text.split_once('.').ok_or(Malformed)?;
        Self::of(exp, sig)
    }

    /// Reads the query of a stream's name, `exp=<exp>&sig=<sig>` among whatever else; `None`
    /// where it has neither.
    pub fn from_query(query: &str) -> Result<Option<Self>, Malformed> {
        let (mut exp, mut sig) = (None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "exp" => &mut exp,
                "sig" => &mut sig,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(Malformed);
            }
        }
        match (exp, sig) {
            (None, None) => Ok(None),
            (Some(exp), Some(sig)) => Self::of(exp, sig).map(Some),
            _ => Err(Malformed),
        }
    }

    fn of(exp: &str, sig: &str) -> Result<Self, Malformed> {
        let is_number = (1..=EXP_DIGITS_MAX).contains(&exp.len())
            && exp.bytes().all(|byte| byte.is_ascii_digit())
            && !exp.starts_with('0');
        if !is_number {
            return Err(Malformed);
        }
        let mut signature = [0; 32];
        // It refuses other lengths, padding, and spare bits that are not zero.
        match URL_SAFE_NO_PAD.decode_slice(sig, &mut signature) {
            Ok(32) => {}
            _ => return Err(Malformed),
        }
        Ok(Self {
            expires_at_s: exp.parse().map_err(|_| Malformed)?,
            signature,
        })
    }

    /// Whether this lets somebody watch `room` now. Only a pass that was good is told to have
    /// expired. All comparisons are made, each in constant time.
    pub fn check(
        &self,
        keys: &Keyring,
        room: &RoomId,
        now_s: u64,
        url_max_s: u64,
    ) -> Result<(), Denied> {
        let is_signed = keys.all().fold(false, |is_signed, key| {
            let mac = mac(key, room, self.expires_at_s);
            mac.verify_slice(&self.signature).is_ok() | is_signed
        });
        let latest_s = now_s.saturating_add(url_max_s + CLOCKS_APART_S);
        if !is_signed || self.expires_at_s > latest_s {
            return Err(Denied::Invalid);
        }
        if self.expires_at_s <= now_s {
            return Err(Denied::Expired);
        }
        Ok(())
    }

    /// The second since 1970 at which it ends.
    pub fn expires_at_s(&self) -> u64 {
        self.expires_at_s
    }

    /// `exp=<exp>&sig=<sig>`
    pub fn query(&self) -> String {
        let text = self.to_string();
        let (exp, sig) = text.split_once('.').expect("our own form");
        format!("exp={exp}&sig={sig}")
    }
}

/// Over the room's id and the decimal digits of the time.
fn mac(key: &Key, room: &RoomId, expires_at_s: u64) -> Hmac<Sha256> {
    let exp = expires_at_s.to_string();
    key.mac(PURPOSE, &[room.as_str().as_bytes(), exp.as_bytes()])
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = URL_SAFE_NO_PAD.encode(self.signature);
        write!(f, "{}.{signature}", self.expires_at_s)
    }
}

/// Who reads a log is not to watch.
impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pass({}.…)", self.expires_at_s)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_S: u64 = 1_800_000_000;
    const MAX_S: u64 = 86_400;

    fn keys(names: &[&str]) -> Keyring {
        let line = |name: &&str| format!("{name} {}\n", name.repeat(32));
        Keyring::parse(&names.iter().map(line).collect::<String>()).expect("a keyring")
    }

    fn room(id: &str) -> RoomId {
        RoomId::parse(id).expect("an id")
    }

    #[test]
    fn passes_hold_for_their_room_until_they_expire() {
        let (ours, id) = (keys(&["a"]), room("demo"));
        for (exp, by, room_asked, expected) in [
            (NOW_S + 1, &ours, "demo", Ok(())),
            (NOW_S + MAX_S + 60, &ours, "demo", Ok(())),
            (NOW_S + MAX_S + 61, &ours, "demo", Err(Denied::Invalid)),
            (NOW_S, &ours, "demo", Err(Denied::Expired)),
            (NOW_S - 1, &ours, "demo", Err(Denied::Expired)),
            (1, &ours, "demo", Err(Denied::Expired)),
            (NOW_S + 1, &ours, "demo2", Err(Denied::Invalid)),
            (NOW_S + 1, &ours, "Demo", Err(Denied::Invalid)),
            (NOW_S - 1, &ours, "other", Err(Denied::Invalid)),
            (NOW_S + 1, &keys(&["b"]), "demo", Err(Denied::Invalid)),
            (NOW_S - 1, &keys(&["b"]), "demo", Err(Denied::Invalid)),
        ] {
            let pass = Pass::sign(by, &id, exp);
            let verdict = pass.check(&ours, &room(room_asked), NOW_S, MAX_S);
            assert_eq!(verdict, expected, "{exp} {room_asked}");
        }
    }

    #[test]
    fn the_first_secret_signs_and_all_verify() {
        let id = room("demo");
        let good = |by: &[&str], at: &[&str]| {
            let pass = Pass::sign(&keys(by), &id, NOW_S + 1);
            pass.check(&keys(at), &id, NOW_S, MAX_S).is_ok()
        };
        assert!(good(&["old", "new"], &["new", "old"]));
        assert!(good(&["new", "old"], &["old", "new"]));
        assert!(good(&["new", "old"], &["new"]), "the first one signs");
        assert!(!good(&["old", "new"], &["new"]), "taken away");
        assert!(good(&["d"], &["a", "b", "c", "d"]));
    }

    /// What other programs that share the secret have to come to.
    #[test]
    fn the_signed_bytes_stay_as_they_are() {
        let keys = Keyring::parse("k1 0123456789abcdefghijklmnopqrstuv").expect("a keyring");
        let pass = Pass::sign(&keys, &room("demo"), 1_800_000_000);
        assert_eq!(pass.to_string(), KNOWN);
        assert_eq!(
            pass.query(),
            KNOWN.replacen("1800000000.", "exp=1800000000&sig=", 1)
        );
        assert!(!format!("{pass:?}").contains(&KNOWN[11..]));
    }

    const KNOWN: &str = "1800000000.yQ0xlabQUmEBbpPlOdMuorW18-NYx8JHFqqYerlAACk";

    #[test]
    fn what_is_no_pass_is_malformed() {
        let sig = "A".repeat(43);
        for (text, good) in [
            (format!("1.{sig}"), true),
            (format!("99999999999.{sig}"), true),
            (format!("1.{}E", &sig[1..]), true),
            (String::new(), false),
            (".".into(), false),
            ("1".into(), false),
            ("1.".into(), false),
            (format!("1{sig}"), false),
            (format!(".{sig}"), false),
            (format!("0.{sig}"), false),
            (format!("01.{sig}"), false),
            (format!("-1.{sig}"), false),
            (format!("+1.{sig}"), false),
            (format!("1e9.{sig}"), false),
            (format!("100000000000.{sig}"), false),
            (format!("\u{0661}.{sig}"), false),
            (format!("1.{}", &sig[1..]), false),
            (format!("1.{sig}A"), false),
            (format!("1.{sig}="), false),
            (format!("1.{}B", &sig[1..]), false), // spare bits that are not zero
            (format!("1.{}+", &sig[1..]), false),
            (format!("1.{} ", &sig[1..]), false),
            (format!("1.{}.A", &sig[2..]), false),
            (format!("1.{}é", &sig[2..]), false),
        ] {
            assert_eq!(Pass::parse(&text).is_ok(), good, "{text:?}");
            let (exp, sig) = text.split_once('.').unwrap_or((&text, ""));
            let query = format!("exp={exp}&sig={sig}");
            assert_eq!(Pass::from_query(&query).is_ok(), good, "{query:?}");
        }
    }

    #[test]
    fn queries_name_each_part_once() {
        let sig = "A".repeat(43);
        for (query, expected) in [
            (String::new(), Ok(false)),
            ("token=a&b".into(), Ok(false)),
            (format!("exp=1&sig={sig}"), Ok(true)),
            (format!("a=b&sig={sig}&c&exp=1&"), Ok(true)),
            ("exp=1".into(), Err(Malformed)),
            (format!("sig={sig}"), Err(Malformed)),
            (format!("exp=1&sig={sig}&exp=1"), Err(Malformed)),
            (format!("exp=1&sig={sig}&sig"), Err(Malformed)),
            (format!("EXP=1&sig={sig}"), Err(Malformed)),
        ] {
            let read = Pass::from_query(&query).map(|pass| pass.is_some());
            assert_eq!(read, expected, "{query:?}");
        }
    }

    proptest! {
        #[test]
        fn any_other_bit_is_refused(at in 0_usize..256, exp in NOW_S + 1..NOW_S + MAX_S) {
            let (keys, id) = (keys(&["a", "b"]), room("demo"));
            let mut pass = Pass::sign(&keys, &id, exp);
            prop_assert_eq!(pass.check(&keys, &id, NOW_S, MAX_S), Ok(()));
            pass.signature[at / 8] ^= 1 << (at % 8);
            prop_assert_eq!(pass.check(&keys, &id, NOW_S, MAX_S), Err(Denied::Invalid));
        }

        #[test]
        fn any_other_character_is_refused(at in 0_usize..54, with in "[0-9A-Za-z_.-]") {
            let (keys, id) = (keys(&["a"]), room("demo"));
            let text = Pass::sign(&keys, &id, NOW_S + 1).to_string();
            let mut other = text.clone();
            other.replace_range(at..=at, &with);
            let verdict = Pass::parse(&other).map(|pass| pass.check(&keys, &id, NOW_S, MAX_S));
            prop_assert_eq!(verdict == Ok(Ok(())), other == text);
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "[0-9]{1,12}\\.[0-9A-Za-z_-]{42,44}") {
            if let Ok(pass) = Pass::parse(&text) {
                prop_assert_eq!(pass.to_string(), text);
                prop_assert_eq!(Pass::from_query(&pass.query()), Ok(Some(pass)));
            }
        }

        #[test]
        fn any_text_is_answered(text in ".{0,80}") {
            let _ = Pass::parse(&text);
            let _ = Pass::from_query(&text);
        }
    }
}
