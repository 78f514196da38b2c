//! What decoders are told before the first frame: configuration records, and what a viewer can
//! be told from them (size, rates, RFC 6381 codec strings).

pub mod aac;
pub mod ac3;
pub mod av1;
pub mod avc;
pub mod bits;
pub mod flac;
mod frame_rate;
pub mod hevc;
mod hevc_sps;
pub mod mp3;
pub mod nal;
pub mod opus;
mod sps;
pub mod vp9;

use crate::frame::{Codec, Frame, Kind};
pub use frame_rate::FrameRate;
pub use sps::Sps;

/// Pictures wider or taller than this are refused: H.264's and HEVC's level 6.2 end at 16,880
/// samples a side (H.264 table A-1, sqrt(MaxFS × 8) macroblocks), AV1's at 16,384.
const SIDE_MAX: u32 = 16_384;

/// What a configuration frame says about its track; `None` for every other frame, and for a
/// record that cannot be read.
#[must_use]
pub fn describe(frame: &Frame) -> Option<Description> {
    if frame.kind != Kind::Config {
        return None;
    }
    match frame.codec {
        Codec::Avc => {
            let config = avc::DecoderConfig::parse(&frame.data).ok()?;
            Some(Description::Video {
                codec_string: config.codec_string(),
                width: config.picture.width,
                height: config.picture.height,
                frame_rate: config.picture.frame_rate,
            })
        }
        Codec::Aac => {
            let config = aac::AudioSpecificConfig::parse(&frame.data).ok()?;
            Some(Description::Audio {
                codec_string: config.codec_string(),
                sample_rate_hz: config.sample_rate_hz,
                channels: config.channels,
            })
        }
        Codec::Hevc
        | Codec::Av1
        | Codec::Vp9
        | Codec::Opus
        | Codec::Flac
        | Codec::Ac3
        | Codec::Eac3
        | Codec::Mp3
        | Codec::Script => None,
    }
}

/// One track, in the words a playlist or a page uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Description {
    Video {
        codec_string: String,
        /// Luma samples shown, after cropping.
        width: u32,
        height: u32,
        frame_rate: Option<FrameRate>,
    },
    Audio {
        codec_string: String,
        sample_rate_hz: u32,
        /// 0 where the record leaves it to the stream.
        channels: u8,
    },
}

/// Why a configuration record or an access unit cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the data ends before a field or unit that it announces")]
    Truncated,
    #[error("an Exp-Golomb code has more than 31 leading zeros")]
    OverlongCode,
    #[error("configuration record version {0} is not known")]
    Version(u8),
    #[error("NAL unit lengths of {0} bytes are not allowed")]
    NalLengthSize(u8),
    #[error("the record holds no sequence parameter set")]
    NoSps,
    #[error("a NAL unit of type {0} stands where a parameter set belongs")]
    NotAParameterSet(u8),
    #[error("the configuration record has {0} bytes, more than any encoder needs")]
    TooLarge(usize),
    #[error("{0} is outside its range")]
    Range(&'static str),
    #[error("audio object type {0} is not known")]
    ObjectType(u8),
    #[error("the data does not start with {0}")]
    Marker(&'static str),
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::time::MediaMs;

    fn frame(codec: Codec, kind: Kind, data: &'static [u8]) -> Frame {
        Frame {
            codec,
            track_id: 0,
            kind,
            dts: MediaMs(0),
            pts_offset_ms: 0,
            data: Bytes::from_static(data),
        }
    }

    #[test]
    fn only_readable_configuration_frames_are_described() {
        let asc: &[u8] = &[0x12, 0x10];
        let audio = Description::Audio {
            codec_string: "mp4a.40.2".into(),
            sample_rate_hz: 44_100,
            channels: 2,
        };
        assert_eq!(describe(&frame(Codec::Aac, Kind::Config, asc)), Some(audio));
        for (codec, kind, data) in [
            (Codec::Aac, Kind::Media { key: true }, asc),
            (Codec::Aac, Kind::Config, &[]),
            (Codec::Avc, Kind::Config, asc),
            (Codec::Script, Kind::Metadata, asc),
        ] {
            assert_eq!(describe(&frame(codec, kind, data)), None, "{codec:?}");
        }
    }
}
