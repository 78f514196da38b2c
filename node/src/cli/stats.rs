//! A room's statistics as a table for people.

use crate::api::wire::{AudioStats, ByProtocol, State, Stats, VideoStats};

/// A line for each fact, its name first.
pub(super) fn of(stats: &Stats) -> String {
    let mut lines = vec![("room", stats.room.to_string()), ("state", state(stats))];
    if let Some(publisher) = &stats.publisher {
        let encoder = publisher.encoder.as_deref().unwrap_or("an unnamed encoder");
        let from = format!("{encoder} from {}", publisher.address);
        lines.push(("publisher", from));
        lines.push(("key", publisher.key_fingerprint.clone()));
    }
    lines.extend(stats.video.as_ref().map(|it| ("video", video(it))));
    lines.extend(stats.audio.as_ref().map(|it| ("audio", audio(it))));
    let frames = stats.frames;
    let dropped = format!(
        "{} of {} frames sent again, {} before a key frame; {} jumps of timestamps",
        frames.resent, frames.received, frames.awaiting_key, stats.timestamp_jumps
    );
    let viewers = format!(
        "{}; {} skips, {} sent away",
        by_protocol(stats.viewers, |count| count.to_string()),
        stats.viewer_skips,
        stats.viewers_dropped
    );
    lines.extend([
        ("dropped", dropped),
        ("viewers", viewers),
        ("in", bytes(stats.bytes_in)),
        ("out", by_protocol(stats.bytes_out, bytes)),
    ]);
    let lines = lines
        .iter()
        .map(|(name, text)| format!("{name:<11}{text}\n"));
    lines.collect()
}

fn state(stats: &Stats) -> String {
    let word = match stats.state {
        State::Live => "live",
        State::Interrupted => "waiting for its publisher",
    };
    let (hours, rest) = (stats.uptime_s / 3600, stats.uptime_s % 3600);
    format!("{word}, {hours}:{:02}:{:02}", rest / 60, rest % 60)
}

fn video(video: &VideoStats) -> String {
    let is = &video.description;
    let size = is.width.zip(is.height);
    let size = size.map_or(String::new(), |(width, height)| {
        format!(" {width}×{height}")
    });
    let gop = video
        .gop_ms
        .map_or(String::new(), |ms| format!(", a key frame every {ms} ms"));
    format!(
        "{}{size}, {} kbit/s, {} frames/s{gop}, jitter {} ms",
        is.codec, video.bitrate_kbps, video.frames_per_s, video.jitter_ms
    )
}

fn audio(audio: &AudioStats) -> String {
    let is = &audio.description;
    format!(
        "{} {} Hz, {}, {} kbit/s, jitter {} ms",
        is.codec,
        is.sample_rate_hz,
        channels(is.channels),
        audio.bitrate_kbps,
        audio.jitter_ms
    )
}

fn channels(count: u8) -> String {
    match count {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        _ => format!("{count} channels"),
    }
}

fn by_protocol(values: ByProtocol, show: impl Fn(u64) -> String) -> String {
    let ByProtocol {
        rtmp,
        http_flv,
        websocket_flv,
        hls,
    } = values;
    let [rtmp, http_flv, websocket_flv, hls] = [rtmp, http_flv, websocket_flv, hls].map(show);
    format!(
        "{rtmp} by RTMP, {http_flv} by HTTP-FLV, {websocket_flv} by WebSocket-FLV, {hls} by HLS"
    )
}

fn bytes(count: u64) -> String {
    format!("{:.1} MB", count as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_fact_has_its_line() {
        let stats = json!({
            "room": "show", "state": "live", "started_at_ms": 1, "uptime_s": 3725,
            "publisher": {"key_fingerprint": "0123456789abcdef", "address": "192.0.2.1", "encoder": "obs"},
            "bitrate_kbps": 2600,
            "video": {"codec": "avc1.64001f", "width": 1280, "height": 720, "frame_rate": null,
                "bitrate_kbps": 2500, "frames_per_s": 29.9, "jitter_ms": 3.2, "gop_ms": 2000, "gop_frames": 60},
            "audio": {"codec": "mp4a.40.2", "sample_rate_hz": 44100, "channels": 1,
                "bitrate_kbps": 69, "frames_per_s": 43.1, "jitter_ms": 13.5},
            "viewers": {"rtmp": 1, "http_flv": 2, "websocket_flv": 3, "hls": 4},
            "bytes_in": 5_000_000,
            "bytes_out": {"rtmp": 1_000_000, "http_flv": 0, "websocket_flv": 0, "hls": 2_500_000},
            "frames": {"received": 100, "resent": 7, "awaiting_key": 2},
            "timestamp_jumps": 1, "viewer_skips": 5, "viewers_dropped": 0
        });
        let stats: Stats = serde_json::from_value(stats).expect("statistics");
        assert_eq!(
            of(&stats),
            "\
room       show
state      live, 1:02:05
publisher  obs from 192.0.2.1
key        0123456789abcdef
video      avc1.64001f 1280×720, 2500 kbit/s, 29.9 frames/s, a key frame every 2000 ms, jitter 3.2 ms
audio      mp4a.40.2 44100 Hz, mono, 69 kbit/s, jitter 13.5 ms
dropped    7 of 100 frames sent again, 2 before a key frame; 1 jumps of timestamps
viewers    1 by RTMP, 2 by HTTP-FLV, 3 by WebSocket-FLV, 4 by HLS; 5 skips, 0 sent away
in         5.0 MB
out        1.0 MB by RTMP, 0.0 MB by HTTP-FLV, 0.0 MB by WebSocket-FLV, 2.5 MB by HLS
"
        );
    }
}
