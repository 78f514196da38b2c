//! HEVC as MP4, FLV and RTMP carry it: a configuration record and length-prefixed NAL units.

use std::fmt::Write;

use bytes::Bytes;

use super::Error;
pub use super::hevc_sps::{ProfileTierLevel, Sps};
use super::nal::{self, NalUnits, split_prefixed};

/// `nal_unit_type` (H.265 table 7-1), those a server tells apart.
pub mod nal_type {
    pub const BLA_W_LP: u8 = 16;
    /// Types from `BLA_W_LP` to this one are pictures at which decoding can start.
    pub const RSV_IRAP_VCL23: u8 = 23;
    pub const VPS: u8 = 32;
    pub const SPS: u8 = 33;
    pub const PPS: u8 = 34;
    pub const ACCESS_UNIT_DELIMITER: u8 = 35;
}

/// Real records have 100 to 200 bytes; x265's bring its settings along, some 2,500.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// An `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §8.3.3.1). Messages in it (SEI) are left
/// out: nothing needs them to decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// How many bytes the length before each NAL unit has: 1, 2 or 4.
    pub nal_length_size: u8,
    pub vps: Vec<Bytes>,
    /// At least one; like all sets, each with its NAL header.
    pub sps: Vec<Bytes>,
    pub pps: Vec<Bytes>,
    /// What the first sequence parameter set says.
    pub picture: Sps,
}

impl DecoderConfig {
    pub fn parse(record: &[u8]) -> Result<Self, Error> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(Error::TooLarge(record.len()));
        }
        // Profile, level and picture format come again in the sequence parameter set.
        let (header, mut rest) = record.split_first_chunk::<23>().ok_or(Error::Truncated)?;
        if header[0] != 1 {
            return Err(Error::Version(header[0]));
        }
        let nal_length_size = nal::length_size(header[21])?;
        let (mut vps, mut sps, mut pps) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..header[22] {
            let (kind, nals, after) = array(rest)?;
            match kind {
                nal_type::VPS => vps.extend(nals),
                nal_type::SPS => sps.extend(nals),
                nal_type::PPS => pps.extend(nals),
                _ => {}
            }
            rest = after;
        }
        let picture = Sps::parse(sps.first().ok_or(Error::NoSps)?)?;
        Ok(Self {
            nal_length_size,
            vps,
            sps,
            pps,
            picture,
        })
    }

    /// `hvc1.…`, from the sequence parameter set (ISO/IEC 14496-15 §E.3).
    #[must_use]
    pub fn codec_string(&self) -> String {
        let it = &self.picture.profile;
        let space = ["", "A", "B", "C"][usize::from(it.profile_space & 0b11)];
        let tier = if it.high_tier { 'H' } else { 'L' };
        let (profile, level) = (it.profile, it.level);
        let compatibility = it.compatibility.reverse_bits();
        let mut text = format!("hvc1.{space}{profile}.{compatibility:X}.{tier}{level}");
        let used = it.constraints.iter().rposition(|&byte| byte != 0);
        for byte in it.constraints.iter().take(used.map_or(0, |last| last + 1)) {
            write!(text, ".{byte:X}").expect("a string takes any text");
        }
        text
    }

    /// The NAL units of an access unit, without their lengths.
    #[must_use]
    pub fn nal_units<'a>(&self, access_unit: &'a [u8]) -> NalUnits<'a> {
        NalUnits::new(access_unit, self.nal_length_size)
    }

    /// Whether decoding can start at this access unit, whatever its container says.
    #[must_use]
    pub fn has_irap(&self, access_unit: &[u8]) -> bool {
        const IRAP: std::ops::RangeInclusive<u8> = nal_type::BLA_W_LP..=nal_type::RSV_IRAP_VCL23;
        self.nal_units(access_unit)
            .flatten()
            .any(|nal| IRAP.contains(&nal_unit_type(nal)))
    }
}

/// The type in a NAL unit's header (H.265 §7.3.1.2); 63, "unspecified", for an empty one.
#[must_use]
pub fn nal_unit_type(nal: &[u8]) -> u8 {
    nal.first().map_or(63, |header| header >> 1 & 0x3F)
}

/// One array of the record: the type of its NAL units, these, and what follows.
fn array(data: &[u8]) -> Result<(u8, Vec<Bytes>, &[u8]), Error> {
    let (&[kind, high, low], mut rest) = data.split_first_chunk().ok_or(Error::Truncated)?;
    let kind = kind & 0x3F;
    let mut nals = Vec::new();
    for _ in 0..u16::from_be_bytes([high, low]) {
        let (nal, after) = split_prefixed(rest, 2).ok_or(Error::Truncated)?;
        if nal_unit_type(nal) != kind {
            return Err(Error::NotAParameterSet(nal_unit_type(nal)));
        }
        nals.push(Bytes::copy_from_slice(nal));
        rest = after;
    }
    Ok((kind, nals, rest))
}
