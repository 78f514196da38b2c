//! What known encoders and players say, in their order, and what they are told.

use super::*;

/// One thing said, the event it makes, and the answers it gets.
type Step<'a> = (Body, Option<Event>, &'a [&'a str]);

const AFTER_CONNECT: &[&str] = &[
    "WindowAckSize(2500000)",
    "SetPeerBandwidth { bytes: 2500000, limit: 2 }",
    "SetChunkSize(65536)",
    "_result 1 status NetConnection.Connect.Success",
];
const PUBLISHED: &[&str] = &["onStatus status NetStream.Publish.Start"];
const UNPUBLISHED: &[&str] = &["onStatus status NetStream.Unpublish.Success"];
const PLAYED: &[&str] = &[
    "StreamBegin { stream_id: 1 }",
    "onStatus status NetStream.Play.Reset",
    "onStatus status NetStream.Play.Start",
];

#[test]
fn ffmpeg_publishes() {
    converse(&[
        (
            connect("FMLE/3.0 (compatible; Lavf59.27.100)"),
            None,
            AFTER_CONNECT,
        ),
        (Body::SetChunkSize(65_536), None, &[]),
        (
            call("releaseStream", 2.0, &[text("key")]),
            None,
            &["_result 2"],
        ),
        (call("FCPublish", 3.0, &[text("key")]), None, &["_result 3"]),
        (call("createStream", 4.0, &[]), None, &["_result 4 1"]),
        (
            call("publish", 5.0, &[text("key"), text("live")]),
            publish("key"),
            PUBLISHED,
        ),
        (
            metadata(),
            Some(Event::Media(media(Track::Data, 0, META))),
            &[],
        ),
        (
            media_body(Track::Video, &[0x17, 0]),
            Some(Event::Media(media(Track::Video, 0, &[0x17, 0]))),
            &[],
        ),
        (
            call("FCUnpublish", 6.0, &[text("key")]),
            Some(Event::Unpublish),
            &["_result 6", "onStatus status NetStream.Unpublish.Success"],
        ),
        (call("deleteStream", 7.0, &[Value::Number(1.0)]), None, &[]),
    ]);
}

#[test]
fn obs_publishes_stops_and_publishes_again() {
    let publish_steps = || {
        [
            (
                call("releaseStream", 2.0, &[text("key")]),
                None,
                &["_result 2"][..],
            ),
            (call("FCPublish", 3.0, &[text("key")]), None, &["_result 3"]),
            (call("createStream", 4.0, &[]), None, &["_result 4 1"]),
            (call("_checkbw", 5.0, &[]), None, &["_result 5"]),
            (
                call("publish", 6.0, &[text("key"), text("live")]),
                publish("key"),
                PUBLISHED,
            ),
            (
                metadata(),
                Some(Event::Media(media(Track::Data, 0, META))),
                &[],
            ),
            (
                call("FCUnpublish", 7.0, &[text("key")]),
                Some(Event::Unpublish),
                &["_result 7", "onStatus status NetStream.Unpublish.Success"],
            ),
            (call("deleteStream", 0.0, &[Value::Number(1.0)]), None, &[]),
            // What was on its way at the end is left alone.
            (media_body(Track::Audio, &[0xAF, 1]), None, &[]),
        ]
    };
    let mut steps = vec![
        (
            connect("FMLE/3.0 (compatible; FMSc/1.0)"),
            None,
            AFTER_CONNECT,
        ),
        (Body::SetChunkSize(4096), None, &[][..]),
    ];
    steps.extend(publish_steps());
    steps.extend(publish_steps());
    converse(&steps);
}

#[test]
fn ffmpeg_plays() {
    converse(&[
        (connect("LNX 9,0,124,2"), None, AFTER_CONNECT),
        (Body::WindowAckSize(2_500_000), None, &[]),
        (call("createStream", 2.0, &[]), None, &["_result 2 1"]),
        (
            call("getStreamLength", 3.0, &[text("room")]),
            None,
            &["_result 3 0"],
        ),
        (
            call("play", 4.0, &[text("room"), Value::Number(-2000.0)]),
            play("room"),
            PLAYED,
        ),
        (buffer_length(1, 3000), None, &[]),
        (
            call("deleteStream", 0.0, &[Value::Number(1.0)]),
            Some(Event::Stop),
            &[],
        ),
    ]);
}

#[test]
fn rtmpdump_plays() {
    converse(&[
        (connect("LNX 10,0,32,18"), None, AFTER_CONNECT),
        (Body::WindowAckSize(2_500_000), None, &[]),
        (buffer_length(0, 300), None, &[]),
        (call("createStream", 2.0, &[]), None, &["_result 2 1"]),
        (
            call("FCSubscribe", 3.0, &[text("room")]),
            None,
            &["_result 3"],
        ),
        (
            call("play", 4.0, &[text("room"), Value::Number(-1000.0)]),
            play("room"),
            PLAYED,
        ),
        (buffer_length(1, 36_000_000), None, &[]),
        // It pauses where its buffer is full, and has no answer to wait for.
        (
            call("pause", 5.0, &[Value::Boolean(true), Value::Number(0.0)]),
            None,
            &[],
        ),
    ]);
}

#[test]
fn a_publisher_that_does_not_wait_loses_nothing() {
    // Everything at once, with a key frame that no stranger may send.
    let mut dialogue = Dialogue::connected();
    let frame = vec![0x17; 1 << 20];
    dialogue.command("publish", 0.0, &[Value::Null, text("a")]);
    dialogue.say(&media_body(Track::Video, &frame));
    dialogue.command("deleteStream", 0.0, &[Value::Null, Value::Number(1.0)]);
    dialogue.command("publish", 0.0, &[Value::Null, text("b")]);

    assert_eq!(dialogue.event(), Ok(publish("a")));
    assert_eq!(dialogue.event(), Ok(None), "nothing before the decision");
    dialogue.session.accept_publish(dialogue.now);
    let expected = Event::Media(media(Track::Video, 0, &frame));
    assert_eq!(dialogue.event(), Ok(Some(expected)));
    assert_eq!(dialogue.event(), Ok(Some(Event::Unpublish)));
    assert_eq!(dialogue.event(), Ok(publish("b")));
    assert_eq!(dialogue.event(), Ok(None));
    dialogue.session.refuse(status::PUBLISH_BAD_NAME, "No.");
    assert_eq!(dialogue.event(), Ok(None));
    assert_eq!(
        dialogue.answers(),
        [
            PUBLISHED[0],
            UNPUBLISHED[0],
            "onStatus error NetStream.Publish.BadName"
        ]
    );
}

#[test]
fn the_parts_of_an_aggregate_are_media_messages() {
    let part =
        |id: u8, time: u8, body: u8| [id, 0, 0, 1, 0, 0, time, 0, 0, 0, 0, body, 0, 0, 0, 12];
    let aggregate = [part(8, 10, 0xA0), part(9, 30, 0xB0)].concat();
    let mut dialogue = Dialogue::publishing();
    let bytes = dialogue
        .peer
        .write_at(500, &Body::Aggregate(aggregate.into()));
    dialogue.session.receive(&bytes);
    dialogue.say(&media_body(Track::Audio, &[0xC0]));
    for expected in [
        media(Track::Audio, 500, &[0xA0]),
        media(Track::Video, 520, &[0xB0]),
        media(Track::Audio, 0, &[0xC0]),
    ] {
        assert_eq!(dialogue.event(), Ok(Some(Event::Media(expected))));
    }
    assert_eq!(dialogue.event(), Ok(None));
}

#[test]
fn bytes_may_come_one_at_a_time() {
    let mut dialogue = Dialogue::opened();
    let mut bytes = BytesMut::new();
    let info = Value::Object(vec![("app".into(), text("live/"))]);
    for body in [
        Body::SetChunkSize(7),
        command("connect", 1.0, &[info]),
        call("publish", 2.0, &[text("key")]),
    ] {
        bytes.extend_from_slice(&dialogue.peer.write(&body));
    }
    let mut events = Vec::new();
    for &byte in &bytes {
        dialogue.session.receive(&[byte]);
        events.extend(dialogue.event().unwrap());
    }
    assert_eq!(events, [publish("key").unwrap()]);
    assert_eq!(dialogue.answers(), AFTER_CONNECT);
}

fn converse(steps: &[Step]) {
    let mut dialogue = Dialogue::opened();
    for (said, expected, answers) in steps {
        dialogue.say(said);
        let event = dialogue.event();
        match &event {
            Ok(Some(Event::Publish { .. })) => dialogue.session.accept_publish(dialogue.now),
            Ok(Some(Event::Play { .. })) => dialogue.session.accept_play(),
            _ => {}
        }
        assert_eq!(event, Ok(expected.clone()), "{said:?}");
        assert_eq!(dialogue.event(), Ok(None), "{said:?}");
        assert_eq!(dialogue.answers(), *answers, "{said:?}");
    }
}

/// `@setDataFrame`, `onMetaData` and an empty array, as AMF0.
const META: &[u8] = b"\x02\0\x0D@setDataFrame\x02\0\x0AonMetaData\x08\0\0\0\0\0\0\x09";

fn metadata() -> Body {
    media_body(Track::Data, META)
}

fn connect(version: &str) -> Body {
    let info = Value::Object(vec![
        ("app".into(), text("live")),
        ("type".into(), text("nonprivate")),
        ("flashVer".into(), text(version)),
        ("tcUrl".into(), text("rtmp://localhost/live")),
    ]);
    command("connect", 1.0, &[info])
}

/// With the null that stands for the command object.
fn call(name: &str, transaction: f64, values: &[Value]) -> Body {
    command(name, transaction, &[&[Value::Null], values].concat())
}

fn buffer_length(stream_id: u32, ms: u32) -> Body {
    Body::UserControl(UserControl::SetBufferLength { stream_id, ms })
}

fn publish(name: &str) -> Option<Event> {
    let (app, name) = ("live".into(), name.into());
    Some(Event::Publish { app, name })
}

fn play(name: &str) -> Option<Event> {
    let (app, name) = ("live".into(), name.into());
    Some(Event::Play { app, name })
}

#[test]
fn who_does_not_know_of_reconnecting_is_not_asked_to() {
    let mut dialogue = Dialogue::playing();
    assert!(!dialogue.session.request_reconnect(None, "Restarting."));
    assert!(dialogue.answers().is_empty());
}
