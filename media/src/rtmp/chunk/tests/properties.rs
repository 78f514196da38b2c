//! Any interleaving of chunk streams is read as each would be alone, and any bytes end well.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::super::writer::write_basic_header;
use super::super::*;

proptest! {
    #[test]
    fn any_interleaving_equals_the_sequential_one(
        lanes in prop::collection::vec(prop::collection::vec(sent(), 1..6), 1..6),
        chunk_size in prop::sample::select(vec![1usize, 2, 7, 127, 128, 129, 5000]),
        repeats_extended in any::<bool>(),
        order in prop::collection::vec(any::<u8>(), 0..200),
        piece_len in prop::sample::select(vec![1usize, 3, 100, 1_000_000]),
    ) {
        let mut chunks: Vec<VecDeque<Chunk>> = Vec::new();
        for (lane, messages) in lanes.iter().enumerate() {
            let mut writer = CompressingWriter {
                csid: CSIDS[lane], chunk_size, repeats_extended, last: None,
            };
            chunks.push(messages.iter().flat_map(|sent| writer.chunks(sent)).collect());
        }
        let mut bytes = BytesMut::new();
        let mut expected = Vec::new();
        let mut order = order.into_iter();
        while chunks.iter().any(|lane| !lane.is_empty()) {
            let pick = usize::from(order.next().unwrap_or_default()) % chunks.len();
            let Some(chunk) = chunks[pick].pop_front() else {
                chunks.remove(pick);
                continue;
            };
            bytes.extend_from_slice(&chunk.bytes);
            expected.extend(chunk.ends);
        }
        // Without it, a reader may still wait to see whether an extended timestamp is repeated.
        let last = Message {
            csid: 2, timestamp: 0, type_id: 3, stream_id: 0, payload: Bytes::from_static(&[0; 4]),
        };
        write(&last, chunk_size, &mut bytes);
        expected.push(last);

        let mut reader = Reader::new(ReadLimits::PUBLISHER);
        reader.set_chunk_size(chunk_size as u32).unwrap();
        let (mut input, mut read) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece_len) {
            input.extend_from_slice(piece);
            while let Some(message) = reader.read(&mut input).unwrap() {
                read.push(message);
            }
        }
        prop_assert_eq!(read, expected);
        prop_assert_eq!(reader.messages_dropped(), 0);
        prop_assert_eq!(reader.payload_bytes_held(), 0);
    }

    #[test]
    fn any_bytes_end_well_within_the_limits(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..4000), chunk_shaped()],
        chunk_size in 1u32..300,
    ) {
        let limits = ReadLimits {
            chunk_streams_max: 8,
            unfinished_bytes_max: 1024,
            message_bytes_max: 700,
        };
        let mut reader = Reader::new(limits);
        reader.set_chunk_size(chunk_size).unwrap();
        let mut input = BytesMut::new();
        for piece in bytes.chunks(97) {
            input.extend_from_slice(piece);
            loop {
                let before = input.len();
                let result = reader.read(&mut input);
                prop_assert!(reader.payload_bytes_held() <= 2 * limits.unfinished_bytes_max);
                match result {
                    Ok(Some(message)) => {
                        prop_assert!(input.len() < before, "a message out of nothing");
                        prop_assert!(message.payload.len() <= limits.message_bytes_max);
                    }
                    Ok(None) => break,
                    Err(_) => return Ok(()),
                }
            }
            // Only the start of a header waits: 3 + 11 + 4 bytes at most.
            prop_assert!(input.len() < 18);
        }
    }

    #[test]
    fn what_is_written_is_read(
        csid in 2u32..=65_599, timestamp in any::<u32>(), type_id in any::<u8>(), stream_id in any::<u32>(),
        payload in prop::collection::vec(any::<u8>(), 0..2000), chunk_size in 1usize..2100,
    ) {
        let message = Message { csid, timestamp, type_id, stream_id, payload: payload.into() };
        let mut bytes = BytesMut::new();
        write(&message, chunk_size, &mut bytes);
        let mut reader = Reader::new(ReadLimits::PUBLISHER);
        reader.set_chunk_size(chunk_size as u32).unwrap();
        prop_assert_eq!(reader.read(&mut bytes), Ok(Some(message)));
        prop_assert!(bytes.is_empty());
    }
}

/// One chunk stream each, in every length of basic header.
const CSIDS: [u32; 5] = [3, 63, 64, 320, 65_599];
/// The first byte of no timestamp that is used here, so that a payload never looks like one.
const FILL: u8 = 0xC5;

/// A message to send, and how much its sender would like to compress the header.
#[derive(Clone, Debug)]
struct Sent {
    since_last: u32,
    length: usize,
    type_id: u8,
    stream_id: u32,
    taste: u8,
}

/// Few different values, so that headers can often be short.
fn sent() -> impl Strategy<Value = Sent> {
    let deltas = vec![
        0,
        40,
        40,
        40,
        0xFF_FFFE,
        0xFF_FFFF,
        0x0100_0000,
        0x8000_0000,
        0xFFFF_FFFF,
    ];
    let lengths = vec![0usize, 1, 4, 127, 128, 129, 300, 300];
    (
        prop::sample::select(deltas),
        prop::sample::select(lengths),
        8u8..10,
        prop::sample::select(vec![1u32, 1, 1, 0x0203_0405]),
        any::<u8>(),
    )
        .prop_map(|(since_last, length, type_id, stream_id, taste)| Sent {
            since_last,
            length,
            type_id,
            stream_id,
            taste,
        })
}

struct Chunk {
    bytes: BytesMut,
    /// The message whose last chunk this is.
    ends: Option<Message>,
}

/// Writes one chunk stream with any header that says enough (§5.3.1.2).
struct CompressingWriter {
    csid: u32,
    chunk_size: usize,
    repeats_extended: bool,
    /// The last message, and the time field of its header.
    last: Option<(Message, u32)>,
}

impl CompressingWriter {
    fn chunks(&mut self, sent: &Sent) -> Vec<Chunk> {
        let last_timestamp = self.last.as_ref().map_or(0, |(last, _)| last.timestamp);
        let message = Message {
            csid: self.csid,
            timestamp: last_timestamp.wrapping_add(sent.since_last),
            type_id: sent.type_id,
            stream_id: sent.stream_id,
            payload: vec![FILL; sent.length].into(),
        };
        let formats = self.formats(&message, sent.since_last);
        let format = formats[usize::from(sent.taste) % formats.len()];
        let time = if format == 0 {
            message.timestamp
        } else {
            sent.since_last
        };
        let mut bytes = BytesMut::new();
        self.header(format, time, &message, &mut bytes);
        let mut pieces = message.payload.chunks(self.chunk_size);
        bytes.put_slice(pieces.next().unwrap_or_default());
        let mut chunks = vec![Chunk { bytes, ends: None }];
        for piece in pieces {
            let mut bytes = BytesMut::new();
            self.header(3, time, &message, &mut bytes);
            bytes.put_slice(piece);
            chunks.push(Chunk { bytes, ends: None });
        }
        chunks.last_mut().unwrap().ends = Some(message.clone());
        self.last = Some((message, time));
        chunks
    }

    fn formats(&self, message: &Message, delta: u32) -> Vec<u8> {
        let mut formats = vec![0];
        if let Some((last, last_time)) = &self.last
            && last.stream_id == message.stream_id
        {
            formats.push(1);
            if last.payload.len() == message.payload.len() && last.type_id == message.type_id {
                formats.push(2);
                if *last_time == delta {
                    formats.push(3);
                }
            }
        }
        formats
    }

    fn header(&self, format: u8, time: u32, message: &Message, out: &mut BytesMut) {
        write_basic_header(format, self.csid, out);
        if format < 3 {
            out.put_uint(u64::from(time.min(EXTENDED)), 3);
        }
        if format < 2 {
            out.put_uint(message.payload.len() as u64, 3);
            out.put_u8(message.type_id);
        }
        if format < 1 {
            out.put_u32_le(message.stream_id);
        }
        if time >= EXTENDED && (format < 3 || self.repeats_extended) {
            out.put_u32(time);
        }
    }
}

/// Headers that make sense with payloads that may not fit them: deeper than random bytes get.
fn chunk_shaped() -> impl Strategy<Value = Vec<u8>> {
    let chunk = (
        0u8..4,
        2u8..12,
        prop::sample::select(vec![0u8, 0, 1, 255]),
        0u16..800,
        0usize..400,
    );
    prop::collection::vec(chunk, 0..60).prop_map(|chunks| {
        let mut bytes = Vec::new();
        for (format, csid, time, length, payload_len) in chunks {
            bytes.push(format << 6 | csid);
            let fields = [
                &[time; 3][..],
                &[0],
                &length.to_be_bytes(),
                &[9],
                &[1, 0, 0, 0],
            ]
            .concat();
            bytes.extend_from_slice(&fields[..[11, 7, 3, 0][usize::from(format)]]);
            bytes.extend(std::iter::repeat_n(0x03, payload_len));
        }
        bytes
    })
}
