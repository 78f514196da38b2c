use std::sync::Arc;

use isocast_claims::{Pair, Session};
use tokio_util::sync::CancellationToken;

use super::Ownership;
use crate::registry::Claim;
use crate::rooms::RoomId;

/// A room that is owned for a publisher. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    leaves: Leaves,
    pair: Pair,
    lost: CancellationToken,
}

impl Held {
    pub(super) fn new(leaves: Leaves, pair: Pair, lost: CancellationToken) -> Self {
        Self { leaves, pair, lost }
    }

    pub(crate) fn claim(&self) -> Claim {
        Claim {
            room: self.leaves.room.clone(),
            pair: self.pair.clone(),
        }
    }

    /// Somebody else has the room.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }
}

/// Says that a publisher has gone, or wants the room no more, when it is dropped.
#[derive(Debug)]
pub(super) struct Leaves {
    ownership: Arc<Ownership>,
    room: RoomId,
    session: Session,
}

impl Leaves {
    pub(super) fn new(ownership: Arc<Ownership>, room: RoomId, session: Session) -> Self {
        Self {
            ownership,
            room,
            session,
        }
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        self.ownership.change(&self.room, |known, now| {
            known.parties.remove(&self.session);
            known.room.leave(self.session, now);
        });
    }
}
