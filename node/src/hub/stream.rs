use std::sync::{Arc, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use isocast_claims::Pair;
use isocast_media::{Codec, Frame, Kind, Track, UnixMs};
use tokio::sync::watch;

use super::carrier::Carried;
use super::follow::Follow;
use super::life::State;
use super::meter::{Meter, Quality};
use super::present::{Present, Source};
use super::ring::Ring;
use super::timeline::Timeline;
use super::traffic::Traffic;
use super::viewer::{Protocol, Viewers};
use super::{Headers, Limits, Tracks};
use crate::rooms::{RoomId, RoomLimits};
use crate::sync::RwLock;

/// What viewers wait for: frames up to `next`, or a change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) next: u64,
    pub(super) state: State,
    /// How often all viewers were sent away: whoever came before the last time has to go.
    pub(super) dismissals: u32,
}

/// One room's stream: a ring of frames, a publisher now and then, viewers.
#[derive(Debug)]
pub(crate) struct Stream {
    room: RoomId,
    limits: Limits,
    inner: RwLock<Inner>,
    head: watch::Sender<Head>,
    viewers: Arc<Viewers>,
    traffic: Traffic,
    room_limits: watch::Sender<Arc<RoomLimits>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) ring: Ring,
    pub(super) timeline: Timeline,
    pub(super) follow: Follow,
    pub(super) meter: Meter,
    pub(super) present: Option<Present>,
    /// Where it comes from, or came from last, where that is another node.
    pub(super) carried: Option<Carried>,
    /// Of the newest publisher, present or gone.
    pub(super) source: Option<Source>,
    pub(super) state: State,
    pub(super) state_since: Instant,
    pub(super) last_access: Instant,
    pub(super) started_at: UnixMs,
    /// Of the newest publisher.
    pub(super) pair: Option<Pair>,
}

impl Stream {
    pub(super) fn new(room: RoomId, limits: Limits, now: Instant) -> Self {
        let head = Head {
            next: 0,
            state: State::Interrupted,
            dismissals: 0,
        };
        Self {
            room,
            limits,
            inner: RwLock::new(Inner {
                ring: Ring::new(limits.ring_bytes_max),
                timeline: Timeline::default(),
                follow: Follow::default(),
                meter: Meter::new(now),
                present: None,
                carried: None,
                source: None,
                state: State::Interrupted,
                state_since: now,
                last_access: now,
                started_at: UnixMs(0),
                pair: None,
            }),
            head: watch::Sender::new(head),
            viewers: Arc::default(),
            traffic: Traffic::default(),
            room_limits: watch::Sender::default(),
        }
    }

    pub(crate) fn room(&self) -> &RoomId {
        &self.room
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn viewers(&self) -> &Arc<Viewers> {
        &self.viewers
    }

    /// What the room takes at most from now on, of its present publisher too.
    pub(crate) fn set_room_limits(&self, limits: RoomLimits) {
        self.room_limits.send_replace(Arc::new(limits));
    }

    pub(crate) fn room_limits(&self) -> watch::Receiver<Arc<RoomLimits>> {
        self.room_limits.subscribe()
    }

    /// `None` where any number is taken.
    pub(crate) fn viewers_max(&self) -> Option<usize> {
        let max = self.room_limits.borrow().viewers_max;
        max.map(|max| max.get() as usize)
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// A viewer was given so many bytes.
    pub(crate) fn count_out(&self, protocol: Protocol, bytes: u64) {
        self.traffic.count(protocol, bytes);
    }

    /// What the newest publisher sends, or sent.
    pub(crate) fn quality(&self, now: Instant) -> Quality {
        self.read().meter.read(now)
    }

    /// What describes the stream now.
    pub(crate) fn headers(&self) -> Headers {
        self.read().ring.headers().clone()
    }

    /// What the publisher's video and audio are coded as, as far as it has told.
    pub(crate) fn codecs(&self) -> impl Iterator<Item = Codec> + use<> {
        let inner = self.read();
        let headers = inner.ring.headers();
        let codecs = [Track::Video, Track::Audio].map(|track| headers.codec(track));
        codecs.into_iter().flatten()
    }

    /// The newest key frame of the default video track, after what describes it; `None` without
    /// video.
    pub(crate) fn newest_picture(&self) -> Option<Vec<Frame>> {
        let inner = self.read();
        let gop = inner.ring.newest_gop()?;
        let is_default = |frame: &Frame| frame.track() == Track::Video && frame.track_id == 0;
        let mut frames: Vec<Frame> = gop
            .header_frames(Tracks::Default)
            .filter(|frame| is_default(frame) && frame.kind == Kind::Config)
            .collect();
        let mut frames_of_gop = inner.ring.from(gop.first()).map(|slot| &slot.frame);
        let key = frames_of_gop.find(|frame| is_default(frame) && frame.is_key())?;
        frames.push(key.clone());
        Some(frames)
    }

    /// Sends all viewers away; the publisher, and the packager, go on.
    pub(crate) fn dismiss_viewers(&self) {
        self.head.send_modify(|head| head.dismissals += 1);
    }

    /// Returns at the next frame or change of state.
    pub(crate) async fn changed(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.head.subscribe().changed().await;
    }

    /// For one viewer, who is told of every change from now on.
    pub(super) fn head(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    pub(super) fn change_head(&self, change: impl FnOnce(&mut Head)) {
        self.head.send_modify(change);
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read()
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write()
    }
}
