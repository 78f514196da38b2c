//! FourCC tag bodies to frames (Enhanced RTMP v2, Enhanced Video and Enhanced Audio).

use bytes::{Buf, Bytes};

use super::{
    Error,
    body::{codec_of, extended, frame_type, has_composition_time, has_legacy_tags},
    import::{composition_time, something},
};
use crate::{
    frame::{Frame, Kind, Track},
    time::MediaMs,
};

/// A packet may be modified more than once; one modification is defined.
const MOD_EX_MAX: usize = 7;
/// Each of a kind's tracks once: a track id is one byte.
const TRACKS_MAX: usize = 256;

pub(super) fn import(track: Track, dts: MediaMs, mut body: Bytes) -> Result<Vec<Frame>, Error> {
    let [first] = take(&mut body)?;
    let packet_type = skip_mod_ex(first & 0x0F, &mut body)?;
    let is_video = track == Track::Video;
    let frame_type = match is_video {
        true => (first >> 4) & 0x07,
        false => frame_type::KEY,
    };
    let packet = |packet_type| Packet {
        track,
        dts,
        frame_type,
        packet_type,
    };
    let multitrack = match is_video {
        true => extended::VIDEO_MULTITRACK,
        false => extended::AUDIO_MULTITRACK,
    };
    let outer = packet(packet_type);
    if outer.is_command() {
        return Ok(Vec::new());
    }
    if packet_type == multitrack {
        let [first] = take(&mut body)?;
        return tracks(first >> 4, &packet(first & 0x0F), body);
    }
    let four_cc = take(&mut body)?;
    let frame = outer.frame(four_cc, 0, body)?;
    Ok(frame.into_iter().collect())
}

/// `ModEx` (Enhanced RTMP v2, ExVideoTagHeader and ExAudioTagHeader): data of a length, then what it
/// means and the packet type that was to come.
///
/// The one meaning defined, `TimestampOffsetNano`, is the part of a millisecond by which the frame
/// is presented later. It is left out on purpose, and `capsEx` does not announce it: [`Frame`], RTMP
/// and FLV count whole milliseconds.
fn skip_mod_ex(mut packet_type: u8, body: &mut Bytes) -> Result<u8, Error> {
    for _ in 0..=MOD_EX_MAX {
        if packet_type != extended::MOD_EX {
            return Ok(packet_type);
        }
        let [low] = take(body)?;
        let mut data_bytes = usize::from(low) + 1;
        if data_bytes == 256 {
            data_bytes = usize::from(u16::from_be_bytes(take(body)?)) + 1;
        }
        if data_bytes > body.len() {
            return Err(Error::Truncated);
        }
        body.advance(data_bytes);
        let [types] = take(body)?;
        packet_type = types & 0x0F;
    }
    malformed("a packet that is modified more than seven times")
}

/// The rest of a multitrack body.
fn tracks(multitrack_type: u8, packet: &Packet, mut body: Bytes) -> Result<Vec<Frame>, Error> {
    let four_cc = match multitrack_type {
        extended::ONE_TRACK | extended::MANY_TRACKS => Some(take(&mut body)?),
        extended::MANY_TRACKS_MANY_CODECS => None,
        _ => return malformed("an unknown type of multitrack body"),
    };
    if let (Some(four_cc), extended::ONE_TRACK) = (four_cc, multitrack_type) {
        let [track_id] = take(&mut body)?;
        let frame = packet.frame(four_cc, track_id, body)?;
        return Ok(frame.into_iter().collect());
    }
    let mut frames = Vec::new();
    for _ in 0..TRACKS_MAX {
        if body.is_empty() {
            return Ok(frames);
        }
        let four_cc = match four_cc {
            Some(four_cc) => four_cc,
            None => take(&mut body)?,
        };
        let [track_id, a, b, c] = take(&mut body)?;
        let data_bytes = u32::from_be_bytes([0, a, b, c]) as usize;
        if data_bytes > body.len() {
            return Err(Error::Truncated);
        }
        frames.extend(packet.frame(four_cc, track_id, body.split_to(data_bytes))?);
    }
    malformed("more tracks in a body than there are track ids")
}

/// What all tracks of a body share.
struct Packet {
    track: Track,
    dts: MediaMs,
    frame_type: u8,
    packet_type: u8,
}

impl Packet {
    /// Metadata is sent as a command too.
    fn is_command(&self) -> bool {
        self.frame_type == frame_type::COMMAND && self.packet_type != extended::VIDEO_METADATA
    }

    /// One track's part of a body, from behind its header on.
    fn frame(
        &self,
        four_cc: [u8; 4],
        track_id: u8,
        mut data: Bytes,
    ) -> Result<Option<Frame>, Error> {
        let codec = codec_of(four_cc)?;
        if codec.track() != self.track {
            return malformed("a video codec in an audio tag, or an audio codec in a video tag");
        }
        let Some(kind) = self.kind()? else {
            return Ok(None);
        };
        let mut pts_offset_ms = 0;
        if self.packet_type == extended::CODED_FRAMES && has_composition_time(codec) {
            pts_offset_ms = composition_time(take(&mut data)?);
        }
        // To players that know only legacy tags these are frames of another codec.
        let is_unknown = kind == Kind::Metadata && track_id == 0 && has_legacy_tags(codec);
        // What describes itself may come with an empty configuration, or with one of its own.
        let is_idle = kind == Kind::Config && !codec.has_config();
        if is_unknown || is_idle {
            return Ok(None);
        }
        something(Frame {
            codec,
            track_id,
            kind,
            dts: self.dts,
            pts_offset_ms,
            data,
        })
    }

    fn kind(&self) -> Result<Option<Kind>, Error> {
        let media = Kind::Media {
            key: matches!(self.frame_type, frame_type::KEY | frame_type::GENERATED_KEY),
        };
        Ok(Some(match (self.packet_type, self.track) {
            (extended::SEQUENCE_START, _) => Kind::Config,
            (extended::CODED_FRAMES, _) => media,
            (extended::SEQUENCE_END, _) => return Ok(None),
            (extended::VIDEO_CODED_FRAMES_X, Track::Video) => media,
            (extended::VIDEO_METADATA, Track::Video)
            | (extended::AUDIO_MULTICHANNEL_CONFIG, Track::Audio) => Kind::Metadata,
            (extended::VIDEO_MPEG2_TS_SEQUENCE_START, Track::Video) => {
                let name = "AV1 with a descriptor of MPEG-TS".into();
                return Err(Error::UnsupportedCodec { name });
            }
            _ => return malformed("an unknown packet type"),
        }))
    }
}

fn take<const BYTES: usize>(body: &mut Bytes) -> Result<[u8; BYTES], Error> {
    let taken = *body.first_chunk().ok_or(Error::Truncated)?;
    body.advance(BYTES);
    Ok(taken)
}

fn malformed<T>(reason: &'static str) -> Result<T, Error> {
    Err(Error::Malformed { reason })
}
