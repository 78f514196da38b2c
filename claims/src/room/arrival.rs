//! A newcomer, and what is known of its chances.

use super::{Now, Session, Standing, Ticket};
use crate::pair::{NodeId, Pair};
use crate::record::{Record, Status};
use crate::store::Mark;

/// Somebody with a right key wants to publish.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its connection.
    pub session: Session,
    /// The room says that newcomers win at once.
    pub takeover: bool,
    /// Tells its key from others.
    pub key_fingerprint: String,
    /// All other nodes that are known.
    pub peers: Vec<NodeId>,
}

/// Why a newcomer does not get the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody publishes, or is about to.
    AlreadyLive,
    /// It cannot be told who publishes; it may be tried again.
    Retry,
}

/// A newcomer that waits for its verdict.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) arrival: Arrival,
    pub(super) step: Step,
    /// When the step ends, by [`Now::monotonic_ms`].
    pub(super) until_ms: u64,
    /// What lies in the registry; `None` where it did not answer.
    pub(super) expected: Option<Mark>,
    pub(super) before: Option<Box<Record>>,
    /// The claim that it is to have.
    pub(super) pair: Pair,
    /// Who has sent lately, as of the last round.
    pub(super) rivals: Vec<Rival>,
    pub(super) rounds: u32,
}

#[derive(Debug)]
pub(super) enum Step {
    Reading(Ticket),
    Asking {
        ticket: Ticket,
        awaited: Vec<NodeId>,
        rivals: Vec<Rival>,
    },
    Waiting,
    Claiming(Ticket),
}

/// A publisher that has sent lately.
#[derive(Debug)]
pub(super) struct Rival {
    pub(super) pair: Pair,
    pub(super) frames: u64,
    pub(super) age_ms: u64,
}

impl Pending {
    pub(super) fn is(&self, session: Session) -> bool {
        self.arrival.session == session
    }

    pub(super) fn waits(&self) -> bool {
        matches!(self.step, Step::Waiting)
    }

    pub(super) fn calls(&self, reply: Ticket) -> bool {
        matches!(self.step, Step::Reading(ticket) | Step::Claiming(ticket) if ticket == reply)
    }

    /// What is written of it. Where the room stood before stays there until its owner has something new to say.
    pub(super) fn record(&self, now: Now) -> Record {
        let before = self.before.as_ref();
        Record {
            pair: self.pair.clone(),
            started_at_ms: now.unix_ms,
            status: Status::Live,
            last_heartbeat_ms: 0,
            viewer_count: 0,
            key_fingerprint: self.arrival.key_fingerprint.clone(),
            continuation: before.and_then(|record| record.continuation),
        }
    }
}

/// Who must fall silent before a newcomer wins.
pub(super) fn rival(standing: Standing, silence_ms: u64) -> Option<Rival> {
    match standing {
        Standing::Live {
            pair,
            frames,
            age_ms,
        } if age_ms < silence_ms => Some(Rival {
            pair,
            frames,
            age_ms,
        }),
        Standing::Live { .. } | Standing::Free | Standing::Pending => None,
    }
}
