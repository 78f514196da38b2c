//! A byte stream to tags.

use bytes::{Buf, Bytes, BytesMut};

use super::{BODY_BYTES_MAX, Error, TagType, export::TAG_HEADER_BYTES};

/// One tag as it stood in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub tag_type: TagType,
    /// Milliseconds; wraps after 49.7 days.
    pub timestamp: u32,
    pub body: Bytes,
}

/// Reads an FLV file or HTTP stream as it arrives: [`push`](Self::push) bytes, then call
/// [`next_tag`](Self::next_tag) until it answers `None`. It holds the bytes of one unfinished tag
/// and what was pushed behind it. After an error it answers that error for ever.
#[derive(Debug, Default)]
pub struct Demuxer {
    buffer: BytesMut,
    header_read: bool,
    /// Bytes that say nothing: the rest of a long file header, a `PreviousTagSize`. Its value is
    /// not compared, for the tags say their own length.
    skip_bytes: usize,
}

impl Demuxer {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub fn next_tag(&mut self) -> Result<Option<Tag>, Error> {
        if !self.header_read && !self.read_file_header()? {
            return Ok(None);
        }
        self.skip();
        self.read_tag()
    }

    /// §E.2; false while it is not whole. A `DataOffset` above 9 is a longer header.
    fn read_file_header(&mut self) -> Result<bool, Error> {
        let start = self.buffer.len().min(SIGNATURE.len());
        if self.buffer.get(..start) != SIGNATURE.get(..start) {
            return malformed("it does not start with FLV version 1");
        }
        let Some(&[_, _, _, _, _tracks, a, b, c, d]) = self.buffer.first_chunk() else {
            return Ok(false);
        };
        let data_offset = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(FILE_HEADER_BYTES..=FILE_HEADER_BYTES_MAX).contains(&data_offset) {
            return malformed("its header cannot be that long");
        }
        self.header_read = true;
        self.skip_bytes = data_offset + PREVIOUS_TAG_SIZE_BYTES;
        Ok(true)
    }

    fn skip(&mut self) {
        let here = self.skip_bytes.min(self.buffer.len());
        self.buffer.advance(here);
        self.skip_bytes -= here;
    }

    /// §E.4.1.
    fn read_tag(&mut self) -> Result<Option<Tag>, Error> {
        let Some(&[first, s0, s1, s2, t2, t1, t0, t3, _, _, _]) =
            self.buffer.first_chunk::<TAG_HEADER_BYTES>()
        else {
            return Ok(None);
        };
        if first & FILTER_BIT != 0 {
            return malformed("an encrypted tag");
        }
        // The two bits above are reserved.
        let Some(tag_type) = TagType::from_byte(first & 0x1F) else {
            return malformed("an unknown tag type");
        };
        let body_bytes = u32::from_be_bytes([0, s0, s1, s2]) as usize;
        if body_bytes > BODY_BYTES_MAX {
            let bytes_max = BODY_BYTES_MAX;
            return Err(Error::TooLong { bytes_max });
        }
        if self.buffer.len() < TAG_HEADER_BYTES + body_bytes {
            return Ok(None);
        }
        self.buffer.advance(TAG_HEADER_BYTES);
        self.skip_bytes = PREVIOUS_TAG_SIZE_BYTES;
        Ok(Some(Tag {
            tag_type,
            timestamp: u32::from_be_bytes([t3, t2, t1, t0]),
            body: self.buffer.split_to(body_bytes).freeze(),
        }))
    }
}

const SIGNATURE: &[u8] = b"FLV\x01";
const FILE_HEADER_BYTES: usize = 9;
/// Version 1 is always 9 long (§E.2); a later one may add fields, not a mebibyte.
const FILE_HEADER_BYTES_MAX: usize = 1024;
const PREVIOUS_TAG_SIZE_BYTES: usize = 4;
/// Set on a tag that needs a filter, such as decryption, before it can be read.
const FILTER_BIT: u8 = 0x20;

fn malformed<T>(reason: &'static str) -> Result<T, Error> {
    Err(Error::Malformed { reason })
}
