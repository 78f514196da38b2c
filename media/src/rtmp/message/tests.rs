use proptest::prelude::*;

use super::aggregate::truncated_aggregate;
use super::*;

#[test]
fn bodies_and_payloads_agree_in_both_directions() {
    use UserControl::{PingRequest, PingResponse, SetBufferLength, StreamBegin, StreamEof};
    let media = |track, body| Body::Media {
        track,
        body: Bytes::from_static(body),
    };
    for (id, payload, body) in [
        (1, &[0, 1, 0, 0][..], Body::SetChunkSize(65_536)),
        (1, &[0x80, 0, 0, 0], Body::SetChunkSize(0x8000_0000)),
        (2, &[0, 0, 0, 6], Body::Abort { csid: 6 }),
        (3, &[0xFF; 4], Body::Acknowledgement(u32::MAX)),
        (5, &[0, 0x26, 0x25, 0xA0], Body::WindowAckSize(2_500_000)),
        (
            6,
            &[0, 0, 0, 9, 1],
            Body::SetPeerBandwidth { bytes: 9, limit: 1 },
        ),
        (
            4,
            &[0, 0, 0, 0, 0, 1],
            Body::UserControl(StreamBegin { stream_id: 1 }),
        ),
        (
            4,
            &[0, 1, 0, 0, 0, 1],
            Body::UserControl(StreamEof { stream_id: 1 }),
        ),
        (
            4,
            &[0, 3, 0, 0, 0, 1, 0, 0, 0x0B, 0xB8],
            Body::UserControl(SetBufferLength {
                stream_id: 1,
                ms: 3000,
            }),
        ),
        (
            4,
            &[0, 6, 1, 2, 3, 4],
            Body::UserControl(PingRequest {
                timestamp: 0x0102_0304,
            }),
        ),
        (
            4,
            &[0, 7, 1, 2, 3, 4],
            Body::UserControl(PingResponse {
                timestamp: 0x0102_0304,
            }),
        ),
        (8, &[0xAF, 1, 9], media(Track::Audio, &[0xAF, 1, 9])),
        (9, &[], media(Track::Video, &[])),
        (18, &[2, 0, 1, b'x'], media(Track::Data, &[2, 0, 1, b'x'])),
        (
            22,
            &[1, 2, 3],
            Body::Aggregate(Bytes::from_static(&[1, 2, 3])),
        ),
        (
            20,
            b"\x02\0\x07publish\0\x40\x14\0\0\0\0\0\0\x05\x02\0\x01k",
            command("publish", 5.0, vec![Value::Null, Value::String("k".into())]),
        ),
        (
            20,
            b"\x02\0\x01x\0\0\0\0\0\0\0\0\0",
            command("x", 0.0, vec![]),
        ),
    ] {
        let payload = Bytes::from_static(payload);
        assert_eq!(Body::parse(id, payload.clone()), Ok(body.clone()), "read");
        assert_eq!(body.encode(), Some((id, payload)), "written: {body:?}");
    }
}

#[test]
fn what_is_read_but_never_written() {
    for (name, id, payload, body) in [
        ("shared object", 19, &[1, 2][..], Body::Other),
        ("type 0", 0, &[], Body::Other),
        ("type 255", 255, &[], Body::Other),
        (
            "stream dry",
            4,
            &[0, 2, 0, 0, 0, 1],
            Body::UserControl(UserControl::Other { event: 2 }),
        ),
        (
            "event without data",
            4,
            &[0, 0x1A],
            Body::UserControl(UserControl::Other { event: 26 }),
        ),
        (
            "more bytes than a number takes",
            3,
            &[0, 0, 0, 1, 7],
            Body::Acknowledgement(1),
        ),
        (
            "bandwidth without its limit",
            6,
            &[0, 0, 0, 9],
            Body::SetPeerBandwidth { bytes: 9, limit: 2 },
        ),
        (
            "command without a transaction",
            20,
            b"\x02\0\x01x",
            command("x", 0.0, vec![]),
        ),
        (
            "command with a null transaction",
            20,
            b"\x02\0\x01x\x05",
            command("x", 0.0, vec![]),
        ),
        (
            "AMF3 command",
            17,
            b"\0\x02\0\x01x\0\x3F\xF0\0\0\0\0\0\0\x05",
            command("x", 1.0, vec![Value::Null]),
        ),
        (
            "AMF3 data",
            15,
            b"\0\x02\0\x01x",
            Body::Media {
                track: Track::Data,
                body: Bytes::from_static(b"\x02\0\x01x"),
            },
        ),
    ] {
        let read = Body::parse(id, Bytes::from_static(payload));
        assert_eq!(read, Ok(body), "{name}");
    }
    let nothing = [
        Body::Other,
        Body::UserControl(UserControl::Other { event: 2 }),
    ];
    assert!(nothing.iter().all(|body| body.encode().is_none()));
}

#[test]
fn malformed_messages_are_refused() {
    for (name, id, payload, reason) in [
        (
            "chunk size of 3 bytes",
            1,
            &[0, 0, 1][..],
            "message_malformed",
        ),
        ("abort of nothing", 2, &[], "message_malformed"),
        ("acknowledgement of 1 byte", 3, &[0], "message_malformed"),
        ("window of 3 bytes", 5, &[0, 0, 0], "message_malformed"),
        ("bandwidth of 3 bytes", 6, &[0, 0, 0], "message_malformed"),
        ("no event", 4, &[], "message_malformed"),
        ("half an event", 4, &[0], "message_malformed"),
        (
            "stream begin without a stream",
            4,
            &[0, 0, 0, 0, 0],
            "message_malformed",
        ),
        (
            "buffer length without a length",
            4,
            &[0, 3, 0, 0, 0, 1],
            "message_malformed",
        ),
        ("ping without a timestamp", 4, &[0, 6], "message_malformed"),
        ("empty command", 20, &[], "message_malformed"),
        (
            "name that is a number",
            20,
            b"\0\0\0\0\0\0\0\0\0",
            "message_malformed",
        ),
        (
            "transaction that is a string",
            20,
            b"\x02\0\x01x\x02\0\x01y",
            "message_malformed",
        ),
        (
            "transaction that is NaN",
            20,
            b"\x02\0\x01x\0\x7F\xF8\0\0\0\0\0\0",
            "message_malformed",
        ),
        (
            "transaction that is infinite",
            20,
            b"\x02\0\x01x\0\x7F\xF0\0\0\0\0\0\0",
            "message_malformed",
        ),
        ("truncated name", 20, b"\x02\0\x07pub", "amf_malformed"),
        (
            "switch to AMF3",
            20,
            b"\x02\0\x01x\x05\x11\x01",
            "amf_malformed",
        ),
        ("empty AMF3 command", 17, &[], "message_malformed"),
        ("true AMF3 command", 17, &[3, 6, 1], "message_malformed"),
        ("AMF3 command, truncated", 17, &[0, 2, 0], "amf_malformed"),
        ("empty AMF3 data", 15, &[], "message_malformed"),
        ("true AMF3 data", 15, &[0x0A], "message_malformed"),
    ] {
        let error = Body::parse(id, Bytes::from_static(payload)).expect_err(name);
        assert_eq!(error.reason(), reason, "{name}: {error}");
    }
}

#[test]
fn a_command_keeps_within_the_limits_of_amf() {
    let mut long = BytesMut::from(&b"\x02\0\x01x\0\0\0\0\0\0\0\0\0"[..]);
    long.extend(std::iter::repeat_n(5, 70 << 10)); // nulls
    let error = Body::parse(type_id::COMMAND_AMF0, long.freeze()).unwrap_err();
    assert_eq!(error.reason(), "amf_limit");
}

#[test]
fn parts_of_an_aggregate_move_to_its_time() {
    let stream = [
        part(AUDIO, 0x0100_0000, b"a"),
        part(VIDEO, 0x0100_0028, b"bb"),
        part(22, 0x0100_0030, &part(AUDIO, 0, b"left out")),
        part(20, 0x0100_0030, b"left out"),
        part(DATA, 0x00FF_FFF0, b""),
    ]
    .concat();
    let found = parts(&stream, 5000);
    let expected = vec![
        (Track::Audio, 5000, &b"a"[..]),
        (Track::Video, 5040, b"bb"),
        (Track::Data, 4984, b""),
    ];
    assert_eq!(found, Ok(owned(&expected)));
    // The time of an aggregate wraps like any other.
    let stream = [part(AUDIO, 0, b"a"), part(AUDIO, 0x20, b"b")].concat();
    let expected = [
        (Track::Audio, 0xFFFF_FFF0, &b"a"[..]),
        (Track::Audio, 0x10, b"b"),
    ];
    assert_eq!(parts(&stream, 0xFFFF_FFF0), Ok(owned(&expected)));
    // A first part that is left out still tells where time begins.
    let stream = [part(20, 100, b""), part(AUDIO, 130, b"a")].concat();
    assert_eq!(parts(&stream, 7), Ok(owned(&[(Track::Audio, 37, b"a")])));
}

#[test]
fn aggregates_that_end_early() {
    let whole = part(AUDIO, 10, b"abc");
    let body_end = whole.len() - 4;
    for cut in 0..=whole.len() {
        let found = parts(&whole[..cut], 0);
        match cut {
            0 => assert_eq!(found, Ok(vec![])),
            // Some senders leave the last back pointer out.
            cut if cut >= body_end => {
                assert_eq!(found, Ok(owned(&[(Track::Audio, 0, b"abc")])), "{cut}");
            }
            _ => assert_eq!(found, Err(truncated_aggregate()), "{cut}"),
        }
    }
    let lie = [&[AUDIO, 0xFF, 0xFF, 0xFF][..], &[0; 40]].concat();
    assert_eq!(parts(&lie, 0), Err(truncated_aggregate()));
}

#[test]
fn a_part_does_not_keep_the_whole_aggregate_in_memory() {
    let stream = Bytes::from([part(AUDIO, 0, b"a"), part(22, 0, &[0; 100_000])].concat());
    let range = stream.as_ptr_range();
    let part = Parts::new(stream, 0).next_part().unwrap().unwrap();
    assert!(!range.contains(&part.body.as_ptr()));
}

proptest! {
    #[test]
    fn any_payload_ends_well(id in prop_oneof![0u8..25, any::<u8>()], payload in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(body) = Body::parse(id, payload.into())
            && let Some((id, payload)) = body.encode()
        {
            // NaN is equal to nothing, so it is the written forms that are compared.
            let again = Body::parse(id, payload.clone()).unwrap();
            prop_assert_eq!(again.encode(), Some((id, payload)));
        }
    }

    #[test]
    fn any_aggregate_ends_well(payload in prop::collection::vec(prop_oneof![Just(0u8), Just(8u8), any::<u8>()], 0..400), timestamp in any::<u32>()) {
        if let Ok(found) = parts(&payload, timestamp) {
            prop_assert!(found.len() <= payload.len() / 11);
        }
    }
}

const AUDIO: u8 = type_id::AUDIO;
const VIDEO: u8 = type_id::VIDEO;
const DATA: u8 = type_id::DATA_AMF0;

type Found = (Track, u32, Vec<u8>);

fn parts(payload: &[u8], timestamp: u32) -> Result<Vec<Found>, Error> {
    let mut parts = Parts::new(Bytes::copy_from_slice(payload), timestamp);
    let mut found = Vec::new();
    while let Some(part) = parts.next_part()? {
        found.push((part.track, part.timestamp, part.body.to_vec()));
    }
    Ok(found)
}

fn owned(expected: &[(Track, u32, &[u8])]) -> Vec<Found> {
    let owned = |&(track, time, body): &(Track, u32, &[u8])| (track, time, body.to_vec());
    expected.iter().map(owned).collect()
}

/// A header of 11 bytes, the body, and the back pointer.
fn part(id: u8, time: u32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![id];
    out.put_uint(body.len() as u64, 3);
    out.put_uint(u64::from(time & 0xFF_FFFF), 3);
    out.put_u8((time >> 24) as u8);
    out.put_uint(1, 3);
    out.put_slice(body);
    out.put_u32(11 + body.len() as u32);
    out
}

fn command(name: &str, transaction: f64, values: Vec<Value>) -> Body {
    Body::Command(Command {
        name: name.into(),
        transaction,
        values,
    })
}
