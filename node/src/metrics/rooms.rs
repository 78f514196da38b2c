//! What is told of single rooms to Prometheus: of a bounded number, and only while they are live.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::series;
use crate::hub::{Hub, Protocol, Quality, Stream, TrackQuality};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Room {
    room: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoomTrack {
    room: String,
    track: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoomProtocol {
    room: String,
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoomReason {
    room: String,
    reason: &'static str,
}

/// Made for one scrape, so that a room that is no longer live leaves no series behind.
#[derive(Debug)]
struct Series {
    viewers: Family<RoomProtocol, Gauge>,
    bytes_in: Family<Room, Counter>,
    bytes_out: Family<RoomProtocol, Counter>,
    ingest_bitrate: Family<RoomTrack, Gauge>,
    frame_rate: Family<RoomTrack, Gauge<f64, AtomicU64>>,
    jitter: Family<RoomTrack, Gauge<f64, AtomicU64>>,
    gop: Family<Room, Gauge<f64, AtomicU64>>,
    frames_dropped: Family<RoomReason, Counter>,
    timestamp_jumps: Family<Room, Counter>,
    viewer_skips: Family<Room, Counter>,
}

/// The series of the rooms that have been live the longest, `rooms_max` of them. `viewers` tells how
/// many watch a stream in one way.
pub(crate) fn render(
    hub: &Hub,
    rooms_max: usize,
    viewers: impl Fn(&Stream, Protocol) -> usize,
) -> String {
    let mut live = hub.streams();
    live.retain(|stream| stream.live_since().is_some());
    live.sort_by_cached_key(|stream| (stream.started_at(), stream.room().clone()));
    live.truncate(rooms_max);

    let mut registry = Registry::with_prefix("isocast_room");
    let series = Series::new(&mut registry);
    for stream in live {
        series.tell(&stream, |protocol| viewers(&stream, protocol));
    }
    let mut text = String::new();
    encode_registry(&mut text, &registry).expect("writing to a String does not fail");
    text
}

impl Series {
    fn new(to: &mut Registry) -> Self {
        Self {
            viewers: series(to, "viewers", "Viewers of a room, by protocol"),
            bytes_in: series(to, "bytes_in", "Bytes of media from a room's publisher"),
            bytes_out: series(
                to,
                "bytes_out",
                "Bytes of media to a room's viewers, by protocol",
            ),
            ingest_bitrate: series(
                to,
                "ingest_bitrate_bps",
                "Bits a second from a room's publisher over the last 10 s, by track",
            ),
            frame_rate: series(
                to,
                "frames_per_second",
                "Frames a second from a room's publisher over the last 10 s, by track",
            ),
            jitter: series(to, "jitter_seconds", "How unevenly frames arrive, by track"),
            gop: series(to, "gop_seconds", "From one key frame to the next"),
            frames_dropped: series(
                to,
                "frames_dropped",
                "Frames that viewers did not get, by reason",
            ),
            timestamp_jumps: series(
                to,
                "timestamp_jumps",
                "Times a publisher's timestamps jumped",
            ),
            viewer_skips: series(
                to,
                "viewer_skips",
                "Times a room's slow viewers skipped to a newer key frame",
            ),
        }
    }

    fn tell(&self, stream: &Stream, viewers: impl Fn(Protocol) -> usize) {
        let room = stream.room().to_string();
        let quality = stream.quality(Instant::now());
        for (track, quality) in [("video", &quality.video), ("audio", &quality.audio)] {
            self.tell_track(&room, track, quality);
        }
        for protocol in Protocol::VIEWERS {
            let bytes_out = stream.traffic().out(protocol);
            self.tell_protocol(&room, protocol, viewers(protocol), bytes_out);
        }
        let Quality { gop, totals, .. } = quality;
        for (reason, frames) in [
            ("resent", totals.frames_resent),
            ("awaiting_key", totals.frames_awaiting_key),
        ] {
            let room = room.clone();
            let reason = RoomReason { room, reason };
            self.frames_dropped.get_or_create(&reason).inc_by(frames);
        }
        let room = Room { room };
        if let Some(gop) = gop {
            let gop_s = gop.ms as f64 / 1000.0;
            self.gop.get_or_create(&room).set(gop_s);
        }
        for (family, count) in [
            (&self.bytes_in, totals.bytes),
            (&self.timestamp_jumps, totals.timestamp_jumps),
            (&self.viewer_skips, stream.traffic().skips()),
        ] {
            family.get_or_create(&room).inc_by(count);
        }
    }

    fn tell_track(&self, room: &str, track: &'static str, quality: &TrackQuality) {
        let room = room.to_owned();
        let track = RoomTrack { room, track };
        let bitrate_bps = i64::try_from(quality.bitrate_bps).unwrap_or(i64::MAX);
        self.ingest_bitrate.get_or_create(&track).set(bitrate_bps);
        let frames_per_s = quality.frames_per_s;
        self.frame_rate.get_or_create(&track).set(frames_per_s);
        let jitter_s = quality.jitter_ms / 1000.0;
        self.jitter.get_or_create(&track).set(jitter_s);
    }

    fn tell_protocol(&self, room: &str, protocol: Protocol, viewers: usize, bytes_out: u64) {
        let protocol = RoomProtocol {
            room: room.to_owned(),
            protocol: protocol.label(),
        };
        self.viewers.get_or_create(&protocol).set(viewers as i64);
        self.bytes_out.get_or_create(&protocol).inc_by(bytes_out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::{Node, publish};

    /// With three viewers of each room by HLS, and none in another way.
    fn text(node: &Node, rooms_max: usize) -> String {
        render(&node.app.hub, rooms_max, |_, protocol| match protocol {
            Protocol::Hls => 3,
            _ => 0,
        })
    }

    #[tokio::test]
    async fn a_room_has_series_while_it_is_live_and_no_longer() {
        let node = Node::start().await;
        assert!(!text(&node, 1).contains("room="));
        let (publisher, stream) = publish(&node);
        stream.count_out(Protocol::Hls, 500);
        let told = text(&node, 1);
        for line in [
            "isocast_room_bytes_in_total{room=\"open\"} 5",
            "isocast_room_bytes_out_total{room=\"open\",protocol=\"hls\"} 500",
            "isocast_room_viewers{room=\"open\",protocol=\"hls\"} 3",
            "isocast_room_viewers{room=\"open\",protocol=\"rtmp\"} 0",
            "isocast_room_frames_dropped_total{room=\"open\",reason=\"resent\"} 0",
        ] {
            assert!(told.lines().any(|it| it == line), "{line} is not in {told}");
        }
        drop(publisher);
        assert!(!text(&node, 1).contains("room="));
    }

    #[tokio::test]
    async fn the_number_of_rooms_is_bounded() {
        let node = Node::start().await;
        let _live = publish(&node);
        assert!(!text(&node, 0).contains("room="));
    }
}
