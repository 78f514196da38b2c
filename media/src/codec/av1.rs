//! AV1: its configuration record, and the sequence header in that or in a key frame.

use super::bits::BitReader;
use super::{Error, FrameRate, SIDE_MAX};

/// `obu_type` of a sequence header (AV1 §6.2.2).
const OBU_SEQUENCE_HEADER: u8 = 1;
/// Real records have 4 to 20 bytes; they are sent to every viewer.
const RECORD_BYTES_MAX: usize = 4 * 1024;
/// Units looked through for a sequence header: it comes first, behind a temporal delimiter.
const UNITS_LOOKED_THROUGH: usize = 8;

/// An `AV1CodecConfigurationRecord` (AV1 in ISO base media file format §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecConfig {
    pub profile: u8,
    pub level_index: u8,
    pub high_tier: bool,
    pub bit_depth: u8,
    /// Some encoders leave it to the key frames.
    pub sequence: Option<SequenceHeader>,
}

/// What a sequence header says of the picture (AV1 §5.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceHeader {
    /// The largest frame of the sequence.
    pub width: u32,
    pub height: u32,
    /// `None` where the stream does not say, or frames do not come evenly.
    pub frame_rate: Option<FrameRate>,
}

impl CodecConfig {
    pub fn parse(record: &[u8]) -> Result<Self, Error> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(Error::TooLarge(record.len()));
        }
        let (header, units) = record.split_first_chunk::<4>().ok_or(Error::Truncated)?;
        let reader = &mut BitReader::new(header);
        // The highest bit marks the record, so that it is never taken for another version's.
        let version = reader.u8(8)?;
        if version != 0x81 {
            return Err(Error::Version(version));
        }
        let (profile, level_index) = (reader.u8(3)?, reader.u8(5)?);
        if profile > 2 {
            return Err(Error::Range("seq_profile"));
        }
        let high_tier = reader.bit()?;
        let bit_depth = match (reader.bit()?, reader.bit()?) {
            (false, false) => 8,
            (true, false) => 10,
            (true, true) => 12,
            (false, true) => return Err(Error::Range("twelve_bit")),
        };
        Ok(Self {
            profile,
            level_index,
            high_tier,
            bit_depth,
            sequence: SequenceHeader::find(units)?,
        })
    }

    /// `av01.P.LLT.DD` (AV1 in ISO base media file format §5).
    #[must_use]
    pub fn codec_string(&self) -> String {
        let tier = if self.high_tier { 'H' } else { 'M' };
        let (profile, level, depth) = (self.profile, self.level_index, self.bit_depth);
        format!("av01.{profile}.{level:02}{tier}.{depth:02}")
    }
}

impl SequenceHeader {
    /// The first sequence header among the units of a record or a temporal unit.
    pub fn find(mut units: &[u8]) -> Result<Option<Self>, Error> {
        for _ in 0..UNITS_LOOKED_THROUGH {
            if units.is_empty() {
                break;
            }
            let (kind, payload, rest) = unit(units)?;
            if kind == OBU_SEQUENCE_HEADER {
                return Self::parse(payload).map(Some);
            }
            units = rest;
        }
        Ok(None)
    }

    fn parse(payload: &[u8]) -> Result<Self, Error> {
        let reader = &mut BitReader::new(payload);
        reader.skip(4)?; // seq_profile, still_picture
        let reduced = reader.bit()?;
        let mut frame_rate = None;
        if reduced {
            reader.skip(5)?; // seq_level_idx[0]
        } else {
            frame_rate = operating_points(reader)?;
        }
        let (width_bits, height_bits) = (reader.u(4)? + 1, reader.u(4)? + 1);
        Ok(Self {
            width: side(reader, width_bits, "max_frame_width_minus_1")?,
            height: side(reader, height_bits, "max_frame_height_minus_1")?,
            frame_rate,
        })
    }
}

fn side(reader: &mut BitReader<'_>, bits: u32, field: &'static str) -> Result<u32, Error> {
    let side = reader.u(bits)? + 1;
    if side > SIDE_MAX {
        return Err(Error::Range(field));
    }
    Ok(side)
}

/// From `timing_info_present_flag` through all operating points: the frame rate.
fn operating_points(reader: &mut BitReader<'_>) -> Result<Option<FrameRate>, Error> {
    let mut frame_rate = None;
    let mut delay_bits = None;
    if reader.bit()? {
        frame_rate = timing(reader)?;
        if reader.bit()? {
            delay_bits = Some(reader.u(5)? + 1);
            reader.skip(32 + 5 + 5)?;
        }
    }
    let initial_display_delay = reader.bit()?;
    for _ in 0..=reader.u(5)? {
        reader.skip(12)?; // operating_point_idc
        if reader.u(5)? > 7 {
            reader.skip(1)?; // seq_tier
        }
        if let Some(bits) = delay_bits
            && reader.bit()?
        {
            reader.skip(2 * bits + 1)?;
        }
        if initial_display_delay && reader.bit()? {
            reader.skip(4)?;
        }
    }
    Ok(frame_rate)
}

/// `timing_info` (AV1 §5.5.3).
fn timing(reader: &mut BitReader<'_>) -> Result<Option<FrameRate>, Error> {
    let (units_in_tick, time_scale) = (reader.u(32)?, reader.u(32)?);
    let evenly = reader.bit()?;
    if !evenly {
        return Ok(None);
    }
    let ticks = units_in_tick.checked_mul(reader.ue()?.saturating_add(1));
    Ok(ticks.and_then(|ticks| FrameRate::from_ticks(time_scale, ticks)))
}

/// The first unit's type and payload, and what follows it (AV1 §5.3.1); one without a size goes
/// to the end.
fn unit(data: &[u8]) -> Result<(u8, &[u8], &[u8]), Error> {
    let (&header, mut rest) = data.split_first().ok_or(Error::Truncated)?;
    if header & 0x80 != 0 {
        return Err(Error::Range("obu_forbidden_bit"));
    }
    let kind = header >> 3 & 0x0F;
    if header & 0b100 != 0 {
        rest = rest.get(1..).ok_or(Error::Truncated)?;
    }
    if header & 0b10 == 0 {
        return Ok((kind, rest, &[]));
    }
    let (size, rest) = leb128(rest)?;
    let (payload, rest) = rest.split_at_checked(size).ok_or(Error::Truncated)?;
    Ok((kind, payload, rest))
}

/// AV1 §4.10.5: seven bits a byte, the lowest first, eight bytes at most.
fn leb128(data: &[u8]) -> Result<(usize, &[u8]), Error> {
    let mut value = 0_u64;
    for (at, &byte) in data.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let value = usize::try_from(value).map_err(|_| Error::Range("obu_size"))?;
            return Ok((value, &data[at + 1..]));
        }
    }
    Err(if data.len() < 8 {
        Error::Truncated
    } else {
        Error::OverlongCode
    })
}
