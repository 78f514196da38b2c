//! Every message in every state, at both ends, as one table: `pairs.golden`, a line a pair.
//! `UPDATE_GOLDEN=1 cargo test -p isocast-media` writes it again; read the difference.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::{caller, server};
use super::*;

#[test]
fn every_message_in_every_state_has_its_line() {
    let mut table = String::from("# end | state | what it hears | event | answers | next state\n");
    for (state, make) in SERVER_STATES {
        assert_eq!(make().session.state, *state, "{}", server_state(*state));
        for (name, bytes) in samples() {
            let mut dialogue = make();
            dialogue.session.receive(&bytes);
            let event = event(dialogue.event(), |event| match event {
                Event::Publish { .. } => "publish",
                Event::Play { .. } => "play",
                Event::Media(_) => "media",
                Event::Unpublish => "unpublish",
                Event::Stop => "stop",
            });
            let answers = dialogue.session.take_output();
            let next = server_state(dialogue.session.state);
            let state = server_state(*state);
            table += &row("server", state, &name, &event, &answers, next);
        }
    }
    for role in [Role::Publish, Role::Play] {
        for state in CALLER_STATES {
            let end = format!("caller, {role:?}").to_lowercase();
            for (name, bytes) in samples() {
                let mut caller = caller_in(*state, role);
                caller.receive(&bytes);
                let event = event(caller.next_event(Instant::now()), |event| match event {
                    CallerEvent::Started => "started",
                    CallerEvent::Refused { .. } => "refused",
                    CallerEvent::Reconnect { .. } => "reconnect",
                    CallerEvent::Ended => "ended",
                    CallerEvent::Media(_) => "media",
                });
                let next = caller_state(caller.state);
                let answers = caller.take_output();
                let state = caller_state(*state);
                table += &row(&end, state, &name, &event, &answers, next);
            }
        }
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rtmp/session/tests/pairs.golden");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &table).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    for (found, expected) in table.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(table.lines().count(), expected.lines().count());
}

/// The commands that a session's code names have samples, and so have all kinds of messages.
#[test]
fn what_is_known_has_a_sample() {
    let source = [include_str!("../server.rs"), include_str!("../caller.rs")].concat();
    let matches = source
        .split("match (command.name.as_str(), self.state)")
        .skip(1);
    let arms = matches.filter_map(|rest| rest.split("\n    }\n").next());
    let is_name = |text: &&str| {
        !text.is_empty()
            && text
                .chars()
                .all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    let named: BTreeSet<_> = arms
        .flat_map(|arms| arms.split('"').skip(1).step_by(2))
        .filter(is_name)
        .collect();
    assert!(
        named.contains("connect") && named.contains("onStatus"),
        "{named:?}"
    );
    let sampled: BTreeSet<_> = samples().into_iter().map(|(name, _)| name).collect();
    for name in named {
        let has = sampled
            .iter()
            .any(|sample| sample.split(' ').next() == Some(name));
        assert!(has, "{name} has no sample");
    }
    let kinds: BTreeSet<_> = bodies().iter().map(|(_, body)| kind(body)).collect();
    assert_eq!(
        kinds,
        (0..KINDS).collect(),
        "a kind of message has no sample"
    );
}

type Make = fn() -> Dialogue;

const SERVER_STATES: &[(server::State, Make)] = &[
    (server::State::Handshake, Dialogue::new),
    (server::State::Opened, Dialogue::opened),
    (server::State::Connected, Dialogue::connected),
    (server::State::Deciding, Dialogue::deciding),
    (
        server::State::Publishing { media_seen: false },
        Dialogue::publishing,
    ),
    (
        server::State::Publishing { media_seen: true },
        publishing_with_media,
    ),
    (server::State::Playing, Dialogue::playing),
    (server::State::Ended, Dialogue::ended),
];

fn publishing_with_media() -> Dialogue {
    let mut dialogue = Dialogue::publishing();
    dialogue.say(&media_body(Track::Video, &[1]));
    assert!(matches!(dialogue.event(), Ok(Some(Event::Media(_)))));
    dialogue
}

const CALLER_STATES: &[caller::State] = &[
    caller::State::Handshake,
    caller::State::Connecting,
    caller::State::Creating,
    caller::State::Starting,
    caller::State::Started,
    caller::State::Ended,
];

/// A caller that has been told what leads to this state.
fn caller_in(state: caller::State, role: Role) -> Caller {
    let call = Call {
        tc_url: "rtmp://a/live".into(),
        app: "live".into(),
        name: "name".into(),
        role,
    };
    let (mut caller, now) = (Caller::new(call, 1), Instant::now());
    let (mut hello, mut answer) = (BytesMut::from(&caller.take_output()[..]), BytesMut::new());
    let code = match role {
        Role::Publish => status::PUBLISH_START,
        Role::Play => status::PLAY_START,
    };
    let number = |number: f64| command("_result", number, &[Value::Null, Value::Number(1.0)]);
    let started = Value::Object(status::properties("status", code, "Begun."));
    let told = [
        number(1.0),
        number(2.0),
        command("onStatus", 0.0, &[Value::Null, started]),
    ];
    let mut told = told.iter();
    while caller.state != state {
        match caller.state {
            caller::State::Handshake => {
                handshake::Server::new(2)
                    .receive(&mut hello, &mut answer)
                    .unwrap();
                caller.receive(&answer);
            }
            caller::State::Started => caller.close(),
            _ => caller.receive(&Peer::new().write(told.next().expect("a way to each state"))),
        }
        caller.next_event(now).unwrap();
    }
    caller.take_output();
    caller
}

/// A new state stops the compiler here: give it a way to be reached above.
fn server_state(state: server::State) -> &'static str {
    match state {
        server::State::Handshake => "handshake",
        server::State::Opened => "opened",
        server::State::Connected => "connected",
        server::State::Deciding => "deciding",
        server::State::Publishing { media_seen: false } => "publishing",
        server::State::Publishing { media_seen: true } => "publishing, media seen",
        server::State::Playing => "playing",
        server::State::Ended => "ended",
    }
}

fn caller_state(state: caller::State) -> &'static str {
    match state {
        caller::State::Handshake => "handshake",
        caller::State::Connecting => "connecting",
        caller::State::Creating => "creating",
        caller::State::Starting => "starting",
        caller::State::Started => "started",
        caller::State::Ended => "ended",
    }
}

/// A new kind of message stops the compiler here: give it a number, and a sample below.
fn kind(body: &Body) -> usize {
    match body {
        Body::SetChunkSize(_) => 0,
        Body::Abort { .. } => 1,
        Body::Acknowledgement(_) => 2,
        Body::WindowAckSize(_) => 3,
        Body::SetPeerBandwidth { .. } => 4,
        Body::UserControl(event) => match event {
            UserControl::StreamBegin { .. } => 5,
            UserControl::StreamEof { .. } => 6,
            UserControl::SetBufferLength { .. } => 7,
            UserControl::PingRequest { .. } => 8,
            UserControl::PingResponse { .. } => 9,
            UserControl::Other { .. } => 10,
        },
        Body::Command(_) => 11,
        Body::Media { .. } => 12,
        Body::Aggregate(_) => 13,
        Body::Other => 14,
    }
}

const KINDS: usize = 15;

/// Each with the words it has in the table, and its chunks.
fn samples() -> Vec<(String, Vec<u8>)> {
    let message = |type_id, payload: Bytes| {
        let message = chunk::Message {
            csid: 3,
            timestamp: 0,
            type_id,
            stream_id: 1,
            payload,
        };
        let mut out = BytesMut::new();
        chunk::write(&message, CHUNK_SIZE_DEFAULT, &mut out);
        out.to_vec()
    };
    let written = bodies()
        .into_iter()
        .map(|(name, body)| match body.encode() {
            Some((type_id, payload)) => (name, message(type_id, payload)),
            // What is not written is of an unknown type, or an unknown event.
            None if body == Body::Other => (name, message(99, Bytes::new())),
            None => (name, message(4, Bytes::from_static(&[0, 99]))),
        });
    let broken = (0..=23).map(|type_id| {
        let name = format!("a message of type {type_id} that is one byte");
        (name, message(type_id, Bytes::from_static(&[1])))
    });
    let amf3 = Command {
        name: "createStream".into(),
        transaction: 9.0,
        values: vec![Value::Null],
    };
    let (_, amf3) = Body::Command(amf3)
        .encode()
        .expect("a command can be written");
    let amf3 = message(17, [&[0], &amf3[..]].concat().into());
    let stray = ("a chunk without one before it".to_owned(), vec![0xC9, 0]);
    written
        .chain(broken)
        .chain([("createStream in AMF3".to_owned(), amf3), stray])
        .collect()
}

fn bodies() -> Vec<(String, Body)> {
    let control = |event| Body::UserControl(event);
    let id = |number: f64| [Value::Null, Value::Number(number)];
    let told = |level: &str, code: &str| {
        let info = Value::Object(status::properties(level, code, "Told."));
        command("onStatus", 0.0, &[Value::Null, info])
    };
    let mut bodies = vec![
        ("SetChunkSize 1".into(), Body::SetChunkSize(1)),
        ("SetChunkSize 0".into(), Body::SetChunkSize(0)),
        ("SetChunkSize 2^31".into(), Body::SetChunkSize(1 << 31)),
        ("Abort".into(), Body::Abort { csid: 3 }),
        ("Acknowledgement".into(), Body::Acknowledgement(u32::MAX)),
        ("WindowAckSize".into(), Body::WindowAckSize(0)),
        (
            "SetPeerBandwidth".into(),
            Body::SetPeerBandwidth { bytes: 0, limit: 9 },
        ),
        (
            "StreamBegin".into(),
            control(UserControl::StreamBegin { stream_id: 1 }),
        ),
        (
            "StreamEof".into(),
            control(UserControl::StreamEof { stream_id: 1 }),
        ),
        (
            "SetBufferLength".into(),
            control(UserControl::SetBufferLength {
                stream_id: 1,
                ms: 0,
            }),
        ),
        (
            "PingRequest".into(),
            control(UserControl::PingRequest { timestamp: 7 }),
        ),
        (
            "PingResponse".into(),
            control(UserControl::PingResponse { timestamp: 7 }),
        ),
        (
            "an unknown event".into(),
            control(UserControl::Other { event: 99 }),
        ),
        ("an unknown type".into(), Body::Other),
        ("audio".into(), media_body(Track::Audio, &[1])),
        ("video".into(), media_body(Track::Video, &[])),
        ("data".into(), media_body(Track::Data, &[2])),
        (
            "an aggregate".into(),
            Body::Aggregate(Bytes::from_static(&[
                8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 12,
            ])),
        ),
        (
            "an aggregate cut short".into(),
            Body::Aggregate(Bytes::from_static(&[9; 12])),
        ),
        (
            "onStatus that publishing began".into(),
            told("status", status::PUBLISH_START),
        ),
        (
            "onStatus that playing began".into(),
            told("status", status::PLAY_START),
        ),
        (
            "onStatus that a relay began".into(),
            command("onStatus", 0.0, &[Value::Null, relay_began()]),
        ),
        (
            "connect of a relay".into(),
            command("connect", 9.0, &[Value::Object(vec![relay_asks()])]),
        ),
        ("a relay's mark".into(), relay_mark()),
        (
            "onStatus that the stream ended".into(),
            told("status", status::PLAY_UNPUBLISH_NOTIFY),
        ),
        (
            "onStatus to reconnect".into(),
            told("status", status::RECONNECT_REQUEST),
        ),
        (
            "onStatus of an error".into(),
            told("error", status::PUBLISH_BAD_NAME),
        ),
        (
            "onStatus of an unknown code".into(),
            told("status", "Other.Code"),
        ),
        (
            "onStatus without a code".into(),
            command("onStatus", 0.0, &[]),
        ),
        (
            "deleteStream of ours".into(),
            command("deleteStream", 0.0, &id(1.0)),
        ),
        (
            "deleteStream of another".into(),
            command("deleteStream", 0.0, &id(2.0)),
        ),
        (
            "deleteStream of NaN".into(),
            command("deleteStream", 0.0, &id(f64::NAN)),
        ),
        (
            "closeStream".into(),
            command("closeStream", 0.0, &[Value::Null]),
        ),
        (
            "createStream without an answer".into(),
            command("createStream", 0.0, &[]),
        ),
        (
            "unheardOf without an answer".into(),
            command("unheardOf", 0.0, &[]),
        ),
        (
            "_result of connect".into(),
            command("_result", 1.0, &id(1.0)),
        ),
        (
            "_result of createStream".into(),
            command("_result", 2.0, &id(1.0)),
        ),
        ("_error of connect".into(), command("_error", 1.0, &id(1.0))),
    ];
    bodies.extend(NAMES.iter().map(|name| {
        let named = command(name, 9.0, &[Value::Null, text("room")]);
        ((*name).to_owned(), named)
    }));
    bodies
}

fn relay_began() -> Value {
    let bond = relay::Bond {
        pair: relay::Pair {
            epoch: 1,
            node: "a".into(),
            incarnation: 1,
        },
        path: vec!["a".into()],
    };
    let mut info = status::properties("status", status::PLAY_START, "Told.");
    info.push(bond.property());
    Value::Object(info)
}

fn relay_asks() -> (String, Value) {
    let asker = relay::Asker {
        node: "b".into(),
        hops: 1,
        token: Some(relay::Token("token".into())),
        expects: None,
        since: None,
    };
    asker.property()
}

fn relay_mark() -> Body {
    let mark = relay::Mark {
        time: MediaMs(1),
        sent_at: UnixMs(1),
        is_held: true,
        discontinuity: true,
    };
    media_body(Track::Data, &mark.message().body)
}

/// Commands with a name as their value and an answer asked for.
const NAMES: [&str; 17] = [
    "connect",
    "createStream",
    "publish",
    "play",
    "play2",
    "releaseStream",
    "FCPublish",
    "FCUnpublish",
    "FCSubscribe",
    "getStreamLength",
    "_checkbw",
    "pause",
    "seek",
    "receiveAudio",
    "receiveVideo",
    "_result",
    "unheardOf",
];

fn event<E>(found: Result<Option<E>, Error>, name: fn(&E) -> &'static str) -> String {
    match found {
        Err(error) => format!("!{}", error.reason()),
        Ok(event) => event.as_ref().map_or("-", name).to_owned(),
    }
}

/// Of the answers only what they are, for what they carry has tests of its own.
fn row(end: &str, state: &str, heard: &str, event: &str, answers: &[u8], next: &str) -> String {
    let answers = match answers.len() {
        // A handshake's, which no chunk follows.
        HANDSHAKE_LEN => vec!["handshake".to_owned()],
        _ => Peer::new().read(answers),
    };
    let kinds: Vec<_> = answers
        .iter()
        .map(|line| {
            line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .next()
                .unwrap_or_default()
        })
        .collect();
    let answers = if kinds.is_empty() {
        "-".to_owned()
    } else {
        kinds.join(" ")
    };
    format!("{end} | {state} | {heard} | {event} | {answers} | {next}\n")
}

/// S0, S1 and S2.
const HANDSHAKE_LEN: usize = 1 + 2 * handshake::PACKET_LEN;
