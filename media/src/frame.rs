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

/// How the bytes of a [`Frame`] are to be read. They are those of a FourCC tag of Enhanced RTMP v2
/// (its sections Enhanced Video and Enhanced Audio), where the same codec has a legacy FLV tag too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264: an access unit of length-prefixed NAL units (ISO/IEC 14496-15 §5.3.4); its
    /// configuration is an `AVCDecoderConfigurationRecord` (§5.3.3.1).
    Avc,
    /// H.265: an access unit of length-prefixed NAL units (ISO/IEC 14496-15 §8.3.3); its
    /// configuration is an `HEVCDecoderConfigurationRecord` (§8.3.3.1).
    Hevc,
    /// AV1: the OBUs of one temporal unit, without temporal delimiters (AV1 in ISOBMFF v1.2 §2.4);
    /// its configuration is an `AV1CodecConfigurationRecord` (§2.3).
    Av1,
    /// VP9: one frame or superframe (VP9 bitstream specification §6.1, Annex B); its configuration
    /// is a `VPCodecConfigurationRecord` (VP codec ISO media file format binding v1.0) behind the
    /// version and flags of its box, four bytes.
    Vp9,
    /// AAC: one raw data block; its configuration is an `AudioSpecificConfig`
    /// (ISO/IEC 14496-3 §1.6.2.1).
    Aac,
    /// Opus: one packet for each stream, all but the last self-delimited (RFC 6716 §3, Appendix B);
    /// its configuration is an identification header, `OpusHead` (RFC 7845 §5.1).
    Opus,
    /// FLAC: one or more frames (RFC 9639 §9); its configuration is the signature `fLaC` and a
    /// STREAMINFO block (§6, §8.2).
    Flac,
    /// AC-3: syncframes (ETSI TS 102 366 §4), each of which describes itself: no configuration.
    Ac3,
    /// E-AC-3: syncframes (ETSI TS 102 366 Annex E), each of which describes itself: no
    /// configuration.
    Eac3,
    /// MP3: frames with their headers (ISO/IEC 11172-3 §2.4.1), each of which describes itself: no
    /// configuration.
    Mp3,
    /// AMF0 values describing the stream: the name `onMetaData` and one object or array.
    Script,
}

impl Codec {
    /// The codecs that Enhanced RTMP knows, by the FourCCs it has for them.
    pub const BY_FOUR_CC: [(&'static str, Self); 10] = [
        ("avc1", Self::Avc),
        ("hvc1", Self::Hevc),
        ("av01", Self::Av1),
        ("vp09", Self::Vp9),
        ("mp4a", Self::Aac),
        ("Opus", Self::Opus),
        ("fLaC", Self::Flac),
        ("ac-3", Self::Ac3),
        ("ec-3", Self::Eac3),
        (".mp3", Self::Mp3),
    ];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avc => "H.264",
            Self::Hevc => "HEVC",
            Self::Av1 => "AV1",
            Self::Vp9 => "VP9",
            Self::Aac => "AAC",
            Self::Opus => "Opus",
            Self::Flac => "FLAC",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Mp3 => "MP3",
            Self::Script => "script data",
        }
    }

    /// Whether a decoder needs a configuration before the first frame.
    #[must_use]
    pub fn has_config(self) -> bool {
        !matches!(self, Self::Ac3 | Self::Eac3 | Self::Mp3 | Self::Script)
    }

    #[must_use]
    pub fn track(self) -> Track {
        match self {
            Self::Avc | Self::Hevc | Self::Av1 | Self::Vp9 => Track::Video,
            Self::Aac | Self::Opus | Self::Flac | Self::Ac3 | Self::Eac3 | Self::Mp3 => {
                Track::Audio
            }
            Self::Script => Track::Data,
        }
    }
}

/// What a [`Frame`] is to its decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Describes to players the stream ([`Codec::Script`]), the colours of a video track (AMF0
    /// values: the name `colorInfo` and an object; Enhanced RTMP v2, Metadata Frame) or the order
    /// of an audio track's channels (its `MultichannelConfig`, Enhanced Audio).
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
    /// Which of the stream's video tracks, or of its audio tracks: numbered apart. 0 is the default
    /// one, and the only one that most players know of.
    pub track_id: u8,
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
