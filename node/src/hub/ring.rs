use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use isocast_claims::Pair;
use isocast_media::{Frame, MediaMs, Track};

use super::{Gop, Headers};

/// The forms in which viewers receive frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Rtmp,
    Flv,
}

impl Wire {
    pub(super) const COUNT: usize = 2;
}

/// One frame on the room's timeline, with its serialised forms.
#[derive(Debug)]
pub(crate) struct Slot {
    pub frame: Frame,
    /// The claim under which it was sent.
    pub pair: Pair,
    /// The timeline was joined anew here: what follows need not continue what was before.
    pub discontinuity: bool,
    /// It came from another node.
    pub(super) is_carried: bool,
    sequence: u64,
    /// What all frames up to and with this one cost, since the stream began.
    end_bytes: u64,
    serialised: [OnceLock<Bytes>; Wire::COUNT],
}

impl Slot {
    #[cfg(test)]
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The frame as `wire` carries it: made by `write` at first need, once for all viewers.
    pub(crate) fn serialised(&self, wire: Wire, write: impl FnOnce(&Frame) -> Bytes) -> Bytes {
        self.serialised[wire as usize]
            .get_or_init(|| write(&self.frame))
            .clone()
    }
}

/// GOPs kept even when they are short, so that a viewer who joins has one whole GOP.
const GOPS_MIN: usize = 2;
/// Media time kept when GOPs are shorter than that, in milliseconds.
const KEPT_MS_MIN: i64 = 5000;
/// Without video, viewers can join at any frame; this is how often a place for it is made.
const AUDIO_GOP_MS: i64 = 1000;
/// What a frame costs beside its bytes: a slot and maybe a GOP, some 200 and 300 bytes. Without it
/// frames of one byte would fill memory long before the ring counts as full.
const FRAME_COST_BYTES: usize = 512;

/// The recent frames of a stream: two GOPs or 5 s, whichever is longer, within a bound of bytes.
#[derive(Debug)]
pub(super) struct Ring {
    bytes_max: usize,
    slots: VecDeque<Arc<Slot>>,
    gops: VecDeque<Arc<Gop>>,
    headers: Headers,
    next_sequence: u64,
    end_bytes: u64,
    /// Of the present publisher's default video track the first key frame is awaited.
    awaits_key: bool,
    video_seen: bool,
    /// What comes now comes from another node.
    is_carried: bool,
}

impl Ring {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            slots: VecDeque::new(),
            gops: VecDeque::new(),
            headers: Headers::default(),
            next_sequence: 0,
            end_bytes: 0,
            awaits_key: true,
            video_seen: false,
            is_carried: false,
        }
    }

    /// A new publisher: what it sends is not known yet, and its first picture is a key frame.
    pub(super) fn restart(&mut self, is_carried: bool) {
        self.is_carried = is_carried;
        self.headers = Headers::default();
        self.awaits_key = true;
        self.video_seen = false;
    }

    /// Keeps a frame; false where there is nothing to send on.
    pub(super) fn push(&mut self, frame: Frame, pair: Pair, discontinuity: bool) -> bool {
        if !frame.is_media() {
            if !self.headers.keep(&frame) {
                return false;
            }
        } else if frame.track() == Track::Video && frame.track_id == 0 {
            self.video_seen = true;
            self.awaits_key &= !frame.is_key();
            if self.awaits_key {
                return false;
            }
        }
        self.headers.see(&frame);
        if self.starts_gop(&frame) {
            let gop = Gop::new(self.next_sequence, frame.dts, self.headers.clone());
            self.gops.push_back(Arc::new(gop));
        }
        self.end_bytes += cost(&frame);
        self.slots.push_back(Arc::new(Slot {
            frame,
            pair,
            discontinuity,
            is_carried: self.is_carried,
            sequence: self.next_sequence,
            end_bytes: self.end_bytes,
            serialised: Default::default(),
        }));
        self.next_sequence += 1;
        self.evict();
        true
    }

    /// Lets go of all frames; sequences go on.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.gops.clear();
    }

    /// Viewers of all tracks join where those of the default one do.
    fn starts_gop(&self, frame: &Frame) -> bool {
        if !frame.is_key() || frame.track_id != 0 {
            return false;
        }
        if frame.track() == Track::Video {
            return true;
        }
        let is_due = |gop: &Arc<Gop>| frame.dts - gop.start() >= AUDIO_GOP_MS;
        !self.video_seen && self.gops.back().is_none_or(is_due)
    }

    fn evict(&mut self) {
        while self.gops.len() > GOPS_MIN && self.span_from(1) >= KEPT_MS_MIN {
            self.evict_to(self.gops[1].first());
        }
        while self.held_bytes() > self.bytes_max as u64 && self.slots.len() > 1 {
            self.evict_to(self.first_sequence() + 1);
        }
    }

    fn evict_to(&mut self, sequence: u64) {
        while self
            .slots
            .front()
            .is_some_and(|slot| slot.sequence < sequence)
        {
            self.slots.pop_front();
        }
        while self.gops.front().is_some_and(|gop| gop.first() < sequence) {
            self.gops.pop_front();
        }
    }

    /// Media time from the start of that GOP to the newest frame, in milliseconds.
    fn span_from(&self, gop: usize) -> i64 {
        self.head_time() - self.gops[gop].start()
    }

    pub(super) fn held_bytes(&self) -> u64 {
        let first = self.slots.front();
        first.map_or(0, |slot| {
            self.end_bytes - slot.end_bytes + cost(&slot.frame)
        })
    }

    pub(super) fn head_time(&self) -> MediaMs {
        self.slots
            .back()
            .map(|slot| slot.frame.dts)
            .unwrap_or_default()
    }

    pub(super) fn first_sequence(&self) -> u64 {
        self.next_sequence - self.slots.len() as u64
    }

    /// The sequence that the next frame will have.
    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    pub(super) fn newest_gop(&self) -> Option<&Arc<Gop>> {
        self.gops.back()
    }

    /// Where to go on who has everything up to this time.
    pub(super) fn gop_at(&self, time: MediaMs) -> Option<&Arc<Gop>> {
        let mut newest_first = self.gops.iter().rev();
        newest_first
            .find(|gop| gop.start() <= time)
            .or(self.gops.front())
    }

    pub(super) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The frames from `sequence` on.
    pub(super) fn from(&self, sequence: u64) -> impl Iterator<Item = &Arc<Slot>> {
        let skipped = sequence.saturating_sub(self.first_sequence()) as usize;
        self.slots.iter().skip(skipped)
    }

    /// How far behind the newest frame a viewer is whose next frame is `sequence`: bytes and
    /// milliseconds of media.
    pub(super) fn lag(&self, sequence: u64) -> (u64, i64) {
        self.from(sequence).next().map_or((0, 0), |slot| {
            let bytes = self.end_bytes - slot.end_bytes + cost(&slot.frame);
            (bytes, self.head_time() - slot.frame.dts)
        })
    }
}

pub(super) fn cost(frame: &Frame) -> u64 {
    (frame.data.len() + FRAME_COST_BYTES) as u64
}
