//! HEVC as MP4, FLV and RTMP carry it: a configuration record and length-prefixed NAL units.

use std::fmt::Write;

use bytes::Bytes;

pub use super::hevc_sps::{ProfileTierLevel, Sps};
use super::nal::NalUnits;
use super::{Error, record};

/// `nal_unit_type` (H.265 table 7-1), those a server tells apart.
pub mod nal_type {
    /// Types up to this one are slices.
    pub const SLICES_MAX: u8 = 31;
    pub const VPS: u8 = 32;
    pub const SPS: u8 = 33;
    pub const PPS: u8 = 34;
    pub const ACCESS_UNIT_DELIMITER: u8 = 35;
}

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
        // Profile, level and picture format come again in the sequence parameter set.
        let (head, mut rest) = record::head::<23>(record)?;
        let nal_length_size = record::nal_length_size(head[21])?;
        let (mut vps, mut sps, mut pps) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..head[22] {
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

    /// The parameter sets that an access unit brings along before its first slice, but for those
    /// that cannot be read.
    pub fn sps_in(&self, access_unit: &[u8]) -> impl Iterator<Item = Sps> {
        self.nal_units(access_unit)
            .map_while(Result::ok)
            .take_while(|nal| nal_unit_type(nal) > nal_type::SLICES_MAX)
            .filter_map(|nal| Sps::parse(nal).ok())
    }

    /// The record's own, but for those that cannot be read.
    pub(super) fn sps_parsed(&self) -> impl Iterator<Item = Sps> {
        self.sps.iter().filter_map(|nal| Sps::parse(nal).ok())
    }
}

/// The type in a NAL unit's header (H.265 §7.3.1.2); 63, "unspecified", for an empty one.
#[must_use]
pub fn nal_unit_type(nal: &[u8]) -> u8 {
    nal.first().map_or(63, |header| header >> 1 & 0x3F)
}

/// One array of the record: the type of its NAL units, these, and what follows.
fn array(data: &[u8]) -> Result<(u8, Vec<Bytes>, &[u8]), Error> {
    let (&[kind, high, low], rest) = data.split_first_chunk().ok_or(Error::Truncated)?;
    let (kind, count) = (kind & 0x3F, u16::from_be_bytes([high, low]));
    let (nals, rest) = record::parameter_sets(rest, count, kind, nal_unit_type)?;
    Ok((kind, nals, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::avc::tests::hex;
    use super::*;

    /// Name, record, codec string, width, height, frame rate.
    type Row = (
        &'static str,
        &'static str,
        &'static str,
        u32,
        u32,
        Option<(u32, u32)>,
    );

    /// Made by x265, then one by Kvazaar, then two by hand from the syntax.
    #[rustfmt::skip]
    const RECORDS: [Row; 12] = [
        ("Main, 30", "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003c959409210001002a42010101600000030090000003000003003ca00a080f16595952930bc05a020000030002000003003c1022000100064401c073c189",
            "hvc1.1.6.L60.90", 320, 240, Some((30, 1))),
        ("1088 lines of which 1080 are shown, 29.97", "01016000000090000000000078f000fcfdf8f800000f03200001001840010c01ffff016000000300900000030000030078959409210001002a420101016000000300900000030000030078a003c0801107cb965654a4c2f01680800001f480003a980422000100064401c073c189",
            "hvc1.1.6.L120.90", 1920, 1080, Some((30_000, 1001))),
        ("Main 10, a VUI with everything, 23.976", "0102200000009000000000007bf000fcfdfafa00000f04200001001840010c01ffff02200000030090000003000003007b959409210001003942010102200000030090000003000003007ba006c201e1cdb6595952930bc12d404080a90400000fa40001770180525978000b71b00016e36222000100064401c073c18927000100064e0181010f80",
            "hvc1.2.4.L123.90", 854, 480, Some((24_000, 1001))),
        ("4:4:4, cropped by single samples, 60", "0104080000009e08000000003ff000fcfff8f800000f03200001001740010c01ffff0408000003009e0800000300003f959409210001002c4201010408000003009e0800000300003f9001510080e3e3f2caca94985e02d010000003001000000303c08022000100084401c07318301890",
            "hvc1.4.10.L63.9E.8", 322, 242, Some((60, 1))),
        ("4:2:2, 12 bits", "0104080000009908000000003cf000fcfefcfc00000f03200001001740010c01ffff040800000300990800000300003c959409210001002a420101040800000300990800000300003cb00a080f114a595952930bc05a020000030002000003003c1022000100064401c073c189",
            "hvc1.4.10.L60.99.8", 320, 240, Some((30, 1))),
        ("grey", "0104080000009fc8000000003cf000fcfcf8f800000f03200001001740010c01ffff0408000003009fc800000300003c95940921000100294201010408000003009fc800000300003cc028203c5965654a4c2f016c08000003000800000300f04022000100064401c073c189",
            "hvc1.4.10.L60.9F.C8", 320, 240, Some((30, 1))),
        ("four temporal layers, scaling lists, 50", "0101600000009000000000005af000fcfdf8f800001b03200001001e40010c04ffff01600000030090000003000003005a00009594aca5650240210001003142010401600000030090000003000003005a0000a005020171f2e59594aca5654a4e9780b404000003000400000300c82022000100064401c073c189",
            "hvc1.1.6.L90.90", 640, 360, Some((50, 1))),
        ("a default display window, 25", "010160000000900000000000fff000fcfdf8f800000f03200001001840010c01ffff0160000003009000000300000300ff959409210001002d4201010160000003009000000300000300ffa005020171f2e595952930bc05a05b6e000003000200000300321022000100064401c0718b12",
            "hvc1.1.6.L255.90", 640, 360, Some((25, 1))),
        ("interlaced, fields counted", "0101600000004000000000005df000fcfdf8f800000f04200001001840010c01ffff01600000030040000003000003005d959409210001002b42010101600000030040000003000003005da005a200905965654a4c2f016868000003000800000301904022000100064401c073c18927000100064e0181010f80",
            "hvc1.1.6.L93.40", 720, 576, Some((50, 1))),
        ("another encoder, two temporal layers", "010160000000800000000000baf000fcfdf8f800001303200001001b40010c02ffff0160000003008000000300000300ba000004021024210001002b4201020160000003008000000300000300ba0000a0050201696c100864932ac0404000000300400000064222000100084401c062460a6480",
            "hvc1.1.6.L186.80", 640, 360, Some((25, 1))),
        ("no constraints, nothing behind the size", "0101600000009000000000005df000fcfdf8f800000f012100010018420101a50000030001000003000003000099a00280802d14",
            "hvc1.B5.80000000.H153", 1280, 720, None),
        ("profiles for seven temporal layers", "0101600000009000000000005df000fcfdf8f800000f01210001008042010d01600000030090000003000003005dfff0000003000003000003000003000003005d000003000003000003000003000003005d000003000003000003000003000003005d000003000003000003000003000003005d000003000003000003000003000003005d000003000003000003000003000003005da00280802d14",
            "hvc1.1.6.L93.90", 1280, 720, None),
    ];

    #[test]
    fn records_of_real_encoders() {
        for (name, record, codec_string, width, height, rate) in RECORDS {
            let config = DecoderConfig::parse(&hex(record)).expect(name);
            assert_eq!(config.codec_string(), codec_string, "{name}");
            let picture = config.picture;
            assert_eq!((picture.width, picture.height), (width, height), "{name}");
            let stated = picture.frame_rate.map(|it| (it.numerator, it.denominator));
            assert_eq!(stated, rate, "{name}");
            assert_eq!(config.sps.len(), 1, "{name}");
            assert_eq!(config.nal_length_size, 4, "{name}");
        }
    }

    #[test]
    fn messages_in_a_record_are_left_out() {
        let with_sei = DecoderConfig::parse(&hex(RECORDS[2].1)).unwrap();
        let sets = [&with_sei.vps, &with_sei.sps, &with_sei.pps];
        assert_eq!(sets.map(Vec::len), [1, 1, 1]);
        let types = sets.map(|sets| nal_unit_type(&sets[0]));
        assert_eq!(types, [nal_type::VPS, nal_type::SPS, nal_type::PPS]);
    }

    #[test]
    fn every_cut_of_a_record_is_refused() {
        let record = hex(RECORDS[0].1);
        for length in 0..record.len() {
            assert_eq!(
                DecoderConfig::parse(&record[..length]),
                Err(Error::Truncated),
                "{length}"
            );
        }
    }

    #[test]
    fn broken_records_say_why() {
        let good = hex(RECORDS[0].1);
        let with = |at: usize, byte: u8| {
            let mut record = good.clone();
            record[at] = byte;
            record
        };
        let too_large = record::BYTES_MAX + 1;
        for (record, error) in [
            (with(0, 0), Error::Version(0)),
            (with(21, 0x0E), Error::NalLengthSize(3)),
            (with(22, 0), Error::NoSps),
            (with(22, 1), Error::NoSps),
            (with(22, 255), Error::Truncated),
            (with(24, 0xFF), Error::Truncated),
            (with(23, 0x21), Error::NotAParameterSet(32)),
            (with(26, 0xFF), Error::Truncated),
            (vec![1; too_large], Error::TooLarge(too_large)),
        ] {
            assert_eq!(DecoderConfig::parse(&record), Err(error), "{error}");
        }
    }

    #[test]
    fn absurd_parameter_sets_are_refused() {
        for (name, sps, error) in [
            (
                "65,535 samples a side",
                "42010101600000030090000003000003005da0000800000300040001",
                Error::Range("pic_width_in_luma_samples"),
            ),
            (
                "nothing left to show",
                "42010101600000030090000003000003005da02081061108f0",
                Error::Range("frame_crop_offset"),
            ),
            (
                "a code of 32 zeros",
                "42010101600000030090000003000003005d00000300000300",
                Error::OverlongCode,
            ),
            (
                "eight temporal layers",
                "42010f01600000030090000003000003005da00280802d14",
                Error::Range("sps_max_sub_layers_minus1"),
            ),
            ("a header only", "4201", Error::Truncated),
            (
                "a picture parameter set",
                "4401c073",
                Error::NotAParameterSet(34),
            ),
        ] {
            assert_eq!(Sps::parse(&hex(sps)), Err(error), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_record_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = DecoderConfig::parse(&data);
            let _ = Sps::parse(&data);
        }

        #[test]
        fn no_changed_bytes_make_a_record_panic(
            which in 0..RECORDS.len(),
            changes in proptest::collection::vec((23usize..140, any::<u8>()), 1..4),
        ) {
            let mut record = hex(RECORDS[which].1);
            for (at, byte) in changes {
                if let Some(target) = record.get_mut(at) {
                    *target = byte;
                }
            }
            if let Ok(config) = DecoderConfig::parse(&record) {
                prop_assert!((1..=16_384).contains(&config.picture.width));
                prop_assert!((1..=16_384).contains(&config.picture.height));
                prop_assert!(config.codec_string().len() < 48);
            }
        }
    }
}
