use std::sync::Arc;
use std::time::Instant;

use isocast_media::Frame;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::{Source, Stream};
use crate::registry::Claim;
use crate::rooms::RoomLimits;

/// The right to publish a room. Dropping it leaves the room to the next publisher, and its
/// viewers on hold.
#[derive(Debug)]
pub(crate) struct Publisher {
    stream: Arc<Stream>,
    claim: Claim,
    revoked: Revocation,
}

/// It is no longer the room's publisher.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("another publisher has taken the room over, or this one was sent away")]
pub(crate) struct Revoked;

/// Tells a publisher that it has to go, and why.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revocation {
    token: CancellationToken,
    by_operator: CancellationToken,
}

impl Revocation {
    pub(super) fn revoke(&self) {
        self.token.cancel();
    }

    pub(super) fn kick(&self) {
        self.by_operator.cancel();
        self.token.cancel();
    }

    pub(crate) fn comes(&self) -> WaitForCancellationFuture<'_> {
        self.token.cancelled()
    }

    pub(crate) fn has_come(&self) -> bool {
        self.token.is_cancelled()
    }

    /// An operator wants it to go, and nobody has taken its room.
    pub(crate) fn is_by_operator(&self) -> bool {
        self.by_operator.is_cancelled()
    }
}

impl Publisher {
    pub(super) fn start(stream: Arc<Stream>, claim: Claim, source: Source, now: Instant) -> Self {
        let revoked = stream.begin(&claim, source, now);
        Self {
            stream,
            claim,
            revoked,
        }
    }

    pub(crate) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// What the room takes at most.
    pub(crate) fn room_limits(&self) -> watch::Receiver<Arc<RoomLimits>> {
        self.stream.room_limits()
    }

    /// Sends one frame, with the source's timestamps, to everyone.
    pub(crate) fn push(&self, frame: Frame, now: Instant) -> Result<(), Revoked> {
        let taken = self.stream.push(&self.claim.pair, frame, now);
        if taken { Ok(()) } else { Err(Revoked) }
    }

    /// Comes once this publisher has to go.
    pub(crate) fn revocation(&self) -> Revocation {
        self.revoked.clone()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stream.interrupt(&self.claim.pair, Instant::now());
    }
}
