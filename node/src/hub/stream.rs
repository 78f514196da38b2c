use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLockReadGuard};
use std::time::Instant;

use isocast_media::{Codec, Frame, Kind, Track, UnixMs};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::meter::{Dropped, Meter, Quality};
use super::publisher::Revocation;
use super::ring::Ring;
use super::seat::Seats;
use super::subscriber::{Protocol, Subscriber, Viewer};
use super::timeline::{Place, Timeline};
use super::traffic::Traffic;
use super::{Headers, Limits, Tracks};
use crate::clock::unix_now;
use crate::registry::Claim;
use crate::rooms::{RoomId, RoomLimits};
use crate::sync::RwLock;

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Live,
    /// Its publisher has gone; viewers are held for it to come back.
    Interrupted,
    /// It is over. A new publisher makes it live again.
    Ended,
    /// It is no longer remembered here.
    Gone,
}

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
    viewers: Viewers,
    seats: Seats,
    traffic: Traffic,
    room_limits: watch::Sender<Arc<RoomLimits>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) ring: Ring,
    timeline: Timeline,
    meter: Meter,
    present: Option<Present>,
    state: State,
    state_since: Instant,
    last_access: Instant,
    started_at: UnixMs,
    /// Of the newest publisher.
    epoch: u64,
}

/// Who publishes, for those who look after the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub key_fingerprint: String,
    pub key_is_minted: bool,
    pub address: IpAddr,
}

/// A publisher was sent away.
#[derive(Debug)]
pub(crate) struct Kicked {
    pub source: Option<Source>,
}

/// The publisher of a live stream.
#[derive(Debug)]
struct Present {
    epoch: u64,
    source: Option<Source>,
    revoked: Revocation,
    last_frame: Instant,
    /// Its key is no longer the room's: it goes on, but a newcomer wins at once.
    gives_way: bool,
}

/// Viewers by protocol.
#[derive(Debug, Default)]
pub(crate) struct Viewers([AtomicUsize; Protocol::COUNT]);

impl Viewers {
    pub(crate) fn total(&self) -> usize {
        self.0
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    pub(crate) fn by(&self, protocol: Protocol) -> usize {
        self.of(protocol).load(Ordering::Relaxed)
    }

    pub(super) fn of(&self, protocol: Protocol) -> &AtomicUsize {
        &self.0[protocol as usize]
    }
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
                meter: Meter::new(now),
                present: None,
                state: State::Interrupted,
                state_since: now,
                last_access: now,
                started_at: UnixMs(0),
                epoch: 0,
            }),
            head: watch::Sender::new(head),
            viewers: Viewers::default(),
            seats: Seats::default(),
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

    pub(crate) fn state(&self) -> State {
        self.read().state
    }

    /// When the newest publisher began.
    pub(crate) fn started_at(&self) -> UnixMs {
        self.read().started_at
    }

    /// The newest publisher's.
    pub(crate) fn epoch(&self) -> u64 {
        self.read().epoch
    }

    pub(crate) fn viewers(&self) -> &Viewers {
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

    pub(super) fn seats(&self) -> &Seats {
        &self.seats
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

    /// When the present publisher began; `None` where the stream is not live.
    pub(crate) fn live_since(&self) -> Option<UnixMs> {
        let inner = self.read();
        (inner.state == State::Live).then_some(inner.started_at)
    }

    /// The room has a new key: whoever comes with it replaces the present publisher.
    pub(crate) fn give_way(&self) {
        if let Some(present) = self.inner.write().present.as_mut() {
            present.gives_way = true;
        }
    }

    /// Sends the publisher away; its viewers are held as if it had lost its connection.
    pub(crate) fn dismiss_publisher(&self) {
        let mut inner = self.inner.write();
        if let Some(present) = inner.present.take() {
            present.revoked.revoke();
            self.enter(&mut inner, State::Interrupted, Instant::now());
        }
    }

    /// When the present publisher last sent something, or began; `None` where there is none, and
    /// where it gives way to any newcomer.
    pub(crate) fn last_frame(&self) -> Option<Instant> {
        let inner = self.read();
        let present = inner.present.as_ref();
        let present = present.filter(|present| !present.gives_way);
        present.map(|present| present.last_frame)
    }

    /// Who publishes now, where it is known.
    pub(crate) fn source(&self) -> Option<Source> {
        let inner = self.read();
        inner.present.as_ref()?.source.clone()
    }

    /// Returns at the next frame or change of state.
    pub(crate) async fn changed(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.head.subscribe().changed().await;
    }

    /// A viewer's way in, counted for as long as it lives.
    pub(crate) fn subscribe(self: &Arc<Self>, protocol: Protocol) -> Subscriber {
        self.subscribe_from(protocol, CancellationToken::new())
    }

    /// The same for a viewer whose connection ends when `hangup` is cancelled.
    pub(crate) fn subscribe_from(
        self: &Arc<Self>,
        protocol: Protocol,
        hangup: CancellationToken,
    ) -> Subscriber {
        self.touch(Instant::now());
        let viewer = Viewer::new(Arc::clone(self), protocol, hangup);
        Subscriber::new(viewer, self.head.subscribe())
    }

    /// The stream is of use to someone: it is remembered longer.
    pub(crate) fn touch(&self, now: Instant) {
        self.inner.write().last_access = now;
    }

    pub(super) fn last_use(&self) -> Instant {
        self.read().last_use()
    }

    /// Makes the claim's holder the publisher; the present one learns that it is no longer.
    pub(super) fn begin(&self, claim: &Claim, now: Instant) -> Revocation {
        let revoked = Revocation::default();
        let mut inner = self.inner.write();
        if let Some(old) = inner.present.take() {
            old.revoked.revoke();
        }
        inner.present = Some(Present {
            epoch: claim.epoch,
            source: None,
            revoked: revoked.clone(),
            last_frame: now,
            gives_way: false,
        });
        inner.ring.restart();
        inner.timeline.restart();
        inner.meter = Meter::new(now);
        self.traffic.restart();
        inner.started_at = unix_now();
        inner.epoch = claim.epoch;
        self.enter(&mut inner, State::Live, now);
        revoked
    }

    /// Keeps who the publisher with this epoch is.
    pub(super) fn introduce(&self, epoch: u64, source: Source) {
        let mut inner = self.inner.write();
        let present = inner.present.as_mut();
        if let Some(present) = present.filter(|present| present.epoch == epoch) {
            present.source = Some(source);
        }
    }

    /// Takes a frame of the publisher with this epoch; false where another one took its place.
    pub(super) fn push(&self, epoch: u64, frame: Frame, now: Instant) -> bool {
        let mut inner = self.inner.write();
        let inner = &mut *inner;
        let Some(present) = inner
            .present
            .as_mut()
            .filter(|present| present.epoch == epoch)
        else {
            return false;
        };
        present.last_frame = now;
        inner.meter.note(&frame, now);
        let Place::At {
            time,
            discontinuity,
        } = inner.timeline.place(&frame, now)
        else {
            inner.meter.note_dropped(Dropped::Resent);
            return true;
        };
        let is_media = frame.is_media();
        let frame = Frame { dts: time, ..frame };
        if inner.ring.push(frame, epoch, discontinuity) {
            let next = inner.ring.next_sequence();
            self.head.send_modify(|head| head.next = next);
        } else if is_media {
            inner.meter.note_dropped(Dropped::AwaitsKey);
        }
        true
    }

    /// The publisher with this epoch has gone: viewers are held.
    pub(super) fn interrupt(&self, epoch: u64, now: Instant) {
        let mut inner = self.inner.write();
        if inner
            .present
            .as_ref()
            .is_some_and(|present| present.epoch == epoch)
        {
            inner.present = None;
            self.enter(&mut inner, State::Interrupted, now);
        }
    }

    /// Sends the present publisher away as an operator wishes; viewers are held. Who it was, where
    /// there was one.
    pub(crate) fn kick(&self, now: Instant) -> Option<Kicked> {
        let mut inner = self.inner.write();
        let present = inner.present.take()?;
        present.revoked.kick();
        self.enter(&mut inner, State::Interrupted, now);
        Some(Kicked {
            source: present.source,
        })
    }

    pub(super) fn end_if_hold_is_over(&self, now: Instant) {
        let mut inner = self.inner.write();
        let held = now.saturating_duration_since(inner.state_since);
        if inner.state == State::Interrupted && held >= self.limits.hold {
            inner.ring.clear();
            inner.timeline.end();
            self.enter(&mut inner, State::Ended, now);
        }
    }

    /// Ends it at once, and for good.
    pub(super) fn end(&self) {
        let mut inner = self.inner.write();
        if let Some(present) = inner.present.take() {
            present.revoked.revoke();
        }
        self.enter(&mut inner, State::Gone, Instant::now());
    }

    /// True once it has ended and nobody has asked for it for a while; it is gone then.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        let mut inner = self.inner.write();
        let forgotten = inner.state == State::Ended
            && now.saturating_duration_since(inner.last_use()) >= self.limits.remember;
        if forgotten {
            self.enter(&mut inner, State::Gone, now);
        }
        forgotten
    }

    fn enter(&self, inner: &mut Inner, state: State, now: Instant) {
        inner.state = state;
        inner.state_since = now;
        self.head.send_modify(|head| head.state = state);
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read()
    }
}

impl Inner {
    fn last_use(&self) -> Instant {
        self.state_since.max(self.last_access)
    }
}
