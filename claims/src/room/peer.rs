//! What peers ask each other before one of them claims a room.

use super::{Now, Refusal, Room};
use crate::pair::Pair;

/// What a peer says when it is asked whether a claim may be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The highest claim it has seen: a claim that is lower is no use, for its receivers would refuse it.
    pub floor: Option<Pair>,
    /// Its own part in the room.
    pub standing: Standing,
}

/// A peer's own part in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does not have the room.
    Free,
    /// It has a publisher.
    Live {
        /// The publisher's claim.
        pair: Pair,
        /// Frames that came under it, so that two answers tell whether it sends.
        frames: u64,
        /// Milliseconds since the last one, or since the claim; no end of them where it gives way to anybody.
        age_ms: u64,
    },
    /// It is about to take the room for a newcomer of its own, with a higher claim.
    Pending,
}

impl Room {
    /// Answers a peer that wants the room under `pair`. Asking is claiming: of two newcomers, the one with the
    /// lower claim gives up, whichever of them hears of the other.
    pub fn question(&mut self, pair: &Pair, now: Now) -> Answer {
        let pending = self.pending.as_ref().map(|pending| &pending.pair);
        let (is_higher, is_lower) = pending.map_or((false, false), |own| (own > pair, own < pair));
        if is_lower {
            self.refuse(Refusal::AlreadyLive, now);
        }
        let standing = match self.standing(now) {
            Standing::Free if is_higher => Standing::Pending,
            own => own,
        };
        Answer {
            floor: self.floor.seen().cloned(),
            standing,
        }
    }

    /// Whether this node has the room, whoever asks.
    pub(super) fn standing(&self, now: Now) -> Standing {
        self.held
            .as_ref()
            .map_or(Standing::Free, |held| Standing::Live {
                pair: held.record.pair.clone(),
                frames: held.frames,
                age_ms: held
                    .last_frame_ms
                    .map_or(u64::MAX, |last_ms| now.monotonic_ms.saturating_sub(last_ms)),
            })
    }
}
