use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// Keys refused at once; an entry is some 100 bytes. Beyond it the one that is over first gives way.
const BANS_MAX: usize = 10_000;

/// Publish keys that an operator has sent away for a while, by their fingerprint. In memory: who
/// is to stay away for good gets a room's key replaced.
#[derive(Debug, Default)]
pub(crate) struct Bans(Mutex<HashMap<String, Instant>>);

impl Bans {
    pub(crate) fn add(&self, key_fingerprint: String, length: Duration, now: Instant) {
        let mut bans = self.0.lock();
        if bans.len() >= BANS_MAX {
            bans.retain(|_, until| *until > now);
        }
        if bans.len() >= BANS_MAX {
            let first = bans.iter().min_by_key(|(_, until)| **until);
            let first = first.map(|(key, _)| key.clone());
            first.and_then(|key| bans.remove(&key));
        }
        bans.insert(key_fingerprint, now + length);
    }

    /// How long a key is still refused, where it is.
    pub(super) fn left(&self, key_fingerprint: &str, now: Instant) -> Option<Duration> {
        let mut bans = self.0.lock();
        let until = *bans.get(key_fingerprint)?;
        if until <= now {
            bans.remove(key_fingerprint);
            return None;
        }
        Some(until - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_key_is_refused_for_as_long_as_was_said() {
        let bans = Bans::default();
        let start = Instant::now();
        bans.add("a".into(), MINUTE, start);
        assert_eq!(bans.left("b", start), None);
        assert_eq!(bans.left("a", start), Some(MINUTE));
        assert_eq!(bans.left("a", start + MINUTE / 2), Some(MINUTE / 2));
        assert_eq!(bans.left("a", start + MINUTE), None);
        assert!(bans.0.lock().is_empty(), "and is forgotten then");
    }

    #[test]
    fn there_is_a_bound_and_the_one_that_is_over_first_gives_way() {
        let bans = Bans::default();
        let start = Instant::now();
        bans.add("first".into(), MINUTE, start);
        for key in 0..BANS_MAX {
            bans.add(key.to_string(), 2 * MINUTE, start);
        }
        assert_eq!(bans.0.lock().len(), BANS_MAX);
        assert_eq!(bans.left("first", start), None);
        let later = start + 2 * MINUTE;
        bans.add("next".into(), MINUTE, later);
        assert_eq!(bans.0.lock().len(), 1, "what is over makes place");
    }
}
