//! FLV (FLV 10.1 Annex E), read for its tag headers only.

use anyhow::bail;

use super::prefix::{Prefix, Seen};

/// The file's header and the first `PreviousTagSize` (§E.2, §E.3).
const FILE_HEADER_BYTES: usize = 9 + 4;
const TAG_HEADER_BYTES: usize = 11;
const PREVIOUS_TAG_SIZE_BYTES: usize = 4;

/// Walks from tag to tag; of a body it keeps the first bytes.
#[derive(Debug, Default)]
pub(super) struct Tags {
    place: Place,
    header: Vec<u8>,
    prefix: Prefix,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    FileHeader,
    TagHeader,
    Body {
        type_id: u8,
        left: usize,
    },
    PreviousTagSize {
        left: usize,
    },
}

impl Tags {
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        see: &mut impl FnMut(Seen<'_>),
    ) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::FileHeader => self.file_header(bytes)?,
                Place::TagHeader => self.tag_header(bytes, see),
                Place::Body { type_id, left } => self.body(bytes, type_id, left, see),
                Place::PreviousTagSize { left } => {
                    let (passed, rest) = bytes.split_at(left.min(bytes.len()));
                    self.place = match left - passed.len() {
                        0 => Place::TagHeader,
                        left => Place::PreviousTagSize { left },
                    };
                    rest
                }
            };
        }
        Ok(())
    }

    fn file_header<'b>(&mut self, bytes: &'b [u8]) -> anyhow::Result<&'b [u8]> {
        let rest = self.fill_header(bytes, FILE_HEADER_BYTES);
        if self.header.len() == FILE_HEADER_BYTES {
            if !self.header.starts_with(b"FLV") {
                bail!("this is not FLV");
            }
            self.header.clear();
            self.place = Place::TagHeader;
        }
        Ok(rest)
    }

    fn tag_header<'b>(&mut self, bytes: &'b [u8], see: &mut impl FnMut(Seen<'_>)) -> &'b [u8] {
        let rest = self.fill_header(bytes, TAG_HEADER_BYTES);
        if let &[type_id, a, b, c, _, _, _, _, _, _, _] = self.header.as_slice() {
            let left = u32::from_be_bytes([0, a, b, c]) as usize;
            self.header.clear();
            self.prefix.clear();
            return match left {
                0 => self.body(rest, type_id, 0, see),
                _ => {
                    self.place = Place::Body { type_id, left };
                    rest
                }
            };
        }
        rest
    }

    fn body<'b>(
        &mut self,
        bytes: &'b [u8],
        type_id: u8,
        left: usize,
        see: &mut impl FnMut(Seen<'_>),
    ) -> &'b [u8] {
        let (body, rest) = bytes.split_at(left.min(bytes.len()));
        self.prefix.push(body);
        let left = left - body.len();
        self.place = Place::Body { type_id, left };
        if left == 0 {
            let prefix = self.prefix.as_slice();
            see(Seen { type_id, prefix });
            self.place = Place::PreviousTagSize {
                left: PREVIOUS_TAG_SIZE_BYTES,
            };
        }
        rest
    }

    /// Takes bytes until the header has `len`.
    fn fill_header<'b>(&mut self, bytes: &'b [u8], len: usize) -> &'b [u8] {
        let missing = len.saturating_sub(self.header.len());
        let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
        self.header.extend_from_slice(taken);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE_HEADER: &[u8] = &[b'F', b'L', b'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0];

    fn tag(type_id: u8, body: &[u8]) -> Vec<u8> {
        let [_, a, b, c] = (body.len() as u32).to_be_bytes();
        let header = [type_id, a, b, c, 0, 0, 0, 0, 0, 0, 0];
        let previous = (body.len() as u32 + 11).to_be_bytes();
        [&header[..], body, &previous].concat()
    }

    #[test]
    fn tags_are_walked_however_the_bytes_come() {
        let long = vec![7; 70_000];
        let bytes = [
            FILE_HEADER.to_vec(),
            tag(18, b"meta"),
            tag(9, &long),
            tag(8, b""),
            tag(8, b"a"),
        ]
        .concat();
        for piece in [1, 3, 13, 1000, bytes.len()] {
            let (mut tags, mut seen) = (Tags::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                let see = &mut |it: Seen<'_>| seen.push((it.type_id, it.prefix.to_vec()));
                tags.read(piece, see).unwrap();
            }
            let prefix = long[..crate::stream::PREFIX_BYTES].to_vec();
            let expected = [
                (18, b"meta".to_vec()),
                (9, prefix),
                (8, vec![]),
                (8, b"a".to_vec()),
            ];
            assert_eq!(seen, expected, "{piece} bytes at a time");
        }
    }

    #[test]
    fn a_tag_is_seen_with_its_last_byte() {
        let bytes = [FILE_HEADER, &tag(9, b"abc")].concat();
        let whole = bytes.len() - PREVIOUS_TAG_SIZE_BYTES;
        for (len, expected) in [(whole - 1, 0), (whole, 1), (bytes.len(), 1)] {
            let mut count = 0;
            Tags::default()
                .read(&bytes[..len], &mut |_| count += 1)
                .unwrap();
            assert_eq!(count, expected, "{len} bytes");
        }
    }

    #[test]
    fn what_is_not_flv_is_told() {
        assert!(
            Tags::default()
                .read(b"<html><body>no", &mut |_| ())
                .is_err()
        );
    }
}
