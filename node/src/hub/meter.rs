use std::time::{Duration, Instant};

use isocast_media::{Frame, MediaMs, Track};

/// Rates are those of the last 10 s: several GOPs of any usual encoder, and not yet the past.
const SLOTS: usize = 20;
const SLOT: Duration = Duration::from_millis(500);
/// What came in less time than this says nothing about a rate: encoders begin with a burst.
const SPAN_MIN: Duration = Duration::from_secs(1);
/// A timestamp that runs ahead of the wall clock by more than this is a jump, or a hole.
const AHEAD_MS_MAX: f64 = 1000.0;

/// Measures what a publisher sends, as it sends it: its own timestamps against the time of
/// arrival. A fixed size, and nothing is allocated for a frame.
#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    slots: [Slot; SLOTS],
    video: Pace,
    audio: Pace,
    gop: Gop,
    totals: Totals,
}

/// Why a frame does not go to viewers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// It was carried before the publisher reconnected.
    Resent,
    /// No picture can be shown before the first key frame.
    AwaitsKey,
}

/// What was measured of the present publisher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quality {
    /// All tracks and descriptions, over the last 10 s.
    pub bitrate_bps: u64,
    /// The default track of each kind.
    pub video: TrackQuality,
    pub audio: TrackQuality,
    /// The newest complete GOP of the default video track.
    pub gop: Option<GopLength>,
    pub totals: Totals,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct TrackQuality {
    /// Over the last 10 s.
    pub bitrate_bps: u64,
    pub frames_per_s: f64,
    /// How unevenly frames arrive, against their timestamps: RFC 3550 §6.4.1, in milliseconds.
    pub jitter_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GopLength {
    pub ms: i64,
    pub frames: u64,
}

/// Counted since the publisher began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub bytes: u64,
    pub frames: u64,
    pub frames_resent: u64,
    pub frames_awaiting_key: u64,
    /// Times a track's timestamps went back, or ahead of the wall clock by more than a second.
    pub timestamp_jumps: u64,
}

/// What came within one slot of time.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Which one it is, counted since the publisher began.
    number: u64,
    video: Amount,
    audio: Amount,
    /// Tracks that are not the default ones, and descriptions.
    rest: Amount,
}

#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    bytes: u64,
    frames: u64,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            slots: [Slot::default(); SLOTS],
            video: Pace::default(),
            audio: Pace::default(),
            gop: Gop::default(),
            totals: Totals::default(),
        }
    }

    /// Notes a frame with the timestamps of its source.
    pub(super) fn note(&mut self, frame: &Frame, now: Instant) {
        let bytes = frame.data.len() as u64;
        let media = u64::from(frame.is_media());
        self.totals.bytes += bytes;
        self.totals.frames += media;
        let amount = self.slot(now).of(frame);
        amount.bytes += bytes;
        amount.frames += media;
        let pace = match frame.track() {
            Track::Video => &mut self.video,
            Track::Audio => &mut self.audio,
            Track::Data => return,
        };
        if !frame.is_media() || frame.track_id != 0 {
            return;
        }
        let jumped = pace.step(frame.dts, now) == Step::Jump;
        self.totals.timestamp_jumps += u64::from(jumped);
        if frame.track() == Track::Video {
            self.gop.step(frame, jumped);
        }
    }

    /// The frame noted last goes no further.
    pub(super) fn note_dropped(&mut self, why: Dropped) {
        match why {
            Dropped::Resent => self.totals.frames_resent += 1,
            Dropped::AwaitsKey => self.totals.frames_awaiting_key += 1,
        }
    }

    pub(super) fn read(&self, now: Instant) -> Quality {
        let newest = self.number(now);
        let oldest = newest.saturating_sub(SLOTS as u64 - 1);
        let oldest_began = SLOT * u32::try_from(oldest).unwrap_or(u32::MAX);
        let span = now.saturating_duration_since(self.began) - oldest_began;
        let span_s = span.max(SPAN_MIN).as_secs_f64();
        let sum = |of: fn(&Slot) -> Amount| {
            let within = self.slots.iter().filter(|slot| slot.number >= oldest);
            within
                .map(of)
                .fold(Amount::default(), |sum, amount| Amount {
                    bytes: sum.bytes + amount.bytes,
                    frames: sum.frames + amount.frames,
                })
        };
        let bps = |amount: Amount| (amount.bytes as f64 * 8.0 / span_s) as u64;
        let track = |amount: Amount, pace: &Pace| TrackQuality {
            bitrate_bps: bps(amount),
            frames_per_s: amount.frames as f64 / span_s,
            jitter_ms: pace.jitter_ms,
        };
        let video = track(sum(|slot| slot.video), &self.video);
        let audio = track(sum(|slot| slot.audio), &self.audio);
        Quality {
            bitrate_bps: video.bitrate_bps + audio.bitrate_bps + bps(sum(|slot| slot.rest)),
            video,
            audio,
            gop: self.gop.complete,
            totals: self.totals,
        }
    }

    /// The slot of this moment, emptied of what was in its place 10 s ago.
    fn slot(&mut self, now: Instant) -> &mut Slot {
        let number = self.number(now);
        let slot = &mut self.slots[(number % SLOTS as u64) as usize];
        if slot.number != number {
            *slot = Slot {
                number,
                ..Slot::default()
            };
        }
        slot
    }

    fn number(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.began);
        u64::try_from(since.as_millis() / SLOT.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Slot {
    fn of(&mut self, frame: &Frame) -> &mut Amount {
        match (frame.track(), frame.track_id) {
            (Track::Video, 0) => &mut self.video,
            (Track::Audio, 0) => &mut self.audio,
            _ => &mut self.rest,
        }
    }
}

/// How evenly one track comes.
#[derive(Debug, Default)]
struct Pace {
    last: Option<(MediaMs, Instant)>,
    jitter_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Even,
    Jump,
}

impl Pace {
    fn step(&mut self, dts: MediaMs, now: Instant) -> Step {
        let Some((last_dts, last_at)) = self.last.replace((dts, now)) else {
            return Step::Even;
        };
        let media_ms = (dts - last_dts) as f64;
        let wall_ms = now.saturating_duration_since(last_at).as_secs_f64() * 1000.0;
        if media_ms < 0.0 || media_ms - wall_ms > AHEAD_MS_MAX {
            return Step::Jump;
        }
        // RFC 3550 §6.4.1: a sixteenth of each deviation, so that one late frame does not decide.
        self.jitter_ms += ((wall_ms - media_ms).abs() - self.jitter_ms) / 16.0;
        Step::Even
    }
}

/// From one key frame to the next.
#[derive(Debug, Default)]
struct Gop {
    start: Option<MediaMs>,
    frames: u64,
    complete: Option<GopLength>,
}

impl Gop {
    fn step(&mut self, frame: &Frame, jumped: bool) {
        if jumped {
            // What lies across a jump has no length.
            self.start = None;
        }
        if frame.is_key() {
            let (frames, end) = (self.frames, frame.dts);
            let started = self.start.replace(end);
            self.complete = started.map_or(self.complete, |start| {
                Some(GopLength {
                    ms: end - start,
                    frames,
                })
            });
            self.frames = 0;
        }
        self.frames += 1;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use isocast_media::{Codec, Kind};

    use super::*;

    /// A meter, and the clock that it is read by.
    struct Bench {
        meter: Meter,
        began: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let began = Instant::now();
            Self {
                meter: Meter::new(began),
                began,
            }
        }

        fn at(&self, ms: u64) -> Instant {
            self.began + Duration::from_millis(ms)
        }

        fn send(&mut self, at_ms: u64, codec: Codec, key: bool, dts: i64, bytes: usize) {
            let frame = frame(codec, Kind::Media { key }, dts, bytes);
            self.meter.note(&frame, self.at(at_ms));
        }

        fn read(&self, at_ms: u64) -> Quality {
            self.meter.read(self.at(at_ms))
        }
    }

    fn frame(codec: Codec, kind: Kind, dts: i64, bytes: usize) -> Frame {
        Frame {
            codec,
            track_id: 0,
            kind,
            dts: MediaMs(dts),
            pts_offset_ms: 0,
            data: Bytes::from(vec![0; bytes]),
        }
    }

    #[test]
    fn rates_are_those_of_the_last_ten_seconds() {
        let mut bench = Bench::new();
        // 25 pictures of 5,000 bytes and 50 audio frames of 200 a second: 1,000 and 80 kbit/s.
        for frame in 0..25 * 20 {
            let ms = frame * 40;
            bench.send(ms, Codec::Avc, frame % 50 == 0, ms as i64, 5000);
            bench.send(ms, Codec::Aac, true, ms as i64, 200);
            bench.send(ms + 20, Codec::Aac, true, ms as i64 + 20, 200);
        }
        let quality = bench.read(20_000);
        assert_eq!(quality.totals.bytes, 500 * 5400);
        assert_eq!(quality.totals.frames, 1500);
        let close = |got: u64, expected: u64| got.abs_diff(expected) * 100 < expected;
        assert!(close(quality.video.bitrate_bps, 1_000_000), "{quality:?}");
        assert!(close(quality.audio.bitrate_bps, 80_000), "{quality:?}");
        assert!(close(quality.bitrate_bps, 1_080_000), "{quality:?}");
        assert!((quality.video.frames_per_s - 25.0).abs() < 0.3);
        assert_eq!(
            quality.gop,
            Some(GopLength {
                ms: 2000,
                frames: 50
            })
        );
        assert!(quality.video.jitter_ms < 0.001);

        // Nothing came for five seconds: half of the window is empty. Then all of it.
        let later = bench.read(25_000);
        assert!(close(later.video.bitrate_bps, 473_684), "{later:?}");
        assert_eq!(bench.read(31_000).bitrate_bps, 0);
        assert_eq!(bench.read(31_000).totals, quality.totals);
    }

    #[test]
    fn a_burst_at_the_start_is_no_rate_of_its_own() {
        let mut bench = Bench::new();
        for frame in 0..50 {
            bench.send(1, Codec::Avc, frame == 0, frame * 40, 1000);
        }
        assert_eq!(bench.read(10).bitrate_bps, 50 * 1000 * 8);
    }

    #[test]
    fn an_idle_meter_measures_nothing_at_any_time() {
        let bench = Bench::new();
        for at_ms in [0, 1, 499, 500, 10_000, 86_400_000, 10_000_000_000] {
            let quality = bench.read(at_ms);
            assert_eq!((quality.bitrate_bps, quality.gop), (0, None), "{at_ms}");
        }
    }

    #[test]
    fn uneven_arrival_is_jitter_and_even_arrival_is_none() {
        let mut even = Bench::new();
        let mut uneven = Bench::new();
        for frame in 0..500 {
            let dts = frame as i64 * 40;
            even.send(frame * 40, Codec::Avc, false, dts, 10);
            // Each frame is early or late by 10 ms in turn: steps of 60 and 20 for 40.
            uneven.send(frame * 40 + frame % 2 * 20, Codec::Avc, false, dts, 10);
        }
        assert!(even.read(20_000).video.jitter_ms < 0.001);
        let jitter = uneven.read(20_000).video.jitter_ms;
        assert!((jitter - 20.0).abs() < 0.1, "{jitter}");
        assert_eq!(uneven.read(20_000).totals.timestamp_jumps, 0);
    }

    #[test]
    fn jumps_are_counted_and_leave_the_rest_alone() {
        let mut bench = Bench::new();
        for (at_ms, dts, jumps) in [
            (0, 0, 0),
            (40, 40, 0),
            // Back, and on from there.
            (80, 20, 1),
            (120, 60, 1),
            // A day ahead, and on from there.
            (160, 86_400_000, 2),
            (200, 86_400_040, 2),
            // A pause in which the source's clock went on as well.
            (5200, 86_405_040, 2),
            // A second ahead is a burst, and more is a hole.
            (5200, 86_406_040, 2),
            (5200, 86_407_041, 3),
        ] {
            bench.send(at_ms, Codec::Aac, true, dts, 10);
            assert_eq!(bench.read(at_ms).totals.timestamp_jumps, jumps, "{at_ms}");
        }
    }

    #[test]
    fn a_gop_is_measured_from_key_to_key_and_not_across_a_jump() {
        let mut bench = Bench::new();
        let mut gop_after = |at_ms, key, dts| {
            bench.send(at_ms, Codec::Avc, key, dts, 10);
            bench.read(at_ms).gop.map(|gop| (gop.ms, gop.frames))
        };
        assert_eq!(gop_after(0, true, 0), None);
        assert_eq!(gop_after(40, false, 40), None);
        assert_eq!(gop_after(80, true, 80), Some((80, 2)));
        assert_eq!(gop_after(120, false, 120), Some((80, 2)));
        assert_eq!(gop_after(160, true, 90_000), Some((80, 2)));
        assert_eq!(gop_after(200, true, 90_040), Some((40, 1)));
    }

    #[test]
    fn descriptions_are_bytes_and_not_frames() {
        let mut bench = Bench::new();
        let now = bench.began;
        let metadata = frame(Codec::Script, Kind::Metadata, 0, 300);
        bench.meter.note(&metadata, now);
        let config = frame(Codec::Avc, Kind::Config, 0, 100);
        bench.meter.note(&config, now);
        let quality = bench.read(0);
        assert_eq!((quality.totals.bytes, quality.totals.frames), (400, 0));
        assert_eq!(quality.bitrate_bps, 400 * 8);
        assert_eq!(quality.video.frames_per_s, 0.0);
    }

    #[test]
    fn of_several_tracks_the_default_ones_are_measured_and_all_count_in_the_total() {
        let mut bench = Bench::new();
        for n in 0..25 {
            let dts = n as i64 * 40;
            for codec in [Codec::Avc, Codec::Aac] {
                bench.send(n * 40, codec, n == 0, dts, 100);
                // With timestamps that would be jitter, and at times a GOP.
                let other = Frame {
                    track_id: 1,
                    ..frame(codec, Kind::Media { key: true }, dts * 7, 300)
                };
                bench.meter.note(&other, bench.at(n * 40));
            }
        }
        let quality = bench.read(1000);
        for track in [quality.video, quality.audio] {
            assert_eq!(track.frames_per_s, 25.0);
            assert_eq!(track.bitrate_bps, 25 * 100 * 8);
            assert_eq!(track.jitter_ms, 0.0);
        }
        assert_eq!((quality.gop, quality.totals.timestamp_jumps), (None, 0));
        assert_eq!(quality.bitrate_bps, 2 * 25 * 400 * 8);
        assert_eq!(quality.totals.frames, 100);
    }
}
