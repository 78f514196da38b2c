//! FLV, as files and HTTP streams carry it in tags and RTMP carries it in messages (Adobe Flash
//! Video File Format 10.1, Annex E; § below means a section of it).
//!
//! [`import`] reads a tag body into a [`Frame`], [`write_body`] and [`write_tag`] go the other
//! way, [`Demuxer`] cuts a byte stream into tags. The FourCC tags of Enhanced RTMP v2, one track
//! or several, are read and written as well; what they add to FLV is cited by that document's
//! section titles.

mod body;
mod demux;
mod export;
mod four_cc;
mod import;

use std::borrow::Cow;

pub use demux::{Demuxer, Tag};
pub use export::{body_len, file_header, write_body, write_tag};
pub use import::import;

use crate::{amf0, frame::Track};

/// What a tag holds (§E.4.1), and the RTMP message type that carries the same body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagType {
    Audio = 8,
    Video = 9,
    Script = 18,
}

impl TagType {
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            18 => Some(Self::Script),
            _ => None,
        }
    }
}

impl From<Track> for TagType {
    fn from(track: Track) -> Self {
        match track {
            Track::Video => Self::Video,
            Track::Audio => Self::Audio,
            Track::Data => Self::Script,
        }
    }
}

/// The longest tag body: a key frame of 8 MiB, or 200 Mbit/s spent on three frames a second.
/// The format itself ends at 2^24 - 1 bytes.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Why a tag, or the stream it is in, was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the codec {name} is not supported")]
    UnsupportedCodec { name: Cow<'static, str> },
    #[error("an FLV tag ends inside its header")]
    Truncated,
    #[error("FLV is malformed: {reason}")]
    Malformed { reason: &'static str },
    #[error("an FLV tag has more than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    #[error("stream metadata: {0}")]
    Metadata(#[from] amf0::Error),
}

#[cfg(test)]
mod tests;
