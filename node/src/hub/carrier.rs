use std::sync::Arc;
use std::time::Instant;

use isocast_claims::{NodeId, Pair};
use isocast_media::{Frame, MediaMs};
use tokio_util::sync::CancellationToken;

use super::Full;
use super::life::State;
use super::stream::{Inner, Stream};
use super::timeline::Place;
use crate::clock::unix_now;

/// Where a stream comes from whose publisher another node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    pub pair: Pair,
    /// The nodes that it comes by, its publisher's first.
    pub path: Vec<NodeId>,
}

/// The right to put what another node sends into a room's stream. Dropping it leaves viewers on hold, as when a
/// publisher loses its connection.
#[derive(Debug)]
pub(crate) struct Carrier {
    stream: Arc<Stream>,
    pair: Pair,
    revoked: CancellationToken,
}

/// Something took the carrier's place: a publisher of this node, a higher claim, or the end of the room.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream is taken from elsewhere by now, or its room is gone")]
pub(crate) struct Replaced;

/// Why a room's frames are not taken from another node.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotCarried {
    #[error(transparent)]
    Full(#[from] Full),
    #[error("this node has a publisher of the room itself")]
    Published,
    #[error("this node knows of a higher claim of the room")]
    Stale,
}

/// What a stream knows of where it is carried from.
#[derive(Debug)]
pub(super) struct Carried {
    upstream: Arc<Upstream>,
    /// Of the present carrier; `None` once that is gone.
    revoked: Option<CancellationToken>,
}

impl Carrier {
    pub(super) fn start(
        stream: Arc<Stream>,
        upstream: Upstream,
        now: Instant,
    ) -> Result<Self, NotCarried> {
        let pair = upstream.pair.clone();
        let revoked = stream.begin_carrying(upstream, now)?;
        Ok(Self {
            stream,
            pair,
            revoked,
        })
    }

    /// Sends one frame, which its node has placed in room time, to everyone. `breaks`: it need not go on where
    /// the last one was.
    pub(crate) fn push(&self, frame: Frame, breaks: bool, now: Instant) -> Result<(), Replaced> {
        let mut inner = self.stream.write();
        if self.revoked.is_cancelled() {
            return Err(Replaced);
        }
        let inner = &mut *inner;
        let head = inner.timeline.head();
        let Place::At {
            time,
            discontinuity,
        } = inner.follow.place(&frame, breaks, head, now)
        else {
            return Ok(());
        };
        if frame.is_media() {
            inner.timeline.advance(time, now);
        }
        let frame = Frame { dts: time, ..frame };
        if inner.ring.push(frame, self.pair.clone(), discontinuity) {
            let next = inner.ring.next_sequence();
            self.stream.change_head(|head| head.next = next);
        }
        if inner.state != State::Live {
            self.stream.enter(inner, State::Live, now);
        }
        Ok(())
    }

    /// The publisher has gone, and may come back: viewers are held.
    pub(crate) fn hold(&self, now: Instant) {
        let mut inner = self.stream.write();
        if !self.revoked.is_cancelled() && inner.state == State::Live {
            self.stream.enter(&mut inner, State::Interrupted, now);
        }
    }

    /// The stream is over where it comes from, or nobody here watches it.
    pub(crate) fn end(self, now: Instant) {
        let mut inner = self.stream.write();
        if !self.revoked.is_cancelled() {
            inner.stop_carrying();
            self.stream.finish(&mut inner, now);
        }
    }

    /// Comes once it has to give way.
    pub(crate) fn revocation(&self) -> CancellationToken {
        self.revoked.clone()
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let mut inner = self.stream.write();
        if self.revoked.is_cancelled() {
            return;
        }
        inner.stop_carrying();
        if inner.state == State::Live {
            self.stream
                .enter(&mut inner, State::Interrupted, Instant::now());
        }
    }
}

impl Stream {
    fn begin_carrying(
        &self,
        upstream: Upstream,
        now: Instant,
    ) -> Result<CancellationToken, NotCarried> {
        let mut inner = self.write();
        if inner.present.is_some() {
            return Err(NotCarried::Published);
        }
        if inner
            .pair
            .as_ref()
            .is_some_and(|pair| *pair > upstream.pair)
        {
            return Err(NotCarried::Stale);
        }
        inner.stop_carrying();
        let goes_on = inner.pair.as_ref() == Some(&upstream.pair) && inner.carried.is_some();
        if !goes_on {
            inner.ring.restart(true);
            inner.started_at = unix_now();
        }
        let published = inner.timeline.hand_over();
        inner.follow.restart(goes_on, published);
        inner.pair = Some(upstream.pair.clone());
        inner.source = None;
        let revoked = CancellationToken::new();
        inner.carried = Some(Carried {
            upstream: Arc::new(upstream),
            revoked: Some(revoked.clone()),
        });
        self.enter(&mut inner, State::Live, now);
        Ok(revoked)
    }

    /// Where it comes from; `None` where its newest publisher is this node's.
    pub(crate) fn upstream(&self) -> Option<Arc<Upstream>> {
        let inner = self.read();
        let carried = inner.carried.as_ref()?;
        Some(Arc::clone(&carried.upstream))
    }

    /// How far it was carried, in the room time of where it came from; `None` where nobody waits for it to go on.
    pub(crate) fn carried_to(&self) -> Option<MediaMs> {
        let inner = self.read();
        let is_held = matches!(inner.state, State::Live | State::Interrupted);
        let is_carried = is_held && inner.carried.is_some();
        inner.follow.reached().filter(|_| is_carried)
    }
}

impl Inner {
    /// The present carrier, if there is one, has to give way.
    pub(super) fn stop_carrying(&mut self) {
        if let Some(revoked) = self
            .carried
            .as_mut()
            .and_then(|carried| carried.revoked.take())
        {
            revoked.cancel();
        }
    }
}
