use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// A player asks for the playlist about once a target duration, 6 s at most; who was not heard of
/// for twice that has gone.
const PRESENT: Duration = Duration::from_secs(12);
/// Viewers told apart at one client. What is told apart is a header of the client's own words: without
/// this bound it could fill a room alone.
const AT_CLIENT_MAX: usize = 32;
/// Viewers told apart. An entry is some 120 bytes at most: 2.4 MB a stream.
const VIEWERS_MAX: usize = 20_000;
/// How often those who have gone are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Who watches a stream by HLS, guessed from who asks for its playlist. Viewers at one client, which is
/// an address or an IPv6 network, count as one where they have the same browser.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    hasher: RandomState,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    /// None of these is empty.
    by_client: HashMap<IpAddr, Vec<Viewer>>,
    total: usize,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Viewer {
    /// A hash.
    user_agent: u64,
    last_asked: Instant,
}

impl Audience {
    /// Someone at this client asks. Where no more viewers are taken, false for one who is new.
    pub(crate) fn note(
        &self,
        client: IpAddr,
        user_agent: &[u8],
        takes_more: bool,
        now: Instant,
    ) -> bool {
        let user_agent = self.hasher.hash_one(user_agent);
        let mut present = self.present.lock();
        present.sweep(now);
        if let Some(viewer) = present.find(client, user_agent)
            && (takes_more || is_present(viewer.last_asked, now))
        {
            viewer.last_asked = now;
            return true;
        }
        if takes_more && present.total < VIEWERS_MAX {
            present.total += 1;
            let viewers = present.by_client.entry(client).or_default();
            viewers.push(Viewer {
                user_agent,
                last_asked: now,
            });
        }
        takes_more
    }

    /// How many there are, a second ago at most.
    pub(crate) fn count(&self, now: Instant) -> usize {
        let mut present = self.present.lock();
        present.sweep(now);
        present.total
    }
}

impl Present {
    /// The place of this viewer; where its client has all that it may have, the last one.
    fn find(&mut self, client: IpAddr, user_agent: u64) -> Option<&mut Viewer> {
        let viewers = self.by_client.get_mut(&client)?;
        let place = viewers.iter().position(|it| it.user_agent == user_agent);
        viewers.get_mut(place.unwrap_or(AT_CLIENT_MAX - 1))
    }

    fn sweep(&mut self, now: Instant) {
        let is_due = |swept: Instant| now.saturating_duration_since(swept) >= SWEEP_EVERY;
        if !self.swept.is_none_or(is_due) {
            return;
        }
        self.swept = Some(now);
        self.by_client.retain(|_, viewers| {
            viewers.retain(|viewer| is_present(viewer.last_asked, now));
            !viewers.is_empty()
        });
        self.total = self.by_client.values().map(Vec::len).sum();
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
        assert_eq!(audience.count(later + SWEEP_EVERY), 1);
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
    fn one_client_has_so_many_places_and_shares_the_last() {
        let audience = Audience::default();
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let start = Instant::now();
        for user_agent in 0..10 * AT_CLIENT_MAX {
            assert!(audience.note(one, &user_agent.to_be_bytes(), true, start));
        }
        assert_eq!(audience.count(start), AT_CLIENT_MAX);
        assert!(audience.note(other, b"browser", true, start));
        assert_eq!(audience.count(start), AT_CLIENT_MAX + 1);

        let later = start + PRESENT;
        assert!(
            audience.note(one, b"one too many", false, later),
            "it shares"
        );
        assert_eq!(audience.count(later + SWEEP_EVERY), 1);
        assert!(!audience.note(one, b"new", false, later + SWEEP_EVERY));
    }

    #[test]
    fn there_is_a_bound() {
        let (audience, now) = (Audience::default(), Instant::now());
        for viewer in 0..VIEWERS_MAX as u32 + 10 {
            assert!(audience.note(IpAddr::from(viewer.to_be_bytes()), b"browser", true, now));
        }
        assert_eq!(audience.count(now), VIEWERS_MAX);
    }
}
