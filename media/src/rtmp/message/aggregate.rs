use bytes::{Buf, Bytes};

use super::type_id;
use crate::frame::Track;
use crate::rtmp::Error;

/// One message out of an aggregate.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub track: Track,
    /// Milliseconds, modulo 2^32, already moved to the aggregate's own time.
    pub timestamp: u32,
    pub body: Bytes,
}

/// The parts of an aggregate (§7.1.6), one at a time: a list of them could be many times longer
/// than the aggregate, for an empty part takes 15 bytes of it.
#[derive(Debug)]
pub struct Parts {
    rest: Bytes,
    timestamp: u32,
    first_time: Option<u32>,
}

impl Parts {
    /// `timestamp` is the aggregate's own.
    #[must_use]
    pub fn new(payload: Bytes, timestamp: u32) -> Self {
        Self {
            rest: payload,
            timestamp,
            first_time: None,
        }
    }

    /// The next part; a part of another type, an aggregate in an aggregate too, is left out.
    pub fn next_part(&mut self) -> Result<Option<Part>, Error> {
        /// Before each part, like that of an FLV tag; a back pointer of 4 bytes comes after it.
        const HEADER_LEN: usize = 11;
        while !self.rest.is_empty() {
            if self.rest.len() < HEADER_LEN {
                return Err(truncated_aggregate());
            }
            let id = self.rest.get_u8();
            let len = self.rest.get_uint(3) as usize;
            let time = self.rest.get_uint(3) as u32 | u32::from(self.rest.get_u8()) << 24;
            self.rest.advance(3); // the message stream, always that of the aggregate
            if len > self.rest.len() {
                return Err(truncated_aggregate());
            }
            let body = self.rest.split_to(len);
            self.rest.advance(self.rest.len().min(4));
            let first_time = *self.first_time.get_or_insert(time);
            let track = match id {
                type_id::AUDIO => Track::Audio,
                type_id::VIDEO => Track::Video,
                type_id::DATA_AMF0 => Track::Data,
                _ => continue,
            };
            return Ok(Some(Part {
                track,
                timestamp: time.wrapping_sub(first_time).wrapping_add(self.timestamp),
                // A copy, so that a small part kept for long does not keep the whole aggregate.
                body: Bytes::copy_from_slice(&body),
            }));
        }
        Ok(None)
    }
}

pub(super) fn truncated_aggregate() -> Error {
    Error::Message {
        type_id: type_id::AGGREGATE,
        reason: "a part is longer than the aggregate",
    }
}
