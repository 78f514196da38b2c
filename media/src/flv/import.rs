//! Tag bodies to frames.

use bytes::Bytes;

use super::{
    BODY_BYTES_MAX, Error, TagType,
    body::{
        AAC_HEADER_BYTES, AVC_HEADER_BYTES, CODEC_ID_AVC, audio_codec_name, extended, four_cc_name,
        frame_type, packet_type, sound_format, video_codec_name,
    },
};
use crate::{
    amf0::{self, Value},
    frame::{Codec, Frame, Kind},
    time::MediaMs,
};

/// Reads one tag body; the frame's data is a slice of it, not a copy. `None` is a body that
/// carries nothing for a viewer: no data, the end of a sequence, a command, a script other than
/// `onMetaData`.
pub fn import(tag: TagType, dts: MediaMs, body: Bytes) -> Result<Option<Frame>, Error> {
    if body.len() > BODY_BYTES_MAX {
        let bytes_max = BODY_BYTES_MAX;
        return Err(Error::TooLong { bytes_max });
    }
    let frame = match tag {
        TagType::Video => video(dts, body)?,
        TagType::Audio => audio(dts, body)?,
        TagType::Script => script(dts, body)?,
    };
    Ok(frame.filter(|frame| !frame.data.is_empty()))
}

/// A `VIDEODATA` (§E.4.3).
fn video(dts: MediaMs, mut body: Bytes) -> Result<Option<Frame>, Error> {
    let Some(&first) = body.first() else {
        return Ok(None);
    };
    if first & extended::VIDEO_BIT != 0 {
        return extended_video(first, &body);
    }
    let (frame_type, codec_id) = (first >> 4, first & 0x0F);
    if frame_type == frame_type::COMMAND {
        return Ok(None);
    }
    if codec_id != CODEC_ID_AVC {
        let name = video_codec_name(codec_id);
        return Err(Error::UnsupportedCodec { name });
    }
    let &[_, packet_type, a, b, c] = body.first_chunk().ok_or(Error::Truncated)?;
    // SI24: shifted up to the sign bit and back.
    let composition_time = i32::from_be_bytes([a, b, c, 0]) >> 8;
    let (kind, pts_offset_ms) = match packet_type {
        packet_type::CONFIG => (Kind::Config, 0),
        packet_type::MEDIA => {
            let key = matches!(frame_type, frame_type::KEY | frame_type::GENERATED_KEY);
            (Kind::Media { key }, composition_time)
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

/// An `AUDIODATA` (§E.4.2).
fn audio(dts: MediaMs, mut body: Bytes) -> Result<Option<Frame>, Error> {
    let Some(&first) = body.first() else {
        return Ok(None);
    };
    match first >> 4 {
        sound_format::AAC => {}
        sound_format::EXTENDED => return extended_audio(first, &body),
        other => {
            let name = audio_codec_name(other);
            return Err(Error::UnsupportedCodec { name });
        }
    }
    let &[_, packet_type] = body.first_chunk().ok_or(Error::Truncated)?;
    let kind = match packet_type {
        packet_type::CONFIG => Kind::Config,
        packet_type::MEDIA => Kind::Media { key: true },
        _ => {
            let reason = "an unknown AAC packet type";
            return Err(Error::Malformed { reason });
        }
    };
    Ok(Some(Frame {
        codec: Codec::Aac,
        track_id: 0,
        kind,
        dts,
        pts_offset_ms: 0,
        data: body.split_off(AAC_HEADER_BYTES),
    }))
}

/// Enhanced RTMP v2, "Enhanced Video": frame type and packet type share the first byte, the
/// FourCC follows.
fn extended_video(first: u8, body: &[u8]) -> Result<Option<Frame>, Error> {
    let (frame_type, packet_type) = ((first >> 4) & 0x07, first & 0x0F);
    if frame_type == frame_type::COMMAND {
        return Ok(None);
    }
    match packet_type {
        extended::VIDEO_MULTITRACK => refuse("in a multitrack video packet"),
        extended::MOD_EX => refuse("in an extended (ModEx) video packet"),
        _ => refuse_four_cc(body),
    }
}

/// Enhanced RTMP v2, "Enhanced Audio".
fn extended_audio(first: u8, body: &[u8]) -> Result<Option<Frame>, Error> {
    match first & 0x0F {
        extended::AUDIO_MULTITRACK => refuse("in a multitrack audio packet"),
        extended::MOD_EX => refuse("in an extended (ModEx) audio packet"),
        _ => refuse_four_cc(body),
    }
}

fn refuse(name: &'static str) -> Result<Option<Frame>, Error> {
    let name = name.into();
    Err(Error::UnsupportedCodec { name })
}

fn refuse_four_cc(body: &[u8]) -> Result<Option<Frame>, Error> {
    let &[_, a, b, c, d] = body.first_chunk().ok_or(Error::Truncated)?;
    let name = four_cc_name([a, b, c, d]);
    Err(Error::UnsupportedCodec { name })
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
