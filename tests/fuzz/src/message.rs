//! RTMP messages: the first byte of an input is the message type, the rest its payload.

use bytes::{BufMut, Bytes, BytesMut};
use isocast_media::{
    amf0,
    rtmp::{
        Error,
        message::{Body, Part, Parts, media_type_id},
    },
};

/// `read`, `other` for a type without use in live streaming, or the reason of a refusal. What
/// was read is written and read again, and is the same; so are the parts of an aggregate.
pub fn target(data: &[u8]) -> &'static str {
    let Some((&type_id, payload)) = data.split_first() else {
        return "other";
    };
    let payload = Bytes::copy_from_slice(payload);
    let body = match Body::parse(type_id, payload.clone()) {
        Ok(body) => body,
        Err(error) => return error.reason(),
    };
    if let Body::Aggregate(parts) = &body
        && let Err(error) = check_aggregate(parts)
    {
        return error.reason();
    }
    let Some((type_id, written)) = body.encode() else {
        return "other";
    };
    match Body::parse(type_id, written.clone()) {
        // Debug text, because NaN is not equal to itself.
        Ok(again) => assert!(again == body || format!("{again:?}") == format!("{body:?}")),
        // A missing transaction number became 0, and broken UTF-8 became U+FFFD.
        Err(Error::Amf(amf0::Error::Limit { .. })) => assert!(written.len() > payload.len()),
        Err(error) => panic!("{error} in our own bytes, of {body:?}"),
    }
    "read"
}

fn check_aggregate(aggregate: &Bytes) -> Result<(), Error> {
    /// Late enough that some parts wrap.
    const TIMESTAMP: u32 = u32::MAX - 100;
    let parts = parts(aggregate.clone(), TIMESTAMP)?;
    let written = write_aggregate(&parts);
    assert!(written.len() <= aggregate.len() + 4, "an aggregate grew");
    // Times are relative to the first part, which a part of no use may have been.
    let first = parts.first().map_or(TIMESTAMP, |part| part.timestamp);
    assert_eq!(self::parts(written, first), Ok(parts));
    Ok(())
}

fn parts(aggregate: Bytes, timestamp: u32) -> Result<Vec<Part>, Error> {
    let mut rest = Parts::new(aggregate, timestamp);
    let mut parts = Vec::new();
    while let Some(part) = rest.next_part()? {
        parts.push(part);
    }
    Ok(parts)
}

fn write_aggregate(parts: &[Part]) -> Bytes {
    let mut out = BytesMut::new();
    for part in parts {
        out.put_u8(media_type_id(part.track));
        out.put_uint(part.body.len() as u64, 3);
        let [high, low @ ..] = part.timestamp.to_be_bytes();
        out.put_slice(&low);
        out.put_u8(high);
        out.put_uint(0, 3);
        out.put_slice(&part.body);
        out.put_u32(11 + part.body.len() as u32);
    }
    out.freeze()
}
