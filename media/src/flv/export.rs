//! Frames to tags.

use bytes::{BufMut, BytesMut};

use super::{
    TagType,
    body::{
        CODEC_ID_AVC, SOUND_44_KHZ_STEREO, extended, four_cc, frame_type, has_composition_time,
        has_legacy_tags, packet_type, sound_format,
    },
};
use crate::frame::{Codec, Frame, Kind, Track};

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
    Header::of(frame).len + frame.data.len()
}

/// A tag body, which is also an RTMP message's payload: header and data. The default track has
/// the legacy form where its codec has one, for all players read that; every other track is a
/// multitrack body of its own.
pub fn write_body(frame: &Frame, out: &mut BytesMut) {
    out.put_slice(Header::of(frame).bytes());
    out.put_slice(&frame.data);
}

/// What stands before the data in a tag body.
#[derive(Default)]
struct Header {
    bytes: [u8; HEADER_BYTES_MAX],
    len: usize,
}

/// First byte, multitrack byte, FourCC, track id, composition time.
const HEADER_BYTES_MAX: usize = 1 + 1 + 4 + 1 + 3;

impl Header {
    fn of(frame: &Frame) -> Self {
        let mut header = Self::default();
        let is_legacy =
            frame.track_id == 0 && frame.kind != Kind::Metadata && has_legacy_tags(frame.codec);
        match frame.codec {
            Codec::Script => {}
            Codec::Avc if is_legacy => {
                header.put(&[
                    frame_type(frame.kind) << 4 | CODEC_ID_AVC,
                    packet_type(frame.kind),
                ]);
                header.put(&composition_time(frame));
            }
            Codec::Aac if is_legacy => header.put(&[
                sound_format::AAC << 4 | SOUND_44_KHZ_STEREO,
                packet_type(frame.kind),
            ]),
            Codec::Mp3 if is_legacy => header.put(&[mp3_first_byte(&frame.data)]),
            _ => header.put_extended(frame),
        }
        header
    }

    /// Enhanced RTMP v2, "Enhanced Video" and "Enhanced Audio".
    fn put_extended(&mut self, frame: &Frame) {
        let is_video = frame.track() == Track::Video;
        let frame_type = match frame.kind {
            // Readers take a command for one before they look for tracks in it.
            Kind::Metadata if frame.track_id != 0 => frame_type::KEY,
            kind => frame_type(kind),
        };
        let (first, multitrack) = match is_video {
            true => (
                extended::VIDEO_BIT | frame_type << 4,
                extended::VIDEO_MULTITRACK,
            ),
            false => (sound_format::EXTENDED << 4, extended::AUDIO_MULTITRACK),
        };
        let has_composition_time = has_composition_time(frame.codec);
        let packet_type = match frame.kind {
            Kind::Config => extended::SEQUENCE_START,
            Kind::Metadata if is_video => extended::VIDEO_METADATA,
            Kind::Metadata => extended::AUDIO_MULTICHANNEL_CONFIG,
            Kind::Media { .. } if has_composition_time && frame.pts_offset_ms == 0 => {
                extended::VIDEO_CODED_FRAMES_X
            }
            Kind::Media { .. } => extended::CODED_FRAMES,
        };
        let four_cc = four_cc(frame.codec).expect("only a script has none, and it has no header");
        if frame.track_id == 0 {
            self.put(&[first | packet_type]);
            self.put(four_cc);
        } else {
            self.put(&[first | multitrack, extended::ONE_TRACK << 4 | packet_type]);
            self.put(four_cc);
            self.put(&[frame.track_id]);
        }
        if has_composition_time && packet_type == extended::CODED_FRAMES {
            self.put(&composition_time(frame));
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn frame_type(kind: Kind) -> u8 {
    match kind {
        Kind::Media { key: false } => frame_type::INTER,
        Kind::Media { key: true } | Kind::Config => frame_type::KEY,
        // Players that do not know metadata pass a command over.
        Kind::Metadata => frame_type::COMMAND,
    }
}

/// `AVCPacketType` or `AACPacketType`.
fn packet_type(kind: Kind) -> u8 {
    match kind {
        Kind::Config => packet_type::CONFIG,
        Kind::Media { .. } | Kind::Metadata => packet_type::MEDIA,
    }
}

/// A `CompositionTime`, SI24.
fn composition_time(frame: &Frame) -> [u8; 3] {
    /// What it can say: 2 h 19 min either way.
    const MIN: i32 = -(1 << 23);
    const MAX: i32 = (1 << 23) - 1;
    let ms = match frame.kind {
        Kind::Media { .. } => frame.pts_offset_ms.clamp(MIN, MAX),
        Kind::Config | Kind::Metadata => 0,
    };
    let [_, low @ ..] = ms.to_be_bytes();
    low
}

/// `SoundFormat`, `SoundRate`, `SoundSize` and `SoundType` (§E.4.2.1) as the frame's own header has
/// them (ISO/IEC 11172-3 §2.4.1.3, ISO/IEC 13818-3 §2.4.2.3). A rate class is an MPEG version:
/// 48 and 32 kHz go as 44.
fn mp3_first_byte(data: &[u8]) -> u8 {
    let Some(&[_, version, rate, mode]) = data.first_chunk() else {
        return sound_format::MP3 << 4 | SOUND_44_KHZ_STEREO;
    };
    let (format, sound_rate) = match ((version >> 3) & 0b11, (rate >> 2) & 0b11) {
        (0b00, 0b10) => (sound_format::MP3_8_KHZ, 0),
        (0b00, _) => (sound_format::MP3, 1),
        (0b10, _) => (sound_format::MP3, 2),
        _ => (sound_format::MP3, 3),
    };
    let is_stereo = mode >> 6 != 0b11;
    format << 4 | sound_rate << 2 | 0b10 | u8::from(is_stereo)
}
