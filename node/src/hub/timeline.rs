use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use isocast_media::{Frame, MediaMs, Track};

use super::resend::{Carried, RESEND_MS, Recent};

/// Where room time begins: a track that starts a little before the other still fits.
const ORIGIN_MS: i64 = 1000;
/// A timestamp may run ahead of the wall clock by this much and still be the same source clock.
const AHEAD_MS: i64 = 10_000;
/// A gap between two publishers is shown as at most this long.
pub(super) const GAP_MS_MAX: i64 = 15_000;
/// A source whose clock jumps to and fro breaks the timeline at most this often, for HLS ends a
/// segment at every break. Jumps between are joined without a word.
const BREAK_EVERY: Duration = Duration::from_secs(1);
/// A source clock that stands still for so long, while frames come, shows no time.
const STILL: Duration = Duration::from_secs(2);

/// One timeline for a room, whoever publishes: source timestamps in, room time out.
///
/// Room time never goes back on a track. A source clock that goes on keeps its offset, so that
/// frames sent again are known and dropped; another clock is joined on where room time had come
/// to, and the gap by the wall clock lies between. Frames of a clock that stands still are placed
/// where they arrive, or nothing that waits for time to pass, as HLS does, would ever end.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    clocks: BTreeMap<TrackKey, Clock>,
    /// The furthest room time, and when it was placed.
    head: Option<(MediaMs, Instant)>,
    recent: Recent,
    last_break: Option<Instant>,
}

/// Tracks of a kind are numbered apart.
pub(super) type TrackKey = (Track, u8);

/// One track's source clock.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// Room time minus source time.
    offset_ms: i64,
    last_source: MediaMs,
    last_room: MediaMs,
    /// When its last frame came, and when the last that moved room time on did.
    came_at: Instant,
    moved_at: Instant,
    /// While the source's clock stands still, where and since when it does: room time goes by the
    /// wall clock from there.
    still: Option<(MediaMs, Instant)>,
    /// Set until the present publisher's first frame of this track.
    stale: bool,
}

/// How a source clock and room time are joined at a frame.
struct Joint {
    offset_ms: i64,
    time: MediaMs,
    /// Viewers cannot go on here as if nothing had been.
    breaks: bool,
    still: Option<(MediaMs, Instant)>,
}

impl Joint {
    fn at(source: MediaMs, offset_ms: i64, breaks: bool) -> Self {
        Self {
            offset_ms,
            time: source + offset_ms,
            breaks,
            still: None,
        }
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    At {
        time: MediaMs,
        discontinuity: bool,
    },
    /// It was carried before the publisher reconnected.
    CarriedAlready,
}

impl Timeline {
    /// A new publisher: its first timestamps decide whether its clock is the known one.
    pub(super) fn restart(&mut self) {
        for clock in self.clocks.values_mut() {
            clock.stale = true;
        }
    }

    /// The stream is over: whoever comes next resends nothing, for viewers have nothing of it left.
    pub(super) fn end(&mut self) {
        self.recent.clear();
    }

    /// Frames of another node take the place of this one's publishers, whose clocks show nothing any more. To
    /// which times their tracks have come.
    pub(super) fn hand_over(&mut self) -> BTreeMap<TrackKey, MediaMs> {
        self.recent.clear();
        let clocks = std::mem::take(&mut self.clocks).into_iter();
        clocks
            .map(|(track, clock)| (track, clock.last_room))
            .collect()
    }

    /// The furthest room time, and when it was come to.
    pub(super) fn head(&self) -> Option<(MediaMs, Instant)> {
        self.head
    }

    /// A frame of another node is at this time.
    pub(super) fn advance(&mut self, time: MediaMs, now: Instant) {
        let furthest = self.head.map_or(time, |(head, _)| head.max(time));
        self.head = Some((furthest, now));
    }

    pub(super) fn place(&mut self, frame: &Frame, now: Instant) -> Place {
        let track = (frame.track(), frame.track_id);
        if frame.track() == Track::Data || !frame.is_media() {
            // A description has no time of its own: it stands where the stream has come to.
            let time = self.head.map_or(MediaMs(ORIGIN_MS), |(time, _)| time);
            return Place::At {
                time,
                discontinuity: false,
            };
        }
        let carried = Carried {
            source: frame.dts,
            len: frame.data.len(),
        };
        let known = self.clocks.get(&track).copied();
        let joint = match known {
            Some(clock) if self.goes_on(track, &clock, carried, now) => {
                if clock.stale && frame.dts <= clock.last_source {
                    return Place::CarriedAlready;
                }
                clock.go_on(frame.dts, now)
            }
            _ => self.join(track, frame.dts, now),
        };
        let discontinuity = joint.breaks && self.may_break(now);
        let (mut time, mut moved_at) = (joint.time, now);
        if let Some(clock) = known
            && time <= clock.last_room
        {
            (time, moved_at) = (clock.last_room, clock.moved_at);
        }
        let clock = Clock {
            offset_ms: joint.offset_ms,
            last_source: frame.dts,
            last_room: time,
            came_at: now,
            moved_at,
            still: joint.still,
            stale: false,
        };
        self.clocks.insert(track, clock);
        self.advance(time, now);
        self.recent.remember(track, carried);
        Place::At {
            time,
            discontinuity,
        }
    }

    /// Whether a timestamp is one that this track's clock may show next. After a reconnect a
    /// timestamp that was carried before must also be the same frame.
    fn goes_on(&self, track: TrackKey, clock: &Clock, next: Carried, now: Instant) -> bool {
        let gap_ms = self.gap_ms(now);
        let step_ms = next.source - clock.last_source;
        let plausible = (-RESEND_MS..=gap_ms + AHEAD_MS).contains(&step_ms);
        plausible && (!clock.stale || step_ms > 0 || self.recent.contains(track, next))
    }

    /// Joins a clock: to another track's, where both show about the same time, else to the end of
    /// what was carried. It breaks the timeline: of tracks that jump together only the first does,
    /// and a track that is new beside another has nothing to break with.
    fn join(&self, track: TrackKey, first: MediaMs, now: Instant) -> Joint {
        let Some((head, _)) = self.head else {
            return Joint::at(first, MediaMs(ORIGIN_MS) - first, false);
        };
        let is_fresh = |&(key, clock): &(&TrackKey, &Clock)| *key != track && !clock.stale;
        let others = || self.clocks.iter().filter(is_fresh);
        let mut offsets = others().map(|(_, clock)| clock.offset_ms);
        let is_near = |offset_ms: &i64| (first + *offset_ms - head).abs() <= RESEND_MS;
        if let Some(offset_ms) = offsets.find(is_near) {
            return Joint::at(first, offset_ms, false);
        }
        let breaks = others().next().is_none() || self.clocks.contains_key(&track);
        let offset_ms = head + self.gap_ms(now).clamp(1, GAP_MS_MAX) - first;
        Joint::at(first, offset_ms, breaks)
    }

    fn may_break(&mut self, now: Instant) -> bool {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < BREAK_EVERY;
        if self.last_break.is_some_and(is_recent) {
            return false;
        }
        self.last_break = Some(now);
        true
    }

    /// Wall time since the last frame was placed.
    fn gap_ms(&self, now: Instant) -> i64 {
        let gap = |at: Instant| ms(now.saturating_duration_since(at));
        self.head.map_or(0, |(_, at)| gap(at))
    }
}

impl Clock {
    /// A clock that goes on keeps its offset; one that had stood still goes on where room time has
    /// come to.
    fn go_on(&self, next: MediaMs, now: Instant) -> Joint {
        if let Some((from, since)) = self.still(next, now) {
            return Joint {
                offset_ms: self.offset_ms,
                time: from + ms(now.saturating_duration_since(since)),
                breaks: self.still.is_none(),
                still: Some((from, since)),
            };
        }
        let caught_up_ms = self.last_room - next;
        let offset_ms = match self.still {
            Some(_) => self.offset_ms.max(caught_up_ms),
            None => self.offset_ms,
        };
        Joint::at(next, offset_ms, false)
    }

    fn still(&self, next: MediaMs, now: Instant) -> Option<(MediaMs, Instant)> {
        if self.stale || next > self.last_source {
            return None;
        }
        // Two frames of one time with a silence between them are not yet a clock that stands still.
        let is_silent = now.saturating_duration_since(self.came_at) >= STILL;
        let stood = now.saturating_duration_since(self.moved_at) >= STILL && !is_silent;
        let found = stood.then_some((self.last_room, self.moved_at));
        self.still.or(found)
    }
}

pub(super) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use isocast_media::{Codec, Kind};
    use proptest::prelude::*;

    use super::*;

    fn frame(track: Track, dts: i64) -> Frame {
        Frame {
            codec: if track == Track::Video {
                Codec::Avc
            } else {
                Codec::Aac
            },
            track_id: 0,
            kind: Kind::Media { key: true },
            dts: MediaMs(dts),
            pts_offset_ms: 0,
            // As long as its time, so that frames differ.
            data: Bytes::from(vec![0; (dts.unsigned_abs() % 977) as usize]),
        }
    }

    fn at(time: i64) -> Place {
        Place::At {
            time: MediaMs(time),
            discontinuity: false,
        }
    }

    fn joined(time: i64) -> Place {
        Place::At {
            time: MediaMs(time),
            discontinuity: true,
        }
    }

    /// Places frames, each as (seconds of wall clock, track, source ms, expected); `restart` before
    /// the rows whose number is given.
    fn check(rows: &[(f64, Track, i64, Place)], restarts: &[usize]) {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        for (row, &(wall_s, track, source, expected)) in rows.iter().enumerate() {
            if restarts.contains(&row) {
                timeline.restart();
            }
            let now = start + Duration::from_secs_f64(wall_s);
            assert_eq!(
                timeline.place(&frame(track, source), now),
                expected,
                "row {row}"
            );
        }
    }

    use Track::{Audio, Video};

    #[test]
    fn both_tracks_start_on_one_offset() {
        check(
            &[
                (0.0, Video, 5000, at(1000)),
                (0.0, Audio, 4980, at(980)),
                (0.1, Audio, 5003, at(1003)),
                (0.1, Video, 5033, at(1033)),
            ],
            &[],
        );
    }

    #[test]
    fn a_restarted_encoder_goes_on_after_the_gap() {
        check(
            &[
                (0.0, Video, 0, at(1000)),
                (20.0, Video, 20_000, at(21_000)),
                (23.0, Audio, 7, joined(24_000)),
                (23.0, Video, 0, at(23_993)),
                (23.1, Video, 40, at(24_033)),
            ],
            &[2],
        );
        // The gap is never shown longer than 15 s.
        check(
            &[
                (0.0, Video, 5000, at(1000)),
                (3600.0, Video, 0, joined(16_000)),
            ],
            &[1],
        );
    }

    #[test]
    fn what_is_sent_again_is_dropped_and_the_rest_keeps_its_offset() {
        check(
            &[
                (0.0, Video, 50_000, at(1000)),
                (1.0, Video, 51_000, at(2000)),
                (2.0, Video, 52_000, at(3000)),
                (4.0, Video, 51_000, Place::CarriedAlready),
                (4.0, Video, 52_000, Place::CarriedAlready),
                (4.0, Video, 53_000, at(4000)),
            ],
            &[3],
        );
    }

    #[test]
    fn a_short_stream_that_starts_over_is_not_taken_for_a_resend() {
        // The same timestamps, but other frames.
        let start = Instant::now();
        let mut timeline = Timeline::default();
        timeline.place(&frame(Video, 0), start);
        timeline.place(&frame(Video, 2000), start);
        timeline.restart();
        let mut other = frame(Video, 0);
        other.data = Bytes::from_static(b"another picture");
        let now = start + Duration::from_secs(3);
        assert_eq!(timeline.place(&other, now), joined(6000));
    }

    #[test]
    fn after_the_end_the_same_frames_are_shown_again() {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        timeline.place(&frame(Video, 0), start);
        timeline.place(&frame(Video, 2000), start);
        timeline.end();
        timeline.restart();
        let now = start + Duration::from_secs(20);
        assert_eq!(timeline.place(&frame(Video, 0), now), joined(18_000));
    }

    #[test]
    fn a_jump_in_the_middle_is_joined_once_and_the_tracks_stay_together() {
        check(
            &[
                (0.00, Video, 0, at(1000)),
                (0.00, Audio, 0, at(1000)),
                (0.04, Video, 40, at(1040)),
                (0.04, Video, 86_400_040, joined(1041)),
                (0.04, Audio, 86_400_020, at(1021)),
                (0.08, Video, 80, at(1081)),
                (0.08, Audio, 90, at(1091)),
            ],
            &[],
        );
    }

    #[test]
    fn a_clock_that_jumps_to_and_fro_breaks_once_a_second() {
        check(
            &[
                (0.0, Video, 60_000, at(1000)),
                (0.1, Video, 0, joined(1100)),
                (0.2, Video, 60_000, at(1200)),
                (0.3, Video, 0, at(1300)),
                (1.1, Video, 60_000, joined(2100)),
            ],
            &[],
        );
    }

    #[test]
    fn frames_of_a_clock_that_stands_still_are_placed_where_they_arrive() {
        check(
            &[
                (0.00, Video, 0, at(1000)),
                (0.00, Audio, 0, at(1000)),
                (1.90, Video, 0, at(1000)),
                (1.98, Audio, 0, at(1000)),
                (2.00, Video, 0, joined(3000)),
                (2.01, Audio, 0, at(3010)),
                (2.50, Video, 0, at(3500)),
                (2.51, Audio, 0, at(3510)),
                // Even after a silence.
                (9.00, Video, 0, at(10_000)),
                // It moves again, from where it stood.
                (9.04, Video, 40, at(10_000)),
                (9.08, Video, 80, at(10_040)),
                (9.08, Audio, 0, at(10_080)),
            ],
            &[],
        );
    }

    #[test]
    fn a_clock_that_shows_what_passed_meanwhile_keeps_its_offset() {
        check(
            &[
                (0.0, Video, 0, at(1000)),
                (1.9, Video, 0, at(1000)),
                (3.8, Video, 0, joined(4800)),
                (3.9, Video, 3900, at(4900)),
                (4.0, Video, 4000, at(5000)),
            ],
            &[],
        );
    }

    #[test]
    fn a_silence_is_no_clock_that_stands_still() {
        check(
            &[
                (0.0, Video, 0, at(1000)),
                (5.0, Video, 0, at(1000)),
                (5.0, Video, 40, at(1040)),
                (5.1, Video, 5100, at(6100)),
            ],
            &[],
        );
    }

    #[test]
    fn one_track_that_stands_still_leaves_the_other_alone() {
        check(
            &[
                (0.0, Video, 0, at(1000)),
                (0.0, Audio, 0, at(1000)),
                (1.0, Video, 1000, at(2000)),
                (1.1, Audio, 0, at(1000)),
                (2.0, Video, 2000, at(3000)),
                (2.1, Audio, 0, joined(3100)),
                (3.0, Video, 3000, at(4000)),
                (3.1, Audio, 0, at(4100)),
            ],
            &[],
        );
    }

    #[test]
    fn tracks_that_are_far_apart_each_keep_their_clock() {
        check(
            &[
                (0.00, Video, 30_000, at(1000)),
                (0.00, Audio, 0, at(1001)),
                (0.04, Video, 30_040, at(1040)),
                (0.04, Audio, 23, at(1024)),
            ],
            &[],
        );
    }

    proptest! {
        #[test]
        fn room_time_never_goes_back_on_a_track(
            steps in prop::collection::vec(
                (any::<bool>(), prop_oneof![any::<u32>(), 0..50u32], prop_oneof![0u64..40_000, 0u64..1500], any::<bool>()),
                1..200,
            )
        ) {
            let mut now = Instant::now();
            let mut timeline = Timeline::default();
            let mut last = [MediaMs(i64::MIN); 2];
            for (is_video, source, wall_ms, restart) in steps {
                now += Duration::from_millis(wall_ms);
                if restart {
                    timeline.restart();
                }
                let track = if is_video { Video } else { Audio };
                if let Place::At { time, .. } = timeline.place(&frame(track, i64::from(source)), now) {
                    let last = &mut last[usize::from(is_video)];
                    prop_assert!(time >= *last);
                    *last = time;
                }
            }
        }
    }
}
