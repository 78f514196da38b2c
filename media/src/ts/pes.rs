//! PES headers and their time stamps (ISO/IEC 13818-1 §2.4.3.6).

use bytes::{BufMut, BytesMut};

use super::ticks;
use crate::frame::Frame;

const VIDEO_STREAM_ID: u8 = 0xE0;
const AUDIO_STREAM_ID: u8 = 0xC0;
const PRIVATE_STREAM_1_ID: u8 = 0xBD;
/// What `PES_packet_length` counts before the payload: two bytes of flags, the length of the stamps.
const FLAG_BYTES: usize = 3;
const STAMP_BYTES: usize = 5;

/// A stream that shows pictures before it decodes them (negative offsets) is repaired by moving
/// its decoding times earlier. More than this is no picture order: 1 s holds 16 reordered
/// pictures (H.264 §A.3.1 `MaxDpbFrames`) at 16 frames a second.
const DTS_LOWERED_MAX_MS: i64 = 1_000;

/// Makes decoding times that never follow their presentation (ISO/IEC 13818-1 §2.7.5).
#[derive(Debug, Default)]
pub(super) struct Stamps {
    lowered_ms: i64,
}

impl Stamps {
    /// Presentation and decoding time of a frame, in milliseconds. What is once moved earlier
    /// stays moved, so that decoding times keep their order.
    pub(super) fn next(&mut self, frame: &Frame) -> (i64, i64) {
        let early_ms = -i64::from(frame.pts_offset_ms);
        if (0..=DTS_LOWERED_MAX_MS).contains(&early_ms) {
            self.lowered_ms = self.lowered_ms.max(early_ms);
        }
        let dts_ms = frame.dts.0.saturating_sub(self.lowered_ms);
        (frame.pts().0.max(dts_ms), dts_ms)
    }
}

/// `data_len` is what follows the header; a length of more than 16 bits is left open, which is
/// allowed for video (§2.4.3.7).
pub(super) fn video_header(pts_ms: i64, dts_ms: i64, data_len: usize) -> BytesMut {
    let dts_ms = (dts_ms != pts_ms).then_some(dts_ms);
    header(VIDEO_STREAM_ID, pts_ms, dts_ms, data_len)
}

pub(super) fn audio_header(is_private: bool, pts_ms: i64, data_len: usize) -> BytesMut {
    let stream_id = if is_private {
        PRIVATE_STREAM_1_ID
    } else {
        AUDIO_STREAM_ID
    };
    header(stream_id, pts_ms, None, data_len)
}

fn header(stream_id: u8, pts_ms: i64, dts_ms: Option<i64>, data_len: usize) -> BytesMut {
    let stamps_len = if dts_ms.is_some() { 2 } else { 1 } * STAMP_BYTES;
    let length = u16::try_from(FLAG_BYTES + stamps_len + data_len).unwrap_or(0);
    let mut header = BytesMut::with_capacity(6 + FLAG_BYTES + stamps_len);
    header.put_slice(&[0, 0, 1, stream_id]);
    header.put_u16(length);
    header.put_u8(0x84); // '10', and data_alignment_indicator: an access unit starts here
    header.put_u8(if dts_ms.is_some() { 0xC0 } else { 0x80 });
    header.put_u8(stamps_len as u8);
    match dts_ms {
        None => put_stamp(0b0010, pts_ms, &mut header),
        Some(dts_ms) => {
            put_stamp(0b0011, pts_ms, &mut header);
            put_stamp(0b0001, dts_ms, &mut header);
        }
    }
    header
}

/// 33 bits in three pieces, each followed by a marker bit.
fn put_stamp(prefix: u64, ms: i64, out: &mut BytesMut) {
    let ticks = ticks(ms);
    let (high, middle, low) = (ticks >> 30, ticks >> 15 & 0x7FFF, ticks & 0x7FFF);
    let bits = prefix << 36 | high << 33 | 1 << 32 | middle << 17 | 1 << 16 | low << 1 | 1;
    out.put_uint(bits, STAMP_BYTES);
}
