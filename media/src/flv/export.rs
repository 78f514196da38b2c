//! Frames to tags.

use bytes::{BufMut, BytesMut};

use super::{
    TagType,
    body::{
        AAC_FIRST_BYTE, AAC_HEADER_BYTES, AVC_HEADER_BYTES, CODEC_ID_AVC, frame_type, packet_type,
    },
};
use crate::frame::{Codec, Frame, Kind};

/// What a file or an HTTP stream starts with (§E.2), the first `PreviousTagSize` (§E.3) included.
#[must_use]
pub fn file_header(video: bool, audio: bool) -> [u8; 13] {
    let tracks = u8::from(audio) << 2 | u8::from(video);
    [b'F', b'L', b'V', 1, tracks, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// Everything of a tag before its body (§E.4.1).
pub(super) const TAG_HEADER_BYTES: usize = 11;

/// A whole tag and the `PreviousTagSize` behind it. Its timestamp is the low 32 bits of the
/// frame's.
pub fn write_tag(frame: &Frame, out: &mut BytesMut) {
    let body_bytes = body_len(frame);
    debug_assert!(body_bytes < 1 << 24, "a tag counts its bytes in 24 bits");
    out.reserve(TAG_HEADER_BYTES + body_bytes + 4);
    out.put_u8(TagType::from(frame.track()) as u8);
    out.put_uint(body_bytes as u64, 3);
    // The low 24 bits, then the high 8 (`TimestampExtended`).
    let [high, low @ ..] = frame.dts.wrapped().to_be_bytes();
    out.put_slice(&low);
    out.put_u8(high);
    out.put_uint(0, 3); // StreamID, always 0.
    write_body(frame, out);
    out.put_u32((TAG_HEADER_BYTES + body_bytes) as u32);
}

/// The bytes that [`write_body`] will write.
#[must_use]
pub fn body_len(frame: &Frame) -> usize {
    let header_bytes = match frame.codec {
        Codec::Avc => AVC_HEADER_BYTES,
        Codec::Aac => AAC_HEADER_BYTES,
        Codec::Script => 0,
    };
    header_bytes + frame.data.len()
}

/// A tag body, which is also an RTMP message's payload: header and data.
pub fn write_body(frame: &Frame, out: &mut BytesMut) {
    match frame.codec {
        Codec::Avc => out.put_slice(&video_header(frame)),
        Codec::Aac => out.put_slice(&[AAC_FIRST_BYTE, packet_type(frame.kind)]),
        Codec::Script => {}
    }
    out.put_slice(&frame.data);
}

/// §E.4.3.1.
fn video_header(frame: &Frame) -> [u8; AVC_HEADER_BYTES] {
    let frame_type = match frame.kind {
        Kind::Media { key: false } => frame_type::INTER,
        Kind::Media { key: true } | Kind::Config | Kind::Metadata => frame_type::KEY,
    };
    let composition_time = match frame.kind {
        Kind::Media { .. } => frame.pts_offset_ms.clamp(SI24_MIN, SI24_MAX),
        Kind::Config | Kind::Metadata => 0,
    };
    let [_, a, b, c] = composition_time.to_be_bytes();
    let packet_type = packet_type(frame.kind);
    [frame_type << 4 | CODEC_ID_AVC, packet_type, a, b, c]
}

/// What a `CompositionTime` can say: 2 h 19 min either way.
const SI24_MIN: i32 = -(1 << 23);
const SI24_MAX: i32 = (1 << 23) - 1;

fn packet_type(kind: Kind) -> u8 {
    match kind {
        Kind::Config => packet_type::CONFIG,
        Kind::Media { .. } | Kind::Metadata => packet_type::MEDIA,
    }
}
