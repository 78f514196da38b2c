use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isocast_media::MediaMs;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::life::State;
use super::ring::cost;
use super::stream::{Head, Inner, Stream};
use super::viewer::{Protocol, Viewer};
use super::{Gop, Slot, Tracks};

/// What is there for a viewer.
#[derive(Debug)]
pub(crate) enum Delivery {
    Items(Vec<Item>),
    /// The publisher has gone, and may come back. Said once.
    Interrupted,
    /// The stream is over; it may be live again for whoever asks once more.
    Ended,
    /// The stream is no longer kept here.
    Gone,
    /// It had to skip too often.
    TooSlow,
    /// It is sent away, for this node has too much to do or it takes nothing.
    SentAway,
}

#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// Joins here, for the first time or after a skip: the headers come first.
    Join(Arc<Gop>),
    Frame(Arc<Slot>),
}

/// So many frames are handed over at once: a GOP of a second or two, in one write.
const ITEMS_MAX: usize = 128;
/// And no more than this, but for a single larger frame: while a viewer does not take them they
/// stay in memory, wherever the ring has come to.
const ITEMS_BYTES_MAX: u64 = 1 << 20;
/// So many skips within this time, and the viewer is closed.
const SKIPS_MAX: usize = 3;
const SKIPS_WITHIN: Duration = Duration::from_secs(30);

/// A viewer's cursor. It begins at the newest GOP, and skips to the newest one when it lags.
#[derive(Debug)]
pub(crate) struct Subscriber {
    stream: Arc<Stream>,
    viewer: Viewer,
    tracks: Tracks,
    /// What it has already: it joins where that ends instead of at the newest GOP.
    since: Option<MediaMs>,
    head: watch::Receiver<Head>,
    /// [`Head::dismissals`] when it came.
    dismissals: u32,
    /// The next frame's sequence; `None` before joining.
    cursor: Option<u64>,
    told: State,
    skips: VecDeque<Instant>,
    skips_total: u64,
}

impl Stream {
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
        let head = self.head();
        let dismissals = head.borrow().dismissals;
        Subscriber {
            stream: Arc::clone(self),
            viewer: Viewer::new(self.viewers(), protocol, hangup),
            tracks: Tracks::Default,
            since: None,
            head,
            dismissals,
            cursor: None,
            told: State::Live,
            skips: VecDeque::new(),
            skips_total: 0,
        }
    }
}

impl Subscriber {
    /// The same, for these tracks.
    pub(crate) fn with(self, tracks: Tracks) -> Self {
        Self { tracks, ..self }
    }

    /// The same, for who has everything up to this time.
    pub(crate) fn since(self, since: Option<MediaMs>) -> Self {
        Self { since, ..self }
    }

    pub(crate) fn tracks(&self) -> Tracks {
        self.tracks
    }

    pub(crate) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Times this viewer skipped ahead.
    pub(crate) fn skips_total(&self) -> u64 {
        self.skips_total
    }

    /// Cancelled once it has to go, also while it does not wait here.
    pub(crate) fn hangup(&self) -> CancellationToken {
        self.viewer.seat().hangup().clone()
    }

    /// Waits for what comes next. Safe to drop while waiting: nothing is lost.
    pub(crate) async fn next(&mut self) -> Delivery {
        loop {
            let Head {
                state, dismissals, ..
            } = *self.head.borrow_and_update();
            if dismissals != self.dismissals && self.viewer.protocol().is_viewer() {
                return Delivery::Ended;
            }
            if self.viewer.seat().hangup().is_cancelled() {
                return Delivery::SentAway;
            }
            if let Some(delivery) = self.take(Instant::now()) {
                return delivery;
            }
            if state != self.told {
                self.told = state;
                match state {
                    State::Live => {}
                    State::Interrupted => return Delivery::Interrupted,
                    State::Ended => return Delivery::Ended,
                    State::Gone => return Delivery::Gone,
                }
            }
            tokio::select! {
                changed = self.head.changed() => if changed.is_err() {
                    return Delivery::Gone;
                },
                () = self.viewer.seat().hangup().cancelled() => return Delivery::SentAway,
            }
        }
    }

    /// What is there now; `None` where there is nothing new.
    pub(super) fn take(&mut self, now: Instant) -> Option<Delivery> {
        let stream = Arc::clone(self.stream());
        let inner = stream.read();
        let mut items = Vec::new();
        if self.cursor.is_none() || self.lags(&inner) {
            let gop = match self.since.take() {
                Some(since) => inner.ring.gop_at(since)?,
                None => inner.ring.newest_gop()?,
            };
            let mut slots = inner.ring.from(gop.first());
            if !slots.next().is_some_and(|slot| self.takes(slot)) {
                return None;
            }
            if self.cursor.is_some() && self.counts_too_many_skips(now) {
                stream.traffic().count_dropped_viewer();
                return Some(Delivery::TooSlow);
            }
            items.push(Item::Join(Arc::clone(gop)));
            self.cursor = Some(gop.first());
        }
        let mut cursor = self.cursor?.max(inner.ring.first_sequence());
        let mut taken = 0;
        let mut bytes = 0;
        for slot in inner.ring.from(cursor) {
            if self.takes(slot) {
                bytes += cost(&slot.frame);
                if taken == ITEMS_MAX || taken > 0 && bytes > ITEMS_BYTES_MAX {
                    break;
                }
                items.push(Item::Frame(Arc::clone(slot)));
                taken += 1;
            }
            cursor += 1;
        }
        self.cursor = Some(cursor);
        self.viewer.seat().came(cursor, now);
        debug_assert!(cursor <= inner.ring.next_sequence());
        (!items.is_empty()).then_some(Delivery::Items(items))
    }

    fn takes(&self, slot: &Slot) -> bool {
        let is_here = !(slot.is_carried && self.viewer.protocol().is_of_owner());
        is_here && self.tracks.include(slot.frame.track_id)
    }

    /// Lags too much, with a newer GOP to skip to; or what it would read next is there no more.
    fn lags(&self, inner: &Inner) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        if cursor < inner.ring.first_sequence() {
            return true;
        }
        let limits = self.stream().limits();
        let (bytes, ms) = inner.ring.lag(cursor);
        let is_newer = inner
            .ring
            .newest_gop()
            .is_some_and(|gop| gop.first() > cursor);
        is_newer && (bytes > limits.lag_bytes_max || ms > limits.lag_ms_max)
    }

    fn counts_too_many_skips(&mut self, now: Instant) -> bool {
        self.skips_total += 1;
        if self.viewer.protocol().is_viewer() {
            self.stream().traffic().count_skip();
        }
        self.skips.push_back(now);
        let is_old = |at: &Instant| now.saturating_duration_since(*at) > SKIPS_WITHIN;
        while self.skips.front().is_some_and(is_old) {
            self.skips.pop_front();
        }
        self.viewer.protocol() != Protocol::Packager && self.skips.len() >= SKIPS_MAX
    }
}
