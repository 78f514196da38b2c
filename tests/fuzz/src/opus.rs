//! Identification headers of Opus.

use isocast_media::codec::opus::OpusHead;

/// `read` or `refused`.
pub fn target(data: &[u8]) -> &'static str {
    let Ok(head) = OpusHead::parse(data) else {
        return "refused";
    };
    assert!(head.channels > 0);
    "read"
}
