//! Where a stream stands, from the frames of both its tracks.

use crate::frame::{Frame, Track};

/// Steps of audio beyond this are jumps of its timestamps, not time that passed.
const AUDIO_STEP_MS_MAX: i64 = 1_000;

/// Video's decoding times while there is video, else audio's. When video falls silent, the clock
/// goes on by what audio advances, so that a constant offset between the tracks does not matter.
#[derive(Debug, Default)]
pub(super) struct Clock {
    video_ms: Option<i64>,
    audio_ms: Option<i64>,
    audio_since_video_ms: i64,
}

/// One frame on the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) now_ms: i64,
    /// Since the frame before on the same track; 0 at its first frame.
    pub(super) step_ms: i64,
}

impl Clock {
    pub(super) fn advance(&mut self, frame: &Frame) -> Tick {
        let dts = frame.dts.0;
        if frame.track() == Track::Video {
            let step_ms = dts.saturating_sub(self.video_ms.unwrap_or(dts));
            self.video_ms = Some(dts);
            self.audio_since_video_ms = 0;
            return Tick {
                now_ms: dts,
                step_ms,
            };
        }
        let step_ms = dts.saturating_sub(self.audio_ms.unwrap_or(dts));
        self.audio_ms = Some(dts);
        let Some(video_ms) = self.video_ms else {
            return Tick {
                now_ms: dts,
                step_ms,
            };
        };
        let passed = Some(step_ms).filter(|step| (0..=AUDIO_STEP_MS_MAX).contains(step));
        let step_ms = passed.unwrap_or(0);
        self.audio_since_video_ms = self.audio_since_video_ms.saturating_add(step_ms);
        let now_ms = video_ms.saturating_add(self.audio_since_video_ms);
        Tick { now_ms, step_ms }
    }
}
