//! Sync frames of AC-3 and E-AC-3.

use isocast_media::codec::ac3::SyncFrame;

/// `ac3`, `eac3` or `refused`.
pub fn target(data: &[u8]) -> &'static str {
    let Ok(frame) = SyncFrame::parse(data) else {
        return "refused";
    };
    assert!((1..=6).contains(&frame.channels));
    assert!((16_000..=48_000).contains(&frame.sample_rate_hz));
    assert!((2..=4_096).contains(&frame.bytes));
    assert!((5..=96).contains(&frame.duration().as_millis()));
    if frame.enhanced { "eac3" } else { "ac3" }
}
