//! What a peer may announce and send, and no more.

use super::*;

#[test]
fn chunk_sizes() {
    for (size, used) in [
        (1, Some(1)),
        (127, Some(127)),
        (128, Some(128)),
        (0xFF_FFFF, Some(CHUNK_SIZE_MAX)),
        (0x0100_0000, Some(CHUNK_SIZE_MAX)),
        (0x7FFF_FFFF, Some(CHUNK_SIZE_MAX)),
        (0, None),
        (0x8000_0000, None),
        (0x8000_0080, None),
        (0xFFFF_FFFF, None),
    ] {
        let mut reader = Reader::new(ReadLimits::PUBLISHER);
        let result = reader.set_chunk_size(size);
        let Some(used) = used else {
            assert_eq!(result, Err(Error::ChunkSize(size)));
            continue;
        };
        assert_eq!(result, Ok(()), "{size}");
        for length in [1, 2, 126, 127, 128, 129, 500] {
            let message = video(6, 0x0100_0000, &vec![0xC5; length]);
            let mut bytes = BytesMut::new();
            write(&message, used, &mut bytes);
            assert_eq!(reader.read(&mut bytes).unwrap(), Some(message), "{size}");
            assert!(bytes.is_empty(), "{size}, {length}");
        }
    }
}

#[test]
fn chunk_streams_are_counted() {
    for (limits, max) in [(ReadLimits::STRANGER, 8), (ReadLimits::PUBLISHER, 64)] {
        let mut reader = Reader::new(limits);
        let mut input = BytesMut::new();
        for csid in 2..2 + max as u32 {
            type0(csid, 1).write(&mut input);
            input.put_u8(0);
            assert!(reader.read(&mut input).unwrap().is_some(), "{csid}");
        }
        // A known one is still welcome, one more is not.
        type3(2).write(&mut input);
        input.put_u8(0);
        assert!(reader.read(&mut input).unwrap().is_some());
        type0(65_599, 1).write(&mut input);
        let refused = Err(Error::TooManyChunkStreams { max });
        assert_eq!(reader.read(&mut input), refused);
    }
}

#[test]
fn a_long_message_is_refused_at_its_header() {
    for (limits, max) in [
        (ReadLimits::STRANGER, 64 << 10),
        (ReadLimits::PUBLISHER, 8 << 20),
    ] {
        for format in [0, 1] {
            let header = |length| Header {
                format,
                ..type0(6, length)
            };
            for (length, expected) in [
                (max, Ok(None)), // not refused: its payload is awaited
                (max + 1, Err(Error::MessageTooLong { len: max + 1, max })),
            ] {
                let mut reader = Reader::new(limits);
                let mut input = BytesMut::new();
                type0(6, 0).write(&mut input);
                header(length).write(&mut input);
                assert!(reader.read(&mut input).unwrap().is_some());
                assert_eq!(reader.read(&mut input), expected, "type {format}");
            }
        }
    }
}

#[test]
fn a_message_of_just_the_limit_is_read_and_held_in_its_own_size() {
    for limits in [ReadLimits::STRANGER, ReadLimits::PUBLISHER] {
        let message = video(6, 0, &vec![5; limits.message_bytes_max]);
        let mut bytes = BytesMut::new();
        write(&message, CHUNK_SIZE_DEFAULT, &mut bytes);
        let mut reader = Reader::new(limits);
        assert_eq!(reader.read(&mut bytes), Ok(Some(message)));
        assert_eq!(reader.payload_bytes_held(), 0);
    }
}

#[test]
fn many_chunk_streams_that_announce_much_cost_little() {
    // 16 MiB is over the limit at once; 8 MiB each is not, until 12 MiB have come in all.
    let mut reader = Reader::new(ReadLimits::PUBLISHER);
    let mut input = BytesMut::new();
    type0(2, 0xFF_FFFF).write(&mut input);
    assert!(reader.read(&mut input).is_err());

    for (limits, length) in [
        (ReadLimits::STRANGER, 64 << 10),
        (ReadLimits::PUBLISHER, 8 << 20),
    ] {
        let mut reader = Reader::new(limits);
        let streams = 2..2 + limits.chunk_streams_max.min(62) as u32;
        let mut arrived = 0;
        for csid in streams.clone() {
            let mut input = BytesMut::new();
            type0(csid, length).write(&mut input);
            input.put_bytes(0, 128);
            arrived += 128;
            assert_eq!(reader.read(&mut input), Ok(None));
            assert!(reader.payload_bytes_held() <= arrived, "by declared length");
        }
        let mut turns = streams.cycle();
        let error = loop {
            let mut input = BytesMut::new();
            type3(turns.next().unwrap()).write(&mut input);
            input.put_bytes(0, 128);
            arrived += 128;
            match reader.read(&mut input) {
                Ok(message) => assert_eq!(message, None),
                Err(error) => break error,
            }
            assert!(reader.payload_bytes_held() <= 2 * arrived);
        };
        let max = limits.unfinished_bytes_max;
        assert_eq!(error, Error::TooMuchUnfinished { max });
        assert_eq!(arrived, max + 128);
    }
}

#[test]
fn what_was_given_up_no_longer_counts() {
    let mut reader = Reader::new(ReadLimits::STRANGER);
    reader.set_chunk_size(60_000).unwrap();
    for turn in 0..10 {
        let mut input = BytesMut::new();
        type0(6, 60_001).write(&mut input);
        input.put_bytes(0, 60_000);
        assert_eq!(reader.read(&mut input), Ok(None), "{turn}");
        if turn % 2 == 0 {
            reader.abort(6);
            assert_eq!(reader.payload_bytes_held(), 0);
        }
    }
    assert_eq!(reader.messages_dropped(), 9);
}
