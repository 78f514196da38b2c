//! Pictures and sounds that carry their number, so that each can be found again in whatever form.

use bytes::Bytes;
use isocast_media::Track;
use isocast_media::rtmp::Media;

/// H.264 Baseline, 640×360, and AAC-LC, 44.1 kHz, stereo, as FLV carries them.
const AVC_CONFIG: &[u8] = b"\x17\x00\x00\x00\x00\x01\x42\xc0\x1e\xff\xe1\x00\x17\x67\x42\xc0\x1e\xd9\x00\xa0\x47\xfe\x88\x00\x00\x03\x00\x08\x00\x00\x03\x01\x90\x78\xb1\x75\x01\x00\x04\x68\xcb\x8c\xb2";
const AAC_CONFIG: &[u8] = b"\xaf\x00\x12\x10";

pub(crate) fn configuration(track: Track, timestamp: u32) -> Media {
    media(
        track,
        timestamp,
        match track {
            Track::Video => AVC_CONFIG.to_vec(),
            _ => AAC_CONFIG.to_vec(),
        },
    )
}

/// One slice, padded to `len` bytes.
pub(crate) fn picture(timestamp: u32, number: u32, is_key: bool, len: usize) -> Media {
    let (head, slice) = if is_key { (0x17, 0x65) } else { (0x27, 0x41) };
    let mut unit = vec![slice, 0x9a];
    unit.extend_from_slice(mark(b'V', number).as_bytes());
    unit.resize(unit.len().max(len), 0x5a);
    let mut body = vec![head, 1, 0, 0, 0];
    body.extend_from_slice(&(unit.len() as u32).to_be_bytes());
    body.extend_from_slice(&unit);
    media(Track::Video, timestamp, body)
}

pub(crate) fn sound(timestamp: u32, number: u32) -> Media {
    let mut body = vec![0xaf, 1, 0x21, 0x10, 0x04];
    body.extend_from_slice(mark(b'A', number).as_bytes());
    media(Track::Audio, timestamp, body)
}

fn media(track: Track, timestamp: u32, body: Vec<u8>) -> Media {
    Media {
        track,
        timestamp,
        body: Bytes::from(body),
    }
}

/// ASCII only, so that no format has a reason to escape it.
fn mark(kind: u8, number: u32) -> String {
    format!("{}{number:08};", kind as char)
}

/// The numbers of all marks of a kind in these bytes, in order.
pub(crate) fn marks(bytes: &[u8], kind: u8) -> Vec<u32> {
    let windows = bytes.windows(10);
    let number = |window: &[u8]| {
        let is_mark = window[0] == kind && window[9] == b';';
        std::str::from_utf8(&window[1..9])
            .ok()
            .filter(|_| is_mark)?
            .parse()
            .ok()
    };
    windows.filter_map(number).collect()
}
