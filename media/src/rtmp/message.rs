//! What messages say (§5.4, §6.2, §7.1), in both directions.

mod aggregate;

pub use aggregate::{Part, Parts};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Error;
use crate::amf0::{self, Value};
use crate::frame::Track;

/// A message's meaning. Audio, video and data bodies stay as they are.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// §5.4.1: bytes of payload per chunk from now on.
    SetChunkSize(u32),
    /// §5.4.2: the unfinished message of this chunk stream will not be finished.
    Abort {
        csid: u32,
    },
    /// §5.4.3: bytes received so far, modulo 2^32.
    Acknowledgement(u32),
    /// §5.4.4: bytes between two acknowledgements.
    WindowAckSize(u32),
    /// §5.4.5: bytes in flight, and how strictly.
    SetPeerBandwidth {
        bytes: u32,
        limit: u8,
    },
    UserControl(UserControl),
    Command(Command),
    Media {
        track: Track,
        body: Bytes,
    },
    /// §7.1.6: several audio, video or data messages in one.
    Aggregate(Bytes),
    /// A type that live streaming does not use (shared objects, for one).
    Other,
}

/// §6.2 and §7.1.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserControl {
    StreamBegin { stream_id: u32 },
    StreamEof { stream_id: u32 },
    SetBufferLength { stream_id: u32, ms: u32 },
    PingRequest { timestamp: u32 },
    PingResponse { timestamp: u32 },
    Other { event: u16 },
}

/// §7.2: a name, a number that its answer repeats, and values.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    pub name: String,
    pub transaction: f64,
    pub values: Vec<Value>,
}

mod type_id {
    pub(super) const SET_CHUNK_SIZE: u8 = 1;
    pub(super) const ABORT: u8 = 2;
    pub(super) const ACKNOWLEDGEMENT: u8 = 3;
    pub(super) const USER_CONTROL: u8 = 4;
    pub(super) const WINDOW_ACK_SIZE: u8 = 5;
    pub(super) const SET_PEER_BANDWIDTH: u8 = 6;
    pub(super) const AUDIO: u8 = 8;
    pub(super) const VIDEO: u8 = 9;
    pub(super) const DATA_AMF3: u8 = 15;
    pub(super) const COMMAND_AMF3: u8 = 17;
    pub(super) const DATA_AMF0: u8 = 18;
    pub(super) const COMMAND_AMF0: u8 = 20;
    pub(super) const AGGREGATE: u8 = 22;
}

impl Body {
    pub fn parse(id: u8, payload: Bytes) -> Result<Self, Error> {
        let number = || word(id, &payload);
        Ok(match id {
            type_id::SET_CHUNK_SIZE => Self::SetChunkSize(number()?),
            type_id::ABORT => Self::Abort { csid: number()? },
            type_id::ACKNOWLEDGEMENT => Self::Acknowledgement(number()?),
            type_id::WINDOW_ACK_SIZE => Self::WindowAckSize(number()?),
            type_id::SET_PEER_BANDWIDTH => Self::SetPeerBandwidth {
                bytes: number()?,
                limit: payload.get(4).copied().unwrap_or(2), // 2 is "dynamic"
            },
            type_id::USER_CONTROL => Self::UserControl(UserControl::parse(&payload)?),
            type_id::COMMAND_AMF0 => Self::Command(Command::parse(&payload)?),
            type_id::COMMAND_AMF3 => Self::Command(Command::parse(&amf0_in_amf3(id, payload)?)?),
            type_id::AUDIO => media(Track::Audio, payload),
            type_id::VIDEO => media(Track::Video, payload),
            type_id::DATA_AMF0 => media(Track::Data, payload),
            type_id::DATA_AMF3 => media(Track::Data, amf0_in_amf3(id, payload)?),
            type_id::AGGREGATE => Self::Aggregate(payload),
            _ => Self::Other,
        })
    }

    /// The message type and the payload; [`Body::Other`] has none to give.
    #[must_use]
    pub fn encode(&self) -> Option<(u8, Bytes)> {
        let number = |value: u32| Bytes::copy_from_slice(&value.to_be_bytes());
        Some(match self {
            Self::SetChunkSize(size) => (type_id::SET_CHUNK_SIZE, number(*size)),
            Self::Abort { csid } => (type_id::ABORT, number(*csid)),
            Self::Acknowledgement(bytes) => (type_id::ACKNOWLEDGEMENT, number(*bytes)),
            Self::WindowAckSize(bytes) => (type_id::WINDOW_ACK_SIZE, number(*bytes)),
            Self::SetPeerBandwidth { bytes, limit } => {
                let mut payload = BytesMut::with_capacity(5);
                payload.put_u32(*bytes);
                payload.put_u8(*limit);
                (type_id::SET_PEER_BANDWIDTH, payload.freeze())
            }
            Self::UserControl(event) => (type_id::USER_CONTROL, event.encode()?),
            Self::Command(command) => (type_id::COMMAND_AMF0, command.encode()),
            Self::Media { track, body } => (media_type_id(*track), body.clone()),
            Self::Aggregate(payload) => (type_id::AGGREGATE, payload.clone()),
            Self::Other => return None,
        })
    }
}

/// The message type that carries this track.
#[must_use]
pub fn media_type_id(track: Track) -> u8 {
    match track {
        Track::Audio => type_id::AUDIO,
        Track::Video => type_id::VIDEO,
        Track::Data => type_id::DATA_AMF0,
    }
}

impl UserControl {
    fn parse(payload: &[u8]) -> Result<Self, Error> {
        let malformed = |reason| Error::Message {
            type_id: type_id::USER_CONTROL,
            reason,
        };
        let mut fields = payload;
        let event = fields
            .try_get_u16()
            .map_err(|_| malformed("no event type"))?;
        let mut number = || {
            fields
                .try_get_u32()
                .map_err(|_| malformed("event data too short"))
        };
        Ok(match event {
            0 => Self::StreamBegin {
                stream_id: number()?,
            },
            1 => Self::StreamEof {
                stream_id: number()?,
            },
            3 => Self::SetBufferLength {
                stream_id: number()?,
                ms: number()?,
            },
            6 => Self::PingRequest {
                timestamp: number()?,
            },
            7 => Self::PingResponse {
                timestamp: number()?,
            },
            event => Self::Other { event },
        })
    }

    fn encode(self) -> Option<Bytes> {
        let (event, first, second) = match self {
            Self::StreamBegin { stream_id } => (0, stream_id, None),
            Self::StreamEof { stream_id } => (1, stream_id, None),
            Self::SetBufferLength { stream_id, ms } => (3, stream_id, Some(ms)),
            Self::PingRequest { timestamp } => (6, timestamp, None),
            Self::PingResponse { timestamp } => (7, timestamp, None),
            Self::Other { .. } => return None,
        };
        let mut payload = BytesMut::with_capacity(10);
        payload.put_u16(event);
        payload.put_u32(first);
        if let Some(second) = second {
            payload.put_u32(second);
        }
        Some(payload.freeze())
    }
}

impl Command {
    fn parse(payload: &[u8]) -> Result<Self, Error> {
        let malformed = |reason| Error::Message {
            type_id: type_id::COMMAND_AMF0,
            reason,
        };
        let mut values = amf0::decode_all(payload)?.into_iter();
        let Some(Value::String(name)) = values.next() else {
            return Err(malformed("a command starts with its name"));
        };
        // Some senders leave the transaction out where it would be 0.
        let transaction = match values.next() {
            Some(Value::Number(number)) if number.is_finite() => number,
            None | Some(Value::Null) => 0.0,
            Some(_) => {
                return Err(malformed(
                    "a command's second value is its transaction number",
                ));
            }
        };
        Ok(Self {
            name,
            transaction,
            values: values.collect(),
        })
    }

    fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        amf0::encode(&Value::String(self.name.clone()), &mut out);
        amf0::encode(&Value::Number(self.transaction), &mut out);
        for value in &self.values {
            amf0::encode(value, &mut out);
        }
        out.freeze()
    }
}

fn media(track: Track, body: Bytes) -> Body {
    Body::Media { track, body }
}

/// The AMF3 message types say with a zero byte that AMF0 follows, and every encoder in use does
/// just that.
fn amf0_in_amf3(id: u8, mut payload: Bytes) -> Result<Bytes, Error> {
    match payload.first() {
        Some(0) => {
            payload.advance(1);
            Ok(payload)
        }
        _ => Err(Error::Message {
            type_id: id,
            reason: "AMF3 values are not read here",
        }),
    }
}

fn word(id: u8, payload: &[u8]) -> Result<u32, Error> {
    let mut payload = payload;
    payload.try_get_u32().map_err(|_| Error::Message {
        type_id: id,
        reason: "shorter than its 4-byte number",
    })
}

#[cfg(test)]
mod tests;
