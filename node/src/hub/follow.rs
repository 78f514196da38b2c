use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use isocast_media::{Frame, MediaMs, Track};

use super::resend::RESEND_MS;
use super::timeline::{GAP_MS_MAX, Place, TrackKey, ms};

/// Where the frames of another node's publisher go on this node's timeline: that node has placed them in room
/// time, so they stay where they are, and all nodes have one timeline.
///
/// Viewers of this node come first, though: where a new owner knows nothing of what was before and counts anew,
/// its frames are moved to where viewers are.
#[derive(Debug, Default)]
pub(super) struct Follow {
    /// Room time here minus room time there; `None` until the first frame of another claim.
    offset_ms: Option<i64>,
    last: BTreeMap<TrackKey, MediaMs>,
    /// The tracks that come anew and have not yet come past what was carried before.
    behind: BTreeSet<TrackKey>,
}

impl Follow {
    /// Frames come anew: of the same claim as before where it `goes_on`. Before that, tracks had come to these
    /// times by this node's own publisher.
    pub(super) fn restart(&mut self, goes_on: bool, published: BTreeMap<TrackKey, MediaMs>) {
        if goes_on {
            self.behind.extend(self.last.keys());
        } else {
            self.behind.clear();
            self.offset_ms = None;
        }
        for (track, time) in published {
            let last = self.last.entry(track).or_insert(time);
            *last = time.max(*last);
        }
    }

    /// How far there is something of the stream here, in the room time of where it came from.
    pub(super) fn reached(&self) -> Option<MediaMs> {
        let furthest = || self.last.values().max();
        let last = self.last.get(&(Track::Video, 0)).or_else(furthest)?;
        Some(*last + -self.offset_ms.unwrap_or(0))
    }

    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// `breaks`: the frame is marked as one that need not go on where the last one was.
    pub(super) fn place(
        &mut self,
        frame: &Frame,
        breaks: bool,
        head: Option<(MediaMs, Instant)>,
        now: Instant,
    ) -> Place {
        let joined = match self.offset_ms {
            Some(offset_ms) => Joined {
                offset_ms,
                breaks: false,
            },
            None => Joined::at(frame.dts, head, now),
        };
        let time = frame.dts + joined.offset_ms;
        if !frame.is_media() {
            // A description has no time of its own: it stands where the stream has come to.
            let time = head.map_or(time, |(head, _)| head);
            return Place::At {
                time,
                discontinuity: false,
            };
        }
        self.offset_ms = Some(joined.offset_ms);
        let track = (frame.track(), frame.track_id);
        let last = self.last.get(&track);
        if last.is_some_and(|last| time <= *last) && self.behind.contains(&track) {
            return Place::CarriedAlready;
        }
        let time = last.map_or(time, |last| time.max(*last));
        self.last.insert(track, time);
        self.behind.remove(&track);
        Place::At {
            time,
            discontinuity: breaks || joined.breaks,
        }
    }
}

struct Joined {
    offset_ms: i64,
    breaks: bool,
}

impl Joined {
    fn at(first: MediaMs, head: Option<(MediaMs, Instant)>, now: Instant) -> Self {
        match head {
            Some((head, at)) if first < head + -RESEND_MS => {
                let gap_ms = ms(now.saturating_duration_since(at)).clamp(1, GAP_MS_MAX);
                Self {
                    offset_ms: head + gap_ms - first,
                    breaks: true,
                }
            }
            _ => Self {
                offset_ms: 0,
                breaks: false,
            },
        }
    }
}
