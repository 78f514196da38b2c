use std::cell::Cell;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use isocast_media::{Codec, Frame, Kind, MediaMs, Track};

use super::meter::{GopLength, Totals};
use super::publisher::Revoked;
use super::*;

mod carry;
mod life;
mod properties;
mod ring;
mod seats;
mod tracks;
mod viewers;

/// For whoever has a hub in a test.
pub(crate) const LIMITS: Limits = Limits {
    ring_bytes_max: 1 << 20,
    hold: Duration::from_secs(15),
    remember: Duration::from_secs(300),
    lag_bytes_max: 256 << 10,
    lag_ms_max: 5000,
    streams_max: 2,
};

fn frame(codec: Codec, kind: Kind, dts: i64, data: &[u8]) -> Frame {
    Frame {
        codec,
        track_id: 0,
        kind,
        dts: MediaMs(dts),
        pts_offset_ms: 0,
        data: Bytes::copy_from_slice(data),
    }
}

fn config(codec: Codec, data: &[u8]) -> Frame {
    frame(codec, Kind::Config, 0, data)
}

fn key(dts: i64) -> Frame {
    frame(Codec::Avc, Kind::Media { key: true }, dts, b"key")
}

fn delta(dts: i64) -> Frame {
    frame(Codec::Avc, Kind::Media { key: false }, dts, b"delta")
}

/// A frame that can be sent by itself.
pub(crate) fn audio(dts: i64) -> Frame {
    frame(Codec::Aac, Kind::Media { key: true }, dts, b"audio")
}

fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

/// A hub, and the epochs of its publishers.
struct World {
    hub: Hub,
    now: Instant,
    epoch: Cell<u64>,
}

impl World {
    fn new() -> Self {
        Self::with(LIMITS)
    }

    fn with(limits: Limits) -> Self {
        Self {
            hub: Hub::new(limits),
            now: Instant::now(),
            epoch: Cell::new(0),
        }
    }

    fn publish(&self, id: &str) -> (Publisher, Arc<Stream>) {
        self.try_publish(id).unwrap()
    }

    fn try_publish(&self, id: &str) -> Result<(Publisher, Arc<Stream>), Full> {
        self.epoch.set(self.epoch.get() + 1);
        let claim = Claim::of(room(id), self.epoch.get());
        self.hub.publish(claim, Source::anyone(), self.now)
    }

    /// The hub as it is this long after the stream's last change of state.
    fn tick(&self, after: Duration) {
        self.hub.tick(Instant::now() + after);
    }
}

impl Publisher {
    fn send(&self, frames: impl IntoIterator<Item = Frame>) {
        for frame in frames {
            self.push(frame, Instant::now()).unwrap();
        }
    }
}

/// What a viewer is told without waiting; `None` where it would wait.
fn told(subscriber: &mut Subscriber) -> Option<Delivery> {
    subscriber.next().now_or_never()
}

/// All items that a viewer gets without waiting.
fn items(subscriber: &mut Subscriber) -> Vec<Item> {
    let mut all = Vec::new();
    while let Some(delivery) = told(subscriber) {
        match delivery {
            Delivery::Items(items) => all.extend(items),
            other => panic!("{other:?}"),
        }
    }
    all
}

/// A word for each item: `J` joins, `V` key frame, `v` other video, `a` audio, `c` description; then room time.
fn words(items: &[Item]) -> Vec<String> {
    let word = |item: &Item| match item {
        Item::Join(gop) => format!("J{}", gop.start().0),
        Item::Frame(slot) => {
            let frame = &slot.frame;
            let letter = match (frame.track(), frame.is_media()) {
                (_, false) => 'c',
                (Track::Video, _) if frame.is_key() => 'V',
                (Track::Video, _) => 'v',
                _ => 'a',
            };
            format!("{letter}{}", frame.dts.0)
        }
    };
    items.iter().map(word).collect()
}
