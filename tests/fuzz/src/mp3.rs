//! Frame headers of MP3.

use isocast_media::codec::mp3::FrameHeader;

/// `read` or `refused`.
pub fn target(data: &[u8]) -> &'static str {
    let Ok(header) = FrameHeader::parse(data) else {
        return "refused";
    };
    assert!((1..=2).contains(&header.channels));
    assert!((8_000..=48_000).contains(&header.sample_rate_hz));
    assert!((24..=72).contains(&header.duration().as_millis()));
    "read"
}
