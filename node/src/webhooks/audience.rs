use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::event::Happening;
use crate::rooms::RoomId;

/// A room counts as unwatched once nobody has watched it for so long: players reconnect.
const EMPTY_FOR: Duration = Duration::from_secs(5);

/// Which rooms are watched, as far as was told.
#[derive(Debug, Default)]
pub(super) struct Audience {
    watched: HashMap<RoomId, Watched>,
}

#[derive(Debug)]
struct Watched {
    epoch: u64,
    /// Since when nobody watches it.
    empty_since: Option<Instant>,
}

/// A room as it was found.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) room: RoomId,
    pub(super) epoch: u64,
    pub(super) viewers: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) room: RoomId,
    pub(super) epoch: u64,
    pub(super) happening: Happening,
}

impl Audience {
    /// What has changed for all rooms there are; one that is not among them has no viewers any more.
    pub(super) fn look(&mut self, rooms: Vec<Seen>, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut gone = std::mem::take(&mut self.watched);
        for Seen {
            room,
            epoch,
            viewers,
        } in rooms
        {
            let known = gone.remove(&room);
            let change = |happening| Change {
                room: room.clone(),
                epoch,
                happening,
            };
            if viewers == 0 && known.is_none() {
                continue;
            }
            if known.is_none() {
                changes.push(change(Happening::FirstViewer));
            }
            let empty_since = match viewers {
                0 => known.and_then(|known| known.empty_since).or(Some(now)),
                _ => None,
            };
            if empty_since.is_some_and(|since| now.duration_since(since) >= EMPTY_FOR) {
                changes.push(change(Happening::LastViewer));
                continue;
            }
            self.watched.insert(room, Watched { epoch, empty_since });
        }
        changes.extend(
            gone.into_iter()
                .map(|(room, Watched { epoch, .. })| Change {
                    room,
                    epoch,
                    happening: Happening::LastViewer,
                }),
        );
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_comes_and_goes_once() {
        let mut audience = Audience::default();
        let start = Instant::now();
        let room = RoomId::parse("a").expect("an id");
        let mut told = |second: u64, viewers: Option<usize>| {
            let seen = viewers.map(|viewers| Seen {
                room: room.clone(),
                epoch: second,
                viewers,
            });
            let now = start + Duration::from_secs(second);
            let changes = audience.look(seen.into_iter().collect(), now).into_iter();
            let told: Vec<_> = changes
                .map(|change| (change.epoch, change.happening))
                .collect();
            told
        };
        let nothing = Vec::new();
        assert_eq!(told(0, Some(0)), nothing);
        assert_eq!(told(1, Some(2)), [(1, Happening::FirstViewer)]);
        assert_eq!(told(2, Some(1)), nothing);
        assert_eq!(told(3, Some(0)), nothing);
        assert_eq!(told(7, Some(1)), nothing, "back within 5 s");
        assert_eq!(told(8, Some(0)), nothing);
        assert_eq!(told(12, Some(0)), nothing);
        assert_eq!(told(13, Some(0)), [(13, Happening::LastViewer)]);
        assert_eq!(told(14, Some(0)), nothing);
        assert_eq!(told(15, Some(1)), [(15, Happening::FirstViewer)]);
        assert_eq!(
            told(16, None),
            [(15, Happening::LastViewer)],
            "the stream is over"
        );
        assert_eq!(told(17, None), nothing);
    }
}
