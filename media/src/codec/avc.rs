//! H.264 as MP4, FLV and RTMP carry it: a configuration record and length-prefixed NAL units.

use bytes::Bytes;

use super::nal::NalUnits;
use super::{Error, Sps, record};

/// `nal_unit_type` (H.264 table 7-1), those a server tells apart.
pub mod nal_type {
    pub const SLICES: std::ops::RangeInclusive<u8> = 1..=5;
    pub const SPS: u8 = 7;
    pub const PPS: u8 = 8;
    pub const ACCESS_UNIT_DELIMITER: u8 = 9;
}

/// An `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// How many bytes the length before each NAL unit has: 1, 2 or 4.
    pub nal_length_size: u8,
    /// At least one, each with its NAL header.
    pub sps: Vec<Bytes>,
    pub pps: Vec<Bytes>,
    /// What the first sequence parameter set says.
    pub picture: Sps,
}

impl DecoderConfig {
    pub fn parse(record: &[u8]) -> Result<Self, Error> {
        let (&[_, _, _, _, sizes, sps_count], rest) = record::head(record)?;
        let nal_length_size = record::nal_length_size(sizes)?;
        let sps_count = u16::from(sps_count & 0x1F);
        let (sps, rest) = record::parameter_sets(rest, sps_count, nal_type::SPS, nal_unit_type)?;
        let first = sps.first().ok_or(Error::NoSps)?;
        let picture = Sps::parse(first)?;
        let (&pps_count, rest) = rest.split_first().ok_or(Error::Truncated)?;
        // What follows the picture parameter sets repeats fields of the sequence parameter set.
        let (pps, _) =
            record::parameter_sets(rest, pps_count.into(), nal_type::PPS, nal_unit_type)?;
        Ok(Self {
            nal_length_size,
            sps,
            pps,
            picture,
        })
    }

    /// `avc1.PPCCLL`, from the bytes of the sequence parameter set (RFC 6381 §3.3).
    #[must_use]
    pub fn codec_string(&self) -> String {
        let Sps {
            profile,
            compatibility,
            level,
            ..
        } = self.picture;
        format!("avc1.{profile:02X}{compatibility:02X}{level:02X}")
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
            .take_while(|nal| !nal_type::SLICES.contains(&nal_unit_type(nal)))
            .filter_map(|nal| Sps::parse(nal).ok())
    }

    /// The record's own, but for those that cannot be read.
    pub(super) fn sps_parsed(&self) -> impl Iterator<Item = Sps> {
        self.sps.iter().filter_map(|nal| Sps::parse(nal).ok())
    }
}

/// The type in a NAL unit's header; 0, "unspecified", for an empty one.
#[must_use]
pub fn nal_unit_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1F)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Name, record, codec string, width, height, frame rate.
    type Row = (
        &'static str,
        &'static str,
        &'static str,
        u32,
        u32,
        (u32, u32),
    );

    /// Made by x264.
    #[rustfmt::skip]
    const RECORDS: [Row; 7] = [
        ("High, 1088 lines cropped to 1080, 29.97", "01640028ffe1001967640028acd940780227e5c04400000fa40003a9803c60c65801000468ef8fcbfdf8f800",
            "avc1.640028", 1920, 1080, (30_000, 1001)),
        ("Main, 25", "014d401fffe10019674d401feca02802dd80880000030008000003019078c18cb001000468ef8fc8",
            "avc1.4D401F", 1280, 720, (25, 1)),
        ("constrained Baseline, 30", "0142c01effe100196742c01eda0280bfe5c044000003000400000300f03c58ba8001000468ce0fc8",
            "avc1.42C01E", 640, 360, (30, 1)),
        ("High, width cropped, 23.976", "0164001effe100196764001eacd940d83de6f01100000303e90000bb800f162d9601000468ef8fcbfdf8f800",
            "avc1.64001E", 854, 480, (24_000, 1001)),
        ("High 10", "016e000dffe10019676e000da6cd94141fb0110000030001000003003c0f14299601000468ef8fcbfdfafa00",
            "avc1.6E000D", 320, 240, (30, 1)),
        ("4:4:4, cropped by single samples, 60", "01f40016ffe1001a67f40016919b282a10f1f1f80880000003008000003c078b16cb01000468ef8f192190fff8f800",
            "avc1.F40016", 322, 242, (60, 1)),
        ("interlaced", "014d401effe10018674d401eeca05a126c0440000003004000000c87c50a658001000468fe8fc8",
            "avc1.4D401E", 720, 576, (25, 1)),
    ];

    pub(crate) fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn records_of_a_real_encoder() {
        for (name, record, codec_string, width, height, (numerator, denominator)) in RECORDS {
            let config = DecoderConfig::parse(&hex(record)).expect(name);
            assert_eq!(config.codec_string(), codec_string, "{name}");
            let picture = config.picture;
            assert_eq!((picture.width, picture.height), (width, height), "{name}");
            let rate = picture.frame_rate.expect(name);
            assert_eq!(
                (rate.numerator, rate.denominator),
                (numerator, denominator),
                "{name}"
            );
            assert_eq!((config.sps.len(), config.pps.len()), (1, 1), "{name}");
            assert_eq!(config.nal_length_size, 4, "{name}");
        }
    }

    #[test]
    fn every_cut_of_a_record_is_refused_until_its_parameter_sets_are_whole() {
        let record = hex(RECORDS[1].1); // Main: nothing follows the parameter sets
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
        let good = hex(RECORDS[1].1);
        let with = |at: usize, byte: u8| {
            let mut record = good.clone();
            record[at] = byte;
            record
        };
        for (record, error) in [
            (with(0, 0), Error::Version(0)),
            (with(4, 0xFE), Error::NalLengthSize(3)),
            (with(5, 0xE0), Error::NoSps),
            (with(8, 0x68), Error::NotAParameterSet(8)),
            (with(6, 0xFF), Error::Truncated),
            (
                vec![1; record::BYTES_MAX + 1],
                Error::TooLarge(record::BYTES_MAX + 1),
            ),
        ] {
            assert_eq!(DecoderConfig::parse(&record), Err(error));
        }
    }

    #[test]
    fn a_picture_of_absurd_size_is_refused() {
        // Baseline, everything zero, then 2^20 macroblocks a row.
        let sps = [
            0x67,
            66,
            0,
            30,
            0b1111_1110,
            0,
            0,
            0b0100_0000,
            0,
            0,
            0x80,
            0xFF,
        ];
        assert!(
            matches!(Sps::parse(&sps), Err(Error::Range(_))),
            "{:?}",
            Sps::parse(&sps)
        );
    }

    fn config(nal_length_size: u8) -> DecoderConfig {
        let mut config = DecoderConfig::parse(&hex(RECORDS[0].1)).unwrap();
        config.nal_length_size = nal_length_size;
        config
    }

    #[test]
    fn nal_units_of_every_length_size() {
        let good: &[&[u8]] = &[&[0x65, 1], &[0x41]];
        for (size, data) in [
            (1, &[2, 0x65, 1, 0, 1, 0x41][..]),
            (2, &[0, 2, 0x65, 1, 0, 0, 0, 1, 0x41]),
            (4, &[0, 0, 0, 2, 0x65, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x41]),
        ] {
            let config = config(size);
            let units: Result<Vec<_>, _> = config.nal_units(data).collect();
            assert_eq!(units.as_deref(), Ok(good), "{size}");
            let cut: Vec<_> = config.nal_units(&data[..data.len() - 1]).collect();
            assert_eq!(cut.last(), Some(&Err(Error::Truncated)), "{size}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_record_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = DecoderConfig::parse(&data);
            let _ = Sps::parse(&data);
        }

        #[test]
        fn no_changed_byte_makes_a_record_panic(which in 0..RECORDS.len(), at in 0usize..48, byte: u8) {
            let mut record = hex(RECORDS[which].1);
            if let Some(target) = record.get_mut(at) {
                *target = byte;
            }
            if let Ok(config) = DecoderConfig::parse(&record) {
                prop_assert!((1..=16_384).contains(&config.picture.width));
                prop_assert!((1..=16_384).contains(&config.picture.height));
            }
        }

        #[test]
        fn walking_any_bytes_ends_and_stays_inside(
            data in proptest::collection::vec(any::<u8>(), 0..200),
            size in prop_oneof![Just(1u8), Just(2), Just(4)],
        ) {
            let units: Vec<_> = config(size).nal_units(&data).collect();
            let total: usize = units.iter().flatten().map(|nal| nal.len() + usize::from(size)).sum();
            prop_assert!(total <= data.len());
        }
    }
}
