use std::sync::OnceLock;

use bytes::Bytes;
use isocast_media::{Frame, MediaMs, Track};

use super::ring::Wire;
use super::{Headers, Tracks};

/// A place where viewers can join: what describes the stream there, and the first frame's place
/// in the ring.
#[derive(Debug)]
pub(crate) struct Gop {
    first: u64,
    start: MediaMs,
    headers: Headers,
    serialised: [[OnceLock<Bytes>; Tracks::COUNT]; Wire::COUNT],
}

impl Gop {
    pub(super) fn new(first: u64, start: MediaMs, headers: Headers) -> Self {
        Self {
            first,
            start,
            headers,
            serialised: Default::default(),
        }
    }

    /// The ring sequence of its first frame.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn start(&self) -> MediaMs {
        self.start
    }

    pub(crate) fn has_video(&self) -> bool {
        self.headers.codec(Track::Video).is_some()
    }

    pub(crate) fn has_audio(&self) -> bool {
        self.headers.codec(Track::Audio).is_some()
    }

    /// Metadata and configurations, these stamped with the time of this GOP's first frame. Metadata
    /// is at time 0, where alone ffmpeg takes it for a description and not for a track of text.
    pub(crate) fn header_frames(&self, tracks: Tracks) -> impl Iterator<Item = Frame> {
        self.headers.of(tracks).map(|frame| Frame {
            dts: match frame.track() {
                Track::Data => MediaMs(0),
                Track::Video | Track::Audio => self.start,
            },
            ..frame.clone()
        })
    }

    /// The header frames of these tracks as `wire` carries them: made by `write` at first need, once
    /// for all.
    pub(crate) fn serialised(
        &self,
        wire: Wire,
        tracks: Tracks,
        write: impl FnOnce(&Self) -> Bytes,
    ) -> Bytes {
        self.serialised[wire as usize][tracks as usize]
            .get_or_init(|| write(self))
            .clone()
    }
}
