use std::sync::Arc;
use std::time::Instant;

use isocast_media::Frame;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Source, Stream};
use crate::registry::Claim;
use crate::rooms::RoomLimits;

/// The right to publish a room. Dropping it leaves the room to the next publisher, and its
/// viewers on hold.
#[derive(Debug)]
pub(crate) struct Publisher {
    stream: Arc<Stream>,
    claim: Claim,
    revoked: CancellationToken,
}

/// Another publisher has the room now, or the room is gone.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("another publisher has taken the room over")]
pub(crate) struct Revoked;

impl Publisher {
    pub(super) fn start(stream: Arc<Stream>, claim: Claim, now: Instant) -> Self {
        let revoked = stream.begin(&claim, now);
        Self {
            stream,
            claim,
            revoked,
        }
    }

    pub(crate) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Says who it is.
    pub(crate) fn introduce(&self, source: Source) {
        self.stream.introduce(self.claim.epoch, source);
    }

    /// What the room takes at most.
    pub(crate) fn room_limits(&self) -> watch::Receiver<Arc<RoomLimits>> {
        self.stream.room_limits()
    }

    /// Sends one frame, with the source's timestamps, to everyone.
    pub(crate) fn push(&self, frame: Frame, now: Instant) -> Result<(), Revoked> {
        let taken = self.stream.push(self.claim.epoch, frame, now);
        if taken { Ok(()) } else { Err(Revoked) }
    }

    /// Cancelled once this publisher has to go.
    pub(crate) fn revocation(&self) -> CancellationToken {
        self.revoked.clone()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stream.interrupt(self.claim.epoch, Instant::now());
    }
}
