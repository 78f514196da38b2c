use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::hub::Source;
use crate::rooms::RoomId;
use crate::sync::Mutex;

/// Bans at once; an entry is some 100 bytes. Beyond it the one that is over first gives way.
const BANS_MAX: usize = 10_000;

/// Publish keys that an operator has sent away for a while. In memory: who is to stay away for good
/// gets a room's key replaced.
#[derive(Debug, Default)]
pub(crate) struct Bans(Mutex<HashMap<Banned, Instant>>);

/// The keys that are sent away together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Banned {
    /// A key that a room has itself, by its fingerprint.
    Key(String),
    /// Whatever is minted for a room while it has one own key, by that key's generation: who was
    /// sent away would only ask for the next.
    MintedFor(RoomId, u32),
}

impl Banned {
    pub(crate) fn of(room: &RoomId, source: &Source) -> Self {
        match source.minted_generation {
            Some(generation) => Self::MintedFor(room.clone(), generation),
            None => Self::Key(source.key_fingerprint.clone()),
        }
    }
}

impl Bans {
    pub(crate) fn add(&self, banned: Banned, length: Duration, now: Instant) {
        let mut bans = self.0.lock();
        if bans.len() >= BANS_MAX {
            bans.retain(|_, until| *until > now);
        }
        if bans.len() >= BANS_MAX {
            let first = bans.iter().min_by_key(|(_, until)| **until);
            let first = first.map(|(banned, _)| banned.clone());
            first.and_then(|banned| bans.remove(&banned));
        }
        bans.insert(banned, now + length);
    }

    /// How long these keys are still refused, where they are.
    pub(super) fn left(&self, banned: &Banned, now: Instant) -> Option<Duration> {
        let mut bans = self.0.lock();
        let until = *bans.get(banned)?;
        if until <= now {
            bans.remove(banned);
            return None;
        }
        Some(until - now)
    }

    /// A room is gone: one that gets its name is another.
    pub(crate) fn forget(&self, room: &RoomId) {
        let is_of_room = |banned: &Banned| matches!(banned, Banned::MintedFor(id, _) if id == room);
        self.0.lock().retain(|banned, _| !is_of_room(banned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(fingerprint: &str) -> Banned {
        Banned::Key(fingerprint.to_owned())
    }

    #[test]
    fn a_key_is_refused_for_as_long_as_was_said() {
        let bans = Bans::default();
        let start = Instant::now();
        bans.add(key("a"), MINUTE, start);
        assert_eq!(bans.left(&key("b"), start), None);
        assert_eq!(bans.left(&key("a"), start), Some(MINUTE));
        assert_eq!(bans.left(&key("a"), start + MINUTE / 2), Some(MINUTE / 2));
        assert_eq!(bans.left(&key("a"), start + MINUTE), None);
        assert!(bans.0.lock().is_empty(), "and is forgotten then");
    }

    #[test]
    fn a_room_that_is_gone_takes_its_bans_along() {
        let bans = Bans::default();
        let start = Instant::now();
        let minted = |id, generation| Banned::MintedFor(RoomId::parse(id).unwrap(), generation);
        for banned in [minted("a", 1), minted("a", 2), minted("b", 1)] {
            bans.add(banned, MINUTE, start);
        }
        bans.forget(&RoomId::parse("a").unwrap());
        assert_eq!(bans.left(&minted("a", 1), start), None);
        assert_eq!(bans.left(&minted("a", 2), start), None);
        assert!(bans.left(&minted("b", 1), start).is_some());
    }

    #[test]
    fn there_is_a_bound_and_the_one_that_is_over_first_gives_way() {
        let bans = Bans::default();
        let start = Instant::now();
        bans.add(key("first"), MINUTE, start);
        for number in 0..BANS_MAX {
            bans.add(key(&number.to_string()), 2 * MINUTE, start);
        }
        assert_eq!(bans.0.lock().len(), BANS_MAX);
        assert_eq!(bans.left(&key("first"), start), None);
        let later = start + 2 * MINUTE;
        bans.add(key("next"), MINUTE, later);
        assert_eq!(bans.0.lock().len(), 1, "what is over makes place");
    }
}
