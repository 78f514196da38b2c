//! Stream information of FLAC, with and without its marker.

use isocast_media::codec::flac::StreamInfo;

/// `read` or `refused`.
pub fn target(data: &[u8]) -> &'static str {
    let Ok(info) = StreamInfo::parse(data) else {
        return "refused";
    };
    assert!((1..=8).contains(&info.channels));
    assert!((4..=32).contains(&info.bits_per_sample));
    assert!((1..1 << 20).contains(&info.sample_rate_hz));
    "read"
}
