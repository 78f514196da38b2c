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
