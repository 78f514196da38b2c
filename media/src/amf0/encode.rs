//! Values to bytes. Iterative too, so a value that our own code nested deeply is no special case.

use std::slice;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Value, marker};

/// The values of one command or data message, one after another.
#[must_use]
pub fn encode_all(values: &[Value]) -> Bytes {
    let mut out = BytesMut::new();
    for value in values {
        encode(value, &mut out);
    }
    out.freeze()
}

pub fn encode(value: &Value, out: &mut BytesMut) {
    let mut open = Vec::new();
    open.extend(put(value, out));
    while let Some(container) = open.last_mut() {
        let next = match container {
            Open::Properties(rest) => rest.next().map(|(name, value)| {
                put_name(name, out);
                value
            }),
            Open::Items(rest) => rest.next(),
        };
        match next {
            Some(value) => open.extend(put(value, out)),
            None => {
                if let Some(Open::Properties(_)) = open.pop() {
                    out.put_slice(&[0, 0, marker::OBJECT_END]);
                }
            }
        }
    }
}

/// What is left to write of an object or array.
enum Open<'a> {
    Properties(slice::Iter<'a, (String, Value)>),
    Items(slice::Iter<'a, Value>),
}

/// Writes a value, or only the head of an object or array, whose content is then answered.
fn put<'a>(value: &'a Value, out: &mut BytesMut) -> Option<Open<'a>> {
    match value {
        Value::Number(number) => {
            out.put_u8(marker::NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(truth) => out.put_slice(&[marker::BOOLEAN, u8::from(*truth)]),
        Value::String(text) => put_string(text, out),
        Value::Object(properties) => {
            out.put_u8(marker::OBJECT);
            return Some(Open::Properties(properties.iter()));
        }
        Value::EcmaArray(properties) => {
            out.put_u8(marker::ECMA_ARRAY);
            out.put_u32(count(properties));
            return Some(Open::Properties(properties.iter()));
        }
        Value::StrictArray(items) => {
            out.put_u8(marker::STRICT_ARRAY);
            out.put_u32(count(items));
            return Some(Open::Items(items.iter()));
        }
        Value::Date { unix_ms } => {
            out.put_u8(marker::DATE);
            out.put_f64(*unix_ms);
            out.put_i16(0); // The time zone is reserved and 0 (§2.13).
        }
        Value::Null => out.put_u8(marker::NULL),
        Value::Undefined => out.put_u8(marker::UNDEFINED),
    }
    None
}

fn put_string(text: &str, out: &mut BytesMut) {
    match u16::try_from(text.len()) {
        Ok(length) => {
            out.put_u8(marker::STRING);
            out.put_u16(length);
        }
        Err(_) => {
            out.put_u8(marker::LONG_STRING);
            out.put_u32(u32::try_from(text.len()).expect("a message is under 4 GiB"));
        }
    }
    out.put_slice(text.as_bytes());
}

/// A property name has 16 bits of length and no long form (§2.5); ours are words of a few
/// letters, and one of a peer is at most `STRING_BYTES_MAX` bytes made three times longer.
fn put_name(name: &str, out: &mut BytesMut) {
    let length = u16::try_from(name.len()).expect("a property name is under 64 KiB");
    out.put_u16(length);
    out.put_slice(name.as_bytes());
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).expect("a message holds fewer than 2^32 values")
}
