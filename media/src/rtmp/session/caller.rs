use std::time::Instant;

use bytes::Bytes;

use super::wire::{Heard, WINDOW_BYTES, Wire};
use super::{Media, capabilities, relay, status};
use crate::amf0::Value;
use crate::rtmp::Error;
use crate::rtmp::chunk::ReadLimits;
use crate::rtmp::handshake;
use crate::rtmp::message::{Body, Command};

/// Whom to call, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `rtmp://HOST/APP`, as the called end is told it.
    pub tc_url: String,
    pub app: String,
    /// The stream's name, or the publish key.
    pub name: String,
    pub role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Publish,
    Play,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerEvent {
    /// Publishing or playing has begun.
    Started,
    /// The other end will not, or no longer, have it.
    Refused {
        code: String,
        description: String,
    },
    /// The other end is going: connect anew, to `tc_url` where it names another place (it may be
    /// relative to the present one), and go on with this connection until then.
    Reconnect {
        tc_url: Option<String>,
        description: String,
    },
    /// The stream has ended at the other end.
    Ended,
    Media(Media),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Handshake,
    Connecting,
    Creating,
    /// Publishing or playing is asked for.
    Starting,
    Started,
    Ended,
}

/// Transaction numbers: one each, for each is sent once.
const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 2.0;

/// The calling end of a connection: publishes to a server, or plays from one.
#[derive(Debug)]
pub struct Caller {
    call: Call,
    asker: Option<relay::Asker>,
    bond: Option<relay::Bond>,
    handshake: handshake::Client,
    wire: Wire,
    pub(super) state: State,
    stream_id: u32,
}

impl Caller {
    #[must_use]
    pub fn new(call: Call, seed: u64) -> Self {
        let mut wire = Wire::new(ReadLimits::PUBLISHER);
        let handshake = handshake::Client::start(seed, &mut wire.output);
        Self {
            call,
            asker: None,
            bond: None,
            handshake,
            wire,
            state: State::Handshake,
            stream_id: 0,
        }
    }

    /// One that plays to relay what it gets.
    #[must_use]
    pub fn relay(call: Call, asker: relay::Asker, seed: u64) -> Self {
        Self {
            asker: Some(asker),
            ..Self::new(call, seed)
        }
    }

    /// What a relay is bound to, once [`CallerEvent::Started`] came; `None` where the other end did not say.
    #[must_use]
    pub fn bond(&self) -> Option<&relay::Bond> {
        self.bond.as_ref()
    }

    /// Bytes that arrived; after the end they are thrown away.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.state != State::Ended {
            self.wire.receive(bytes);
        }
    }

    pub fn next_event(&mut self, now: Instant) -> Result<Option<CallerEvent>, Error> {
        if self.state == State::Handshake {
            let Wire { input, output, .. } = &mut self.wire;
            if !self.handshake.receive(input, output)? {
                return Ok(None);
            }
            self.connect();
        }
        while self.state != State::Ended {
            let event = match self.wire.hear(now)? {
                None => return Ok(None),
                Some(Heard::Media(media)) => self.on_media(media),
                Some(Heard::Command(command)) => self.on_command(&command),
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    pub fn take_output(&mut self) -> Bytes {
        self.wire.take_output()
    }

    /// Sends media, once [`CallerEvent::Started`] came and until the end; else it does nothing.
    pub fn send(&mut self, media: &Media) {
        if self.state == State::Started {
            self.wire.send_media(self.stream_id, media);
        }
    }

    /// Ends the conversation; says so if publishing or playing was asked for.
    pub fn close(&mut self) {
        if matches!(self.state, State::Starting | State::Started) {
            let id = Value::Number(self.stream_id.into());
            self.command(0, "deleteStream", 0.0, vec![Value::Null, id]);
        }
        self.state = State::Ended;
    }

    fn connect(&mut self) {
        self.state = State::Connecting;
        self.wire.send_control(&Body::WindowAckSize(WINDOW_BYTES));
        self.wire.enlarge_chunks();
        let text = |text: &str| Value::String(text.to_owned());
        let mut info = vec![
            ("app".into(), text(&self.call.app)),
            ("type".into(), text("nonprivate")),
            ("flashVer".into(), text("FMLE/3.0 (compatible; Isocast)")),
            ("tcUrl".into(), text(&self.call.tc_url)),
        ];
        info.extend(capabilities::ours());
        info.extend(self.asker.as_ref().map(relay::Asker::property));
        self.command(0, "connect", CONNECT, vec![Value::Object(info)]);
    }

    fn on_command(&mut self, command: &Command) -> Option<CallerEvent> {
        match (command.name.as_str(), self.state) {
            ("_result", State::Connecting) if command.transaction == CONNECT => {
                self.state = State::Creating;
                self.command(0, "createStream", CREATE_STREAM, vec![Value::Null]);
                None
            }
            ("_result", State::Creating) if command.transaction == CREATE_STREAM => {
                let id = command.values.get(1).and_then(Value::as_f64);
                self.stream_id = id.unwrap_or(1.0) as u32;
                self.start();
                None
            }
            // All that is asked is needed, so whatever was refused, the call is.
            ("_error", State::Connecting | State::Creating | State::Starting) => {
                self.on_refusal(command)
            }
            ("onStatus", _) => self.on_status(command),
            _ => None,
        }
    }

    fn start(&mut self) {
        self.state = State::Starting;
        let name = Value::String(self.call.name.clone());
        let (command, last) = match self.call.role {
            Role::Publish => ("publish", Value::String("live".into())),
            Role::Play => ("play", Value::Number(-1.0)), // -1: a live stream only (§7.2.2.1)
        };
        self.command(self.stream_id, command, 0.0, vec![Value::Null, name, last]);
    }

    /// Some servers send the first media a little before they say that playing has begun.
    fn on_media(&self, media: Media) -> Option<CallerEvent> {
        matches!(self.state, State::Starting | State::Started).then_some(CallerEvent::Media(media))
    }

    fn on_status(&mut self, command: &Command) -> Option<CallerEvent> {
        let said = |key| {
            let info = command.values.get(1)?;
            info.get(key)?.as_str()
        };
        match said("code").unwrap_or_default() {
            status::PUBLISH_START | status::PLAY_START if self.state == State::Starting => {
                self.state = State::Started;
                let asked = self.asker.is_some();
                let info = command.values.get(1).filter(|_| asked);
                self.bond = info.and_then(relay::Bond::read);
                Some(CallerEvent::Started)
            }
            status::RECONNECT_REQUEST => Some(CallerEvent::Reconnect {
                tc_url: said("tcUrl").map(str::to_owned),
                description: said("description").unwrap_or_default().to_owned(),
            }),
            status::PLAY_UNPUBLISH_NOTIFY => {
                self.state = State::Ended;
                Some(CallerEvent::Ended)
            }
            _ if said("level") == Some("error") => self.on_refusal(command),
            _ => None,
        }
    }

    fn on_refusal(&mut self, command: &Command) -> Option<CallerEvent> {
        self.state = State::Ended;
        let said = |key| {
            let said = command.values.get(1).and_then(|info| info.get(key));
            said.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Some(CallerEvent::Refused {
            code: said("code"),
            description: said("description"),
        })
    }

    fn command(&mut self, stream_id: u32, name: &str, transaction: f64, values: Vec<Value>) {
        self.wire.send_command(
            stream_id,
            Command {
                name: name.into(),
                transaction,
                values,
            },
        );
    }
}
