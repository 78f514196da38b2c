//! What both ends of a connection share: chunks, acknowledgements and pings.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::{Media, csid};
use crate::rtmp::Error;
use crate::rtmp::chunk::{self, ReadLimits, Reader};
use crate::rtmp::message::{Body, Command, Parts, UserControl};

/// The chunk size of all we send, in bytes: the largest that old Flash players take, so that
/// nearly every frame is one chunk.
pub const CHUNK_SIZE: usize = 65_536;
/// How often we ask the peer to acknowledge, in bytes.
pub(super) const WINDOW_BYTES: u32 = 2_500_000;
/// A peer may ask for acknowledgements no more often than this, in bytes: each costs it 16.
const PEER_WINDOW_BYTES_MIN: u32 = 4096;
const CHUNKS_PER_SECOND_MAX: u32 = 50_000;

const CSID_CONTROL: u32 = 2;
const CSID_COMMAND: u32 = 3;

/// What a message says once control messages are dealt with.
#[derive(Debug)]
pub(super) enum Heard {
    Command(Command),
    Media(Media),
}

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    reader: Reader,
    /// An aggregate message whose parts are being handed out.
    parts: Option<Parts>,
    received_bytes: u64,
    acknowledged_bytes: u64,
    peer_window_bytes: u32,
    chunk_rate: Rate,
    chunk_size_out: usize,
}

impl Wire {
    pub(super) fn new(limits: ReadLimits) -> Self {
        Self {
            input: BytesMut::new(),
            output: BytesMut::new(),
            reader: Reader::new(limits),
            parts: None,
            received_bytes: 0,
            acknowledged_bytes: 0,
            peer_window_bytes: WINDOW_BYTES,
            chunk_rate: Rate::new(CHUNKS_PER_SECOND_MAX),
            chunk_size_out: chunk::CHUNK_SIZE_DEFAULT,
        }
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.received_bytes += bytes.len() as u64;
        self.input.extend_from_slice(bytes);
    }

    pub(super) fn set_limits(&mut self, limits: ReadLimits) {
        self.reader.set_limits(limits);
    }

    pub(super) fn messages_dropped(&self) -> u64 {
        self.reader.messages_dropped()
    }

    /// The next command or media message; control messages are obeyed on the way.
    pub(super) fn hear(&mut self, now: Instant) -> Result<Option<Heard>, Error> {
        loop {
            if let Some(media) = self.next_part()? {
                return Ok(Some(Heard::Media(media)));
            }
            let chunks_before = self.reader.chunks_read();
            let message = self.reader.read(&mut self.input)?;
            let chunks = self.reader.chunks_read() - chunks_before;
            if !self.chunk_rate.allow(chunks as u32, now) {
                return Err(Error::ChunkRate {
                    max: CHUNKS_PER_SECOND_MAX,
                });
            }
            let Some(message) = message else {
                self.acknowledge();
                return Ok(None);
            };
            if let Some(heard) = self.obey(message)? {
                return Ok(Some(heard));
            }
        }
    }

    fn obey(&mut self, message: chunk::Message) -> Result<Option<Heard>, Error> {
        let timestamp = message.timestamp;
        match Body::parse(message.type_id, message.payload)? {
            Body::SetChunkSize(size) => self.reader.set_chunk_size(size)?,
            Body::Abort { csid } => self.reader.abort(csid),
            Body::WindowAckSize(bytes) => {
                self.peer_window_bytes = bytes.max(PEER_WINDOW_BYTES_MIN);
            }
            Body::UserControl(UserControl::PingRequest { timestamp }) => {
                self.send_control(&Body::UserControl(UserControl::PingResponse { timestamp }));
            }
            Body::Command(command) => return Ok(Some(Heard::Command(command))),
            Body::Media { track, body } => {
                return Ok(Some(Heard::Media(Media {
                    track,
                    timestamp,
                    body,
                })));
            }
            Body::Aggregate(payload) => self.parts = Some(Parts::new(payload, timestamp)),
            Body::Acknowledgement(_)
            | Body::SetPeerBandwidth { .. }
            | Body::UserControl(_)
            | Body::Other => {}
        }
        Ok(None)
    }

    fn next_part(&mut self) -> Result<Option<Media>, Error> {
        let Some(parts) = &mut self.parts else {
            return Ok(None);
        };
        let part = parts.next_part()?;
        if part.is_none() {
            self.parts = None;
        }
        Ok(part.map(|part| Media {
            track: part.track,
            timestamp: part.timestamp,
            body: part.body,
        }))
    }

    /// §5.4.3: says how much has arrived, at least once a window.
    fn acknowledge(&mut self) {
        if self.received_bytes - self.acknowledged_bytes >= u64::from(self.peer_window_bytes) {
            self.acknowledged_bytes = self.received_bytes;
            // The sequence number is 32 bits wide and wraps.
            self.send_control(&Body::Acknowledgement(self.received_bytes as u32));
        }
    }

    pub(super) fn send_control(&mut self, body: &Body) {
        self.send(CSID_CONTROL, 0, 0, body);
    }

    pub(super) fn send_command(&mut self, stream_id: u32, command: Command) {
        self.send(CSID_COMMAND, stream_id, 0, &Body::Command(command));
    }

    pub(super) fn send_media(&mut self, stream_id: u32, media: &Media) {
        let body = Body::Media {
            track: media.track,
            body: media.body.clone(),
        };
        self.send(csid(media.track), stream_id, media.timestamp, &body);
    }

    /// Announces [`CHUNK_SIZE`]; all that follows is sent in it.
    pub(super) fn enlarge_chunks(&mut self) {
        self.send_control(&Body::SetChunkSize(CHUNK_SIZE as u32));
        self.chunk_size_out = CHUNK_SIZE;
    }

    pub(super) fn take_output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    fn send(&mut self, csid: u32, stream_id: u32, timestamp: u32, body: &Body) {
        if let Some((type_id, payload)) = body.encode() {
            let message = chunk::Message {
                csid,
                timestamp,
                type_id,
                stream_id,
                payload,
            };
            chunk::write(&message, self.chunk_size_out, &mut self.output);
        }
    }
}

/// At most so many of something in each second, where a second begins with the first one that no
/// earlier second holds.
#[derive(Debug)]
pub(super) struct Rate {
    per_second_max: u32,
    window_start: Option<Instant>,
    seen: u32,
}

impl Rate {
    pub(super) fn new(per_second_max: u32) -> Self {
        Self {
            per_second_max,
            window_start: None,
            seen: 0,
        }
    }

    pub(super) fn allow(&mut self, count: u32, now: Instant) -> bool {
        match self.window_start {
            Some(start) if now.saturating_duration_since(start) < Duration::from_secs(1) => {
                self.seen = self.seen.saturating_add(count);
            }
            _ => {
                self.window_start = Some(now);
                self.seen = count;
            }
        }
        self.seen <= self.per_second_max
    }
}
