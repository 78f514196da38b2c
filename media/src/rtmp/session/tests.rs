mod caller;
mod conversations;
mod limits;
mod pairs;
mod states;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::*;
use crate::amf0::Value;
use crate::rtmp::Error;
use crate::rtmp::chunk::{self, CHUNK_SIZE_DEFAULT, ReadLimits, Reader};
use crate::rtmp::handshake;
use crate::rtmp::message::{Body, Command, UserControl};
use crate::time::{MediaMs, UnixMs};

/// A serving session and a peer that says what a test tells it to. Time stands still unless moved.
struct Dialogue {
    session: Session,
    start: Instant,
    now: Instant,
    peer: Peer,
}

impl Dialogue {
    /// Nothing has been said yet.
    fn new() -> Self {
        let start = Instant::now();
        Self {
            session: Session::new(Limits::default(), 1, start),
            start,
            now: start,
            peer: Peer::new(),
        }
    }

    /// The handshake is done.
    fn opened() -> Self {
        let mut dialogue = Self::new();
        let mut hello = BytesMut::new();
        handshake::Client::start(2, &mut hello);
        hello.extend_from_slice(&[0; handshake::PACKET_LEN]);
        dialogue.session.receive(&hello);
        assert_eq!(dialogue.event(), Ok(None));
        let answer = dialogue.session.take_output();
        assert_eq!(answer.len(), 1 + 2 * handshake::PACKET_LEN);
        dialogue
    }

    fn connected() -> Self {
        let mut dialogue = Self::opened();
        dialogue.connect("live");
        assert_eq!(dialogue.event(), Ok(None));
        dialogue.answers();
        dialogue
    }

    /// Asked to publish, and not answered yet.
    fn deciding() -> Self {
        let mut dialogue = Self::connected();
        dialogue.command("publish", 0.0, &[Value::Null, text("key")]);
        assert!(matches!(dialogue.event(), Ok(Some(Event::Publish { .. }))));
        dialogue
    }

    fn publishing() -> Self {
        let mut dialogue = Self::deciding();
        dialogue.session.accept_publish(dialogue.now);
        dialogue.answers();
        dialogue
    }

    fn playing() -> Self {
        let mut dialogue = Self::connected();
        dialogue.command("play", 0.0, &[Value::Null, text("room")]);
        assert!(matches!(dialogue.event(), Ok(Some(Event::Play { .. }))));
        dialogue.session.accept_play();
        dialogue.answers();
        dialogue
    }

    fn ended() -> Self {
        let mut dialogue = Self::deciding();
        let code = status::PUBLISH_BAD_NAME;
        dialogue.session.refuse(code, "No such key.");
        dialogue.answers();
        dialogue
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn connect(&mut self, app: &str) {
        let info = Value::Object(vec![("app".into(), text(app))]);
        self.command("connect", 1.0, &[info]);
    }

    fn command(&mut self, name: &str, transaction: f64, values: &[Value]) {
        self.say(&command(name, transaction, values));
    }

    fn say(&mut self, body: &Body) {
        let bytes = self.peer.write(body);
        self.session.receive(&bytes);
    }

    fn event(&mut self) -> Result<Option<Event>, Error> {
        self.session.next_event(self.now)
    }

    /// What the session has said since the last call, a line each.
    fn answers(&mut self) -> Vec<String> {
        self.peer.read(&self.session.take_output())
    }
}

/// The other end's chunks, without any idea of what should be said when.
struct Peer {
    reader: Reader,
    input: BytesMut,
    chunk_size: usize,
}

impl Peer {
    fn new() -> Self {
        Self {
            reader: Reader::new(ReadLimits::PUBLISHER),
            input: BytesMut::new(),
            chunk_size: CHUNK_SIZE_DEFAULT,
        }
    }

    fn write(&mut self, body: &Body) -> BytesMut {
        self.write_at(0, body)
    }

    fn write_at(&mut self, timestamp: u32, body: &Body) -> BytesMut {
        let (type_id, payload) = body.encode().expect("a body that can be written");
        let message = chunk::Message {
            csid: 3,
            timestamp,
            type_id,
            stream_id: 1,
            payload,
        };
        let mut out = BytesMut::new();
        chunk::write(&message, self.chunk_size, &mut out);
        if let Body::SetChunkSize(size @ 1..=0x7FFF_FFFF) = body {
            self.chunk_size = *size as usize;
        }
        out
    }

    /// Every message in `bytes`, as [`line`] puts it.
    fn read(&mut self, bytes: &[u8]) -> Vec<String> {
        self.input.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(message) = self.reader.read(&mut self.input).unwrap() {
            let body = Body::parse(message.type_id, message.payload).unwrap();
            if let Body::SetChunkSize(size) = body {
                self.reader.set_chunk_size(size).unwrap();
            }
            lines.push(line(&body));
        }
        assert!(self.input.is_empty(), "half a message was sent");
        lines
    }
}

/// A message in one line: of a status its level and code, of an answer its values.
fn line(body: &Body) -> String {
    let Body::Command(command) = body else {
        return match body {
            Body::UserControl(event) => format!("{event:?}"),
            body => format!("{body:?}"),
        };
    };
    let values: Vec<String> = command
        .values
        .iter()
        .filter_map(|value| match value {
            Value::Null => None,
            Value::Number(number) => Some(number.to_string()),
            Value::String(text) => Some(text.clone()),
            value => {
                let said = |key| value.get(key).and_then(Value::as_str);
                Some([said("level")?, said("code")?].join(" "))
            }
        })
        .collect();
    let head = match command.name.as_str() {
        "onStatus" => "onStatus".to_owned(),
        name => format!("{name} {}", command.transaction),
    };
    [vec![head], values].concat().join(" ")
}

fn command(name: &str, transaction: f64, values: &[Value]) -> Body {
    Body::Command(Command {
        name: name.into(),
        transaction,
        values: values.to_vec(),
    })
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn media(track: Track, timestamp: u32, body: &[u8]) -> Media {
    Media {
        track,
        timestamp,
        body: Bytes::copy_from_slice(body),
    }
}

fn media_body(track: Track, body: &[u8]) -> Body {
    Body::Media {
        track,
        body: Bytes::copy_from_slice(body),
    }
}
