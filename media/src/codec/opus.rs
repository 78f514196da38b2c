//! Opus: its identification header.

use super::Error;

const MAGIC: &[u8] = b"OpusHead";
/// Decoders put out this rate whatever the encoder was given (RFC 7845 §5.1).
pub const SAMPLE_RATE_HZ: u32 = 48_000;

/// An `OpusHead` (RFC 7845 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// At least 1.
    pub channels: u8,
    /// Samples of `SAMPLE_RATE_HZ` to throw away at the start.
    pub pre_skip: u16,
}

impl OpusHead {
    /// What follows a header that is whole is left alone, so none is too large.
    pub fn parse(header: &[u8]) -> Result<Self, Error> {
        let fields = header
            .strip_prefix(MAGIC)
            .ok_or(Error::Marker("OpusHead"))?;
        let (&[version, channels, low, high, _, _, _, _, _, _, family], rest) =
            fields.split_first_chunk().ok_or(Error::Truncated)?;
        // The low half counts changes that old readers need not know of.
        if version >> 4 != 0 {
            return Err(Error::Version(version));
        }
        match (family, channels) {
            (0, 1 | 2) => {}
            (0, _) | (_, 0) => return Err(Error::Range("channel count")),
            _ => check_mapping(rest, channels)?,
        }
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes([low, high]),
        })
    }
}

/// The table that says which decoded channel each output channel is (RFC 7845 §5.1.1).
fn check_mapping(table: &[u8], channels: u8) -> Result<(), Error> {
    const SILENCE: u8 = 255;
    let (&[streams, coupled], rest) = table.split_first_chunk().ok_or(Error::Truncated)?;
    if streams == 0 || coupled > streams {
        return Err(Error::Range("coupled count"));
    }
    let decoded = u16::from(streams) + u16::from(coupled);
    let mapping = rest.get(..channels.into()).ok_or(Error::Truncated)?;
    let exists = |&index: &u8| index == SILENCE || u16::from(index) < decoded;
    if !mapping.iter().all(exists) {
        return Err(Error::Range("channel mapping"));
    }
    Ok(())
}
