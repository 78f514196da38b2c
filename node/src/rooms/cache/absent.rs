use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::RoomId;

/// For this long an unknown room stays unknown: enough to make asking for nothing cheap.
pub(super) const KEPT: Duration = Duration::from_secs(1);
/// Ids remembered, some 200 bytes each: 200 kB in all. Who makes up more in a second asks the store.
const IDS_MAX: usize = 1000;

/// Ids that were asked for lately and are no room's.
///
/// Anyone can make up any number of them, so they take no place of a known room, and each costs the
/// same: the oldest leave as new ones come.
#[derive(Debug, Default)]
pub(super) struct Absent {
    read_at: HashMap<RoomId, Instant>,
    /// As they were read. One that was forgotten, or read anew, is still here.
    order: VecDeque<(RoomId, Instant)>,
}

impl Absent {
    pub(super) fn holds(&self, id: &RoomId, now: Instant) -> bool {
        self.read_at
            .get(id)
            .is_some_and(|&read_at| !is_over(read_at, now))
    }

    pub(super) fn keep(&mut self, id: &RoomId, now: Instant) {
        while let Some((oldest, read_at)) = self.order.front()
            && (self.order.len() >= IDS_MAX || is_over(*read_at, now))
        {
            if self.read_at.get(oldest) == Some(read_at) {
                self.read_at.remove(oldest);
            }
            self.order.pop_front();
        }
        self.read_at.insert(id.clone(), now);
        self.order.push_back((id.clone(), now));
    }

    pub(super) fn forget(&mut self, id: &RoomId) {
        self.read_at.remove(id);
    }
}

fn is_over(read_at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(read_at) >= KEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> RoomId {
        RoomId::parse(&format!("r{number}")).unwrap()
    }

    #[test]
    fn a_flood_of_them_leaves_the_newest_and_those_for_a_second() {
        let mut absent = Absent::default();
        let start = Instant::now();
        for number in 0..100 * IDS_MAX {
            absent.keep(&id(number), start);
            assert!(absent.read_at.len() <= IDS_MAX && absent.order.len() <= IDS_MAX);
        }
        let newest = id(100 * IDS_MAX - 1);
        assert!(absent.holds(&newest, start));
        assert!(!absent.holds(&id(0), start));
        assert!(!absent.holds(&newest, start + KEPT));
        absent.keep(&id(0), start + KEPT);
        assert_eq!((absent.read_at.len(), absent.order.len()), (1, 1));
    }

    #[test]
    fn one_that_was_forgotten_takes_no_place_of_its_second_life() {
        let mut absent = Absent::default();
        let start = Instant::now();
        let again = start + KEPT / 2;
        absent.keep(&id(1), start);
        absent.forget(&id(1));
        assert!(!absent.holds(&id(1), start));
        absent.keep(&id(1), again);
        absent.keep(&id(2), start + KEPT);
        assert!(absent.holds(&id(1), start + KEPT));
        // Made and deleted over and over, it is one entry for each time, and no more than all.
        for _ in 0..10 * IDS_MAX {
            absent.keep(&id(1), again);
            absent.forget(&id(1));
        }
        assert!(absent.order.len() <= IDS_MAX);
    }
}
