use bytes::{BufMut, BytesMut};

use super::{EXTENDED, Message};

/// Writes `message` as one type-0 chunk and as many type-3 chunks as it takes.
///
/// The bytes depend on nothing written before, so one writing serves any number of connections
/// that agreed on `chunk_size`.
pub fn write(message: &Message, chunk_size: usize, out: &mut BytesMut) {
    let payload = &message.payload[..];
    let chunks = payload.len().div_ceil(chunk_size).max(1);
    out.reserve(payload.len() + 18 + 7 * (chunks - 1));

    write_basic_header(0, message.csid, out);
    let extended = message.timestamp >= EXTENDED;
    let timestamp = if extended {
        EXTENDED
    } else {
        message.timestamp
    };
    out.put_uint(u64::from(timestamp), 3);
    out.put_uint(payload.len() as u64, 3);
    out.put_u8(message.type_id);
    out.put_u32_le(message.stream_id); // the one little-endian field (§5.3.1.2.1)
    if extended {
        out.put_u32(message.timestamp);
    }

    let mut pieces = payload.chunks(chunk_size);
    out.put_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        write_basic_header(3, message.csid, out);
        if extended {
            out.put_u32(message.timestamp); // repeated on every continuation (§5.3.1.3)
        }
        out.put_slice(piece);
    }
}

/// One to three bytes (§5.3.1.1).
pub(super) fn write_basic_header(format: u8, csid: u32, out: &mut BytesMut) {
    let format = format << 6;
    match csid {
        0..=63 => out.put_u8(format | csid as u8),
        64..=319 => {
            out.put_u8(format);
            out.put_u8((csid - 64) as u8);
        }
        _ => {
            out.put_u8(format | 1);
            out.put_u16_le((csid - 64) as u16);
        }
    }
}
