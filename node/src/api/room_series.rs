//! What is told of single rooms to Prometheus: of a bounded number, and only while they are live.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::app::App;
use crate::hub::{Protocol, Quality, State, Stream};
use crate::metrics::add;

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
#[derive(Debug, Default)]
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

/// The series of the rooms that have been live the longest, `metrics.rooms_max` of them.
pub(crate) fn render(app: &App) -> String {
    let mut live = app.hub.streams();
    live.retain(|stream| stream.state() == State::Live);
    live.sort_by_cached_key(|stream| (stream.started_at(), stream.room().clone()));
    live.truncate(app.config.metrics.rooms_max);
    let series = Series::default();
    live.iter().for_each(|stream| series.tell(app, stream));

    let mut registry = Registry::with_prefix("isocast_room");
    series.register(&mut registry);
    let mut text = String::new();
    encode_registry(&mut text, &registry).expect("writing to a String does not fail");
    text
}

impl Series {
    fn tell(&self, app: &App, stream: &Stream) {
        let room = stream.room().to_string();
        let alone = Room { room: room.clone() };
        let quality = stream.quality(Instant::now());
        let Quality {
            video,
            audio,
            gop,
            totals,
            ..
        } = quality;
        for (track, quality) in [("video", video), ("audio", audio)] {
            let track = RoomTrack {
                room: room.clone(),
                track,
            };
            let bitrate_bps = i64::try_from(quality.bitrate_bps).unwrap_or(i64::MAX);
            self.ingest_bitrate.get_or_create(&track).set(bitrate_bps);
            let frames_per_s = quality.frames_per_s;
            self.frame_rate.get_or_create(&track).set(frames_per_s);
            let jitter_s = quality.jitter_ms / 1000.0;
            self.jitter.get_or_create(&track).set(jitter_s);
        }
        if let Some(gop) = gop {
            let gop_s = gop.ms as f64 / 1000.0;
            self.gop.get_or_create(&alone).set(gop_s);
        }
        for protocol in Protocol::VIEWERS {
            let viewers = app.viewers(stream, protocol);
            let bytes = stream.traffic().out(protocol);
            let protocol = RoomProtocol {
                room: room.clone(),
                protocol: protocol.label(),
            };
            self.viewers.get_or_create(&protocol).set(viewers as i64);
            self.bytes_out.get_or_create(&protocol).inc_by(bytes);
        }
        for (reason, frames) in [
            ("resent", totals.frames_resent),
            ("awaiting_key", totals.frames_awaiting_key),
        ] {
            let reason = RoomReason {
                room: room.clone(),
                reason,
            };
            self.frames_dropped.get_or_create(&reason).inc_by(frames);
        }
        let counts = [
            (&self.bytes_in, totals.bytes),
            (&self.timestamp_jumps, totals.timestamp_jumps),
            (&self.viewer_skips, stream.traffic().skips()),
        ];
        for (family, count) in counts {
            family.get_or_create(&alone).inc_by(count);
        }
    }

    fn register(&self, to: &mut Registry) {
        let name = "viewers";
        add(to, name, "Viewers of a room, by protocol", &self.viewers);
        let help = "Bytes of media from a room's publisher";
        add(to, "bytes_in", help, &self.bytes_in);
        let help = "Bytes of media to a room's viewers, by protocol";
        add(to, "bytes_out", help, &self.bytes_out);
        let help = "Bits a second from a room's publisher over the last 10 s, by track";
        add(to, "ingest_bitrate_bps", help, &self.ingest_bitrate);
        let help = "Frames a second from a room's publisher over the last 10 s, by track";
        add(to, "frames_per_second", help, &self.frame_rate);
        let help = "How unevenly frames arrive, by track";
        add(to, "jitter_seconds", help, &self.jitter);
        let help = "From one key frame to the next";
        add(to, "gop_seconds", help, &self.gop);
        let help = "Frames that viewers did not get, by reason";
        add(to, "frames_dropped", help, &self.frames_dropped);
        let help = "Times a publisher's timestamps jumped";
        add(to, "timestamp_jumps", help, &self.timestamp_jumps);
        let help = "Times a room's slow viewers skipped to a newer key frame";
        add(to, "viewer_skips", help, &self.viewer_skips);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::{Node, publish};
    use crate::config::Config;
    use crate::rooms::memory::Memory;

    #[tokio::test]
    async fn a_room_has_series_while_it_is_live_and_no_longer() {
        let node = Node::start().await;
        assert!(!render(&node.app).contains("room="));
        let (publisher, stream) = publish(&node);
        stream.count_out(Protocol::Hls, 500);
        let text = render(&node.app);
        for line in [
            "isocast_room_bytes_in_total{room=\"open\"} 5",
            "isocast_room_bytes_out_total{room=\"open\",protocol=\"hls\"} 500",
            "isocast_room_viewers{room=\"open\",protocol=\"rtmp\"} 0",
            "isocast_room_frames_dropped_total{room=\"open\",reason=\"resent\"} 0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in {text}");
        }
        drop(publisher);
        assert!(!render(&node.app).contains("room="));
    }

    #[tokio::test]
    async fn the_number_of_rooms_is_bounded() {
        let mut config = Config::default();
        config.metrics.rooms_max = 0;
        let node = Node::with(config, std::sync::Arc::new(Memory::new())).await;
        let _live = publish(&node);
        assert!(!render(&node.app).contains("room="));
    }
}
