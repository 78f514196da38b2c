//! Audio frames wait for each other: one AAC frame alone would leave most of its last packet
//! empty, a third of the bytes at 64 kbit/s.

use bytes::BytesMut;

use super::{AudioConfig, Error};
use crate::frame::{Codec, Frame};

/// A group spans less than this; a player waits that long for its first sample.
pub(super) const GROUP_MS: i64 = 100;
/// One PES of audio must state its length in 16 bits (ISO/IEC 13818-1 §2.4.3.7): the largest
/// frame still fits behind this and the header.
const GROUP_BYTES_MAX: usize = 56 * 1024;
/// Frames behind the first carry no time of their own; one that is further than this from where
/// the count of samples puts it starts a new group. RTMP rounds to 1 ms, a frame lasts about 20.
const DRIFT_MS_MAX: i64 = 10;

/// What stands before a frame: an ADTS header, or nothing where frames have headers of their own.
#[derive(Clone, Copy, Debug)]
pub(super) enum FrameHeader {
    Adts([u8; 7]),
    Own,
}

impl FrameHeader {
    pub(super) fn of(config: &AudioConfig, frame: &Frame) -> Result<Self, Error> {
        if frame.data.is_empty() {
            return Err(Error::Empty);
        }
        if let AudioConfig::Aac(config) = config
            && frame.codec == Codec::Aac
        {
            let header = config.adts_header(frame.data.len());
            return header.map(Self::Adts).ok_or(Error::NotAdts);
        }
        match AudioConfig::of_frame(frame.codec, &frame.data)? {
            Some(its) if its == *config => Ok(Self::Own),
            _ => Err(Error::NoConfig),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Adts(header) => header,
            Self::Own => &[],
        }
    }
}

/// The group that is being filled.
#[derive(Debug, Default)]
pub(super) struct AudioPes {
    open: Option<Group>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) pts_ms: i64,
    pub(super) data: BytesMut,
    frames: i64,
}

impl AudioPes {
    /// Whether the frame may join what waits already.
    pub(super) fn continues_with(&self, frame: &Frame, frame_nanos: i64) -> bool {
        let Some(group) = &self.open else {
            return true;
        };
        let after_ms = frame.pts().0.saturating_sub(group.pts_ms);
        let expected_ms = group.frames.saturating_mul(frame_nanos) / 1_000_000;
        let drift_ms = after_ms.saturating_sub(expected_ms);
        after_ms < GROUP_MS
            && (-DRIFT_MS_MAX..=DRIFT_MS_MAX).contains(&drift_ms)
            && group.data.len() < GROUP_BYTES_MAX
    }

    pub(super) fn add(&mut self, frame: &Frame, header: FrameHeader) {
        let group = self.open.get_or_insert_with(|| Group {
            pts_ms: frame.pts().0,
            data: BytesMut::new(),
            frames: 0,
        });
        group.data.extend_from_slice(header.bytes());
        group.data.extend_from_slice(&frame.data);
        group.frames += 1;
    }

    pub(super) fn take(&mut self) -> Option<Group> {
        self.open.take()
    }
}
