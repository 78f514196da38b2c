use std::time::{Duration, Instant};

use bytes::Bytes;

use super::wire::{Heard, Rate, WINDOW_BYTES, Wire};
use super::{Capabilities, Media, STREAM_ID, capabilities, relay, status};
use crate::amf0::Value;
use crate::frame::Track;
use crate::rtmp::Error;
use crate::rtmp::chunk::ReadLimits;
use crate::rtmp::handshake;
use crate::rtmp::message::{Body, Command, UserControl};

/// How long a peer may take over each step.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From accepting the connection to C2.
    pub handshake: Duration,
    /// From accepting the connection to `publish` or `play`.
    pub command: Duration,
    /// From `publish` to the first audio or video message.
    pub first_media: Duration,
    /// Between two audio or video messages.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            command: Duration::from_secs(15),
            first_media: Duration::from_secs(20),
            silence: Duration::from_secs(30),
        }
    }
}

const COMMANDS_PER_SECOND_MAX: u32 = 100;

/// What the peer of a [`Session`] wants or sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It wants to publish. Nothing more is read until `accept_publish` or `refuse`.
    Publish {
        app: String,
        name: String,
    },
    /// It wants to play. Nothing more is read until `accept_play` or `refuse`.
    Play {
        app: String,
        name: String,
    },
    Media(Media),
    /// The publisher is done; it may publish again.
    Unpublish,
    /// The player is done.
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Handshake,
    /// Awaits `connect`.
    Opened,
    /// Awaits `publish` or `play`.
    Connected,
    /// The owner of the session has an event to answer.
    Deciding,
    Publishing {
        media_seen: bool,
    },
    Playing,
    /// Refused: what is left to send is in the output.
    Ended,
}

/// The serving end of a connection.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    handshake: handshake::Server,
    wire: Wire,
    pub(super) state: State,
    app: String,
    peer: Capabilities,
    asker: Option<relay::Asker>,
    command_rate: Rate,
    /// When the present state's time began.
    since: Instant,
}

impl Session {
    /// `seed` makes the arbitrary bytes of the handshake.
    #[must_use]
    pub fn new(limits: Limits, seed: u64, now: Instant) -> Self {
        Self {
            limits,
            handshake: handshake::Server::new(seed),
            wire: Wire::new(ReadLimits::STRANGER),
            state: State::Handshake,
            app: String::new(),
            peer: Capabilities::default(),
            asker: None,
            command_rate: Rate::new(COMMANDS_PER_SECOND_MAX),
            since: now,
        }
    }

    /// Bytes that arrived. While an event awaits its decision they pile up here: leave them with
    /// the connection until then. After the end they are thrown away.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.state != State::Ended {
            self.wire.receive(bytes);
        }
    }

    /// The next thing to act on; `None` until more bytes, or a decision, arrive. After an error
    /// too, the output may hold an answer to send before the connection is closed.
    pub fn next_event(&mut self, now: Instant) -> Result<Option<Event>, Error> {
        if self.state == State::Handshake {
            let Wire { input, output, .. } = &mut self.wire;
            if !self.handshake.receive(input, output)? {
                return Ok(None);
            }
            self.state = State::Opened;
        }
        while !matches!(self.state, State::Deciding | State::Ended) {
            let event = match self.wire.hear(now)? {
                None => return Ok(None),
                Some(Heard::Media(media)) => self.on_media(media, now),
                Some(Heard::Command(command)) => self.on_command(command, now)?,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// All there is to send, in order.
    pub fn take_output(&mut self) -> Bytes {
        self.wire.take_output()
    }

    /// Whether the peer has finished the handshake.
    #[must_use]
    pub fn has_shaken_hands(&self) -> bool {
        self.state != State::Handshake
    }

    /// When to call [`Session::check_deadline`], unless something happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.since + self.allowed()?.0)
    }

    pub fn check_deadline(&self, now: Instant) -> Result<(), Error> {
        match self.allowed() {
            Some((allowed, error)) if now >= self.since + allowed => Err(error),
            _ => Ok(()),
        }
    }

    /// Answers [`Event::Publish`]: media is welcome.
    pub fn accept_publish(&mut self, now: Instant) {
        self.state = State::Publishing { media_seen: false };
        self.since = now;
        self.wire.set_limits(ReadLimits::PUBLISHER);
        self.send_status("status", status::PUBLISH_START, "Publishing.");
    }

    /// Answers [`Event::Play`]: serialised media may follow the output.
    pub fn accept_play(&mut self) {
        self.start_play(None);
    }

    /// The same for a relay.
    pub fn accept_relay(&mut self, bond: &relay::Bond) {
        self.start_play(Some(bond));
    }

    fn start_play(&mut self, bond: Option<&relay::Bond>) {
        self.state = State::Playing;
        let begin = UserControl::StreamBegin {
            stream_id: STREAM_ID,
        };
        self.wire.send_control(&Body::UserControl(begin));
        self.send_status("status", status::PLAY_RESET, "Playing and resetting.");
        let mut info = status::properties("status", status::PLAY_START, "Playing.");
        info.extend(bond.map(relay::Bond::property));
        self.send_on_status(STREAM_ID, info);
    }

    /// Answers either event, or ends what was accepted: `code` is one of [`status`], and
    /// `description` is what an encoder shows. Close the connection once the output is sent.
    pub fn refuse(&mut self, code: &str, description: &str) {
        self.state = State::Ended;
        self.send_status("error", code, description);
    }

    /// Tells a player that its stream is over.
    pub fn end_play(&mut self) {
        self.state = State::Ended;
        let end = UserControl::StreamEof {
            stream_id: STREAM_ID,
        };
        self.wire.send_control(&Body::UserControl(end));
        self.send_status(
            "status",
            status::PLAY_UNPUBLISH_NOTIFY,
            "The broadcast has ended.",
        );
    }

    /// Asks a publisher or player to connect anew, to `tc_url` where that is another place, and to
    /// go on here until then. False where there is nobody to ask, or nobody who would understand.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, description: &str) -> bool {
        let is_in_use = matches!(self.state, State::Publishing { .. } | State::Playing);
        if !(is_in_use && self.peer.reconnect) {
            return false;
        }
        let mut info = status::properties("status", status::RECONNECT_REQUEST, description);
        info.extend(tc_url.map(|url| ("tcUrl".to_owned(), Value::String(url.to_owned()))));
        self.send_on_status(0, info);
        true
    }

    /// What the peer said in `connect` that it can do.
    #[must_use]
    pub fn peer(&self) -> Capabilities {
        self.peer
    }

    /// What the peer said in `connect` if it is a relay. Whether that is so, the owner of the session judges.
    #[must_use]
    pub fn asker(&self) -> Option<&relay::Asker> {
        self.asker.as_ref()
    }

    /// Messages that the peer gave up half-way.
    #[must_use]
    pub fn messages_dropped(&self) -> u64 {
        self.wire.messages_dropped()
    }

    fn allowed(&self) -> Option<(Duration, Error)> {
        match self.state {
            State::Handshake => Some((self.limits.handshake, Error::HandshakeTimeout)),
            State::Opened | State::Connected => Some((self.limits.command, Error::CommandTimeout)),
            State::Publishing { media_seen: false } => {
                Some((self.limits.first_media, Error::MediaTimeout))
            }
            State::Publishing { media_seen: true } => {
                Some((self.limits.silence, Error::MediaTimeout))
            }
            State::Deciding | State::Playing | State::Ended => None,
        }
    }

    /// Media counts only while publishing; what an encoder sends after its end is left alone.
    fn on_media(&mut self, media: Media, now: Instant) -> Option<Event> {
        let State::Publishing { media_seen } = &mut self.state else {
            return None;
        };
        // A description alone keeps no stream alive.
        if media.track != Track::Data {
            *media_seen = true;
            self.since = now;
        }
        Some(Event::Media(media))
    }

    fn on_command(&mut self, command: Command, now: Instant) -> Result<Option<Event>, Error> {
        if !self.command_rate.allow(1, now) {
            return Err(Error::CommandRate {
                max: COMMANDS_PER_SECOND_MAX,
            });
        }
        match (command.name.as_str(), self.state) {
            ("connect", State::Opened) => self.on_connect(&command),
            ("connect", _) => {
                self.send_error(&command, "This connection is connected already.");
                return Err(Error::Order {
                    what: "a second connect",
                });
            }
            (_, State::Opened) => {
                return Err(Error::Order {
                    what: "a command before connect",
                });
            }
            ("publish", State::Connected) => {
                self.state = State::Deciding;
                return Ok(Some(Event::Publish {
                    app: self.app.clone(),
                    name: stream_name(&command),
                }));
            }
            ("play", State::Connected) => {
                self.state = State::Deciding;
                return Ok(Some(Event::Play {
                    app: self.app.clone(),
                    name: stream_name(&command),
                }));
            }
            ("publish" | "play", _) => {
                self.refuse(status::CALL_FAILED, "This connection is already in use.");
                return Err(Error::Order {
                    what: "a second publish or play",
                });
            }
            ("deleteStream" | "closeStream", _) if names_ours(&command) => {
                return Ok(self.on_close(now));
            }
            ("deleteStream" | "closeStream", _) => {}
            ("createStream", _) => self.send_result(&command, Value::Number(STREAM_ID.into())),
            ("getStreamLength", _) => self.send_result(&command, Value::Number(0.0)), // live has none
            // It comes just before `deleteStream`, which a reset at the close may take away.
            ("FCUnpublish", State::Publishing { .. }) => {
                self.send_result(&command, Value::Undefined);
                return Ok(self.on_close(now));
            }
            ("releaseStream" | "FCPublish" | "FCUnpublish" | "FCSubscribe" | "_checkbw", _) => {
                self.send_result(&command, Value::Undefined);
            }
            // A live stream has no other position, and the peer's own receipts need no answer.
            (
                "pause" | "seek" | "receiveAudio" | "receiveVideo" | "_result" | "_error"
                | "onStatus",
                _,
            ) => {}
            _ => self.send_error(&command, "There is no such method."),
        }
        Ok(None)
    }

    fn on_connect(&mut self, command: &Command) {
        let info = command.values.first();
        let app = info
            .and_then(|info| info.get("app"))
            .and_then(Value::as_str);
        self.app = app.unwrap_or_default().trim_end_matches('/').to_owned();
        self.peer = info.map(Capabilities::read).unwrap_or_default();
        self.asker = info.and_then(relay::Asker::read);
        self.state = State::Connected;

        self.wire.send_control(&Body::WindowAckSize(WINDOW_BYTES));
        self.wire.send_control(&Body::SetPeerBandwidth {
            bytes: WINDOW_BYTES,
            limit: 2, // dynamic (§5.4.5)
        });
        self.wire.enlarge_chunks();
        let mut properties = vec![
            ("fmsVer".into(), Value::String("FMS/3,0,1,123".into())),
            ("capabilities".into(), Value::Number(31.0)),
        ];
        properties.extend(capabilities::ours());
        let mut answer = status::properties("status", status::CONNECT_SUCCESS, "Connected.");
        answer.push(("objectEncoding".into(), Value::Number(0.0)));
        self.wire.send_command(
            0,
            Command {
                name: "_result".into(),
                transaction: command.transaction,
                values: vec![Value::Object(properties), Value::Object(answer)],
            },
        );
    }

    /// `closeStream` means the one stream; `deleteStream` names it, and another id is none of ours.
    fn on_close(&mut self, now: Instant) -> Option<Event> {
        let event = match self.state {
            State::Publishing { .. } => {
                self.send_status("status", status::UNPUBLISH_SUCCESS, "Unpublished.");
                Event::Unpublish
            }
            State::Playing => Event::Stop,
            _ => return None,
        };
        self.state = State::Connected;
        self.since = now;
        Some(event)
    }

    fn send_result(&mut self, command: &Command, value: Value) {
        self.answer("_result", command, value);
    }

    fn send_error(&mut self, command: &Command, description: &str) {
        let status = status::properties("error", status::CALL_FAILED, description);
        self.answer("_error", command, Value::Object(status));
    }

    /// Transaction 0 asks for no answer (§7.2.1).
    fn answer(&mut self, name: &str, command: &Command, value: Value) {
        if command.transaction != 0.0 {
            self.wire.send_command(
                0,
                Command {
                    name: name.into(),
                    transaction: command.transaction,
                    values: vec![Value::Null, value],
                },
            );
        }
    }

    fn send_status(&mut self, level: &str, code: &str, description: &str) {
        self.send_on_status(STREAM_ID, status::properties(level, code, description));
    }

    /// On message stream 0 it is of the connection, else of the stream.
    fn send_on_status(&mut self, stream_id: u32, info: Vec<(String, Value)>) {
        self.wire.send_command(
            stream_id,
            Command {
                name: "onStatus".into(),
                transaction: 0.0,
                values: vec![Value::Null, Value::Object(info)],
            },
        );
    }
}

/// Whether the stream that is to be closed is the one that there is (§7.2.2.3).
fn names_ours(command: &Command) -> bool {
    let named = command.values.get(1).and_then(Value::as_f64);
    named.is_none_or(|id| id == f64::from(STREAM_ID))
}

/// The first argument after the null command object (§7.2.2.1, §7.2.2.6).
fn stream_name(command: &Command) -> String {
    let name = command.values.get(1).and_then(Value::as_str);
    name.unwrap_or_default().to_owned()
}
