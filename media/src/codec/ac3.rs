//! AC-3 and E-AC-3. They have no configuration: every frame says what it is.

use std::time::Duration;

use super::Error;
use super::bits::BitReader;

const SYNC_WORD: u32 = 0x0B77;
/// `fscod` (ETSI TS 102 366 table 4.1).
const SAMPLE_RATES_HZ: [u32; 3] = [48_000, 44_100, 32_000];
/// By half of `frmsizecod` (ETSI TS 102 366 table 4.13).
const BIT_RATES_KBPS: [u32; 19] = [
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
];
/// Full-bandwidth channels by `acmod` (ETSI TS 102 366 table 4.3).
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
const BLOCK_SAMPLES: u32 = 256;

/// The header of a sync frame (ETSI TS 102 366 §4.3, §4.4 and §E.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncFrame {
    /// E-AC-3, not AC-3.
    pub enhanced: bool,
    pub sample_rate_hz: u32,
    /// The low-frequency channel counted.
    pub channels: u8,
    pub samples: u32,
    /// With the sync word.
    pub bytes: usize,
}

impl SyncFrame {
    pub fn parse(frame: &[u8]) -> Result<Self, Error> {
        let reader = &mut BitReader::new(frame);
        if reader.u(16)? != SYNC_WORD {
            return Err(Error::Marker("AC-3's sync word"));
        }
        // `bsid` lies at the same place in both.
        match frame.get(5).ok_or(Error::Truncated)? >> 3 {
            0..=8 => Self::plain(reader),
            11..=16 => Self::enhanced(reader),
            version => Err(Error::Version(version)),
        }
    }

    fn plain(reader: &mut BitReader<'_>) -> Result<Self, Error> {
        reader.skip(16)?; // crc1
        let rate_code = reader.u(2)?;
        let size_code = reader.u(6)?;
        let sample_rate_hz = sample_rate(rate_code)?;
        let bit_rate_kbps = BIT_RATES_KBPS
            .get(size_code as usize / 2)
            .ok_or(Error::Range("frmsizecod"))?;
        // 1536 samples at that rate, in words of 16 bits; at 44.1 kHz the odd codes have one more.
        let words = bit_rate_kbps * 96_000 / sample_rate_hz
            + if rate_code == 1 { size_code % 2 } else { 0 };
        reader.skip(5 + 3)?; // bsid, bsmod
        let mode = reader.u8(3)?;
        if mode & 1 == 1 && mode != 1 {
            reader.skip(2)?; // cmixlev
        }
        if mode & 4 == 4 {
            reader.skip(2)?; // surmixlev
        }
        if mode == 2 {
            reader.skip(2)?; // dsurmod
        }
        Ok(Self {
            enhanced: false,
            sample_rate_hz,
            channels: CHANNELS[usize::from(mode)] + reader.u8(1)?,
            samples: 6 * BLOCK_SAMPLES,
            bytes: 2 * words as usize,
        })
    }

    fn enhanced(reader: &mut BitReader<'_>) -> Result<Self, Error> {
        reader.skip(2 + 3)?; // strmtyp, substreamid
        let words = reader.u(11)? + 1;
        let (sample_rate_hz, blocks) = match reader.u(2)? {
            // Half of a rate of the table, and always six blocks.
            3 => (sample_rate(reader.u(2)?)? / 2, 6),
            code => (sample_rate(code)?, [1, 2, 3, 6][reader.u(2)? as usize]),
        };
        let mode = reader.u8(3)?;
        Ok(Self {
            enhanced: true,
            sample_rate_hz,
            channels: CHANNELS[usize::from(mode)] + reader.u8(1)?,
            samples: blocks * BLOCK_SAMPLES,
            bytes: 2 * words as usize,
        })
    }

    /// `ac-3` or `ec-3` (ETSI TS 102 366 §F.3, §F.5).
    #[must_use]
    pub fn codec_string(&self) -> String {
        if self.enhanced { "ec-3" } else { "ac-3" }.into()
    }

    #[must_use]
    pub fn duration(&self) -> Duration {
        let nanos = u64::from(self.samples) * 1_000_000_000;
        Duration::from_nanos(nanos / u64::from(self.sample_rate_hz.max(1)))
    }
}

fn sample_rate(code: u32) -> Result<u32, Error> {
    let listed = SAMPLE_RATES_HZ.get(code as usize);
    listed.copied().ok_or(Error::Range("fscod"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::avc::tests::hex;
    use super::*;

    /// Name, start of a frame, codec string, rate, channels, samples, bytes.
    #[rustfmt::skip]
    const FRAMES: [(&str, &str, &str, u32, u8, u32, usize); 7] = [
        // Made by ffmpeg's encoders.
        ("stereo", "0b77fe95144043e106f46370", "ac-3", 48_000, 2, 1536, 768),
        ("5.1, 44.1 kHz, the shorter frame", "0b7746fa5e40ebf8403eff9d", "ac-3", 44_100, 6, 1536, 1950),
        ("5.1, 44.1 kHz, the longer frame", "0b7798d55f40ebf8403eff9d", "ac-3", 44_100, 6, 1536, 1952),
        ("E-AC-3 stereo", "0b77017f3487c00020842108", "ec-3", 48_000, 2, 1536, 768),
        ("E-AC-3 5.1", "0b77037f3f87c00020f82000", "ec-3", 48_000, 6, 1536, 1792),
        // Built by hand from the syntax.
        ("mono, 32 kHz", "0b7700008e402000", "ac-3", 32_000, 1, 1536, 672),
        ("E-AC-3, one block, half a rate", "0b77000fd280", "ec-3", 22_050, 1, 1536, 32),
    ];

    #[test]
    fn frames_and_what_they_say() {
        for (name, frame, codec_string, sample_rate_hz, channels, samples, bytes) in FRAMES {
            let frame = SyncFrame::parse(&hex(frame)).expect(name);
            assert_eq!(frame.codec_string(), codec_string, "{name}");
            assert_eq!(frame.sample_rate_hz, sample_rate_hz, "{name}");
            assert_eq!(frame.channels, channels, "{name}");
            assert_eq!(frame.samples, samples, "{name}");
            assert_eq!(frame.bytes, bytes, "{name}");
        }
        let stereo = SyncFrame::parse(&hex(FRAMES[0].1)).unwrap();
        assert_eq!(stereo.duration().as_millis(), 32);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (frame, error) in [
            ("", Error::Truncated),
            ("0b78fe95144043e1", Error::Marker("AC-3's sync word")),
            ("0b77fe9514", Error::Truncated),
            ("0b77fe951440", Error::Truncated),
            ("0b77fe95144943e1", Error::Version(9)),
            ("0b77fe9514f843e1", Error::Version(31)),
            ("0b77fe95d44043e1", Error::Range("fscod")),
            ("0b77fe95264043e1", Error::Range("frmsizecod")),
            ("0b77017ff487c000", Error::Range("fscod")),
        ] {
            assert_eq!(SyncFrame::parse(&hex(frame)), Err(error), "{frame}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..16)) {
            let frame = [&[0x0B, 0x77][..], &data].concat();
            if let Ok(frame) = SyncFrame::parse(&frame) {
                prop_assert!((1..=6).contains(&frame.channels));
                prop_assert!((2..=4096).contains(&frame.bytes));
                prop_assert!(frame.duration().as_millis() <= 96);
            }
            let _ = SyncFrame::parse(&data);
        }
    }
}
