//! FLAC: its stream information.

use super::Error;
use super::bits::BitReader;

const MARKER: &[u8] = b"fLaC";
/// The header of a metadata block of type 0 and 34 bytes (RFC 9639 §8.1), without the bit that
/// says whether more blocks follow.
const BLOCK_HEADER: [u8; 4] = [0, 0, 0, 34];
const STREAM_INFO_BYTES: usize = 34;

/// A `STREAMINFO` block (RFC 9639 §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    pub sample_rate_hz: u32,
    pub channels: u8,
    pub bits_per_sample: u8,
}

impl StreamInfo {
    /// Takes the start of a FLAC stream, as Enhanced RTMP has it, and the bare block, as ffmpeg
    /// sends it. What follows is left alone, so none is too large.
    pub fn parse(record: &[u8]) -> Result<Self, Error> {
        let block = match record.strip_prefix(MARKER) {
            None => record,
            Some(blocks) => {
                let (&[flags, header @ ..], block) =
                    blocks.split_first_chunk::<4>().ok_or(Error::Truncated)?;
                if [flags & 0x7F, header[0], header[1], header[2]] != BLOCK_HEADER {
                    return Err(Error::Marker("a STREAMINFO block"));
                }
                block
            }
        };
        let block = block.get(..STREAM_INFO_BYTES).ok_or(Error::Truncated)?;
        let reader = &mut BitReader::new(block);
        let (smallest, largest) = (reader.u(16)?, reader.u(16)?);
        if smallest < 16 || largest < smallest {
            return Err(Error::Range("block size"));
        }
        reader.skip(24 + 24)?; // frame sizes
        let info = Self {
            sample_rate_hz: reader.u(20)?,
            channels: reader.u8(3)? + 1,
            bits_per_sample: reader.u8(5)? + 1,
        };
        if info.sample_rate_hz == 0 {
            return Err(Error::Range("sample rate"));
        }
        if info.bits_per_sample < 4 {
            return Err(Error::Range("bits per sample"));
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::avc::tests::hex;
    use super::*;

    /// What ffmpeg's encoder sends.
    const STEREO: &str = "040004000000000010980ac442f00000000000000000000000000000000000000000";
    const SURROUND: &str = "0400040000000000482a17700b700000000000000000000000000000000000000000";

    #[test]
    fn stream_information_with_its_marker_and_without() {
        for (block, sample_rate_hz, channels, bits_per_sample) in
            [(STEREO, 44_100, 2, 16), (SURROUND, 96_000, 6, 24)]
        {
            let expected = StreamInfo {
                sample_rate_hz,
                channels,
                bits_per_sample,
            };
            for before in ["", "664c614300000022", "664c614380000022"] {
                let record = hex(&format!("{before}{block}"));
                assert_eq!(StreamInfo::parse(&record), Ok(expected), "{before}");
                let cut = StreamInfo::parse(&record[..record.len() - 1]);
                assert_eq!(cut, Err(Error::Truncated), "{before}");
            }
        }
    }

    #[test]
    fn broken_records_say_why() {
        let with = |at: usize, bytes: &[u8]| {
            let mut block = hex(STEREO);
            block[at..at + bytes.len()].copy_from_slice(bytes);
            block
        };
        for (record, error) in [
            (hex("664c6143"), Error::Truncated),
            (hex("664c614384000022"), Error::Marker("a STREAMINFO block")),
            (hex("664c614300000021"), Error::Marker("a STREAMINFO block")),
            (with(0, &[0, 15]), Error::Range("block size")),
            (with(2, &[0, 16]), Error::Range("block size")),
            (with(10, &[0, 0, 2]), Error::Range("sample rate")),
            (with(12, &[0x42, 0x0F]), Error::Range("bits per sample")),
        ] {
            assert_eq!(StreamInfo::parse(&record), Err(error), "{record:x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..80), marked: bool) {
            let record = if marked { [MARKER, &data].concat() } else { data };
            if let Ok(info) = StreamInfo::parse(&record) {
                prop_assert!((1..=8).contains(&info.channels));
                prop_assert!((4..=32).contains(&info.bits_per_sample));
                prop_assert!((1..1 << 20).contains(&info.sample_rate_hz));
            }
        }
    }
}
