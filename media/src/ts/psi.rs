//! The two tables: which program there is, and which tracks it has.

use bytes::{BufMut, BytesMut};

use super::config::StreamType;
use super::packet::write_section;
use super::{AUDIO_PID, VIDEO_PID};

const PAT_PID: u16 = 0;
const PMT_PID: u16 = 0x1000;
const PROGRAM: u16 = 1;
/// `descriptor_tag` of a registration descriptor (ISO/IEC 13818-1 §2.6.8).
const REGISTRATION: u8 = 0x05;
/// The packet identifier that says "no clock" (ISO/IEC 13818-1 §2.4.4.9).
const NO_PID: u16 = 0x1FFF;

#[derive(Clone, Copy, Debug)]
pub(super) struct Tracks {
    pub(super) video: Option<StreamType>,
    pub(super) audio: Option<StreamType>,
}

/// ISO/IEC 13818-1 §2.4.4.3. It never changes, so its version stays 0.
pub(super) fn write_pat(counter: &mut u8, out: &mut BytesMut) {
    let mut body = BytesMut::new();
    body.put_u16(PROGRAM);
    body.put_u16(0xE000 | PMT_PID);
    let transport_stream_id = 1;
    write_section(
        PAT_PID,
        counter,
        &section(0x00, transport_stream_id, 0, &body),
        out,
    );
}

/// ISO/IEC 13818-1 §2.4.4.8.
pub(super) fn write_pmt(counter: &mut u8, version: u8, tracks: Tracks, out: &mut BytesMut) {
    let mut body = BytesMut::new();
    let clock_pid = match tracks {
        Tracks { video: Some(_), .. } => VIDEO_PID,
        Tracks { audio: Some(_), .. } => AUDIO_PID,
        _ => NO_PID,
    };
    body.put_u16(0xE000 | clock_pid);
    body.put_u16(0xF000); // no program descriptors
    for (stream_type, pid) in [(tracks.video, VIDEO_PID), (tracks.audio, AUDIO_PID)] {
        let Some(stream_type) = stream_type else {
            continue;
        };
        body.put_u8(stream_type.number);
        body.put_u16(0xE000 | pid);
        match stream_type.registration {
            None => body.put_u16(0xF000), // no track descriptors
            Some(format) => {
                body.put_u16(0xF000 | (2 + format.len() as u16));
                body.put_slice(&[REGISTRATION, format.len() as u8]);
                body.put_slice(format);
            }
        }
    }
    write_section(
        PMT_PID,
        counter,
        &section(0x02, PROGRAM, version, &body),
        out,
    );
}

/// Wraps a table's own fields in the long section syntax (ISO/IEC 13818-1 §2.4.4.11).
fn section(table_id: u8, id: u16, version: u8, body: &[u8]) -> BytesMut {
    let mut section = BytesMut::new();
    section.put_u8(table_id);
    let rest_len = 5 + body.len() + 4; // up to last_section_number, the body, the CRC
    section.put_u16(0xB000 | rest_len as u16);
    section.put_u16(id);
    section.put_u8(0xC1 | version << 1); // current, not next
    section.put_u16(0); // section 0 of 0
    section.put_slice(body);
    section.put_u32(crc32_mpeg2(&section));
    section
}

/// ISO/IEC 13818-1 annex A: polynomial 0x04C11DB7, all ones first, nothing reflected.
fn crc32_mpeg2(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| {
            let carry = crc >> 31 == 1;
            crc << 1 ^ if carry { 0x04C1_1DB7 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc32_mpeg2() {
        assert_eq!(crc32_mpeg2(b"123456789"), 0x0376_E6E7);
    }
}
