//! AAC: the `AudioSpecificConfig`, and the ADTS header that carries it in MPEG-TS.

use std::time::Duration;

use super::Error;
use super::bits::BitReader;

/// `samplingFrequencyIndex` (ISO/IEC 14496-3 table 1.18).
const SAMPLE_RATES_HZ: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// The index that is followed by 24 bits of rate.
const EXPLICIT_RATE: u8 = 15;
/// Twice the largest rate of the table, which is what SBR can make of it.
const SAMPLE_RATE_HZ_MAX: u32 = 192_000;

/// `audioObjectType` (ISO/IEC 14496-3 table 1.17), those with rules of their own here.
mod object {
    pub(super) const ESCAPE: u8 = 31;
    pub(super) const SBR: u8 = 5;
    pub(super) const PS: u8 = 29;
    pub(super) const ER_BSAC: u8 = 22;
}

/// A frame of ADTS has its 13-bit length with the header counted (ISO/IEC 14496-3 §1.A.3.2).
const ADTS_HEADER_BYTES: usize = 7;
const ADTS_FRAME_BYTES_MAX: usize = (1 << 13) - 1;

/// An `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// What the frames are coded as, below any SBR or PS: 2 is AAC-LC.
    pub core_object_type: u8,
    pub core_sample_rate_hz: u32,
    /// Samples a second that a decoder puts out where it honours the signalled SBR.
    pub sample_rate_hz: u32,
    /// `channelConfiguration`; 0 means that a program config element lists the channels.
    pub channel_configuration: u8,
    /// 0 where the record does not say.
    pub channels: u8,
    /// Spectral band replication, explicitly signalled.
    pub sbr: bool,
    /// Parametric stereo, explicitly signalled: one coded channel, two heard.
    pub ps: bool,
    /// Core samples in one frame: 1024, or 960.
    pub samples_per_frame: u32,
}

impl AudioSpecificConfig {
    pub fn parse(record: &[u8]) -> Result<Self, Error> {
        let reader = &mut BitReader::new(record);
        let signalled = object_type(reader)?;
        let core_sample_rate_hz = sample_rate(reader)?;
        let channel_configuration = reader.u8(4)?;
        let mut config = Self {
            core_object_type: signalled,
            core_sample_rate_hz,
            sample_rate_hz: core_sample_rate_hz,
            channel_configuration,
            channels: channels_of(channel_configuration)?,
            sbr: false,
            ps: false,
            samples_per_frame: 1024,
        };
        if signalled == object::SBR || signalled == object::PS {
            config.sbr = true;
            config.ps = signalled == object::PS;
            config.sample_rate_hz = sample_rate(reader)?;
            config.core_object_type = object_type(reader)?;
            if config.core_object_type == object::ER_BSAC {
                reader.skip(4)?; // extensionChannelConfiguration
            }
        }
        if is_general_audio(config.core_object_type) {
            config.general_audio(reader)?;
            if !config.sbr {
                // Older encoders end the record anywhere in here, which says "no extension".
                let _ = config.sync_extension(reader);
            }
        }
        if config.ps && config.channels == 1 {
            config.channels = 2;
        }
        Ok(config)
    }

    /// `mp4a.40.N` with N the signalled object type (RFC 6381 §3.3): 5 with SBR, 29 with PS.
    #[must_use]
    pub fn codec_string(&self) -> String {
        let object_type = match (self.ps, self.sbr) {
            (true, _) => object::PS,
            (false, true) => object::SBR,
            (false, false) => self.core_object_type,
        };
        format!("mp4a.40.{object_type}")
    }

    /// The header before a raw frame of `frame_len` bytes (ISO/IEC 14496-3 §1.A.2.2), or `None`
    /// where ADTS has no words for this stream: object types above 4, rates outside the table,
    /// channels by program config element, 960-sample frames, too large a frame. SBR is left to
    /// the decoder to find, as always in ADTS: profile and rate are the core's.
    #[must_use]
    pub fn adts_header(&self, frame_len: usize) -> Option<[u8; ADTS_HEADER_BYTES]> {
        let profile = self.core_object_type.checked_sub(1).filter(|&it| it < 4)?;
        let rate_index = SAMPLE_RATES_HZ
            .iter()
            .position(|&rate| rate == self.core_sample_rate_hz)? as u8;
        let channels = Some(self.channel_configuration).filter(|it| (1..=7).contains(it))?;
        if self.samples_per_frame != 1024 {
            return None;
        }
        let length = frame_len
            .checked_add(ADTS_HEADER_BYTES)
            .filter(|&length| length <= ADTS_FRAME_BYTES_MAX)?;
        Some([
            0xFF,
            0xF1, // MPEG-4, layer 0, no CRC
            profile << 6 | rate_index << 2 | channels >> 2,
            (channels & 0b11) << 6 | (length >> 11) as u8,
            (length >> 3) as u8,
            (length << 5) as u8 | 0x1F, // buffer fullness 0x7FF: variable rate
            0xFC,                       // one raw data block
        ])
    }

    #[must_use]
    pub fn frame_duration(&self) -> Duration {
        let nanos = u64::from(self.samples_per_frame) * 1_000_000_000;
        Duration::from_nanos(nanos / u64::from(self.core_sample_rate_hz.max(1)))
    }

    /// `GASpecificConfig` (ISO/IEC 14496-3 §4.4.1).
    fn general_audio(&mut self, reader: &mut BitReader<'_>) -> Result<(), Error> {
        if reader.bit()? {
            self.samples_per_frame = 960;
        }
        if reader.bit()? {
            reader.skip(14)?; // coreCoderDelay
        }
        let extended = reader.bit()?;
        if self.channel_configuration == 0 {
            self.channels = program_config_channels(reader)?;
        }
        if matches!(self.core_object_type, 6 | 20) {
            reader.skip(3)?; // layerNr
        }
        if extended {
            reader.skip(match self.core_object_type {
                object::ER_BSAC => 16,  // numOfSubFrame, layer_length
                17 | 19 | 20 | 23 => 3, // resilience flags
                _ => 0,
            })?;
            reader.skip(1)?; // extensionFlag3
        }
        Ok(())
    }

    /// SBR and PS signalled behind a record that older decoders read too (ISO/IEC 14496-3 §1.6.6).
    fn sync_extension(&mut self, reader: &mut BitReader<'_>) -> Result<(), Error> {
        const SBR_FOLLOWS: u32 = 0x2B7;
        const PS_FOLLOWS: u32 = 0x548;
        if reader.u(11)? != SBR_FOLLOWS || object_type(reader)? != object::SBR || !reader.bit()? {
            return Ok(());
        }
        self.sample_rate_hz = sample_rate(reader)?;
        self.sbr = true;
        if reader.u(11)? == PS_FOLLOWS {
            self.ps = reader.bit()?;
        }
        Ok(())
    }
}

fn object_type(reader: &mut BitReader<'_>) -> Result<u8, Error> {
    match reader.u8(5)? {
        0 => Err(Error::ObjectType(0)),
        object::ESCAPE => Ok(32 + reader.u8(6)?),
        plain => Ok(plain),
    }
}

fn sample_rate(reader: &mut BitReader<'_>) -> Result<u32, Error> {
    let index = reader.u8(4)?;
    let rate = if index == EXPLICIT_RATE {
        reader.u(24)?
    } else {
        let listed = SAMPLE_RATES_HZ.get(usize::from(index));
        *listed.ok_or(Error::Range("samplingFrequencyIndex"))?
    };
    if !(1..=SAMPLE_RATE_HZ_MAX).contains(&rate) {
        return Err(Error::Range("samplingFrequency"));
    }
    Ok(rate)
}

/// `channelConfiguration` (ISO/IEC 14496-3 table 1.19).
fn channels_of(configuration: u8) -> Result<u8, Error> {
    match configuration {
        0..=6 => Ok(configuration),
        7 | 12 | 14 => Ok(8),
        11 => Ok(7),
        13 => Ok(24),
        _ => Err(Error::Range("channelConfiguration")),
    }
}

/// The object types described by a `GASpecificConfig`.
fn is_general_audio(object_type: u8) -> bool {
    matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23)
}

/// Counts the channels of a `program_config_element` (ISO/IEC 14496-3 §4.5.1.2) and reads to its end.
fn program_config_channels(reader: &mut BitReader<'_>) -> Result<u8, Error> {
    reader.skip(4 + 2 + 4)?; // element_instance_tag, object_type, sampling_frequency_index
    let speakers = reader.u(4)? + reader.u(4)? + reader.u(4)?; // front, side, back
    let low_frequency = reader.u(2)?;
    let associated_data = reader.u(3)?;
    let coupling = reader.u(4)?;
    for mixdown_bits in [4, 4, 3] {
        if reader.bit()? {
            reader.skip(mixdown_bits)?;
        }
    }
    let mut channels = low_frequency;
    for _ in 0..speakers {
        channels += if reader.bit()? { 2 } else { 1 };
        reader.skip(4)?;
    }
    reader.skip(4 * (low_frequency + associated_data) + 5 * coupling)?;
    reader.align();
    let comment_bytes = reader.u(8)?;
    reader.skip(8 * comment_bytes)?;
    Ok(channels as u8) // at most 3 × 15 × 2 + 3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::avc::tests::hex;
    use super::*;

    /// Name, record, codec string, rate heard, core rate, channels.
    #[rustfmt::skip]
    const RECORDS: [(&str, &str, &str, u32, u32, u8); 14] = [
        // Made by ffmpeg's encoder, which adds "no SBR" explicitly.
        ("LC 44.1 stereo", "121056e500", "mp4a.40.2", 44_100, 44_100, 2),
        ("LC 48 mono", "118856e500", "mp4a.40.2", 48_000, 48_000, 1),
        ("LC 22.05 stereo", "139056e500", "mp4a.40.2", 22_050, 22_050, 2),
        ("LC 48 5.1", "11b056e500", "mp4a.40.2", 48_000, 48_000, 6),
        ("LC 8 mono", "158856e500", "mp4a.40.2", 8_000, 8_000, 1),
        ("LC, two bytes only", "1210", "mp4a.40.2", 44_100, 44_100, 2),
        // Built by hand from the syntax.
        ("LC, rate in 24 bits", "1780568888", "mp4a.40.2", 44_305, 44_305, 1),
        ("HE-AAC, SBR first", "2b920800", "mp4a.40.5", 44_100, 22_050, 2),
        ("HE-AAC, SBR behind", "139056e5a0", "mp4a.40.5", 44_100, 22_050, 2),
        ("HE-AACv2, PS first", "eb8a0800", "mp4a.40.29", 44_100, 22_050, 2),
        ("HE-AACv2, PS behind", "138856e5a54880", "mp4a.40.29", 44_100, 22_050, 2),
        ("Main", "0a10", "mp4a.40.1", 44_100, 44_100, 2),
        ("xHE-AAC by escape", "f94640", "mp4a.40.42", 48_000, 48_000, 2),
        ("7.1", "11b8", "mp4a.40.2", 48_000, 48_000, 8),
    ];

    #[test]
    fn records_and_what_they_say() {
        for (name, record, codec_string, rate, core_rate, channels) in RECORDS {
            let config = AudioSpecificConfig::parse(&hex(record)).expect(name);
            assert_eq!(config.codec_string(), codec_string, "{name}");
            assert_eq!(config.sample_rate_hz, rate, "{name}");
            assert_eq!(config.core_sample_rate_hz, core_rate, "{name}");
            assert_eq!(config.channels, channels, "{name}");
        }
    }

    #[test]
    fn channels_listed_one_by_one() {
        // LC 48 kHz, configuration 0, then a program config element: a pair and a centre in
        // front, a pair behind, one low-frequency channel.
        let bits = concat!(
            "00010", "0011", "0000", "000", // object type, rate, channels, GASpecificConfig
            "0000", "01", "0011", "0010", "0000", "0001", "01", "000", "0000",
            "000", // counts
            "10000", "00001", "10001", "0000", // elements
            "0000", "00000000" // alignment, comment
        );
        let record: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|byte| {
                byte.iter().fold(0, |value, bit| value << 1 | (bit - b'0')) << (8 - byte.len())
            })
            .collect();
        let config = AudioSpecificConfig::parse(&record).unwrap();
        assert_eq!((config.channel_configuration, config.channels), (0, 6));
        assert_eq!(config.adts_header(100), None);
    }

    #[test]
    fn what_cannot_be_audio_is_refused() {
        for (record, error) in [
            ("", Error::Truncated),
            ("12", Error::Truncated),
            ("0010", Error::ObjectType(0)),
            ("1690", Error::Range("samplingFrequencyIndex")),
            ("1780000008", Error::Range("samplingFrequency")),
            ("17ffffff88", Error::Range("samplingFrequency")),
            ("1248", Error::Range("channelConfiguration")),
            ("2b94", Error::Truncated),
        ] {
            assert_eq!(
                AudioSpecificConfig::parse(&hex(record)),
                Err(error),
                "{record}"
            );
        }
    }

    #[test]
    fn adts_headers() {
        // The first two are what ffmpeg writes for frames of these lengths.
        for (record, length, header) in [
            (
                "1210",
                338,
                Some([0xFF, 0xF1, 0x50, 0x80, 0x2B, 0x3F, 0xFC]),
            ),
            (
                "1188",
                212,
                Some([0xFF, 0xF1, 0x4C, 0x40, 0x1B, 0x7F, 0xFC]),
            ),
            (
                "2b920800",
                8184,
                Some([0xFF, 0xF1, 0x5C, 0x83, 0xFF, 0xFF, 0xFC]),
            ),
            ("1210", 8185, None),
            ("1210", usize::MAX, None),
            ("f94640", 10, None),     // object type 42
            ("1780568888", 10, None), // rate outside the table
            ("1214", 10, None),       // 960 samples
        ] {
            let config = AudioSpecificConfig::parse(&hex(record)).unwrap();
            assert_eq!(config.adts_header(length), header, "{record} {length}");
        }
    }

    #[test]
    fn a_frame_lasts_its_core_samples() {
        for (record, micros) in [
            ("1210", 23_219),
            ("1188", 21_333),
            ("2b920800", 46_439),
            ("1214", 21_768),
        ] {
            let config = AudioSpecificConfig::parse(&hex(record)).unwrap();
            assert_eq!(config.frame_duration().as_micros(), micros, "{record}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..64), length: usize) {
            if let Ok(config) = AudioSpecificConfig::parse(&data) {
                let _ = config.adts_header(length);
                prop_assert!(config.frame_duration() > Duration::ZERO);
            }
        }

        #[test]
        fn an_adts_header_states_the_length(length in 0usize..=8184) {
            let config = AudioSpecificConfig::parse(&[0x12, 0x10]).unwrap();
            let header = config.adts_header(length).unwrap();
            let stated = usize::from(header[3] & 3) << 11 | usize::from(header[4]) << 3 | usize::from(header[5] >> 5);
            prop_assert_eq!(stated, length + 7);
        }
    }
}
