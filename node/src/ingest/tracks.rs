use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use isocast_media::{Frame, Track};

use crate::error::Refusal;

/// Tracks of a kind that are carried: a ladder of renditions, a dozen languages. The default one
/// comes on top where it comes last.
const CARRIED_MAX: usize = 16;

/// The id of the track that every player gets. Enhanced RTMP v2 recommends it for the one of the
/// highest priority (ExVideoTagBody, `videoTrackId`).
const DEFAULT: u8 = 0;

/// Others of its kind may come so long without it. Without it nobody would see or hear anything of
/// them but those who ask for all tracks.
const DEFAULT_LATE: Duration = Duration::from_secs(10);

/// The tracks that a publisher sends.
#[derive(Debug, Default)]
pub(super) struct Tracks(BTreeMap<Track, Siblings>);

/// The tracks of a kind, which are numbered apart.
#[derive(Debug)]
struct Siblings {
    ids: BTreeSet<u8>,
    since: Instant,
}

impl Tracks {
    /// Whether the frame's track is one of those carried: the default one, and the first that came.
    pub(super) fn carry(&mut self, frame: &Frame, now: Instant) -> Result<bool, Refusal> {
        let siblings = self.0.entry(frame.track()).or_insert_with(|| Siblings {
            ids: BTreeSet::new(),
            since: now,
        });
        let id = frame.track_id;
        let is_carried = siblings.ids.contains(&id)
            || (id == DEFAULT || siblings.ids.len() < CARRIED_MAX) && siblings.ids.insert(id);
        let waited = now.saturating_duration_since(siblings.since);
        if waited > DEFAULT_LATE && !siblings.ids.contains(&DEFAULT) {
            return Err(Refusal::NoDefaultTrack(match frame.track() {
                Track::Video => "video",
                Track::Audio => "audio",
                Track::Data => "data",
            }));
        }
        Ok(is_carried)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use isocast_media::{Codec, Kind, MediaMs};

    use super::*;

    fn frame(codec: Codec, track_id: u8) -> Frame {
        Frame {
            codec,
            track_id,
            kind: Kind::Media { key: true },
            dts: MediaMs(0),
            pts_offset_ms: 0,
            data: Bytes::from_static(&[0xFF]),
        }
    }

    #[test]
    fn sixteen_of_a_kind_are_carried_and_the_default_one() {
        let mut tracks = Tracks::default();
        let now = Instant::now();
        let mut carry = |codec, id| tracks.carry(&frame(codec, id), now);
        for id in 1..=16 {
            assert_eq!(carry(Codec::Mp3, id), Ok(true), "track {id}");
        }
        assert_eq!(carry(Codec::Mp3, 17), Ok(false));
        assert_eq!(carry(Codec::Aac, 3), Ok(true), "in another codec");
        assert_eq!(carry(Codec::Mp3, 0), Ok(true), "the default track");
        assert_eq!(carry(Codec::Mp3, 17), Ok(false));
        assert_eq!(carry(Codec::Avc, 17), Ok(true), "of another kind");
    }

    #[test]
    fn each_kind_needs_its_default_track_within_ten_seconds() {
        let start = Instant::now();
        let refused = |kind| Err(Refusal::NoDefaultTrack(kind));
        for (name, frames, expected) in [
            (
                "video 1 alone",
                &[(0, Codec::Avc, 1), (10, Codec::Avc, 1), (11, Codec::Avc, 1)][..],
                refused("video"),
            ),
            (
                "audio 0 is no video",
                &[(0, Codec::Aac, 0), (0, Codec::Avc, 1), (11, Codec::Avc, 1)],
                refused("video"),
            ),
            (
                "two languages without a default",
                &[(0, Codec::Avc, 0), (3, Codec::Aac, 1), (14, Codec::Aac, 2)],
                refused("audio"),
            ),
            (
                "ten seconds from the first of the kind",
                &[(0, Codec::Avc, 0), (3, Codec::Aac, 1), (13, Codec::Aac, 2)],
                Ok(true),
            ),
            (
                "the default one comes second",
                &[(0, Codec::Avc, 1), (9, Codec::Avc, 0), (99, Codec::Avc, 1)],
                Ok(true),
            ),
            (
                "a description is none",
                &[(0, Codec::Script, 0), (99, Codec::Script, 0)],
                Ok(true),
            ),
        ] {
            let mut tracks = Tracks::default();
            let carry = |&(second, codec, id): &(u64, Codec, u8)| {
                let now = start + Duration::from_secs(second);
                tracks.carry(&frame(codec, id), now)
            };
            let mut carried = frames.iter().map(carry).collect::<Vec<_>>();
            let last = carried.pop().unwrap();
            assert!(carried.iter().all(|it| *it == Ok(true)), "{name}");
            assert_eq!(last, expected, "{name}");
        }
    }
}
