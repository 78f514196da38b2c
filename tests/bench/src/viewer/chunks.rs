//! RTMP chunks (RTMP 1.0 §5.3), read for their headers only.

use anyhow::bail;
use isocast_media::rtmp::chunk::CHUNK_SIZE_DEFAULT;

use super::prefix::{Prefix, Seen};

/// S0, S1 and S2 (§5.2).
const HANDSHAKE_BYTES: usize = 1 + 1536 + 1536;
/// Basic header, message header, extended timestamp (§5.3.1).
const HEADER_BYTES_MAX: usize = 3 + 11 + 4;
/// In the timestamp field: 4 more bytes follow the header (§5.3.1.3).
const EXTENDED: [u8; 3] = [0xFF; 3];
const SET_CHUNK_SIZE: u8 = 1;

/// Walks from header to header; of a message it keeps the first bytes.
#[derive(Debug)]
pub(super) struct Chunks {
    skip: usize,
    chunk_size: usize,
    header: Vec<u8>,
    streams: Vec<ChunkStream>,
    /// The chunk being read: its place in `streams` and what is left of it.
    reading: Option<(usize, usize)>,
}

/// What later headers on a chunk stream leave out, and the message that is under way.
#[derive(Debug)]
struct ChunkStream {
    csid: u32,
    type_id: u8,
    length: usize,
    extended: bool,
    left: usize,
    prefix: Prefix,
}

impl Chunks {
    /// From a called end's first byte on.
    pub(super) fn after_handshake() -> Self {
        Self {
            skip: HANDSHAKE_BYTES,
            ..Self::of_size(CHUNK_SIZE_DEFAULT)
        }
    }

    pub(super) fn of_size(chunk_size: usize) -> Self {
        Self {
            skip: 0,
            chunk_size,
            header: Vec::with_capacity(HEADER_BYTES_MAX),
            streams: Vec::new(),
            reading: None,
        }
    }

    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        see: &mut impl FnMut(Seen<'_>),
    ) -> anyhow::Result<()> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        bytes = bytes.get(skipped..).unwrap_or_default();
        while let Some((first, rest)) = bytes.split_first() {
            let Some((index, left)) = self.reading else {
                self.header.push(*first);
                bytes = rest;
                if let Some(header) = self.whole_header() {
                    self.begin(&header)?;
                    self.header.clear();
                    self.end_chunk(see);
                }
                continue;
            };
            let (payload, rest) = bytes.split_at(left.min(bytes.len()));
            bytes = rest;
            if let Some(stream) = self.streams.get_mut(index) {
                stream.prefix.push(payload);
                stream.left -= payload.len();
            }
            self.reading = Some((index, left - payload.len()));
            self.end_chunk(see);
        }
        Ok(())
    }

    fn whole_header(&self) -> Option<Header> {
        let (&first, rest) = self.header.split_first()?;
        let (csid, rest) = match first & 0x3F {
            0 => {
                let (&low, rest) = rest.split_first()?;
                (64 + u32::from(low), rest)
            }
            1 => {
                let ([low, high], rest) = rest.split_first_chunk()?;
                (64 + u32::from(*low) + 256 * u32::from(*high), rest)
            }
            csid => (u32::from(csid), rest),
        };
        let format = first >> 6;
        let known = self.streams.iter().find(|stream| stream.csid == csid);
        let fields = match format {
            0 => 11,
            1 => 7,
            2 => 3,
            _ => 0,
        };
        let (fields, rest) = rest.split_at_checked(fields)?;
        let extended = match fields.get(..3) {
            Some(timestamp) => timestamp == EXTENDED,
            None => known.is_some_and(|stream| stream.extended),
        };
        if extended && rest.len() < 4 {
            return None;
        }
        Some(Header {
            csid,
            goes_on: format == 3 && known.is_some_and(|stream| stream.left > 0),
            extended,
            message: match fields.get(3..7) {
                Some(&[a, b, c, type_id]) => {
                    Some((u32::from_be_bytes([0, a, b, c]) as usize, type_id))
                }
                _ => None,
            },
        })
    }

    fn begin(&mut self, header: &Header) -> anyhow::Result<()> {
        let known = self
            .streams
            .iter()
            .position(|stream| stream.csid == header.csid);
        let index = match (known, header.message) {
            (Some(index), _) => index,
            (None, Some(_)) => {
                self.streams.push(ChunkStream::new(header.csid));
                self.streams.len() - 1
            }
            (None, None) => bail!("a chunk stream begins with a shortened header"),
        };
        if let Some(stream) = self.streams.get_mut(index) {
            stream.begin(header);
            self.reading = Some((index, stream.left.min(self.chunk_size)));
        }
        Ok(())
    }

    /// Where nothing is left of the chunk: the next byte is a header's, and the message may be whole.
    fn end_chunk(&mut self, see: &mut impl FnMut(Seen<'_>)) {
        let Some((index, 0)) = self.reading else {
            return;
        };
        self.reading = None;
        let Some(stream) = self.streams.get(index).filter(|stream| stream.left == 0) else {
            return;
        };
        let seen = Seen {
            type_id: stream.type_id,
            prefix: stream.prefix.as_slice(),
        };
        if let (SET_CHUNK_SIZE, Some(size)) = (seen.type_id, seen.prefix.first_chunk()) {
            self.chunk_size = (u32::from_be_bytes(*size) as usize).max(1);
        }
        see(seen);
    }
}

#[derive(Debug)]
struct Header {
    csid: u32,
    /// It continues a message.
    goes_on: bool,
    extended: bool,
    /// Length and type, where they are said.
    message: Option<(usize, u8)>,
}

impl ChunkStream {
    fn new(csid: u32) -> Self {
        Self {
            csid,
            type_id: 0,
            length: 0,
            extended: false,
            left: 0,
            prefix: Prefix::default(),
        }
    }

    fn begin(&mut self, header: &Header) {
        self.extended = header.extended;
        if let Some((length, type_id)) = header.message {
            (self.length, self.type_id) = (length, type_id);
        }
        if !header.goes_on {
            self.left = self.length;
            self.prefix.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use isocast_media::rtmp::chunk::{self, Message};
    use proptest::prelude::*;

    use super::*;

    type Messages = Vec<(u8, Vec<u8>)>;

    fn read(chunks: &mut Chunks, bytes: &[u8], piece: usize) -> anyhow::Result<Messages> {
        let mut seen = Vec::new();
        for piece in bytes.chunks(piece) {
            chunks.read(piece, &mut |it| seen.push((it.type_id, it.prefix.to_vec())))?;
        }
        Ok(seen)
    }

    #[test]
    fn headers_of_every_format_are_walked() {
        let long = |byte| vec![byte; 130];
        let table: [(&str, Vec<u8>, Messages); 9] = [
            (
                "whole",
                [&[3, 0, 0, 0, 0, 0, 2, 8, 1, 0, 0, 0][..], b"ab"].concat(),
                vec![(8, b"ab".into())],
            ),
            (
                "csid 64",
                [&[0, 0, 0, 0, 0, 0, 0, 1, 9, 0, 0, 0, 0][..], b"a"].concat(),
                vec![(9, b"a".into())],
            ),
            (
                "csid 320",
                [&[1, 0, 1, 0, 0, 0, 0, 0, 1, 9, 0, 0, 0, 0][..], b"a"].concat(),
                vec![(9, b"a".into())],
            ),
            (
                "shorter and shorter",
                [
                    &[4, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0][..],
                    b"a",
                    &[0x44, 0, 0, 9, 0, 0, 2, 9],
                    b"bc",
                    &[0x84, 0, 0, 9],
                    b"de",
                    &[0xC4],
                    b"fg",
                ]
                .concat(),
                vec![
                    (8, b"a".into()),
                    (9, b"bc".into()),
                    (9, b"de".into()),
                    (9, b"fg".into()),
                ],
            ),
            (
                "two chunks",
                [
                    &[4, 0, 0, 0, 0, 0, 130, 9, 1, 0, 0, 0][..],
                    &long(7)[..128],
                    &[0xC4],
                    &long(7)[128..],
                ]
                .concat(),
                vec![(9, long(7)[..crate::stream::PREFIX_BYTES].into())],
            ),
            (
                "two chunks with another message between",
                [
                    &[4, 0, 0, 0, 0, 0, 130, 9, 1, 0, 0, 0][..],
                    &long(7)[..128],
                    &[5, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0],
                    b"a",
                    &[0xC4],
                    &long(7)[128..],
                ]
                .concat(),
                vec![
                    (8, b"a".into()),
                    (9, long(7)[..crate::stream::PREFIX_BYTES].into()),
                ],
            ),
            (
                "extended timestamp, repeated",
                [
                    &[4, 255, 255, 255, 0, 0, 130, 9, 1, 0, 0, 0, 1, 0, 0, 0][..],
                    &long(7)[..128],
                    &[0xC4, 1, 0, 0, 0],
                    &long(7)[128..],
                ]
                .concat(),
                vec![(9, long(7)[..crate::stream::PREFIX_BYTES].into())],
            ),
            (
                "set chunk size",
                [
                    &[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 16, 0][..],
                    &[4, 0, 0, 0, 0, 0, 130, 9, 1, 0, 0, 0],
                    &long(7),
                ]
                .concat(),
                vec![
                    (1, vec![0, 0, 16, 0]),
                    (9, long(7)[..crate::stream::PREFIX_BYTES].into()),
                ],
            ),
            (
                "empty",
                vec![4, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0, 0],
                vec![(9, vec![])],
            ),
        ];
        for (name, bytes, expected) in table {
            for piece in [1, 5, bytes.len()] {
                let mut chunks = Chunks::of_size(CHUNK_SIZE_DEFAULT);
                let seen = read(&mut chunks, &bytes, piece).expect(name);
                assert_eq!(seen, expected, "{name}, {piece} bytes at a time");
            }
        }
    }

    #[test]
    fn a_handshake_is_passed_over_and_a_lost_place_is_told() {
        let mut bytes = vec![3; HANDSHAKE_BYTES];
        bytes.extend([3, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 42]);
        let seen = read(&mut Chunks::after_handshake(), &bytes, 1000).unwrap();
        assert_eq!(seen, [(8, vec![42])]);
        assert!(read(&mut Chunks::of_size(128), &[0xC9, 1, 2], 3).is_err());
    }

    proptest! {
        #[test]
        fn what_the_writer_writes_is_walked(
            sizes in prop::collection::vec((2_u32..70, 0_usize..9000, 0_u32..0x200_0000), 1..8),
            piece in 1_usize..5000,
        ) {
            let mut bytes = BytesMut::new();
            let mut expected = Vec::new();
            for (csid, size, timestamp) in sizes {
                let payload = Bytes::from(vec![csid as u8; size]);
                expected.push((9, payload[..size.min(crate::stream::PREFIX_BYTES)].to_vec()));
                let message = Message { csid, timestamp, type_id: 9, stream_id: 1, payload };
                chunk::write(&message, CHUNK_SIZE_DEFAULT, &mut bytes);
            }
            let mut chunks = Chunks::of_size(CHUNK_SIZE_DEFAULT);
            prop_assert_eq!(read(&mut chunks, &bytes, piece).unwrap(), expected);
        }
    }
}
