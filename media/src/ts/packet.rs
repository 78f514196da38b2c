//! Packets of 188 bytes (ISO/IEC 13818-1 §2.4.3.2).

use bytes::{BufMut, BytesMut};

use super::ticks;

pub(super) const PACKET_BYTES: usize = 188;
const HEADER_BYTES: usize = 4;
const ROOM: usize = PACKET_BYTES - HEADER_BYTES;
/// A clock reference behind its length and flags (ISO/IEC 13818-1 §2.4.3.4).
const CLOCK_FIELD_BYTES: usize = 2 + 6;
const SYNC: u8 = 0x47;
const STUFFING: u8 = 0xFF;

/// What the first packet of a payload says beside the payload.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FirstPacket {
    pub(super) pcr_ms: Option<i64>,
    /// Decoding can start here.
    pub(super) random_access: bool,
}

/// Spreads one payload of a known length over packets, the last one filled up by its adaptation
/// field. The payload comes in any number of parts and is copied once.
pub(super) struct Packets<'a> {
    pid: u16,
    counter: &'a mut u8,
    first: Option<FirstPacket>,
    payload_left: usize,
    packet_left: usize,
    out: &'a mut BytesMut,
}

impl<'a> Packets<'a> {
    pub(super) fn new(
        pid: u16,
        counter: &'a mut u8,
        first: FirstPacket,
        payload_len: usize,
        out: &'a mut BytesMut,
    ) -> Self {
        out.reserve((payload_len / ROOM + 2) * PACKET_BYTES);
        Self {
            pid,
            counter,
            first: Some(first),
            payload_left: payload_len,
            packet_left: 0,
            out,
        }
    }

    /// Appends a part; what goes beyond the announced length is left out.
    pub(super) fn put(&mut self, mut part: &[u8]) {
        while !part.is_empty() && self.payload_left > 0 {
            if self.packet_left == 0 {
                self.begin_packet();
            }
            let (now, later) = part.split_at(part.len().min(self.packet_left));
            self.out.put_slice(now);
            self.packet_left -= now.len();
            self.payload_left -= now.len();
            part = later;
        }
    }

    fn begin_packet(&mut self) {
        let first = self.first.take();
        let starts = first.is_some();
        let FirstPacket {
            pcr_ms,
            random_access,
        } = first.unwrap_or_default();
        let wanted = match (pcr_ms, random_access) {
            (Some(_), _) => CLOCK_FIELD_BYTES,
            (None, true) => 2,
            (None, false) => 0,
        };
        self.packet_left = self.payload_left.min(ROOM - wanted);
        let field_bytes = ROOM - self.packet_left;
        let kinds = if field_bytes > 0 { 0x30 } else { 0x10 };
        put_header(self.pid, starts, kinds | *self.counter, self.out);
        *self.counter = (*self.counter + 1) & 0x0F;
        put_adaptation_field(field_bytes, pcr_ms, random_access, self.out);
    }
}

/// A packet that carries the clock and no payload; its counter does not advance
/// (ISO/IEC 13818-1 §2.4.3.3), so it repeats the last one.
pub(super) fn write_clock_only(pid: u16, next_counter: u8, pcr_ms: i64, out: &mut BytesMut) {
    let last_counter = next_counter.wrapping_sub(1) & 0x0F;
    put_header(pid, false, 0x20 | last_counter, out);
    put_adaptation_field(ROOM, Some(pcr_ms), false, out);
}

/// One table section in one packet (ISO/IEC 13818-1 §2.4.4).
pub(super) fn write_section(pid: u16, counter: &mut u8, section: &[u8], out: &mut BytesMut) {
    put_header(pid, true, 0x10 | *counter, out);
    *counter = (*counter + 1) & 0x0F;
    out.put_u8(0); // pointer_field: the section starts at once
    out.put_slice(section);
    out.put_bytes(STUFFING, (ROOM - 1).saturating_sub(section.len()));
}

fn put_header(pid: u16, payload_starts: bool, last_byte: u8, out: &mut BytesMut) {
    out.put_u8(SYNC);
    out.put_u16(u16::from(payload_starts) << 14 | pid);
    out.put_u8(last_byte);
}

/// Fills exactly `bytes`, its own length byte included.
fn put_adaptation_field(
    bytes: usize,
    pcr_ms: Option<i64>,
    random_access: bool,
    out: &mut BytesMut,
) {
    if bytes == 0 {
        return;
    }
    out.put_u8((bytes - 1) as u8);
    if bytes == 1 {
        return;
    }
    out.put_u8(u8::from(random_access) << 6 | u8::from(pcr_ms.is_some()) << 4);
    let mut used = 2;
    if let Some(ms) = pcr_ms {
        // 33 bits of 90 kHz, 6 reserved bits, 9 bits of 27 MHz that milliseconds never need.
        out.put_uint(ticks(ms) << 15 | 0x7E00, 6);
        used = CLOCK_FIELD_BYTES;
    }
    out.put_bytes(STUFFING, bytes.saturating_sub(used));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_payload_in_any_parts_fills_whole_packets_and_comes_back(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 1..6),
            pcr_ms in proptest::option::of(any::<i64>()),
            random_access: bool,
        ) {
            let payload = parts.concat();
            let (mut counter, mut out) = (14, BytesMut::new());
            let first = FirstPacket { pcr_ms, random_access };
            let mut packets = Packets::new(0x100, &mut counter, first, payload.len(), &mut out);
            parts.iter().for_each(|part| packets.put(part));
            prop_assert_eq!(out.len() % PACKET_BYTES, 0);
            let mut read = Vec::new();
            for (at, packet) in out.chunks(PACKET_BYTES).enumerate() {
                prop_assert_eq!(packet[0], SYNC);
                prop_assert_eq!(usize::from(packet[3] & 0x0F), (14 + at) % 16);
                let field = if packet[3] & 0x20 != 0 { 1 + usize::from(packet[4]) } else { 0 };
                read.extend_from_slice(&packet[HEADER_BYTES + field..]);
            }
            prop_assert_eq!(read, payload);
        }
    }
}
