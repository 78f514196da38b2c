use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A player asks for the playlist about once a target duration, 6 s at most; who was not heard of
/// for twice that has gone.
const PRESENT: Duration = Duration::from_secs(12);
/// Viewers told apart. An entry is some 30 bytes: 600 kB a stream at most.
const VIEWERS_MAX: usize = 20_000;

/// Who watches a stream by HLS, guessed from who asks for its playlist. Viewers behind one address
/// with the same browser count as one.
#[derive(Debug, Default)]
pub(super) struct Audience {
    hasher: RandomState,
    last_asked: Mutex<HashMap<u64, Instant>>,
}

impl Audience {
    /// Someone asks. Where no more viewers are taken, false for one who is new.
    pub(super) fn note(
        &self,
        address: IpAddr,
        user_agent: &[u8],
        takes_more: bool,
        now: Instant,
    ) -> bool {
        let viewer = self.hasher.hash_one((address, user_agent));
        let mut last_asked = self.lock();
        let is_known = last_asked
            .get(&viewer)
            .is_some_and(|at| is_present(*at, now));
        if !is_known && !takes_more {
            return false;
        }
        if last_asked.len() >= VIEWERS_MAX {
            last_asked.retain(|_, at| is_present(*at, now));
        }
        if last_asked.len() < VIEWERS_MAX || last_asked.contains_key(&viewer) {
            last_asked.insert(viewer, now);
        }
        true
    }

    pub(super) fn count(&self, now: Instant) -> usize {
        let mut last_asked = self.lock();
        last_asked.retain(|_, at| is_present(*at, now));
        last_asked.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Instant>> {
        self.last_asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_present(last_asked: Instant, now: Instant) -> bool {
    now.saturating_duration_since(last_asked) <= PRESENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_counts_once_while_it_asks() {
        let audience = Audience::default();
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let start = Instant::now();
        assert!(audience.note(one, b"browser", true, start));
        assert!(audience.note(one, b"browser", true, start));
        assert!(audience.note(one, b"another browser", true, start));
        assert!(audience.note(other, b"browser", true, start));
        assert_eq!(audience.count(start), 3);

        let later = start + PRESENT;
        assert!(audience.note(other, b"browser", true, later));
        assert_eq!(audience.count(later), 3);
        assert_eq!(audience.count(later + Duration::from_millis(1)), 1);
    }

    #[test]
    fn who_is_here_stays_when_no_more_are_taken() {
        let audience = Audience::default();
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let start = Instant::now();
        assert!(audience.note(one, b"browser", true, start));
        assert!(!audience.note(other, b"browser", false, start));
        assert!(audience.note(one, b"browser", false, start + PRESENT));
        assert_eq!(audience.count(start + PRESENT), 1);
        let later = start + 3 * PRESENT;
        assert!(!audience.note(one, b"browser", false, later), "it had gone");
    }

    #[test]
    fn there_is_a_bound() {
        let audience = Audience::default();
        let (address, now) = (IpAddr::from([127, 0, 0, 1]), Instant::now());
        for viewer in 0..VIEWERS_MAX + 10 {
            audience.note(address, &viewer.to_be_bytes(), true, now);
        }
        assert_eq!(audience.count(now), VIEWERS_MAX);
    }
}
