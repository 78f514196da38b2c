//! When a segment ends: a pure decision, made before each frame.

use crate::frame::Track;

/// The target duration when the first group of pictures does not end: it counts as this.
pub(super) const FIRST_GOP_S_MAX: u32 = 6;

/// `EXTINF` is rounded to the nearest second before it is compared with the target duration
/// (RFC 8216 §4.3.3.1).
pub(super) const ROUNDING_MS: i64 = 499;

/// A key frame may come this late after the target before the segment is cut without it:
/// encoders that run by a clock miss their interval by a frame or two (3 frames at 15 a second).
const LATE_KEY_MS: i64 = 200;

/// Audio cuts a stream that has video only when video is this late: it often arrives first.
const LATE_VIDEO_MS: i64 = 400;

/// A step back beyond this is another timeline, not reordering between tracks.
const STEP_BACK_MS_MAX: i64 = 1_000;

/// 2 s at 256 Mbit/s; a window of 6 such segments is 384 MiB a stream, and no more.
pub(super) const SEGMENT_BYTES_MAX: usize = 64 << 20;

/// The open segment and the frame in question, on the stream's [`super::clock::Clock`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) start_ms: i64,
    pub(super) now_ms: i64,
    /// Since the frame before on the same track.
    pub(super) step_ms: i64,
    pub(super) track: Track,
    pub(super) key: bool,
    pub(super) has_video: bool,
    /// Open segment and frame together.
    pub(super) bytes: usize,
    pub(super) target_ms: i64,
    /// Fixed at the first segment; until then there is none.
    pub(super) target_duration_s: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The frame belongs to the open segment.
    No,
    /// The next segment starts at this frame.
    Here,
    /// The timeline broke: the segment ends after its last frame, the next is a discontinuity.
    Break,
}

pub(super) fn decide(it: Situation) -> Cut {
    let limit_ms = i64::from(it.target_duration_s.unwrap_or(FIRST_GOP_S_MAX)) * 1_000;
    let age_ms = it.now_ms.saturating_sub(it.start_ms);
    let in_reach = -limit_ms..=limit_ms + ROUNDING_MS;
    if it.step_ms < -STEP_BACK_MS_MAX || !in_reach.contains(&age_ms) {
        return Cut::Break;
    }
    // The frame after this one will come about as late again, and must not be too late.
    let next_age_ms = age_ms.saturating_add(it.step_ms.max(0));
    let last_chance = age_ms > 0 && next_age_ms > limit_ms + ROUNDING_MS;
    let wanted = match (it.track, it.has_video) {
        (Track::Video, _) if it.key => age_ms >= it.target_ms.min(limit_ms),
        (Track::Video, _) => age_ms >= limit_ms + late_key_ms(it.target_duration_s),
        (_, true) => age_ms >= limit_ms + LATE_VIDEO_MS,
        (_, false) => age_ms > 0 && next_age_ms > it.target_ms.min(limit_ms),
    };
    if wanted || last_chance || it.bytes > SEGMENT_BYTES_MAX {
        return Cut::Here;
    }
    Cut::No
}

/// The first group of pictures decides the target, so there is nothing yet to be late for.
fn late_key_ms(target_duration_s: Option<u32>) -> i64 {
    target_duration_s.map_or(0, |_| LATE_KEY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions() {
        let base = Situation {
            start_ms: 10_000,
            now_ms: 0,
            step_ms: 0,
            track: Track::Video,
            key: false,
            has_video: true,
            bytes: 0,
            target_ms: 2_000,
            target_duration_s: Some(2),
        };
        let key = Situation { key: true, ..base };
        let sound = Situation {
            track: Track::Audio,
            ..base
        };
        let alone = Situation {
            has_video: false,
            ..sound
        };
        let first = |it| Situation {
            target_duration_s: None,
            ..it
        };
        let large = |it| Situation {
            bytes: SEGMENT_BYTES_MAX + 1,
            ..it
        };
        for (name, it, last, now, expected) in [
            ("key frame before the target", key, 1_960, 1_999, Cut::No),
            ("key frame at the target", key, 1_960, 2_000, Cut::Here),
            (
                "other frame at the target: the key frame may be late",
                base,
                1_960,
                2_000,
                Cut::No,
            ),
            (
                "other frame: the key frame is too late",
                base,
                2_180,
                2_200,
                Cut::Here,
            ),
            (
                "slow frames: the next one would be too late",
                base,
                1_000,
                1_900,
                Cut::Here,
            ),
            ("hole", key, 1_000, 2_500, Cut::Break),
            ("step back within the segment", base, 1_900, 900, Cut::No),
            (
                "step back to another timeline",
                base,
                1_900,
                899,
                Cut::Break,
            ),
            ("far before the segment", base, -2_041, -2_001, Cut::Break),
            ("audio ahead of video", sound, 2_380, 2_399, Cut::No),
            ("audio without video", sound, 2_380, 2_400, Cut::Here),
            (
                "audio only, room for one more",
                alone,
                1_933,
                1_956,
                Cut::No,
            ),
            ("audio only, full", alone, 1_966, 1_989, Cut::Here),
            ("first group goes on", first(base), 5_960, 5_999, Cut::No),
            ("first group of 6 s", first(base), 5_960, 6_000, Cut::Here),
            ("first group ends", first(key), 4_960, 5_000, Cut::Here),
            ("too many bytes", large(base), 100, 120, Cut::Here),
            ("too many bytes at one time", large(base), 0, 0, Cut::Here),
        ] {
            let it = Situation {
                now_ms: it.start_ms + now,
                step_ms: now - last,
                ..it
            };
            assert_eq!(decide(it), expected, "{name}");
        }
    }
}
