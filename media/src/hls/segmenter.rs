//! Cuts one stream into segments.

use bytes::{Bytes, BytesMut};

use super::clock::{Clock, Tick};
use super::cut::{Cut, FIRST_GOP_S_MAX, ROUNDING_MS, Situation, decide};
use super::wall::Wall;
use super::{ClaimName, Segment, SegmentInfo};
use crate::frame::{Frame, Kind, Track};
use crate::time::UnixMs;
use crate::ts::{self, AudioConfig, Error, VideoConfig};

/// How long a last frame lasts where nothing says so: one of 30 a second.
const FRAME_MS_UNKNOWN: i64 = 33;

/// Audio that goes on for this long after video's last frame was not just sent ahead of it.
const VIDEO_SILENT_MS: i64 = 400;

/// Memory kept for the next segment: more than this only while segments need a quarter of it.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

#[derive(Clone, Copy, Debug)]
pub struct SegmenterConfig {
    /// A segment of at least this length ends at the next key frame; 6,000 at most.
    pub target_ms: u64,
    /// Where the playlist has stated a target duration already, as after a takeover.
    pub target_duration_s: Option<u32>,
    /// The first segment follows those of another segmenter, with a discontinuity.
    pub continues: bool,
}

impl Default for SegmenterConfig {
    fn default() -> Self {
        Self {
            target_ms: 2_000,
            target_duration_s: None,
            continues: false,
        }
    }
}

/// Call [`Segmenter::begin`] when a publisher starts, [`Segmenter::push`] for each of its frames; [`Segmenter::finish`] when it is gone. Frame times are on the
/// room's timeline. Whatever the times are, a call yields at most one segment.
#[derive(Debug)]
pub struct Segmenter {
    target_ms: u32,
    muxer: ts::Muxer,
    clock: Clock,
    wall: Wall,
    begun: bool,
    claim: ClaimName,
    next_msn: u64,
    target_duration_s: Option<u32>,
    /// The tracks that segments carry.
    video: Option<VideoConfig>,
    audio: Option<AudioConfig>,
    /// Which records were told since the last media frame: they belong to whoever begins next.
    video_told: bool,
    audio_told: bool,
    open: Option<Open>,
    buffer: BytesMut,
    /// Video is left out until it can be decoded.
    awaits_key: bool,
    /// When audio began to wait for video's first key frame.
    waiting_since_ms: Option<i64>,
    /// The next segment does not continue the last one.
    discontinuity: bool,
    made_any: bool,
    made_since_begin: bool,
}

/// The segment that is being filled; its bytes are in `buffer`.
#[derive(Debug)]
struct Open {
    start_ms: i64,
    last_ms: i64,
    /// Where the last frame of the leading track ends, as far as known.
    end_ms: i64,
    starts_with_key: Option<bool>,
    discontinuity: bool,
    date: UnixMs,
}

impl Open {
    /// Where it ends if nothing follows: with the leading track, or where the other one went
    /// after that fell silent.
    fn own_end_ms(&self) -> i64 {
        if self.last_ms.saturating_sub(self.end_ms) < VIDEO_SILENT_MS {
            self.end_ms
        } else {
            self.last_ms
        }
    }
}

impl Segmenter {
    #[must_use]
    pub fn new(config: SegmenterConfig, first_msn: u64) -> Self {
        Self {
            target_ms: config.target_ms.min(u64::from(FIRST_GOP_S_MAX) * 1_000) as u32,
            muxer: ts::Muxer::new(),
            clock: Clock::default(),
            wall: Wall::default(),
            begun: false,
            claim: ClaimName::default(),
            next_msn: first_msn,
            target_duration_s: config.target_duration_s.map(|it| it.max(1)),
            video: None,
            audio: None,
            video_told: false,
            audio_told: false,
            open: None,
            buffer: BytesMut::new(),
            awaits_key: true,
            waiting_since_ms: None,
            discontinuity: false,
            made_any: config.continues,
            made_since_begin: false,
        }
    }

    /// A publisher starts, at this wall-clock time. Its configuration comes before its first media
    /// frame, just before this call or after it; tracks that only the publisher before had are
    /// forgotten. Returns what was open of that one.
    #[must_use = "a segment that is not listed leaves a hole in the numbers"]
    pub fn begin(&mut self, claim: ClaimName, wall: UnixMs) -> Option<Segment> {
        let last = self.discontinuity();
        self.begun = true;
        self.claim = claim;
        self.made_since_begin = false;
        if !self.video_told {
            self.video = None;
            self.muxer.remove_video();
        }
        if !self.audio_told {
            self.audio = None;
            self.muxer.remove_audio();
        }
        self.wall.begin(wall);
        last
    }

    /// Takes a frame. Returns the segment that ended before it. After an error it goes on with the
    /// next frame.
    pub fn push(&mut self, frame: &Frame) -> Result<Option<Segment>, Error> {
        match frame.kind {
            // Players of MPEG-TS do not choose among several tracks of a kind.
            _ if frame.track_id != 0 => Ok(None),
            Kind::Metadata => Ok(None),
            Kind::Config => self.configure(frame),
            Kind::Media { .. } if !self.begun => Ok(None),
            Kind::Media { key } => self.media(frame, key),
        }
    }

    /// The publisher's timeline jumps: what comes next does not continue what came before.
    #[must_use = "a segment that is not listed leaves a hole in the numbers"]
    pub fn discontinuity(&mut self) -> Option<Segment> {
        let last = self.interrupt();
        self.clock = Clock::default();
        self.wall.jump();
        last
    }

    /// The publisher is gone. Nothing more is taken before the next [`Segmenter::begin`].
    #[must_use = "a segment that is not listed leaves a hole in the numbers"]
    pub fn finish(&mut self) -> Option<Segment> {
        let last = self.discontinuity();
        self.begun = false;
        last
    }

    /// The number of the next segment.
    #[must_use]
    pub fn next_msn(&self) -> u64 {
        self.next_msn
    }

    /// What the playlist's target duration is, once the first segment has fixed it.
    #[must_use]
    pub fn target_duration_s(&self) -> Option<u32> {
        self.target_duration_s
    }

    /// Until a record can be used, frames of its track cannot be read, whatever was before.
    fn configure(&mut self, frame: &Frame) -> Result<Option<Segment>, Error> {
        match frame.track() {
            Track::Video => {
                self.video_told = true;
                let known = self.video.take();
                let config = VideoConfig::parse(frame.codec, &frame.data)?;
                Ok(config.and_then(|config| self.set_video(known, config)))
            }
            Track::Audio => {
                self.audio_told = true;
                let known = self.audio.take();
                let config = AudioConfig::parse(frame.codec, &frame.data)?;
                Ok(config.and_then(|config| self.set_audio(known, config)))
            }
            Track::Data => Ok(None),
        }
    }

    fn set_video(&mut self, known: Option<VideoConfig>, config: VideoConfig) -> Option<Segment> {
        let mut ended = None;
        if known.as_ref() != Some(&config) {
            ended = self.end_before_change(known.is_none());
            self.muxer.set_video(config.clone());
        }
        self.video = Some(config);
        ended
    }

    fn set_audio(&mut self, known: Option<AudioConfig>, config: AudioConfig) -> Option<Segment> {
        let mut ended = None;
        if known.as_ref() != Some(&config) {
            let joins_video = known.is_none()
                && self.is_first_and_short()
                && self
                    .open
                    .as_ref()
                    .is_some_and(|open| open.starts_with_key.is_some());
            if !joins_video {
                ended = self.end_before_change(known.is_none());
            }
            self.muxer.set_audio(config.clone());
            if joins_video {
                self.muxer.restart_segment(&mut self.buffer);
            }
        }
        self.audio = Some(config);
        ended
    }

    /// Nothing of this publisher has been listed yet.
    fn is_first_and_short(&self) -> bool {
        let short = self.open.as_ref().is_some_and(|open| {
            open.last_ms.saturating_sub(open.start_ms) < i64::from(self.target_ms)
        });
        short && !self.made_since_begin
    }

    /// A publisher that tells its second track a moment after its first frames has not changed
    /// anything yet: those frames are dropped, as all before the first key frame are.
    fn end_before_change(&mut self, is_new_track: bool) -> Option<Segment> {
        if is_new_track && self.is_first_and_short() {
            self.muxer.flush_audio(&mut self.buffer);
            self.buffer.clear();
            let dropped = self.open.take();
            self.discontinuity |= dropped.is_some_and(|open| open.discontinuity);
            self.awaits_key = true;
            return None;
        }
        self.interrupt()
    }

    fn media(&mut self, frame: &Frame, key: bool) -> Result<Option<Segment>, Error> {
        (self.video_told, self.audio_told) = (false, false);
        let is_video = frame.track() == Track::Video;
        let changed = self.learn_audio(frame)?;
        let is_known = if is_video {
            self.video.is_some()
        } else {
            self.audio.is_some()
        };
        if !is_known {
            return Ok(None);
        }
        self.wall.see_frame(frame.dts.0);
        if is_video && !key && self.awaits_key {
            return Ok(None);
        }
        self.muxer.check(frame)?;
        let tick = self.clock.advance(frame);
        let ended = match self.decide(frame, key, tick) {
            Cut::No => None,
            Cut::Here => self.close(tick.now_ms),
            Cut::Break => self.interrupt(),
        };
        self.awaits_key &= !(is_video && key);
        if self.open.is_none() && self.may_open(is_video, tick.now_ms) {
            self.start(tick.now_ms);
        }
        if self.open.is_some() && !(is_video && self.awaits_key) {
            self.append(frame, key, tick)?;
        }
        // What a change ended left nothing open that could end here.
        Ok(changed.or(ended))
    }

    /// Codecs without a configuration are told by each of their frames.
    fn learn_audio(&mut self, frame: &Frame) -> Result<Option<Segment>, Error> {
        let Some(config) = AudioConfig::of_frame(frame.codec, &frame.data)? else {
            return Ok(None);
        };
        let known = self.audio.take();
        Ok(self.set_audio(known, config))
    }

    fn decide(&self, frame: &Frame, key: bool, tick: Tick) -> Cut {
        let Some(open) = &self.open else {
            return Cut::No;
        };
        decide(Situation {
            start_ms: open.start_ms,
            now_ms: tick.now_ms,
            step_ms: tick.step_ms,
            track: frame.track(),
            key,
            // Video that was announced and has not come yet does not hold the cuts up.
            has_video: self.video.is_some() && !(self.awaits_key && open.starts_with_key.is_none()),
            bytes: self.buffer.len().saturating_add(frame.data.len()),
            target_ms: i64::from(self.target_ms),
            target_duration_s: self.target_duration_s,
        })
    }

    /// Audio waits for video's key frame, but not for video that never comes.
    fn may_open(&mut self, is_video: bool, now_ms: i64) -> bool {
        if is_video || self.video.is_none() || !self.awaits_key {
            return !(is_video && self.awaits_key);
        }
        let waited_ms = now_ms.saturating_sub(*self.waiting_since_ms.get_or_insert(now_ms));
        if waited_ms < 0 {
            self.waiting_since_ms = Some(now_ms);
        }
        waited_ms >= i64::from(FIRST_GOP_S_MAX) * 1_000
    }

    fn start(&mut self, start_ms: i64) {
        self.open = Some(Open {
            start_ms,
            last_ms: start_ms,
            end_ms: start_ms,
            starts_with_key: None,
            discontinuity: std::mem::take(&mut self.discontinuity),
            date: self.wall.date(start_ms),
        });
        self.muxer.start_segment(&mut self.buffer);
    }

    fn append(&mut self, frame: &Frame, key: bool, tick: Tick) -> Result<(), Error> {
        let is_video = frame.track() == Track::Video;
        let leads = is_video || self.video.is_none();
        if let Some(open) = &mut self.open {
            open.last_ms = open.last_ms.max(tick.now_ms);
            if is_video {
                open.starts_with_key.get_or_insert(key);
            }
            if leads {
                let frame_ms = Some(tick.step_ms).filter(|step| (1..=1_000).contains(step));
                let end_ms = tick
                    .now_ms
                    .saturating_add(frame_ms.unwrap_or(FRAME_MS_UNKNOWN));
                open.end_ms = open.end_ms.max(end_ms);
            }
        }
        // `check` has passed this frame, so nothing is lost with a segment that just ended.
        self.muxer.write(frame, &mut self.buffer)
    }

    /// Ends the open segment after its last frame; what follows is a discontinuity.
    fn interrupt(&mut self) -> Option<Segment> {
        let end_ms = self.open.as_ref().map(Open::own_end_ms);
        let ended = end_ms.and_then(|end_ms| self.close(end_ms));
        self.discontinuity |= self.made_any;
        self.awaits_key = true;
        self.waiting_since_ms = None;
        ended
    }

    /// Ends the open segment where the next one starts.
    fn close(&mut self, end_ms: i64) -> Option<Segment> {
        let open = self.open.take()?;
        self.muxer.flush_audio(&mut self.buffer);
        let lasted_ms = end_ms.saturating_sub(open.start_ms).max(1);
        let target_duration_s = self.fix_target_duration(lasted_ms);
        let limit_ms = i64::from(target_duration_s) * 1_000 + ROUNDING_MS;
        let duration_ms = lasted_ms.min(limit_ms).unsigned_abs();
        self.wall.end(open.date, duration_ms);
        let info = SegmentInfo {
            claim: self.claim,
            msn: self.next_msn,
            duration_ms,
            discontinuity: open.discontinuity,
            independent: open.starts_with_key != Some(false),
            program_date_time: open.date,
            target_duration_s,
        };
        self.next_msn = self.next_msn.saturating_add(1);
        self.made_any = true;
        self.made_since_begin = true;
        let data = self.take_buffer();
        Some(Segment { info, data })
    }

    /// The first segment decides: long enough for it, not below the target, not above 6 s.
    fn fix_target_duration(&mut self, first_ms: i64) -> u32 {
        let first_s = u32::try_from(first_ms).unwrap_or(u32::MAX).div_ceil(1_000);
        let wanted_s = self.target_ms.div_ceil(1_000).max(first_s);
        *self
            .target_duration_s
            .get_or_insert(wanted_s.clamp(1, FIRST_GOP_S_MAX))
    }

    /// Copies the bytes into memory of just their size, for segments live long; the buffer, grown
    /// by doubling, serves the next one.
    fn take_buffer(&mut self) -> Bytes {
        let data = Bytes::copy_from_slice(&self.buffer);
        self.buffer.clear();
        if self.buffer.capacity() > BUFFER_BYTES_KEPT.max(data.len().saturating_mul(4)) {
            self.buffer = BytesMut::new();
        }
        data
    }
}

#[cfg(test)]
#[path = "segmenter_tests.rs"]
mod tests;
