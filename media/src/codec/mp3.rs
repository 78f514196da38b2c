//! MP3. It has no configuration: every frame says what it is.

use std::time::Duration;

use super::Error;
use super::bits::BitReader;

/// `sampling_frequency` of MPEG-1 (ISO/IEC 11172-3 §2.4.2.3); MPEG-2 (ISO/IEC 13818-3) has half
/// of these, and what is called MPEG-2.5 a quarter.
const SAMPLE_RATES_HZ: [u32; 3] = [44_100, 48_000, 32_000];
const LAYER_3: u8 = 0b01;
const SINGLE_CHANNEL: u8 = 0b11;

/// The header of a frame of layer III (ISO/IEC 11172-3 §2.4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// MPEG-1, not one of the lower rates that came later.
    pub mpeg1: bool,
    pub sample_rate_hz: u32,
    pub channels: u8,
    pub samples: u32,
}

impl FrameHeader {
    pub fn parse(frame: &[u8]) -> Result<Self, Error> {
        let reader = &mut BitReader::new(frame);
        if reader.u(11)? != 0x7FF {
            return Err(Error::Marker("an MP3 sync word"));
        }
        let (mpeg1, divisor) = match reader.u(2)? {
            0b11 => (true, 1),
            0b10 => (false, 2),
            0b00 => (false, 4),
            _ => return Err(Error::Range("version")),
        };
        if reader.u8(2)? != LAYER_3 {
            return Err(Error::Range("layer"));
        }
        reader.skip(1)?; // protection_bit
        if reader.u(4)? == 15 {
            return Err(Error::Range("bitrate_index"));
        }
        let rate = SAMPLE_RATES_HZ.get(reader.u(2)? as usize);
        let rate = rate.ok_or(Error::Range("sampling_frequency"))?;
        reader.skip(2)?; // padding_bit, private_bit
        let mode = reader.u8(2)?;
        Ok(Self {
            mpeg1,
            sample_rate_hz: rate / divisor,
            channels: if mode == SINGLE_CHANNEL { 1 } else { 2 },
            samples: if mpeg1 { 1152 } else { 576 },
        })
    }

    /// MPEG-4's object type for layer III (ISO/IEC 14496-3 table 1.17), which is how HLS names it.
    #[must_use]
    pub fn codec_string(&self) -> String {
        "mp4a.40.34".into()
    }

    #[must_use]
    pub fn duration(&self) -> Duration {
        let nanos = u64::from(self.samples) * 1_000_000_000;
        Duration::from_nanos(nanos / u64::from(self.sample_rate_hz.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::avc::tests::hex;
    use super::*;

    #[test]
    fn frames_and_what_they_say() {
        for (name, frame, mpeg1, sample_rate_hz, channels, micros) in [
            // Made by LAME.
            ("44.1 kHz stereo", "fffb9064", true, 44_100, 2, 26_122),
            ("48 kHz mono", "fffb54c4", true, 48_000, 1, 24_000),
            ("22.05 kHz stereo", "fff38064", false, 22_050, 2, 26_122),
            // Built by hand.
            ("32 kHz", "fffb9864", true, 32_000, 2, 36_000),
            ("MPEG-2.5, 8 kHz mono", "ffe328c4", false, 8_000, 1, 72_000),
        ] {
            let header = FrameHeader::parse(&hex(frame)).expect(name);
            assert_eq!(header.mpeg1, mpeg1, "{name}");
            assert_eq!(header.sample_rate_hz, sample_rate_hz, "{name}");
            assert_eq!(header.channels, channels, "{name}");
            assert_eq!(header.duration().as_micros(), micros, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (frame, error) in [
            ("", Error::Truncated),
            ("fffb90", Error::Truncated),
            ("ff7b9064", Error::Marker("an MP3 sync word")),
            ("ffeb9064", Error::Range("version")),
            ("fffd9064", Error::Range("layer")), // layer II
            ("fff19064", Error::Range("layer")), // ADTS
            ("fffbf064", Error::Range("bitrate_index")),
            ("fffb9c64", Error::Range("sampling_frequency")),
        ] {
            assert_eq!(FrameHeader::parse(&hex(frame)), Err(error), "{frame}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data: [u8; 4], length in 0usize..=4) {
            if let Ok(header) = FrameHeader::parse(&data[..length]) {
                prop_assert!((8_000..=48_000).contains(&header.sample_rate_hz));
                prop_assert!((1..=2).contains(&header.channels));
            }
        }
    }
}
