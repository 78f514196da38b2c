//! HLS (RFC 8216): a [`Segmenter`] cuts frames into MPEG-TS segments, a [`Window`] lists the
//! newest of them. Whoever owns a stream cuts it; nobody else does.

mod clock;
mod cut;
mod date;
mod listed;
mod name;
mod playlist;
mod segmenter;
mod wall;

use bytes::Bytes;

use crate::time::UnixMs;
pub use date::rfc3339;
pub use listed::{Listed, NotListed, PLAYLIST_BYTES_MAX};
pub use name::{ClaimName, SegmentName};
pub use playlist::{Rendition, Window, multivariant_playlist};
pub use segmenter::{Segmenter, SegmenterConfig};

/// A finished segment: its bytes never change, and neither does its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub info: SegmentInfo,
    /// Whole MPEG-TS packets.
    pub data: Bytes,
}

/// What a playlist says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The ownership of the stream under which it was cut.
    pub claim: ClaimName,
    /// Media sequence number: rises by 1 from segment to segment (RFC 8216 §4.3.3.2).
    pub msn: u64,
    /// At least 1.
    pub duration_ms: u64,
    /// Timestamps, tracks or encoding do not continue the segment before (§4.3.2.3).
    pub discontinuity: bool,
    /// Can be decoded without the segment before (§4.3.5.1).
    pub independent: bool,
    /// When its first sample was live.
    pub program_date_time: UnixMs,
    /// What `EXT-X-TARGETDURATION` must say; the same for all segments of a segmenter.
    pub target_duration_s: u32,
}

impl SegmentInfo {
    /// The segment's name beside its playlist.
    #[must_use]
    pub fn name(&self) -> SegmentName {
        SegmentName {
            claim: self.claim,
            msn: self.msn,
        }
    }
}
