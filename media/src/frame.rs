//! The one unit that moves through the system.

use bytes::Bytes;

use crate::time::MediaMs;

/// What a stream is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Track {
    Video,
    Audio,
    /// Stream description, not media.
    Data,
}

/// How the bytes of a [`Frame`] are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264: an access unit of length-prefixed NAL units (ISO/IEC 14496-15 §5.3.4); its
    /// configuration is an `AVCDecoderConfigurationRecord` (§5.3.3.1).
    Avc,
    /// AAC: one raw data block; its configuration is an `AudioSpecificConfig`
    /// (ISO/IEC 14496-3 §1.6.2.1).
    Aac,
    /// AMF0 values describing the stream: the name `onMetaData` and one object or array.
    Script,
}

impl Codec {
    #[must_use]
    pub fn track(self) -> Track {
        match self {
            Self::Avc => Track::Video,
            Self::Aac => Track::Audio,
            Self::Script => Track::Data,
        }
    }
}

/// What a [`Frame`] is to its decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Describes the stream to players ([`Codec::Script`]).
    Metadata,
    /// What a decoder needs before the first media frame.
    Config,
    /// Media. Decoding can start at a frame whose `key` is set; every audio frame has it set.
    Media { key: bool },
}

/// One access unit, configuration record or description, shared by everyone who sends it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub codec: Codec,
    pub kind: Kind,
    /// When to decode it, on the timeline of whoever hands it over.
    pub dts: MediaMs,
    /// Presentation time minus decoding time, in milliseconds (negative in some B-frame streams).
    pub pts_offset_ms: i32,
    pub data: Bytes,
}

impl Frame {
    #[must_use]
    pub fn track(&self) -> Track {
        self.codec.track()
    }

    /// A media frame at which decoding can start.
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.kind == (Kind::Media { key: true })
    }

    #[must_use]
    pub fn is_media(&self) -> bool {
        matches!(self.kind, Kind::Media { .. })
    }

    /// When to present it.
    #[must_use]
    pub fn pts(&self) -> MediaMs {
        self.dts + i64::from(self.pts_offset_ms)
    }
}
