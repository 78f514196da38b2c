//! The name of a room.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::random;

/// `[A-Za-z0-9_-]{1,64}`, not starting with `room_`. Safe in URLs, file names and registry keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomId(String);

/// The text names no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room id is 1 to 64 of A-Z, a-z, 0-9, `_` and `-`, and does not start with `room_`")]
pub struct BadId;

/// What a room's stream starts with; no room id does, so neither is taken for the other.
const STREAM_PREFIX: &str = "room_";
const BYTES_MAX: usize = 64;
/// 64 letters and 12 places: 72 bits.
const RANDOM_CHARS: usize = 12;
const ALPHABET: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-";

impl RoomId {
    /// Reads an id.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let is_id = (1..=BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| ALPHABET.contains(&byte))
            && !text.starts_with(STREAM_PREFIX);
        if is_id {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId)
        }
    }

    /// Twelve characters, every id as likely as any other; never one that a command line would
    /// take for a flag.
    pub fn random() -> Self {
        loop {
            // 256 is a multiple of 64, so the low six bits of a byte choose evenly.
            let chars = random::bytes::<RANDOM_CHARS>()
                .map(|byte| char::from(ALPHABET[usize::from(byte & 63)]));
            let text: String = chars.into_iter().collect();
            if let Ok(id) = Self::parse(&text)
                && !text.starts_with('-')
            {
                return id;
            }
        }
    }

    /// Reads the name of a room's stream, `room_<id>`.
    pub fn from_stream_name(name: &str) -> Result<Self, BadId> {
        Self::parse(name.strip_prefix(STREAM_PREFIX).ok_or(BadId)?)
    }

    /// `room_<id>`, as play URLs and the registry name the stream.
    pub fn stream_name(&self) -> String {
        format!("{STREAM_PREFIX}{}", self.0)
    }

    /// The id as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for RoomId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        Self::parse(text)
    }
}

impl TryFrom<String> for RoomId {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        Self::parse(&text)
    }
}

impl From<RoomId> for String {
    fn from(id: RoomId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_taken_or_refused() {
        let long = "a".repeat(64);
        let too_long = "a".repeat(65);
        for (text, good) in [
            ("a", true),
            ("demo", true),
            ("A-b_9", true),
            ("-", true),
            ("room", true),
            ("room-1", true),
            ("Room_1", true),
            ("a_key_b", true),
            (&long, true),
            ("", false),
            (&too_long, false),
            ("room_", false),
            ("room_1", false),
            ("a b", false),
            ("a.b", false),
            ("a/b", false),
            ("..", false),
            ("a%2fb", false),
            ("a\0", false),
            ("a\n", false),
            ("é", false),
            ("{a}", false),
        ] {
            let read = RoomId::parse(text);
            assert_eq!(read.is_ok(), good, "{text:?}");
            assert_eq!(
                RoomId::from_stream_name(&format!("room_{text}")),
                read,
                "{text:?}"
            );
            if let Ok(id) = read {
                assert!(
                    RoomId::from_stream_name(text).is_err(),
                    "{text:?} is no stream"
                );
                assert_eq!(RoomId::from_stream_name(&id.stream_name()), Ok(id));
            }
        }
    }

    #[test]
    fn random_ids_use_the_whole_alphabet() {
        let ids: Vec<_> = (0..2000).map(|_| RoomId::random()).collect();
        let different: BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
        let letters: BTreeSet<_> = ids.iter().flat_map(|id| id.as_str().bytes()).collect();
        // 24,000 draws miss one given letter of 64 with a chance of e^-378.
        assert_eq!(letters.len(), 64);
        assert!(
            ids.iter()
                .all(|id| id.as_str().len() == 12 && !id.as_str().starts_with('-'))
        );
    }
}
