//! What a receiver remembers of a room, so that nothing old passes.

use crate::defences;
use crate::pair::{EPOCH_AHEAD_MAX_MS, Owner, Pair};

/// A floor that is this far below the clock protects nothing any more, in milliseconds: 2 h. Clocks are an
/// hour apart at most, so whatever is minted now is above it, and an owner that slept for so long is gone.
const KEPT_MS: u64 = 2 * 60 * 60 * 1000;

/// The highest claim of a room that this node has seen. One lies before everything that comes from an owner:
/// frames of relays, pushed segments, playlists, writes to storage.
#[derive(Clone, Debug, Default)]
pub struct Floor {
    seen: Option<Pair>,
    /// The highest epoch minted here, whatever became of it.
    minted: u64,
}

/// Why something does not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Its owner has lost the room and is to be told the floor.
    #[error("a higher claim is known: {floor}")]
    Stale {
        /// The highest claim known here.
        floor: Pair,
    },
    /// No clock can be that wrong.
    #[error("the epoch is more than 24 h ahead of this node's clock")]
    EpochAhead,
}

impl Floor {
    /// The highest claim seen.
    #[must_use]
    pub fn seen(&self) -> Option<&Pair> {
        self.seen.as_ref()
    }

    /// Lets pass what belongs to the highest claim so far, or to a higher one, which becomes the floor.
    pub fn admit(&mut self, pair: &Pair, unix_ms: u64) -> Result<(), Rejected> {
        if pair.epoch > unix_ms.saturating_add(EPOCH_AHEAD_MAX_MS) {
            return Err(Rejected::EpochAhead);
        }
        match &self.seen {
            Some(floor) if pair < floor => {
                if defences::epoch_check() {
                    return Err(Rejected::Stale {
                        floor: floor.clone(),
                    });
                }
            }
            Some(floor) if pair == floor => {}
            _ => self.seen = Some(pair.clone()),
        }
        Ok(())
    }

    /// A claim above everything that this node knows of: what is stored, what it has seen, its clock.
    #[must_use]
    pub fn mint(&mut self, stored: Option<&Pair>, owner: &Owner, unix_ms: u64) -> Pair {
        let above = |pair: &Pair| pair.epoch.saturating_add(1);
        let own = if defences::floor() {
            let above_seen = self.seen.as_ref().map_or(0, above);
            above_seen.max(self.minted.saturating_add(1))
        } else {
            0
        };
        let epoch = stored.map_or(0, above).max(own).max(unix_ms);
        self.minted = epoch;
        Pair {
            epoch,
            owner: owner.clone(),
        }
    }

    /// Whether a claim of this node's own would be worth nothing: receivers know of as high a one.
    #[must_use]
    pub fn bars(&self, pair: &Pair) -> bool {
        defences::floor() && self.seen.as_ref().is_some_and(|seen| seen >= pair)
    }

    /// Whether forgetting it changes nothing.
    #[must_use]
    pub fn is_spent(&self, unix_ms: u64) -> bool {
        let highest = self.seen.as_ref().map_or(0, |pair| pair.epoch);
        highest.max(self.minted).saturating_add(KEPT_MS) < unix_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::tests::pair;

    #[test]
    fn nothing_below_the_floor_passes() {
        let mut floor = Floor::default();
        let (first, second) = (pair(1000, "b", 1), pair(1001, "a", 1));
        assert_eq!(floor.admit(&first, 0), Ok(()));
        assert_eq!(floor.admit(&second, 0), Ok(()));
        assert_eq!(floor.admit(&second, 0), Ok(()), "again and again");
        let stale = Rejected::Stale {
            floor: second.clone(),
        };
        assert_eq!(floor.admit(&first, 0), Err(stale));
        assert_eq!(floor.seen(), Some(&second));
    }

    #[test]
    fn what_is_too_far_ahead_is_not_believed() {
        let mut floor = Floor::default();
        let (furthest, beyond) = (pair(EPOCH_AHEAD_MAX_MS + 5, "a", 1), pair(1 << 63, "a", 1));
        assert_eq!(floor.admit(&beyond, 5), Err(Rejected::EpochAhead));
        assert_eq!(floor.seen(), None);
        assert_eq!(floor.admit(&furthest, 4), Err(Rejected::EpochAhead));
        assert_eq!(floor.admit(&furthest, 5), Ok(()));
    }

    #[test]
    fn a_new_claim_is_above_all_that_is_known() {
        let me = pair(0, "me", 7).owner;
        for (stored, seen, unix_ms, epoch) in [
            (None, None, 50, 50),
            (Some(60), None, 50, 61),
            (Some(60), Some(70), 50, 71),
            (Some(80), Some(70), 50, 81),
            (Some(60), Some(70), 90, 90),
        ] {
            let mut floor = Floor::default();
            if let Some(seen) = seen {
                floor.admit(&pair(seen, "x", 1), 0).unwrap();
            }
            let stored = stored.map(|epoch| pair(epoch, "y", 1));
            let minted = floor.mint(stored.as_ref(), &me, unix_ms);
            assert_eq!((minted.epoch, &minted.owner), (epoch, &me));
            let next = floor.mint(None, &me, 0);
            assert!(next > minted, "though the clock went back");
        }
    }

    #[test]
    fn a_floor_is_kept_while_a_clock_may_be_below_it() {
        let mut floor = Floor::default();
        assert!(floor.is_spent(KEPT_MS + 1));
        floor.admit(&pair(1000, "a", 1), 0).unwrap();
        assert!(!floor.is_spent(1000 + KEPT_MS));
        assert!(floor.is_spent(1001 + KEPT_MS));
    }
}
