//! What the configuration records of H.264 and HEVC have in common (ISO/IEC 14496-15 §5.3.3.1,
//! §8.3.3.1): a version, the size of NAL units' lengths, parameter sets.

use bytes::Bytes;

use super::Error;
use super::nal::split_prefixed;

/// The parameter sets are sent again before every key frame, so a record must stay small beside
/// one: real ones have 30 to 200 bytes, some 2,500 where x265 brings its settings along, and 16 KiB
/// every 2 s would be 64 kbit/s.
pub(super) const BYTES_MAX: usize = 16 * 1024;
const VERSION: u8 = 1;

/// The record's fixed part, which begins with its version, and what follows.
pub(super) fn head<const BYTES: usize>(record: &[u8]) -> Result<(&[u8; BYTES], &[u8]), Error> {
    if record.len() > BYTES_MAX {
        return Err(Error::TooLarge(record.len()));
    }
    let (head, rest) = record.split_first_chunk().ok_or(Error::Truncated)?;
    match head[0] {
        VERSION => Ok((head, rest)),
        other => Err(Error::Version(other)),
    }
}

/// The size of the lengths before NAL units, from the field `lengthSizeMinusOne`.
pub(super) fn nal_length_size(minus_one: u8) -> Result<u8, Error> {
    match (minus_one & 0b11) + 1 {
        3 => Err(Error::NalLengthSize(3)),
        size => Ok(size),
    }
}

/// So many NAL units of one type, as `type_of` reads it, and what follows them.
pub(super) fn parameter_sets(
    mut rest: &[u8],
    count: u16,
    expected: u8,
    type_of: fn(&[u8]) -> u8,
) -> Result<(Vec<Bytes>, &[u8]), Error> {
    let mut sets = Vec::new();
    for _ in 0..count {
        let (nal, after) = split_prefixed(rest, 2).ok_or(Error::Truncated)?;
        if type_of(nal) != expected {
            return Err(Error::NotAParameterSet(type_of(nal)));
        }
        sets.push(Bytes::copy_from_slice(nal));
        rest = after;
    }
    Ok((sets, rest))
}
