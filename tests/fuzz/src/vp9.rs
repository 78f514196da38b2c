//! VP9 configuration records, and the headers of key frames: an input is the length of the record
//! in one byte, the record, and a frame.

use isocast_media::codec::vp9::{CodecConfig, picture_size};

/// `read`, `sized` where the frame is a key frame too, or `refused`.
pub fn target(data: &[u8]) -> &'static str {
    let Some((&record_len, rest)) = data.split_first() else {
        return "refused";
    };
    let (record, frame) = rest.split_at(rest.len().min(record_len.into()));
    let size = picture_size(frame);
    let Ok(config) = CodecConfig::parse(record) else {
        return "refused";
    };
    let codec_string = config.codec_string();
    assert!((13..=14).contains(&codec_string.len()), "{codec_string}");
    let Ok((width, height)) = size else {
        return "read";
    };
    assert!((1..=16_384).contains(&width) && (1..=16_384).contains(&height));
    "sized"
}
