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
