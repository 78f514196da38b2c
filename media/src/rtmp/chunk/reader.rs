use bytes::{Buf, Bytes, BytesMut};

use super::{CHUNK_SIZE_DEFAULT, CHUNK_SIZE_MAX, EXTENDED, Message};
use crate::rtmp::Error;

/// How much a peer may make the reader hold.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Chunk streams known at a time.
    pub chunk_streams_max: usize,
    /// Bytes of unfinished messages, over all chunk streams.
    pub unfinished_bytes_max: usize,
    /// Bytes of one message.
    pub message_bytes_max: usize,
}

impl ReadLimits {
    /// Before the peer has shown a key: enough for `connect` and `publish`, no more.
    pub const STRANGER: Self = Self {
        chunk_streams_max: 8,
        unfinished_bytes_max: 64 << 10,
        message_bytes_max: 64 << 10,
    };
    /// A publisher: a key frame of 8 MiB, and half of one more beside it.
    pub const PUBLISHER: Self = Self {
        chunk_streams_max: 64,
        unfinished_bytes_max: 12 << 20,
        message_bytes_max: 8 << 20,
    };
}

/// Puts messages together from chunks.
///
/// Memory grows with the bytes that arrived, never with a declared length.
#[derive(Debug)]
pub struct Reader {
    limits: ReadLimits,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    /// The chunk whose payload is being read: which stream, and how many bytes are missing.
    open_chunk: Option<(usize, usize)>,
    unfinished_bytes: usize,
    chunks_read: u64,
    messages_dropped: u64,
}

#[derive(Debug)]
struct ChunkStream {
    csid: u32,
    timestamp: u32,
    /// The last timestamp field: what a type-3 header repeats as its delta.
    delta: u32,
    /// Whether the last header carried an extended timestamp field, and what it said.
    extended: Option<u32>,
    length: usize,
    type_id: u8,
    stream_id: u32,
    payload: Vec<u8>,
    in_message: bool,
}

/// A chunk header before it is applied, and how many bytes it took.
struct Header {
    len: usize,
    format: u8,
    csid: u32,
}

impl Reader {
    #[must_use]
    pub fn new(limits: ReadLimits) -> Self {
        Self {
            limits,
            chunk_size: CHUNK_SIZE_DEFAULT,
            streams: Vec::new(),
            open_chunk: None,
            unfinished_bytes: 0,
            chunks_read: 0,
            messages_dropped: 0,
        }
    }

    pub fn set_limits(&mut self, limits: ReadLimits) {
        self.limits = limits;
    }

    /// The peer's Set Chunk Size (§5.4.1): bit 31 must be zero, and at least 1 byte.
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), Error> {
        if size == 0 || size & 0x8000_0000 != 0 {
            return Err(Error::ChunkSize(size));
        }
        self.chunk_size = (size as usize).min(CHUNK_SIZE_MAX);
        Ok(())
    }

    /// The peer's Abort Message (§5.4.2): forgets the unfinished message of that chunk stream.
    pub fn abort(&mut self, csid: u32) {
        if let Some(index) = self.streams.iter().position(|stream| stream.csid == csid) {
            self.drop_unfinished(index);
        }
    }

    /// Chunks read so far, for a rate limit.
    #[must_use]
    pub fn chunks_read(&self) -> u64 {
        self.chunks_read
    }

    /// Messages given up half-way: aborted, or another one began on their chunk stream.
    #[must_use]
    pub fn messages_dropped(&self) -> u64 {
        self.messages_dropped
    }

    /// Takes the next whole message out of `input`; `None` when it needs more bytes.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Error> {
        loop {
            let (index, missing) = match self.open_chunk {
                Some(open) => open,
                None => match self.read_header(input)? {
                    Some(open) => open,
                    None => return Ok(None),
                },
            };
            if let Some(message) = self.read_payload(index, missing, input)? {
                return Ok(Some(message));
            }
            if self.open_chunk.is_some() {
                return Ok(None);
            }
        }
    }

    /// Reads payload bytes of the open chunk; a message once it is whole.
    fn read_payload(
        &mut self,
        index: usize,
        missing: usize,
        input: &mut BytesMut,
    ) -> Result<Option<Message>, Error> {
        let stream = &mut self.streams[index];
        let taken = missing.min(input.len());
        self.unfinished_bytes += taken;
        if self.unfinished_bytes > self.limits.unfinished_bytes_max {
            return Err(Error::TooMuchUnfinished {
                max: self.limits.unfinished_bytes_max,
            });
        }
        stream.append(&input[..taken]);
        input.advance(taken);
        if taken < missing {
            self.open_chunk = Some((index, missing - taken));
            return Ok(None);
        }
        self.open_chunk = None;
        if stream.payload.len() < stream.length {
            return Ok(None);
        }
        stream.in_message = false;
        self.unfinished_bytes -= stream.payload.len();
        Ok(Some(Message {
            csid: stream.csid,
            timestamp: stream.timestamp,
            type_id: stream.type_id,
            stream_id: stream.stream_id,
            payload: Bytes::from(std::mem::take(&mut stream.payload)),
        }))
    }

    /// Reads one chunk header; which stream it opens and how many payload bytes follow.
    fn read_header(&mut self, input: &mut BytesMut) -> Result<Option<(usize, usize)>, Error> {
        let Some(basic) = basic_header(input) else {
            return Ok(None);
        };
        let known = self
            .streams
            .iter()
            .position(|stream| stream.csid == basic.csid);
        if known.is_none() {
            if basic.format != 0 {
                return Err(Error::NoPreviousHeader { csid: basic.csid });
            }
            if self.streams.len() >= self.limits.chunk_streams_max {
                return Err(Error::TooManyChunkStreams {
                    max: self.limits.chunk_streams_max,
                });
            }
        }
        let opened = match basic.format {
            3 => {
                let index = known.expect("a type-3 header of an unknown stream was refused above");
                self.read_repeated(index, basic.len, input)
            }
            _ => self.read_message_header(known, &basic, input)?,
        };
        let Some(index) = opened else {
            return Ok(None);
        };
        self.chunks_read += 1;
        let stream = &self.streams[index];
        let missing = (stream.length - stream.payload.len()).min(self.chunk_size);
        Ok(Some((index, missing)))
    }

    /// A type-3 header (§5.3.1.2.4): goes on with a message, or opens one just like the last.
    fn read_repeated(&mut self, index: usize, len: usize, input: &mut BytesMut) -> Option<usize> {
        let stream = &mut self.streams[index];
        let mut len = len;
        if let Some(extended) = stream.extended {
            // Some encoders repeat the extended timestamp here, as §5.3.1.3 wants, and some do
            // not: the bytes themselves tell.
            let expected = extended.to_be_bytes();
            let next = &input[len..];
            let compared = next.len().min(expected.len());
            if next[..compared] == expected[..compared] {
                if compared < expected.len() {
                    return None;
                }
                len += expected.len();
            }
        }
        if !stream.in_message {
            stream.timestamp = stream.timestamp.wrapping_add(stream.delta);
            stream.in_message = true;
        }
        input.advance(len);
        Some(index)
    }

    /// A type-0, -1 or -2 header (§5.3.1.2.1–3): always opens a message.
    fn read_message_header(
        &mut self,
        known: Option<usize>,
        basic: &Header,
        input: &mut BytesMut,
    ) -> Result<Option<usize>, Error> {
        let header_len = basic.len + [11, 7, 3][usize::from(basic.format)];
        let Some(fields) = input.get(basic.len..header_len) else {
            return Ok(None);
        };
        let mut fields = fields;
        let mut time = fields.get_uint(3) as u32;
        let described = (basic.format < 2).then(|| (fields.get_uint(3) as usize, fields.get_u8()));
        let stream_id = (basic.format == 0).then(|| fields.get_u32_le());
        let mut total_len = header_len;
        let mut extended = None;
        if time == EXTENDED {
            let Some(mut bytes) = input.get(header_len..header_len + 4) else {
                return Ok(None);
            };
            time = bytes.get_u32();
            extended = Some(time);
            total_len += 4;
        }
        let length = described.map(|(length, _)| length).unwrap_or_default();
        if length > self.limits.message_bytes_max {
            return Err(Error::MessageTooLong {
                len: length,
                max: self.limits.message_bytes_max,
            });
        }
        input.advance(total_len);

        let index = known.unwrap_or_else(|| {
            self.streams.push(ChunkStream::new(basic.csid));
            self.streams.len() - 1
        });
        self.drop_unfinished(index);
        let stream = &mut self.streams[index];
        stream.timestamp = match basic.format {
            0 => time,
            _ => stream.timestamp.wrapping_add(time),
        };
        stream.delta = time;
        stream.extended = extended;
        if let Some((length, type_id)) = described {
            stream.length = length;
            stream.type_id = type_id;
        }
        if let Some(stream_id) = stream_id {
            stream.stream_id = stream_id;
        }
        stream.in_message = true;
        Ok(Some(index))
    }

    fn drop_unfinished(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        if stream.in_message {
            self.messages_dropped += 1;
            self.unfinished_bytes -= stream.payload.len();
            stream.payload = Vec::new();
            stream.in_message = false;
        }
    }

    #[cfg(test)]
    pub(super) fn payload_bytes_held(&self) -> usize {
        let held = self.streams.iter().map(|stream| stream.payload.capacity());
        held.sum()
    }
}

impl ChunkStream {
    fn new(csid: u32) -> Self {
        Self {
            csid,
            timestamp: 0,
            delta: 0,
            extended: None,
            length: 0,
            type_id: 0,
            stream_id: 0,
            payload: Vec::new(),
            in_message: false,
        }
    }

    /// Grows at most twofold and never past the message's length, so that a message is held in
    /// just its own bytes once it is whole. `bytes` are bytes of this message.
    fn append(&mut self, bytes: &[u8]) {
        if self.payload.capacity() - self.payload.len() < bytes.len() {
            let missing = self.length.saturating_sub(self.payload.len());
            let more = self.payload.len().min(missing).max(bytes.len());
            self.payload.reserve_exact(more);
        }
        self.payload.extend_from_slice(bytes);
    }
}

/// One to three bytes (§5.3.1.1); `None` when they are not all here.
fn basic_header(input: &[u8]) -> Option<Header> {
    let first = *input.first()?;
    let (len, csid) = match first & 0x3F {
        0 => (2, 64 + u32::from(*input.get(1)?)),
        1 => {
            let (low, high) = (*input.get(1)?, *input.get(2)?);
            (3, 64 + u32::from(u16::from_le_bytes([low, high])))
        }
        csid => (1, u32::from(csid)),
    };
    Some(Header {
        len,
        format: first >> 6,
        csid,
    })
}
