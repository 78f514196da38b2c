//! AMF0 values: the payload of RTMP commands and of stream metadata.

use isocast_media::amf0::{Error, decode_all, encode_all};

/// `read`, `limit` or `malformed`. What was read is written and read again, and is the same.
pub fn target(data: &[u8]) -> &'static str {
    let values = match decode_all(data) {
        Ok(values) => values,
        Err(Error::Limit { .. }) => return "limit",
        Err(Error::Malformed { .. }) => return "malformed",
    };
    let written = encode_all(&values);
    match decode_all(&written) {
        // Debug text, because NaN is not equal to itself.
        Ok(again) => assert!(again == values || format!("{again:?}") == format!("{values:?}")),
        // Bytes that are not UTF-8 became U+FFFD, which is three bytes long.
        Err(Error::Limit { .. }) => assert!(written.len() > data.len()),
        Err(error) => panic!("{error} in our own bytes, of {values:?}"),
    }
    "read"
}
