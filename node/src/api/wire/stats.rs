use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::api::live::{Audio, Video};
use crate::rooms::RoomId;

/// What a room's publisher sends and its viewers get. Counts begin with the present publisher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stats {
    pub room: RoomId,
    pub state: State,
    pub started_at_ms: i64,
    pub uptime_s: u64,
    /// `null` while the room is held for its publisher to come back.
    pub publisher: Option<Source>,
    /// Of all that comes in, over the last 10 s.
    pub bitrate_kbps: u64,
    pub video: Option<VideoStats>,
    pub audio: Option<AudioStats>,
    pub viewers: ByProtocol,
    pub bytes_in: u64,
    pub bytes_out: ByProtocol,
    pub frames: Frames,
    /// Times a track's timestamps went back, or ahead of the clock by more than a second.
    pub timestamp_jumps: u64,
    /// Times a slow viewer skipped to a newer key frame.
    pub viewer_skips: u64,
    /// Viewers sent away because they skipped too often.
    pub viewers_dropped: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Live,
    /// Viewers are held for the publisher to come back.
    Interrupted,
}

/// Who publishes, as far as the server knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// Tells keys apart, and nothing about them.
    pub key_fingerprint: String,
    pub address: IpAddr,
    /// What the encoder calls itself.
    pub encoder: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct VideoStats {
    #[serde(flatten)]
    pub description: Video,
    pub bitrate_kbps: u64,
    /// As they come, whatever the encoder says.
    pub frames_per_s: f64,
    /// How unevenly frames arrive.
    pub jitter_ms: f64,
    /// From one key frame to the next; `null` before the second one.
    pub gop_ms: Option<i64>,
    pub gop_frames: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AudioStats {
    #[serde(flatten)]
    pub description: Audio,
    pub bitrate_kbps: u64,
    pub frames_per_s: f64,
    pub jitter_ms: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ByProtocol {
    pub rtmp: u64,
    pub http_flv: u64,
    pub websocket_flv: u64,
    pub hls: u64,
}

/// Frames of audio and video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frames {
    pub received: u64,
    /// Dropped: they were carried before the encoder reconnected.
    pub resent: u64,
    /// Dropped: they came before the first key frame.
    pub awaiting_key: u64,
}
