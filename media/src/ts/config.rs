//! What each codec needs to be carried in MPEG-TS, and which have no way to be.

use std::time::Duration;

use bytes::Bytes;

use super::Error;
use crate::codec::nal::NalUnits;
use crate::codec::{aac, ac3, avc, hevc, mp3};
use crate::frame::Codec;

/// Whether MPEG-TS has a stream type that players know for this codec. There are drafts for AV1
/// and Opus, and nothing for VP9 and FLAC.
#[must_use]
pub fn carries(codec: Codec) -> bool {
    match codec {
        Codec::Avc | Codec::Hevc | Codec::Aac | Codec::Ac3 | Codec::Eac3 | Codec::Mp3 => true,
        Codec::Av1 | Codec::Vp9 | Codec::Opus | Codec::Flac | Codec::Script => false,
    }
}

/// ADTS counts in 13 bits. Frames of MP3 have 1,441 bytes at most, those of E-AC-3 4,096.
const FRAME_BYTES_MAX: usize = 8_191;

/// How the program map table names a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamType {
    /// `stream_type` (ISO/IEC 13818-1 table 2-34; ATSC A/53-3 for Dolby's).
    pub(super) number: u8,
    /// `format_identifier` of a registration descriptor (§2.6.8).
    pub(super) registration: Option<&'static [u8; 4]>,
}

impl StreamType {
    const fn plain(number: u8) -> Self {
        Self {
            number,
            registration: None,
        }
    }

    const fn registered(number: u8, registration: &'static [u8; 4]) -> Self {
        Self {
            number,
            registration: Some(registration),
        }
    }
}

/// What a video track's access units are read with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoConfig {
    Avc(avc::DecoderConfig),
    Hevc(hevc::DecoderConfig),
}

/// What a NAL unit is to an access unit in MPEG-TS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Delimiter,
    /// A parameter set; each kind is a bit.
    Set(u8),
    Other,
}

impl VideoConfig {
    /// `None` where MPEG-TS does not carry the codec.
    pub fn parse(codec: Codec, record: &[u8]) -> Result<Option<Self>, Error> {
        let config = match codec {
            Codec::Avc => avc::DecoderConfig::parse(record).map(Self::Avc),
            Codec::Hevc => hevc::DecoderConfig::parse(record).map(Self::Hevc),
            _ => return Ok(None),
        };
        config.map(Some).map_err(Error::Config)
    }

    pub(super) fn codec(&self) -> Codec {
        match self {
            Self::Avc(_) => Codec::Avc,
            Self::Hevc(_) => Codec::Hevc,
        }
    }

    pub(super) fn stream_type(&self) -> StreamType {
        match self {
            Self::Avc(_) => StreamType::plain(0x1B),
            Self::Hevc(_) => StreamType::registered(0x24, b"HEVC"),
        }
    }

    /// An access unit delimiter that promises nothing about slice types (H.264 §7.4.2.4, H.265
    /// §7.4.3.5). Every access unit in MPEG-TS has one (ISO/IEC 13818-1 §2.14.1, §2.17.1).
    pub(super) fn delimiter(&self) -> &'static [u8] {
        match self {
            Self::Avc(_) => &[avc::nal_type::ACCESS_UNIT_DELIMITER, 0xF0],
            Self::Hevc(_) => &[hevc::nal_type::ACCESS_UNIT_DELIMITER << 1, 1, 0x50],
        }
    }

    pub(super) fn part(&self, nal: &[u8]) -> Part {
        match self {
            Self::Avc(_) => match avc::nal_unit_type(nal) {
                avc::nal_type::ACCESS_UNIT_DELIMITER => Part::Delimiter,
                avc::nal_type::SPS => Part::Set(0b01),
                avc::nal_type::PPS => Part::Set(0b10),
                _ => Part::Other,
            },
            Self::Hevc(_) => match hevc::nal_unit_type(nal) {
                hevc::nal_type::ACCESS_UNIT_DELIMITER => Part::Delimiter,
                hevc::nal_type::VPS => Part::Set(0b001),
                hevc::nal_type::SPS => Part::Set(0b010),
                hevc::nal_type::PPS => Part::Set(0b100),
                _ => Part::Other,
            },
        }
    }

    /// All kinds of parameter sets together, as [`Part::Set`] has them.
    pub(super) fn all_sets(&self) -> u8 {
        match self {
            Self::Avc(_) => 0b11,
            Self::Hevc(_) => 0b111,
        }
    }

    /// The parameter sets in the order in which a decoder needs them.
    pub(super) fn sets(&self) -> impl Iterator<Item = &Bytes> {
        let (vps, sps, pps): (&[Bytes], _, _) = match self {
            Self::Avc(config) => (&[], &config.sps, &config.pps),
            Self::Hevc(config) => (&config.vps, &config.sps, &config.pps),
        };
        vps.iter().chain(sps).chain(pps)
    }

    pub(super) fn nal_units<'a>(&self, access_unit: &'a [u8]) -> NalUnits<'a> {
        match self {
            Self::Avc(config) => config.nal_units(access_unit),
            Self::Hevc(config) => config.nal_units(access_unit),
        }
    }
}

/// What an audio track's frames are. Of MP3 and AC-3 only what may not change on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioConfig {
    Aac(aac::AudioSpecificConfig),
    Mp3 {
        mpeg1: bool,
        frame_duration: Duration,
    },
    Ac3 {
        enhanced: bool,
        frame_duration: Duration,
    },
}

impl AudioConfig {
    /// From a configuration record; `None` where MPEG-TS does not carry the codec.
    pub fn parse(codec: Codec, record: &[u8]) -> Result<Option<Self>, Error> {
        if codec != Codec::Aac {
            return Ok(None);
        }
        let config = aac::AudioSpecificConfig::parse(record).map_err(Error::Config)?;
        config.adts_header(0).ok_or(Error::NotAdts)?;
        Ok(Some(Self::Aac(config)))
    }

    /// From a frame of a codec that has no configuration; `None` of one that has.
    pub fn of_frame(codec: Codec, frame: &[u8]) -> Result<Option<Self>, Error> {
        if !codec.has_config() && frame.len() > FRAME_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        match codec {
            Codec::Mp3 => {
                let header = mp3::FrameHeader::parse(frame).map_err(Error::AudioFrame)?;
                Ok(Some(Self::Mp3 {
                    mpeg1: header.mpeg1,
                    frame_duration: header.duration(),
                }))
            }
            Codec::Ac3 | Codec::Eac3 => {
                let header = ac3::SyncFrame::parse(frame).map_err(Error::AudioFrame)?;
                Ok(Some(Self::Ac3 {
                    enhanced: header.enhanced,
                    frame_duration: header.duration(),
                }))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn stream_type(&self) -> StreamType {
        match self {
            Self::Aac(_) => StreamType::plain(0x0F),
            Self::Mp3 { mpeg1: true, .. } => StreamType::plain(0x03),
            Self::Mp3 { mpeg1: false, .. } => StreamType::plain(0x04),
            Self::Ac3 { enhanced, .. } if *enhanced => StreamType::registered(0x87, b"EAC3"),
            Self::Ac3 { .. } => StreamType::registered(0x81, b"AC-3"),
        }
    }

    /// Dolby's streams are private ones (ATSC A/52 annex A).
    pub(super) fn is_private(&self) -> bool {
        matches!(self, Self::Ac3 { .. })
    }

    pub(super) fn frame_duration(&self) -> Duration {
        match self {
            Self::Aac(config) => config.frame_duration(),
            Self::Mp3 { frame_duration, .. } | Self::Ac3 { frame_duration, .. } => *frame_duration,
        }
    }
}
