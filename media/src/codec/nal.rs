//! NAL units behind their lengths, as H.264 and HEVC have them in MP4, FLV and RTMP
//! (ISO/IEC 14496-15 §4.3.3).

use super::Error;

/// Walks length-prefixed NAL units. Empty ones are passed over; a length beyond the data is one
/// error, and the end.
#[derive(Clone, Debug)]
pub struct NalUnits<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl<'a> NalUnits<'a> {
    /// Each unit of `data` has its length before it in `length_size` bytes.
    pub(super) fn new(data: &'a [u8], length_size: u8) -> Self {
        Self {
            rest: data,
            length_size: length_size.into(),
        }
    }
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let Some((nal, rest)) = split_prefixed(self.rest, self.length_size) else {
                self.rest = &[];
                return Some(Err(Error::Truncated));
            };
            self.rest = rest;
            if !nal.is_empty() {
                return Some(Ok(nal));
            }
        }
        None
    }
}

/// Splits off what a big-endian length of `length_size` bytes announces.
pub(super) fn split_prefixed(data: &[u8], length_size: usize) -> Option<(&[u8], &[u8])> {
    let (prefix, rest) = data.split_at_checked(length_size)?;
    let length = prefix
        .iter()
        .fold(0_u32, |length, &byte| length << 8 | u32::from(byte));
    rest.split_at_checked(usize::try_from(length).ok()?)
}
