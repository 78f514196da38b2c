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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::avc::tests::hex;
    use super::*;

    /// Name, record, codec string, width and height.
    type Row = (&'static str, &'static str, &'static str, Option<(u32, u32)>);

    #[rustfmt::skip]
    const RECORDS: [Row; 6] = [
        ("SVT-AV1", "81010c000a0c0200000d2627fb3805f00080", "av01.0.01M.08", Some((640, 360))),
        ("SVT-AV1, 2160 lines", "810d0c000a0c0200006a977dff0de017c002", "av01.0.13M.08", Some((3840, 2160))),
        ("SVT-AV1, 10 bits", "81054c000a0c0200002d2a67fd9e017c2020", "av01.0.05M.10", Some((1280, 720))),
        ("libaom, 10 bits", "81004c000a0b000000043d07c4daf94040", "av01.0.00M.10", Some((322, 242))),
        ("libaom, 4:4:4", "812000000a0a200000043cffbcdaf902", "av01.1.00M.08", Some((320, 240))),
        ("rav1e: the key frames have the sequence header", "811f0c00", "av01.0.31M.08", None),
    ];

    #[test]
    fn records_of_real_encoders() {
        for (name, record, codec_string, size) in RECORDS {
            let config = CodecConfig::parse(&hex(record)).expect(name);
            assert_eq!(config.codec_string(), codec_string, "{name}");
            let sequence = config.sequence.map(|it| (it.width, it.height));
            assert_eq!(sequence, size, "{name}");
        }
    }

    #[test]
    fn a_key_frame_has_the_sequence_header_behind_a_delimiter() {
        // From rav1e.
        let unit = hex("12000a0e000000fa6355ef8842a20404042832021000");
        let found = SequenceHeader::find(&unit).unwrap().unwrap();
        assert_eq!((found.width, found.height), (854, 480));
        assert_eq!(SequenceHeader::find(&hex("120032028128")), Ok(None));
    }

    /// A sequence header from its bits, as a unit without a size.
    fn unit_of(bits: &[&str]) -> Vec<u8> {
        let bits = bits.concat();
        let byte = |bits: &[u8]| {
            let value = bits.iter().fold(0, |value, bit| value << 1 | (bit - b'0'));
            value << (8 - bits.len())
        };
        let mut unit = vec![OBU_SEQUENCE_HEADER << 3];
        unit.extend(bits.as_bytes().chunks(8).map(byte));
        unit
    }

    #[test]
    fn frame_rates_come_from_the_timing() {
        let units = format!("{:032b}", 1001);
        let scale = format!("{:032b}", 60_000);
        let size = "0111".to_owned() + "0111" + "11111111" + "01111111"; // 256 by 128
        let start = "00000"; // profile, still picture, reduced header
        let point = "00000".to_owned() + "000000000000" + "01000" + "0"; // one, level 8, tier
        let model = "1".to_owned() + "00111" + &units + "00000" + "00000"; // delays of 8 bits
        for (name, bits, expected) in [
            (
                "two ticks a frame",
                vec![
                    start, "1", &units, &scale, "1", "010", "0", "0", &point, &size,
                ],
                Some((30_000, 1001)),
            ),
            (
                "not evenly",
                vec![start, "1", &units, &scale, "0", "0", "0", &point, &size],
                None,
            ),
            ("no timing", vec![start, "0", "0", &point, &size], None),
            (
                "a decoder model and display delays",
                vec![
                    start, "1", &units, &scale, "1", "1", &model, "1", &point, "1", "00000000",
                    "00000000", "0", "1", "0000", &size,
                ],
                Some((60_000, 1001)),
            ),
            ("reduced", vec!["00011", "01000", &size], None),
        ] {
            let found = SequenceHeader::find(&unit_of(&bits))
                .expect(name)
                .expect(name);
            assert_eq!((found.width, found.height), (256, 128), "{name}");
            let rate = found.frame_rate.map(|it| (it.numerator, it.denominator));
            assert_eq!(rate, expected, "{name}");
        }
    }

    #[test]
    fn broken_records_say_why() {
        let too_large = RECORD_BYTES_MAX + 1;
        for (record, error) in [
            (vec![], Error::Truncated),
            (hex("810000"), Error::Truncated),
            (hex("01010c00"), Error::Version(1)),
            (hex("82010c00"), Error::Version(0x82)),
            (hex("81610c00"), Error::Range("seq_profile")),
            (hex("81012c00"), Error::Range("twelve_bit")),
            (hex("81010c008a0c"), Error::Range("obu_forbidden_bit")),
            (hex("81010c000a0c0200000d"), Error::Truncated),
            (hex("81010c000a"), Error::Truncated),
            (hex("81010c000affffffffffffffffff"), Error::OverlongCode),
            (hex("81010c000e"), Error::Truncated),
            (hex("81010c000a0100"), Error::Truncated),
            // A reduced header with sides of 16 bits.
            (
                hex("81010c00081a3fffffffffffff"),
                Error::Range("max_frame_width_minus_1"),
            ),
            (vec![0x81; too_large], Error::TooLarge(too_large)),
        ] {
            assert_eq!(CodecConfig::parse(&record), Err(error), "{record:x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = CodecConfig::parse(&data);
            let _ = SequenceHeader::find(&data);
        }

        #[test]
        fn no_changed_byte_makes_a_record_panic(which in 0..RECORDS.len(), at in 0usize..18, byte: u8) {
            let mut record = hex(RECORDS[which].1);
            if let Some(target) = record.get_mut(at) {
                *target = byte;
            }
            if let Ok(config) = CodecConfig::parse(&record) {
                prop_assert_eq!(config.codec_string().len(), "av01.P.LLT.DD".len());
                let sequence = config.sequence;
                prop_assert!(sequence.is_none_or(|it| it.width <= SIDE_MAX && it.height <= SIDE_MAX));
            }
        }
    }
}
