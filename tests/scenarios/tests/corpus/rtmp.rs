//! RTMP steps: what is said symbolically in a file becomes messages here.

use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use isocast_harness::playlist;
use isocast_media::Track;
use isocast_media::amf0::{self, Value as Amf};
use isocast_media::rtmp::Media;
use isocast_media::rtmp::chunk::{self, CHUNK_SIZE_DEFAULT, ReadLimits, Reader};
use isocast_media::rtmp::handshake;
use isocast_media::rtmp::message::{Body, Command, UserControl};

use super::bytes::{Variables, expand};
use super::frames;
use super::item::{Expect, Step, Stream, Value};
use super::link::Link;
use super::stage::Stage;

const SOON: Duration = Duration::from_secs(5);
/// What a peer that behaves sends in.
const CHUNK_SIZE: u32 = 65_536;
/// The HLS segment length of the stage's node, in seconds.
const TARGET_S: f64 = 2.0;

pub(crate) struct Rtmp<'a> {
    pub(crate) link: Link,
    stage: &'a Stage,
    variables: &'a Variables,
    reader: Reader,
    chunk_size: usize,
    /// When its first media was sent.
    began: Option<SystemTime>,
}

impl<'a> Rtmp<'a> {
    pub(crate) fn new(link: Link, stage: &'a Stage, variables: &'a Variables) -> Self {
        Self {
            link,
            stage,
            variables,
            reader: Reader::new(ReadLimits::PUBLISHER),
            chunk_size: CHUNK_SIZE_DEFAULT,
            began: None,
        }
    }

    pub(crate) fn step(&mut self, step: &Step) -> Result<(), String> {
        if let Some(done) = self.link.step(step, self.variables) {
            return done;
        }
        let bytes = |pieces| Bytes::from(expand(pieces, self.variables));
        let media = |track, timestamp: &u32, body| Media {
            track,
            timestamp: *timestamp,
            body: bytes(body),
        };
        match step {
            Step::Handshake => return self.shake_hands(),
            Step::Connect => return self.connect(),
            Step::Publish => {
                self.shake_hands()?;
                self.connect()?;
                let key = Amf::String(self.variables["KEY"].clone());
                self.command("publish", 0.0, vec![Amf::Null, key]);
                return self.expect_said("NetStream.Publish.Start", SOON);
            }
            Step::ChunkStreams(count) => self.open_chunk_streams(*count),
            Step::ChunkSize(size) => self.set_chunk_size(*size),
            Step::Command(name, transaction, values) => self.symbolic(name, transaction, values),
            Step::Message(type_id, payload) => {
                let payload = bytes(payload);
                self.message(3, 0, *type_id, payload);
            }
            Step::Video(at, body) => self.media(&media(Track::Video, at, body)),
            Step::Audio(at, body) => self.media(&media(Track::Audio, at, body)),
            Step::Data(at, body) => self.media(&media(Track::Data, at, body)),
            Step::Stream(stream) => self.stream(stream),
            Step::Expect(Expect::Said(word, within)) => return self.expect_said(word, *within),
            Step::Expect(Expect::Open) => return self.expect_open(),
            Step::Expect(Expect::Playlist) => return self.expect_playlist(),
            other => return Err(format!("{other:?} is not for RTMP")),
        }
        Ok(())
    }

    fn shake_hands(&mut self) -> Result<(), String> {
        let mut output = BytesMut::new();
        let mut client = handshake::Client::start(1, &mut output);
        self.link.send(&output.split());
        let give_up = Instant::now() + SOON;
        loop {
            let done = client.receive(&mut self.link.input, &mut output);
            if done.map_err(|error| error.to_string())? {
                self.link.send(&output);
                return Ok(());
            }
            if !self.link.hear(give_up) {
                return Err(format!("no handshake; {}", self.link.told()));
            }
        }
    }

    fn connect(&mut self) -> Result<(), String> {
        self.set_chunk_size(CHUNK_SIZE);
        let info = Amf::Object(vec![("app".into(), Amf::String("live".into()))]);
        self.command("connect", 1.0, vec![info]);
        self.expect_said("NetConnection.Connect.Success", SOON)
    }

    /// From number 64 on: type 0, a video message of 2 bytes, and the first of them (§5.3.1).
    fn open_chunk_streams(&mut self, count: u32) {
        self.set_chunk_size(1);
        let mut out = Vec::new();
        for number in 0..count {
            let [low, high, ..] = number.to_le_bytes();
            out.extend_from_slice(&[1, low, high, 0, 0, 0, 0, 0, 2, 9, 1, 0, 0, 0, 0xAA]);
        }
        self.link.send(&out);
    }

    fn set_chunk_size(&mut self, size: u32) {
        self.body(&Body::SetChunkSize(size));
        self.chunk_size = size as usize;
    }

    fn command(&mut self, name: &str, transaction: f64, values: Vec<Amf>) {
        self.body(&Body::Command(Command {
            name: name.into(),
            transaction,
            values,
        }));
    }

    fn body(&mut self, body: &Body) {
        let (type_id, payload) = body.encode().expect("a body that can be written");
        self.message(3, 0, type_id, payload);
    }

    /// Written value by value, for not all of it has to be a command.
    fn symbolic(&mut self, name: &str, transaction: &Value, values: &[Value]) {
        let mut payload = BytesMut::new();
        amf0::encode(&Amf::String(name.into()), &mut payload);
        for value in std::iter::once(transaction).chain(values) {
            let value = match value {
                Value::Null => Amf::Null,
                Value::Undefined => Amf::Undefined,
                Value::Number(number) => Amf::Number(*number),
                Value::Text(text) => {
                    let text = String::from_utf8(expand(text, self.variables));
                    Amf::String(text.expect("the files are UTF-8"))
                }
            };
            amf0::encode(&value, &mut payload);
        }
        self.message(3, 0, 20, payload.freeze());
    }

    fn media(&mut self, media: &Media) {
        self.began.get_or_insert_with(SystemTime::now);
        let (csid, type_id) = match media.track {
            Track::Audio => (4, 8),
            Track::Video => (6, 9),
            Track::Data => (8, 18),
        };
        self.message(csid, media.timestamp, type_id, media.body.clone());
    }

    fn message(&mut self, csid: u32, timestamp: u32, type_id: u8, payload: Bytes) {
        let message = chunk::Message {
            csid,
            timestamp,
            type_id,
            stream_id: 1,
            payload,
        };
        let mut out = BytesMut::new();
        chunk::write(&message, self.chunk_size.max(1), &mut out);
        self.link.send(&out);
    }

    /// Sends each when it is due, or until the node has enough.
    fn stream(&mut self, stream: &Stream) {
        let began = Instant::now();
        for (track, from) in [(Track::Video, stream.video), (Track::Audio, stream.audio)] {
            if let Some(from) = from {
                self.media(&frames::configuration(track, from));
            }
        }
        for number in 0..stream.count {
            self.link
                .listen(began + stream.lasts * number / stream.count);
            if self.link.is_closed() {
                return;
            }
            let passed = number.wrapping_mul(stream.every_ms);
            if let Some(from) = stream.video {
                let is_key = stream.keys > 0 && number.is_multiple_of(stream.keys);
                self.media(&frames::picture(
                    from.wrapping_add(passed),
                    number,
                    is_key,
                    0,
                ));
            }
            if let Some(from) = stream.audio {
                self.media(&frames::sound(from.wrapping_add(passed), number));
            }
        }
        self.link.listen(began + stream.lasts);
    }

    /// The next message of the node.
    fn hear(&mut self, give_up: Instant) -> Result<Option<Body>, String> {
        loop {
            let read = self.reader.read(&mut self.link.input);
            let Some(message) = read.map_err(|error| format!("the node's chunks: {error}"))? else {
                if self.link.hear(give_up) {
                    continue;
                }
                return Ok(None);
            };
            let body = Body::parse(message.type_id, message.payload);
            let body = body.map_err(|error| format!("the node's message: {error}"))?;
            if let Body::SetChunkSize(size) = body {
                let set = self.reader.set_chunk_size(size);
                set.map_err(|error| error.to_string())?;
            }
            return Ok(Some(body));
        }
    }

    fn expect_said(&mut self, word: &str, within: Duration) -> Result<(), String> {
        let give_up = Instant::now() + within;
        let mut said = Vec::new();
        while let Some(body) = self.hear(give_up)? {
            if let Body::Command(command) = body {
                let code = command.values.get(1).and_then(|info| info.get("code"));
                let code = code.and_then(Amf::as_str).unwrap_or_default().to_owned();
                if command.name == word || code == word {
                    return Ok(());
                }
                said.push(format!("{} {code}", command.name));
            }
        }
        Err(format!(
            "`{word}` was not said, but {said:?}; {}",
            self.link.told()
        ))
    }

    fn expect_open(&mut self) -> Result<(), String> {
        const TIMESTAMP: u32 = 20_041_889;
        let ping = UserControl::PingRequest {
            timestamp: TIMESTAMP,
        };
        self.body(&Body::UserControl(ping));
        let answer = UserControl::PingResponse {
            timestamp: TIMESTAMP,
        };
        let give_up = Instant::now() + SOON;
        while let Some(body) = self.hear(give_up)? {
            if body == Body::UserControl(answer) {
                return Ok(());
            }
        }
        Err(format!("it does not go on; {}", self.link.told()))
    }

    /// No segment longer than twice its target, no more entries than seconds.
    fn expect_playlist(&mut self) -> Result<(), String> {
        let began = self.began.ok_or("nothing was sent")?;
        let path = format!("/hls/{}/index.m3u8", self.variables["ROOM"]);
        let answer = self.stage.get(&path);
        if answer.status != 200 {
            return Err(format!("{path}: {}", answer.text()));
        }
        let text = answer.text();
        let found = playlist::parse(&text);
        let next = found.segments.last().map_or(0, |segment| segment.msn + 1);
        // Numbers begin with the seconds since 1970.
        let first = began.duration_since(SystemTime::UNIX_EPOCH);
        let first = first.expect("it is later than 1970").as_secs();
        let passed = began.elapsed().expect("time goes on").as_secs();
        if next > first + passed + 2 {
            return Err(format!("{next} - {first} entries in {passed} s:\n{text}"));
        }
        let longest = found.segments.iter().map(|segment| segment.duration_s);
        match longest.fold(0.0, f64::max) {
            longest if longest > 2.0 * TARGET_S => Err(format!("{longest} s in one:\n{text}")),
            _ => Ok(()),
        }
    }
}
