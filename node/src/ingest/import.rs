use std::time::Instant;

use isocast_media::codec;
use isocast_media::flv::{self, TagType};
use isocast_media::rtmp::Media;
use isocast_media::time::Unwrapper;
use isocast_media::{Kind, Track};

use crate::error::Refusal;
use crate::hub::Publisher;

/// Makes frames of a publisher's RTMP messages, which carry FLV tag bodies (RTMP 1.0 §7.1.4,
/// §7.1.5), and sends them to the hub.
#[derive(Debug)]
pub(crate) struct Importer {
    publisher: Publisher,
    /// One clock for all tracks: RTMP's timestamps are of the connection, not of a track.
    clock: Unwrapper,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Import {
    Sent,
    /// It carried nothing to send on.
    Empty,
    /// It is not what its type says; the stream goes on without it.
    Malformed,
    /// Another publisher has the room.
    Revoked,
}

impl Importer {
    pub(crate) fn new(publisher: Publisher) -> Self {
        Self {
            publisher,
            clock: Unwrapper::default(),
        }
    }

    pub(crate) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    pub(crate) fn take(&mut self, media: Media, now: Instant) -> Result<Import, Refusal> {
        let dts = self.clock.unwrap(media.timestamp);
        let frame = match flv::import(tag_type(media.track), dts, media.body) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(Import::Empty),
            Err(flv::Error::UnsupportedCodec { name }) => {
                return Err(Refusal::UnsupportedCodec(name.to_string()));
            }
            Err(_) => return Ok(Import::Malformed),
        };
        if frame.kind == Kind::Config && codec::describe(&frame).is_none() {
            return Ok(Import::Malformed);
        }
        Ok(match self.publisher.push(frame, now) {
            Ok(()) => Import::Sent,
            Err(_) => Import::Revoked,
        })
    }
}

fn tag_type(track: Track) -> TagType {
    match track {
        Track::Audio => TagType::Audio,
        Track::Video => TagType::Video,
        Track::Data => TagType::Script,
    }
}
