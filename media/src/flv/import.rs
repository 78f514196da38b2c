//! Tag bodies to frames.

use bytes::Bytes;

use super::{
    BODY_BYTES_MAX, Error, TagType,
    body::{
        AAC_HEADER_BYTES, AVC_HEADER_BYTES, CODEC_ID_AVC, audio_codec_name, extended, frame_type,
        packet_type, sound_format, video_codec_name,
    },
    four_cc,
};
use crate::{
    amf0::{self, Value},
    frame::{Codec, Frame, Kind, Track},
    time::MediaMs,
};

/// Reads one tag body; a frame's data is a slice of it, not a copy. A multitrack body may hold
/// several frames, each of another track. A body has none that carries nothing for a viewer: no
/// media, the end of a sequence, a command, a script other than `onMetaData`.
pub fn import(tag: TagType, dts: MediaMs, body: Bytes) -> Result<Vec<Frame>, Error> {
    if body.len() > BODY_BYTES_MAX {
        let bytes_max = BODY_BYTES_MAX;
        return Err(Error::TooLong { bytes_max });
    }
    let Some(&first) = body.first() else {
        return Ok(Vec::new());
    };
    let frame = match tag {
        TagType::Video if first & extended::VIDEO_BIT != 0 => {
            return four_cc::import(Track::Video, dts, body);
        }
        TagType::Audio if first >> 4 == sound_format::EXTENDED => {
            return four_cc::import(Track::Audio, dts, body);
        }
        TagType::Video => video(dts, first, body)?,
        TagType::Audio => audio(dts, first, body)?,
        TagType::Script => script(dts, body)?,
    };
    let frame = frame.map(something).transpose()?.flatten();
    Ok(frame.into_iter().collect())
}

/// A frame without data is none, and a configuration without any is a mistake.
pub(super) fn something(frame: Frame) -> Result<Option<Frame>, Error> {
    match (frame.data.is_empty(), frame.kind) {
        (false, _) => Ok(Some(frame)),
        (true, Kind::Config) => Err(Error::Malformed {
            reason: "a configuration without data",
        }),
        (true, _) => Ok(None),
    }
}

/// A `VIDEODATA` (§E.4.3).
fn video(dts: MediaMs, first: u8, mut body: Bytes) -> Result<Option<Frame>, Error> {
    let (frame_type, codec_id) = (first >> 4, first & 0x0F);
    if frame_type == frame_type::COMMAND {
        return Ok(None);
    }
    if codec_id != CODEC_ID_AVC {
        let name = video_codec_name(codec_id);
        return Err(Error::UnsupportedCodec { name });
    }
    let &[_, packet_type, a, b, c] = body.first_chunk().ok_or(Error::Truncated)?;
    let (kind, pts_offset_ms) = match packet_type {
        packet_type::CONFIG => (Kind::Config, 0),
        packet_type::MEDIA => {
            let key = matches!(frame_type, frame_type::KEY | frame_type::GENERATED_KEY);
            (Kind::Media { key }, composition_time([a, b, c]))
        }
        packet_type::END_OF_SEQUENCE => return Ok(None),
        _ => {
            let reason = "an unknown AVC packet type";
            return Err(Error::Malformed { reason });
        }
    };
    Ok(Some(Frame {
        codec: Codec::Avc,
        track_id: 0,
        kind,
        dts,
        pts_offset_ms,
        data: body.split_off(AVC_HEADER_BYTES),
    }))
}

/// SI24: shifted up to the sign bit and back.
pub(super) fn composition_time([a, b, c]: [u8; 3]) -> i32 {
    i32::from_be_bytes([a, b, c, 0]) >> 8
}

/// An `AUDIODATA` (§E.4.2).
fn audio(dts: MediaMs, first: u8, mut body: Bytes) -> Result<Option<Frame>, Error> {
    let (codec, kind, header_bytes) = match first >> 4 {
        sound_format::AAC => {
            let &[_, packet_type] = body.first_chunk().ok_or(Error::Truncated)?;
            (Codec::Aac, aac_kind(packet_type)?, AAC_HEADER_BYTES)
        }
        sound_format::MP3 | sound_format::MP3_8_KHZ => (Codec::Mp3, Kind::Media { key: true }, 1),
        other => {
            let name = audio_codec_name(other);
            return Err(Error::UnsupportedCodec { name });
        }
    };
    Ok(Some(Frame {
        codec,
        track_id: 0,
        kind,
        dts,
        pts_offset_ms: 0,
        data: body.split_off(header_bytes),
    }))
}

fn aac_kind(packet_type: u8) -> Result<Kind, Error> {
    match packet_type {
        packet_type::CONFIG => Ok(Kind::Config),
        packet_type::MEDIA => Ok(Kind::Media { key: true }),
        _ => {
            let reason = "an unknown AAC packet type";
            Err(Error::Malformed { reason })
        }
    }
}

/// The AMF0 strings `@setDataFrame`, with which a publisher asks an RTMP server to keep what
/// follows for later viewers, and `onMetaData` (§E.5).
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0D@setDataFrame";
const ON_META_DATA: &[u8] = b"\x02\x00\x0AonMetaData";

/// A `SCRIPTDATA` (§E.4.4).
fn script(dts: MediaMs, mut body: Bytes) -> Result<Option<Frame>, Error> {
    if body.starts_with(SET_DATA_FRAME) {
        body = body.split_off(SET_DATA_FRAME.len());
    }
    if !body.starts_with(ON_META_DATA) {
        return Ok(None);
    }
    // Also holds it to 64 KiB.
    let values = amf0::decode_all(&body)?;
    let [_, Value::Object(_) | Value::EcmaArray(_), ..] = &values[..] else {
        let reason = "onMetaData without an object or array";
        return Err(Error::Malformed { reason });
    };
    Ok(Some(Frame {
        codec: Codec::Script,
        track_id: 0,
        kind: Kind::Metadata,
        dts,
        pts_offset_ms: 0,
        data: body,
    }))
}
