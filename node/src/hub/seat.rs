use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::life::State;
use super::stream::Stream;

use crate::sync::Mutex;

/// Where one viewer is, for whoever looks at all of them: a viewer whose connection takes nothing
/// cannot be asked.
#[derive(Debug)]
pub(super) struct Seat {
    /// The next frame it will come for; [`NOT_JOINED`] before the first.
    cursor: AtomicU64,
    since: Instant,
    /// When it last came for frames, in milliseconds after `since`.
    came_ms: AtomicU64,
    /// Cancelled to send it away, wherever its connection waits.
    hangup: CancellationToken,
}

const NOT_JOINED: u64 = u64::MAX;

impl Seat {
    pub(super) fn new(hangup: CancellationToken) -> Self {
        Self {
            cursor: AtomicU64::new(NOT_JOINED),
            since: Instant::now(),
            came_ms: AtomicU64::new(0),
            hangup,
        }
    }

    pub(super) fn hangup(&self) -> &CancellationToken {
        &self.hangup
    }

    pub(super) fn came(&self, cursor: u64, now: Instant) {
        let ms = now.saturating_duration_since(self.since).as_millis() as u64;
        self.came_ms.store(ms, Ordering::Relaxed);
        self.cursor.store(cursor, Ordering::Relaxed);
    }

    fn last_came(&self) -> Instant {
        self.since + Duration::from_millis(self.came_ms.load(Ordering::Relaxed))
    }

    fn cursor(&self) -> Option<u64> {
        let cursor = self.cursor.load(Ordering::Relaxed);
        (cursor != NOT_JOINED).then_some(cursor)
    }
}

/// The viewers of one stream.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    by_number: HashMap<u64, Arc<Seat>>,
    next: u64,
}

impl Seats {
    pub(super) fn take(&self, seat: &Arc<Seat>) -> u64 {
        let mut taken = self.0.lock();
        let number = taken.next;
        taken.next += 1;
        taken.by_number.insert(number, Arc::clone(seat));
        number
    }

    pub(super) fn leave(&self, number: u64) {
        self.0.lock().by_number.remove(&number);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().by_number.is_empty()
    }

    fn all(&self) -> Vec<Arc<Seat>> {
        let taken = self.0.lock();
        let staying = taken.by_number.values();
        let staying = staying.filter(|seat| !seat.hangup.is_cancelled());
        staying.cloned().collect()
    }
}

/// A viewer and how far it is behind.
struct Behind {
    seat: Arc<Seat>,
    bytes: u64,
    ms: i64,
}

/// Sends away up to `count` viewers who are `ms_min` or more behind, the furthest first; how many.
pub(super) fn shed(streams: &[Arc<Stream>], count: usize, ms_min: i64) -> usize {
    let mut behind: Vec<_> = streams.iter().flat_map(|stream| lags(stream)).collect();
    behind.retain(|viewer| viewer.ms >= ms_min);
    behind.sort_unstable_by_key(|viewer| std::cmp::Reverse((viewer.bytes, viewer.ms)));
    behind.truncate(count);
    behind.iter().for_each(|viewer| viewer.seat.hangup.cancel());
    behind.len()
}

/// Sends away whoever has not come for frames for `stall` although there are some, or although the
/// stream is over; how many.
pub(super) fn send_away_stalled(streams: &[Arc<Stream>], now: Instant, stall: Duration) -> usize {
    let mut gone = 0;
    for stream in streams {
        let is_over = matches!(stream.state(), State::Ended | State::Gone);
        for viewer in lags(stream) {
            let idle = now.saturating_duration_since(viewer.seat.last_came());
            if idle >= stall && (is_over || viewer.bytes > 0) {
                viewer.seat.hangup.cancel();
                gone += 1;
            }
        }
    }
    gone
}

/// How far each viewer of a stream is behind. Who has not joined has nothing to come for.
fn lags(stream: &Stream) -> Vec<Behind> {
    let seats = stream.viewers().seats().all();
    let inner = stream.read();
    let lag = |seat: Arc<Seat>| {
        let (bytes, ms) = inner.ring.lag(seat.cursor()?);
        Some(Behind { seat, bytes, ms })
    };
    seats.into_iter().filter_map(lag).collect()
}
