mod limits;
mod properties;

use bytes::{BufMut, Bytes, BytesMut};

use super::writer::write_basic_header;
use super::*;
use crate::rtmp::Error;

const VIDEO: u8 = 9;
const AUDIO: u8 = 8;

#[test]
fn headers_of_every_type_are_read_as_the_specification_says() {
    let full = |time, rest: Header| Header {
        time: Some(time),
        ..rest
    };
    let message = |timestamp| (6, timestamp, VIDEO, 2);
    for (name, chunks, expected) in [
        (
            "type 3 after type 1 repeats the delta",
            vec![full(1000, type0(6, 2)), type1(6, 40, 2), type3(6), type3(6)],
            vec![message(1000), message(1040), message(1080), message(1120)],
        ),
        (
            "type 3 after type 2 repeats its delta",
            vec![full(1000, type0(6, 2)), type2(6, 33), type3(6)],
            vec![message(1000), message(1033), message(1066)],
        ),
        (
            "type 3 after type 0 takes the timestamp as delta",
            vec![full(40, type0(6, 2)), type3(6), type3(6)],
            vec![message(40), message(80), message(120)],
        ),
        (
            "type 1 gives a new length",
            vec![full(0, type0(6, 2)), type1(6, 5, 3), type2(6, 5)],
            vec![message(0), (6, 5, VIDEO, 3), (6, 10, VIDEO, 3)],
        ),
        (
            "a type-1 delta wraps 2^32",
            vec![full(0xFFFF_FFF0, type0(6, 2)), type1(6, 0x20, 2), type3(6)],
            vec![message(0xFFFF_FFF0), message(0x10), message(0x30)],
        ),
        (
            "a type-2 delta wraps 2^32",
            vec![full(0xFFFF_FFFF, type0(6, 2)), type2(6, 1)],
            vec![message(0xFFFF_FFFF), message(0)],
        ),
        (
            "a delta larger than 24 bits",
            vec![full(1, type0(6, 2)), type2(6, 0xFFFF_FFFF)],
            vec![message(1), message(0)],
        ),
        (
            "the largest timestamp that is not extended",
            vec![full(0xFF_FFFE, type0(6, 2))],
            vec![message(0xFF_FFFE)],
        ),
        (
            "the smallest timestamp that is extended",
            vec![full(0xFF_FFFF, type0(6, 2))],
            vec![message(0xFF_FFFF)],
        ),
        (
            "an empty message",
            vec![full(7, type0(6, 0)), type3(6)],
            vec![(6, 7, VIDEO, 0), (6, 14, VIDEO, 0)],
        ),
    ] {
        // Each of these messages is one chunk.
        let mut bytes = BytesMut::new();
        let mut length = 0;
        for chunk in &chunks {
            length = chunk.length.unwrap_or(length);
            chunk.write(&mut bytes);
            bytes.put_bytes(0xC5, length);
        }
        let read = read_all(&bytes).unwrap();
        let summary: Vec<_> = read
            .iter()
            .map(|read| (read.csid, read.timestamp, read.type_id, read.payload.len()))
            .collect();
        assert_eq!(summary, expected, "{name}");
        assert_eq!(read_bytewise(&bytes).unwrap(), read, "{name}, by the byte");
    }
}

#[test]
fn an_extended_timestamp_may_or_may_not_come_again_on_type_3() {
    for repeated in [false, true] {
        for timestamp in [0xFF_FFFF, 0x0100_0000, 0xFFFF_FFFF] {
            let mut bytes = BytesMut::new();
            let first = Header {
                time: Some(timestamp),
                ..type0(6, 300)
            };
            first.write(&mut bytes);
            bytes.put_bytes(0xC5, 128);
            for piece in [128, 44] {
                type3(6).write(&mut bytes);
                if repeated {
                    bytes.put_u32(timestamp);
                }
                bytes.put_bytes(0xC5, piece);
            }
            // The stream goes on in step.
            type1(6, 5, 1).write(&mut bytes);
            bytes.put_u8(0xC5);
            let expected = [
                video(6, timestamp, &[0xC5; 300]),
                video(6, timestamp.wrapping_add(5), &[0xC5; 1]),
            ];
            let name = format!("{timestamp:#x}, repeated: {repeated}");
            assert_eq!(read_all(&bytes).unwrap(), expected, "{name}");
            assert_eq!(read_bytewise(&bytes).unwrap(), expected, "{name}");
        }
    }
}

#[test]
fn a_new_message_of_type_3_may_repeat_an_extended_delta() {
    for repeated in [false, true] {
        let mut bytes = BytesMut::new();
        type0(6, 1).write(&mut bytes);
        bytes.put_u8(1);
        type2(6, 0x0123_4567).write(&mut bytes);
        bytes.put_u8(2);
        type3(6).write(&mut bytes);
        if repeated {
            bytes.put_u32(0x0123_4567);
        }
        bytes.put_u8(3);
        let expected = [
            video(6, 0, &[1]),
            video(6, 0x0123_4567, &[2]),
            video(6, 0x0246_8ACE, &[3]),
        ];
        assert_eq!(read_all(&bytes).unwrap(), expected, "repeated: {repeated}");
    }
}

#[test]
fn an_extended_timestamp_is_forgotten_at_the_next_header_without_one() {
    let mut bytes = BytesMut::new();
    let extended = Header {
        time: Some(0x0123_4567),
        ..type0(6, 1)
    };
    extended.write(&mut bytes);
    bytes.put_u8(0);
    type1(6, 1, 4).write(&mut bytes);
    bytes.put_u32(0x0123_4567); // payload, whatever it looks like
    type3(6).write(&mut bytes);
    bytes.put_u32(0x0123_4567);
    let payload = [1, 0x23, 0x45, 0x67];
    let expected = [
        video(6, 0x0123_4567, &[0]),
        video(6, 0x0123_4568, &payload),
        video(6, 0x0123_4569, &payload),
    ];
    assert_eq!(read_all(&bytes).unwrap(), expected);
}

#[test]
fn audio_comes_through_in_the_middle_of_a_video_message() {
    let mut bytes = BytesMut::new();
    type0(6, 200).write(&mut bytes);
    bytes.put_bytes(1, 128);
    let audio = Message {
        csid: 4,
        timestamp: 3,
        type_id: AUDIO,
        stream_id: 1,
        payload: Bytes::from_static(&[2; 10]),
    };
    write(&audio, CHUNK_SIZE_DEFAULT, &mut bytes);
    type3(6).write(&mut bytes);
    bytes.put_bytes(1, 72);
    let expected = [audio, video(6, 0, &[1; 200])];
    assert_eq!(read_all(&bytes).unwrap(), expected);
    assert_eq!(read_bytewise(&bytes).unwrap(), expected);
}

#[test]
fn a_header_in_mid_message_drops_the_old_message_and_keeps_the_new() {
    for (name, header) in [
        ("type 0, smaller", type0(6, 3)),
        ("type 1, smaller", type1(6, 0, 3)),
        ("type 0, larger", type0(6, 4000)),
        ("type 2, same length", type2(6, 0)),
    ] {
        let mut reader = Reader::new(ReadLimits::PUBLISHER);
        let mut input = BytesMut::new();
        type0(6, 1000).write(&mut input);
        input.put_bytes(1, 128);
        header.write(&mut input);
        let length = header.length.unwrap_or(1000);
        for at in (0..length).step_by(128) {
            if at > 0 {
                type3(6).write(&mut input);
            }
            input.put_bytes(2, (length - at).min(128));
        }
        let read = reader.read(&mut input).unwrap();
        assert_eq!(read, Some(video(6, 0, &vec![2; length])), "{name}");
        assert_eq!(reader.messages_dropped(), 1, "{name}");
        assert_eq!(reader.payload_bytes_held(), 0, "{name}");
        assert!(input.is_empty(), "{name}");
    }
}

#[test]
fn abort_forgets_the_message_of_its_chunk_stream_only() {
    for (name, aborted, dropped, expected) in [
        ("its own", 6, 1, Some(video(6, 0, &[3; 128]))),
        ("another", 7, 0, Some(video(6, 0, &[1; 200]))),
        ("unknown", 65_000, 0, Some(video(6, 0, &[1; 200]))),
    ] {
        let mut reader = Reader::new(ReadLimits::PUBLISHER);
        let mut input = BytesMut::new();
        type0(7, 1).write(&mut input);
        input.put_u8(0);
        assert!(reader.read(&mut input).unwrap().is_some());
        type0(6, 200).write(&mut input);
        input.put_bytes(1, 128);
        assert_eq!(reader.read(&mut input), Ok(None));

        reader.abort(aborted);
        assert_eq!(reader.messages_dropped(), dropped, "{name}");
        if dropped > 0 {
            type1(6, 0, 128).write(&mut input);
            input.put_bytes(3, 128);
        } else {
            type3(6).write(&mut input);
            input.put_bytes(1, 72);
        }
        assert_eq!(reader.read(&mut input).unwrap(), expected, "{name}");
    }
}

#[test]
fn every_chunk_stream_id_has_its_basic_header() {
    for (csid, shortest) in [
        (2, &[0x02][..]),
        (3, &[0x03]),
        (63, &[0x3F]),
        (64, &[0x00, 0]),
        (319, &[0x00, 255]),
        (320, &[0x01, 0, 1]),
        (65_599, &[0x01, 255, 255]),
    ] {
        let mut bytes = BytesMut::new();
        write_basic_header(0, csid, &mut bytes);
        assert_eq!(&bytes[..], shortest, "{csid}: written");

        let mut bytes = BytesMut::new();
        let message = video(csid, 9, &[7; 200]);
        write(&message, CHUNK_SIZE_DEFAULT, &mut bytes);
        assert_eq!(read_bytewise(&bytes).unwrap(), [message], "{csid}: read");
    }
    // 64 to 319 have a longer form too, and both mean the same chunk stream.
    let mut bytes = BytesMut::new();
    type0(64, 1).write(&mut bytes);
    bytes.put_slice(&[7, 0xC1, 0, 0, 8]); // type 3, three bytes, then the payload
    assert_eq!(
        read_all(&bytes).unwrap(),
        [video(64, 0, &[7]), video(64, 0, &[8])]
    );
}

#[test]
fn a_new_chunk_size_holds_for_a_message_already_begun() {
    let mut reader = Reader::new(ReadLimits::PUBLISHER);
    let mut input = BytesMut::new();
    type0(6, 300).write(&mut input);
    input.put_bytes(1, 128);
    assert_eq!(reader.read(&mut input), Ok(None));
    reader.set_chunk_size(4096).unwrap();
    type3(6).write(&mut input);
    input.put_bytes(1, 172);
    assert_eq!(reader.read(&mut input), Ok(Some(video(6, 0, &[1; 300]))));
}

#[test]
fn the_first_header_of_a_chunk_stream_is_of_type_0() {
    for header in [type1(6, 0, 1), type2(6, 0), type3(6)] {
        let mut bytes = BytesMut::new();
        header.write(&mut bytes);
        bytes.put_u8(0);
        let refused = Err(Error::NoPreviousHeader { csid: 6 });
        assert_eq!(read_all(&bytes), refused, "type {}", header.format);
    }
}

#[test]
fn chunks_are_counted() {
    let mut reader = Reader::new(ReadLimits::PUBLISHER);
    let mut bytes = BytesMut::new();
    write(&video(6, 0, &[0; 500]), CHUNK_SIZE_DEFAULT, &mut bytes);
    assert!(reader.read(&mut bytes).unwrap().is_some());
    assert_eq!(reader.chunks_read(), 4);
}

#[test]
fn what_is_written_is_this() {
    let mut out = BytesMut::new();
    write(&video(6, 0x0102_0304, &[9; 3]), 2, &mut out);
    assert_eq!(
        out[..],
        [
            0x06, 0xFF, 0xFF, 0xFF, 0, 0, 3, VIDEO, 1, 0, 0, 0, 1, 2, 3, 4, 9, 9, // type 0
            0xC6, 1, 2, 3, 4, 9, // type 3, its extended timestamp once more
        ]
    );
}

/// A chunk header as a peer may write it. What its type leaves out is `None`.
#[derive(Clone, Copy)]
struct Header {
    format: u8,
    csid: u32,
    /// The timestamp, or the delta.
    time: Option<u32>,
    length: Option<usize>,
}

impl Header {
    /// Type 9, message stream 1.
    fn write(&self, out: &mut BytesMut) {
        write_basic_header(self.format, self.csid, out);
        let time = self.time.unwrap_or_default();
        if self.format < 3 {
            out.put_uint(u64::from(time.min(EXTENDED)), 3);
        }
        if self.format < 2 {
            out.put_uint(self.length.unwrap_or_default() as u64, 3);
            out.put_u8(VIDEO);
        }
        if self.format < 1 {
            out.put_u32_le(1);
        }
        if time >= EXTENDED {
            out.put_u32(time);
        }
    }
}

fn type0(csid: u32, length: usize) -> Header {
    Header {
        format: 0,
        csid,
        time: Some(0),
        length: Some(length),
    }
}

fn type1(csid: u32, delta: u32, length: usize) -> Header {
    Header {
        format: 1,
        csid,
        time: Some(delta),
        length: Some(length),
    }
}

fn type2(csid: u32, delta: u32) -> Header {
    Header {
        format: 2,
        csid,
        time: Some(delta),
        length: None,
    }
}

fn type3(csid: u32) -> Header {
    Header {
        format: 3,
        csid,
        time: None,
        length: None,
    }
}

fn video(csid: u32, timestamp: u32, payload: &[u8]) -> Message {
    Message {
        csid,
        timestamp,
        type_id: VIDEO,
        stream_id: 1,
        payload: Bytes::copy_from_slice(payload),
    }
}

fn read_all(bytes: &[u8]) -> Result<Vec<Message>, Error> {
    read_pieces(bytes, usize::MAX)
}

fn read_bytewise(bytes: &[u8]) -> Result<Vec<Message>, Error> {
    read_pieces(bytes, 1)
}

fn read_pieces(bytes: &[u8], piece_len: usize) -> Result<Vec<Message>, Error> {
    let mut reader = Reader::new(ReadLimits::PUBLISHER);
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for piece in bytes.chunks(piece_len) {
        input.extend_from_slice(piece);
        while let Some(message) = reader.read(&mut input)? {
            messages.push(message);
        }
    }
    assert!(input.is_empty(), "bytes were left over");
    Ok(messages)
}
