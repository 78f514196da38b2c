//! Who may say what when: one conversation over one connection, seen from either end.
//!
//! Both ends are driven the same way, and do nothing by themselves:
//!
//! 1. `receive` the bytes that arrived;
//! 2. take events until there is none;
//! 3. send what `take_output` holds;
//! 4. [`Session`] only: call `check_deadline` no later than `deadline` says.

mod caller;
mod capabilities;
pub mod relay;
mod server;
pub mod status;
mod wire;

pub use caller::{Call, Caller, CallerEvent, Role};
pub use capabilities::Capabilities;
pub use server::{Event, Limits, Session};
pub use wire::CHUNK_SIZE;

use bytes::{Bytes, BytesMut};

use super::chunk;
use super::message::media_type_id;
use crate::frame::Track;

/// The one message stream of a connection: what `createStream` answers.
pub const STREAM_ID: u32 = 1;

/// An audio, video or data message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    pub track: Track,
    /// Milliseconds, modulo 2^32.
    pub timestamp: u32,
    /// An FLV tag body.
    pub body: Bytes,
}

impl Media {
    /// Writes this message as every player is sent it: absolute timestamp, fixed chunk stream,
    /// [`CHUNK_SIZE`]. The same bytes serve all of them.
    pub fn write(&self, out: &mut BytesMut) {
        let message = chunk::Message {
            csid: csid(self.track),
            timestamp: self.timestamp,
            type_id: media_type_id(self.track),
            stream_id: STREAM_ID,
            payload: self.body.clone(),
        };
        chunk::write(&message, CHUNK_SIZE, out);
    }
}

/// One chunk stream a track; 2 is control's and 3 the commands'.
fn csid(track: Track) -> u32 {
    match track {
        Track::Audio => 4,
        Track::Video => 6,
        Track::Data => 8,
    }
}

#[cfg(test)]
mod tests;
