//! What a track's configuration and its first key frame say about it.

use super::{FrameRate, aac, ac3, av1, avc, flac, hevc, mp3, opus, picture, vp9};
use crate::frame::Codec;

/// How much of a first key frame [`describe`] looks at: a sequence header of AV1 behind its
/// temporal delimiter, or one of the shorter headers.
pub const FIRST_BYTES: usize = 64;

/// One track, in the words a playlist or a page uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Description {
    Video(Video),
    Audio(Audio),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Video {
    pub codec_string: String,
    /// Width and height in luma samples shown, after cropping.
    pub size: Option<(u32, u32)>,
    pub frame_rate: Option<FrameRate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    pub codec_string: String,
    pub sample_rate_hz: u32,
    /// 0 where the record leaves it to the stream.
    pub channels: u8,
}

/// What a track's newest configuration says about it, and the start of its first key frame where
/// that says more: AC-3, E-AC-3 and MP3 have no configuration, those of AV1 and VP9 may leave out
/// the size. `None` while too little is known, and for a record that cannot be read.
#[must_use]
pub fn describe(codec: Codec, config: Option<&[u8]>, first: Option<&[u8]>) -> Option<Description> {
    let audio = |audio| Some(Description::Audio(audio));
    let video = |codec_string| {
        let picture = picture(codec, config, first);
        Some(Description::Video(Video {
            codec_string,
            size: picture.map(|it| it.size),
            frame_rate: picture.and_then(|it| it.frame_rate),
        }))
    };
    match codec {
        Codec::Avc => video(avc::DecoderConfig::parse(config?).ok()?.codec_string()),
        Codec::Hevc => video(hevc::DecoderConfig::parse(config?).ok()?.codec_string()),
        Codec::Av1 => video(av1::CodecConfig::parse(config?).ok()?.codec_string()),
        Codec::Vp9 => video(vp9::CodecConfig::parse(config?).ok()?.codec_string()),
        Codec::Aac => audio(aac::AudioSpecificConfig::parse(config?).ok()?.into()),
        Codec::Opus => audio(opus::OpusHead::parse(config?).ok()?.into()),
        Codec::Flac => audio(flac::StreamInfo::parse(config?).ok()?.into()),
        Codec::Ac3 | Codec::Eac3 => audio(ac3::SyncFrame::parse(first?).ok()?.into()),
        Codec::Mp3 => audio(mp3::FrameHeader::parse(first?).ok()?.into()),
        Codec::Script => None,
    }
}

impl From<aac::AudioSpecificConfig> for Audio {
    fn from(config: aac::AudioSpecificConfig) -> Self {
        Self {
            codec_string: config.codec_string(),
            sample_rate_hz: config.sample_rate_hz,
            channels: config.channels,
        }
    }
}

impl From<opus::OpusHead> for Audio {
    fn from(head: opus::OpusHead) -> Self {
        Self {
            codec_string: "opus".into(),
            sample_rate_hz: opus::SAMPLE_RATE_HZ,
            channels: head.channels,
        }
    }
}

impl From<flac::StreamInfo> for Audio {
    fn from(info: flac::StreamInfo) -> Self {
        Self {
            codec_string: "flac".into(),
            sample_rate_hz: info.sample_rate_hz,
            channels: info.channels,
        }
    }
}

impl From<ac3::SyncFrame> for Audio {
    fn from(frame: ac3::SyncFrame) -> Self {
        Self {
            codec_string: frame.codec_string(),
            sample_rate_hz: frame.sample_rate_hz,
            channels: frame.channels,
        }
    }
}

impl From<mp3::FrameHeader> for Audio {
    fn from(header: mp3::FrameHeader) -> Self {
        Self {
            codec_string: header.codec_string(),
            sample_rate_hz: header.sample_rate_hz,
            channels: header.channels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::avc::tests::hex;
    use super::*;

    #[test]
    fn descriptions_come_from_configurations_and_first_frames() {
        let video = |codec_string: &str, size, rate| {
            Description::Video(Video {
                codec_string: codec_string.into(),
                size,
                frame_rate: FrameRate::from_ticks(rate, 1),
            })
        };
        let audio = |codec_string: &str, sample_rate_hz, channels| {
            Description::Audio(Audio {
                codec_string: codec_string.into(),
                sample_rate_hz,
                channels,
            })
        };
        let hevc = "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003c959409210001002a42010101600000030090000003000003003ca00a080f16595952930bc05a020000030002000003003c1022000100064401c073c189";
        let avc =
            "0142c01effe100196742c01eda0280bfe5c044000003000400000300f03c58ba8001000468ce0fc8";
        let flac = "040004000000000010980ac442f00000000000000000000000000000000000000000";
        let av1_frame = "12000a0e000000fa6355ef8842a20404042832f8";
        for (codec, config, first, expected) in [
            (
                Codec::Avc,
                avc,
                "",
                Some(video("avc1.42C01E", Some((640, 360)), 30)),
            ),
            (Codec::Avc, "", avc, None),
            (
                Codec::Avc,
                avc,
                "000000020910",
                Some(video("avc1.42C01E", Some((640, 360)), 30)),
            ),
            (
                Codec::Hevc,
                hevc,
                "",
                Some(video("hvc1.1.6.L60.90", Some((320, 240)), 30)),
            ),
            (
                Codec::Av1,
                "81010c000a0c0200000d2627fb3805f00080",
                "",
                Some(video("av01.0.01M.08", Some((640, 360)), 0)),
            ),
            (
                Codec::Av1,
                "811f0c00",
                "",
                Some(video("av01.0.31M.08", None, 0)),
            ),
            (
                Codec::Av1,
                "811f0c00",
                av1_frame,
                Some(video("av01.0.31M.08", Some((854, 480)), 0)),
            ),
            (Codec::Av1, "", av1_frame, None),
            (
                Codec::Vp9,
                "010000000015820202020000",
                "",
                Some(video("vp09.00.21.08", None, 0)),
            ),
            (
                Codec::Vp9,
                "010000000015820202020000",
                "824983420027f016760638",
                Some(video("vp09.00.21.08", Some((640, 360)), 0)),
            ),
            (Codec::Aac, "1210", "", Some(audio("mp4a.40.2", 44_100, 2))),
            (Codec::Aac, "", "1210", None),
            (
                Codec::Opus,
                "4f707573486561640101380180bb0000000000",
                "",
                Some(audio("opus", 48_000, 1)),
            ),
            (Codec::Flac, flac, "", Some(audio("flac", 44_100, 2))),
            (
                Codec::Ac3,
                "",
                "0b77fe95144043e1",
                Some(audio("ac-3", 48_000, 2)),
            ),
            (
                Codec::Eac3,
                "",
                "0b77037f3f87c000",
                Some(audio("ec-3", 48_000, 6)),
            ),
            (
                Codec::Mp3,
                "",
                "fffb9064",
                Some(audio("mp4a.40.34", 44_100, 2)),
            ),
            (Codec::Mp3, "fffb9064", "", None),
            (Codec::Script, "1210", "1210", None),
        ] {
            let (config, first) = (hex(config), hex(first));
            let told = |bytes: &'_ Vec<u8>| !bytes.is_empty();
            let config = Some(&config).filter(|it| told(it)).map(Vec::as_slice);
            let first = Some(&first).filter(|it| told(it)).map(Vec::as_slice);
            assert_eq!(describe(codec, config, first), expected, "{codec:?}");
        }
    }
}
