//! The hub: every live stream of this node, from its publisher to its viewers.
//!
//! A publisher puts frames in a bounded ring, one per stream; each viewer walks the ring with a
//! cursor of its own. Nothing here waits for a viewer: who is too slow skips ahead.

mod carrier;
mod follow;
mod gop;
mod headers;
mod life;
mod meter;
mod present;
mod publisher;
mod resend;
mod ring;
mod seat;
mod stream;
mod subscriber;
mod timeline;
mod traffic;
mod viewer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use carrier::{Carrier, NotCarried, Replaced, Upstream};
pub(crate) use gop::Gop;
pub(crate) use headers::{Described, Headers, Tracks};
pub(crate) use life::State;
pub(crate) use meter::{Quality, TrackQuality};
pub(crate) use present::Source;
pub(crate) use publisher::{Publisher, Revocation};
pub(crate) use ring::{Slot, Wire};
pub(crate) use stream::Stream;
pub(crate) use subscriber::{Delivery, Item, Subscriber};
pub(crate) use viewer::Protocol;

use crate::registry::Claim;
use crate::rooms::RoomId;
use crate::sync::Mutex;

/// How much the hub keeps, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of frames kept per stream.
    pub ring_bytes_max: usize,
    /// How long viewers are held after their publisher has gone.
    pub hold: Duration,
    /// How long an ended stream is remembered.
    pub remember: Duration,
    /// Bytes and media time a viewer may lag before it skips.
    pub lag_bytes_max: u64,
    pub lag_ms_max: i64,
    pub streams_max: usize,
}

/// All streams that are live, held or remembered here.
#[derive(Debug)]
pub(crate) struct Hub {
    limits: Limits,
    streams: Mutex<HashMap<RoomId, Arc<Stream>>>,
    /// Streams that are gone and still have viewers, who are to notice.
    leaving: Mutex<Vec<Arc<Stream>>>,
}

/// There is no place for another stream.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node carries {0} streams already and takes no more")]
pub(crate) struct Full(pub usize);

impl Hub {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            streams: Mutex::default(),
            leaving: Mutex::default(),
        }
    }

    /// The stream of a room, if it is live, held or remembered.
    pub(crate) fn stream(&self, room: &RoomId) -> Option<Arc<Stream>> {
        self.streams.lock().get(room).cloned()
    }

    /// All streams, in no order.
    pub(crate) fn streams(&self) -> Vec<Arc<Stream>> {
        self.streams.lock().values().cloned().collect()
    }

    /// Viewers of all streams, without those by HLS: the packager counts them.
    pub(crate) fn viewers(&self) -> usize {
        self.streams
            .lock()
            .values()
            .map(|stream| stream.viewers().total())
            .sum()
    }

    /// Makes the holder of `claim` the publisher of its room; a present one is revoked.
    pub(crate) fn publish(
        &self,
        claim: Claim,
        source: Source,
        now: Instant,
    ) -> Result<(Publisher, Arc<Stream>), Full> {
        let mut streams = self.streams.lock();
        let stream = self.place_of(&mut streams, &claim.room, now)?;
        let publisher = Publisher::start(Arc::clone(&stream), claim, source, now);
        Ok((publisher, stream))
    }

    /// Takes the frames of a room from another node; viewers of both are viewers of one stream.
    pub(crate) fn carry(
        &self,
        room: &RoomId,
        upstream: Upstream,
        now: Instant,
    ) -> Result<(Carrier, Arc<Stream>), NotCarried> {
        let mut streams = self.streams.lock();
        let stream = self.place_of(&mut streams, room, now)?;
        let carrier = Carrier::start(Arc::clone(&stream), upstream, now)?;
        Ok((carrier, stream))
    }

    /// A room's stream, made where there is none.
    fn place_of(
        &self,
        streams: &mut HashMap<RoomId, Arc<Stream>>,
        room: &RoomId,
        now: Instant,
    ) -> Result<Arc<Stream>, Full> {
        if let Some(stream) = streams.get(room) {
            return Ok(Arc::clone(stream));
        }
        self.make_place(streams)?;
        let stream = Arc::new(Stream::new(room.clone(), self.limits, now));
        streams.insert(room.clone(), Arc::clone(&stream));
        Ok(stream)
    }

    /// Streams that are over give way to new ones, the longest unused first.
    fn make_place(&self, streams: &mut HashMap<RoomId, Arc<Stream>>) -> Result<(), Full> {
        if streams.len() < self.limits.streams_max {
            return Ok(());
        }
        let ended = streams
            .values()
            .filter(|stream| stream.state() == State::Ended);
        let oldest = ended.min_by_key(|stream| stream.last_use());
        let oldest = oldest.map(|stream| stream.room().clone());
        let gone = oldest.and_then(|room| streams.remove(&room));
        let gone = gone.ok_or(Full(streams.len()))?;
        gone.end();
        self.see_off(gone);
        Ok(())
    }

    /// Ends a room's stream at once, for its viewers too: the room is gone.
    pub(crate) fn remove(&self, room: &RoomId) {
        if let Some(stream) = self.streams.lock().remove(room) {
            stream.end();
            self.see_off(stream);
        }
    }

    /// Ends all streams: this node is stopping.
    pub(crate) fn end_all(&self) {
        for (_, stream) in self.streams.lock().drain() {
            stream.end();
        }
    }

    /// Moves streams on as time passes: held ones end, ended ones are forgotten. Call it about
    /// once a second.
    pub(crate) fn tick(&self, now: Instant) {
        self.streams.lock().retain(|_, stream| {
            stream.end_if_hold_is_over(now);
            let forgotten = stream.is_forgotten(now);
            if forgotten {
                self.see_off(Arc::clone(stream));
            }
            !forgotten
        });
    }

    /// Sends away up to `count` viewers who are `behind_ms` or more of media behind, the furthest
    /// first; how many.
    pub(crate) fn shed(&self, count: usize, behind_ms: i64) -> usize {
        seat::shed(&self.streams(), count, behind_ms)
    }

    /// Sends away viewers who have not come for what is there for `stall`; how many. Their
    /// connections may be alive: over HTTP/2 a viewer can close its window and answer pings.
    pub(crate) fn send_away_stalled(&self, now: Instant, stall: Duration) -> usize {
        let mut leaving = self.leaving.lock();
        leaving.retain(|stream| !stream.viewers().seats().is_empty());
        let gone = seat::send_away_stalled(&leaving, now, stall);
        drop(leaving);
        gone + seat::send_away_stalled(&self.streams(), now, stall)
    }

    fn see_off(&self, stream: Arc<Stream>) {
        self.leaving.lock().push(stream);
    }
}

#[cfg(test)]
pub(crate) mod tests;
