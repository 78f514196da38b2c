use std::collections::{BTreeMap, VecDeque};

use isocast_media::MediaMs;

use super::timeline::TrackKey;

/// An encoder that reconnects may send again what it sent within this time.
pub(super) const RESEND_MS: i64 = 3000;
/// Frames remembered of all tracks together: 3 s of 34 tracks of 80 frames a second, 128 KiB.
const REMEMBERED_MAX: usize = 8192;

/// What was carried lately of each track: a new publisher that sends it again is the same source.
#[derive(Debug, Default)]
pub(super) struct Recent {
    by_track: BTreeMap<TrackKey, VecDeque<Carried>>,
    count: usize,
}

/// What a frame is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// By the source's clock.
    pub(super) source: MediaMs,
    pub(super) len: usize,
}

impl Recent {
    pub(super) fn contains(&self, track: TrackKey, frame: Carried) -> bool {
        let of_track = self.by_track.get(&track);
        of_track.is_some_and(|carried| carried.contains(&frame))
    }

    pub(super) fn remember(&mut self, track: TrackKey, frame: Carried) {
        let of_track = self.by_track.entry(track).or_default();
        of_track.push_back(frame);
        self.count += 1;
        let is_old = |oldest: &Carried| frame.source - oldest.source > RESEND_MS;
        while of_track.front().is_some_and(is_old) {
            of_track.pop_front();
            self.count -= 1;
        }
        if self.count > REMEMBERED_MAX {
            self.forget_one();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Of the track that has the most, so that none is crowded out by another.
    fn forget_one(&mut self) {
        let longest = self.by_track.values_mut().max_by_key(|it| it.len());
        if longest.and_then(VecDeque::pop_front).is_some() {
            self.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use isocast_media::Track;

    use super::*;

    fn carried(source: i64) -> Carried {
        Carried {
            source: MediaMs(source),
            len: 7,
        }
    }

    const VIDEO: TrackKey = (Track::Video, 0);

    #[test]
    fn three_seconds_of_each_track_are_remembered() {
        let mut recent = Recent::default();
        let other = (Track::Audio, 1);
        recent.remember(other, carried(0));
        for source in (0..=5000).step_by(40) {
            recent.remember(VIDEO, carried(source));
        }
        assert!(!recent.contains(VIDEO, carried(1960)));
        assert!(recent.contains(VIDEO, carried(2000)));
        assert!(recent.contains(VIDEO, carried(5000)));
        assert!(!recent.contains(
            VIDEO,
            Carried {
                len: 8,
                ..carried(5000)
            }
        ));
        assert!(recent.contains(other, carried(0)), "its clock is its own");
        assert!(!recent.contains(other, carried(5000)));
    }

    #[test]
    fn a_track_of_many_frames_takes_no_other_tracks_place() {
        let mut recent = Recent::default();
        let tracks: Vec<TrackKey> = (1..=33).map(|id| (Track::Audio, id)).collect();
        for source in 0..3000 {
            for track in &tracks {
                if source % 20 == 0 {
                    recent.remember(*track, carried(source));
                }
            }
            // A clock that stands still never grows old.
            recent.remember(VIDEO, carried(0));
            recent.remember(VIDEO, carried(0));
        }
        let held: usize = recent.by_track.values().map(VecDeque::len).sum();
        assert_eq!((held, recent.count), (REMEMBERED_MAX, REMEMBERED_MAX));
        for track in tracks {
            assert!(recent.contains(track, carried(0)), "{track:?}");
        }
    }
}
