mod absent;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Error, Room, RoomId, Rooms};
use absent::Absent;

use crate::sync::Mutex;

/// For this long a known room is not asked for again.
const FRESH: Duration = Duration::from_secs(60);
/// For this long a known room serves on while the store does not answer.
const USABLE: Duration = Duration::from_secs(3600);
/// Known rooms remembered. An entry is some 200 bytes: 2 MB in all.
const KNOWN_MAX: usize = 10_000;

/// Rooms asked for lately, so that a viewer's request does not cost a look into the store.
///
/// Who changes a room calls [`Cache::forget`].
#[derive(Debug)]
pub(crate) struct Cache {
    store: Arc<dyn Rooms>,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    known: HashMap<RoomId, Known>,
    absent: Absent,
    /// How often something was forgotten: what was asked for before may be older than that.
    generation: u64,
}

#[derive(Clone, Debug)]
struct Known {
    room: Room,
    read_at: Instant,
}

impl Cache {
    pub(crate) fn new(store: Arc<dyn Rooms>) -> Self {
        Self {
            store,
            entries: Mutex::default(),
        }
    }

    pub(crate) async fn get(&self, id: &RoomId, now: Instant) -> Result<Option<Room>, Error> {
        let (known, generation) = {
            let entries = self.entries.lock();
            if entries.absent.holds(id, now) {
                return Ok(None);
            }
            (entries.known.get(id).cloned(), entries.generation)
        };
        if let Some(known) = &known
            && known.age(now) < FRESH
        {
            return Ok(Some(known.room.clone()));
        }
        match self.store.get(id).await {
            Ok(room) => {
                let mut entries = self.entries.lock();
                if entries.generation == generation {
                    entries.keep(id, room.clone(), now);
                }
                Ok(room)
            }
            Err(error) => match known {
                Some(known) if known.age(now) < USABLE => Ok(Some(known.room)),
                _ => Err(error),
            },
        }
    }

    pub(crate) fn forget(&self, id: &RoomId) {
        let mut entries = self.entries.lock();
        entries.generation += 1;
        entries.known.remove(id);
        entries.absent.forget(id);
    }
}

impl Entries {
    fn keep(&mut self, id: &RoomId, room: Option<Room>, now: Instant) {
        let Some(room) = room else {
            self.known.remove(id);
            self.absent.keep(id, now);
            return;
        };
        self.absent.forget(id);
        if self.known.len() >= KNOWN_MAX {
            self.known.retain(|_, known| known.age(now) < FRESH);
        }
        if self.known.len() < KNOWN_MAX {
            let read_at = now;
            self.known.insert(id.clone(), Known { room, read_at });
        }
    }
}

impl Known {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.read_at)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;
    use isocast_media::UnixMs;

    use super::super::failing::Failing;
    use super::super::memory::Memory;
    use super::super::{NewRoom, OnConflict, Playback, RoomLimits};
    use super::*;

    #[tokio::test]
    async fn a_change_shows_at_once_when_told_and_later_when_not() {
        let store = Arc::new(Memory::new());
        let cache = Cache::new(store.clone());
        let id = RoomId::parse("a").unwrap();
        let start = Instant::now();
        assert_eq!(cache.get(&id, start).await.unwrap(), None);

        let (room, _) = store.create(new(&id)).await.unwrap();
        assert_eq!(
            cache.get(&id, start).await.unwrap(),
            None,
            "for a second it stays unknown"
        );
        let later = start + absent::KEPT;
        assert_eq!(cache.get(&id, later).await.unwrap(), Some(room.clone()));

        store.delete(&id).await.unwrap();
        let soon = later + Duration::from_secs(1);
        assert_eq!(cache.get(&id, soon).await.unwrap(), Some(room));
        cache.forget(&id);
        assert_eq!(cache.get(&id, soon).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_was_asked_for_before_a_change_is_not_kept() {
        let store = Arc::new(Memory::new());
        let cache = Cache::new(store.clone());
        let id = RoomId::parse("a").unwrap();
        store.create(new(&id)).await.unwrap();
        let now = Instant::now();
        let silence = store.silence().await;
        let mut asked = pin!(cache.get(&id, now));
        assert!(poll!(&mut asked).is_pending());
        let mut change = pin!(store.rotate_key(&id, None));
        assert!(poll!(&mut change).is_pending());
        drop(silence);
        change.await.unwrap();
        cache.forget(&id);
        assert_eq!(asked.await.unwrap(), Some(room(&id)), "it was read before");
        let next = cache.get(&id, now).await.unwrap().unwrap();
        assert_eq!(next.key_generation, 2);
    }

    #[tokio::test]
    async fn asking_for_what_is_not_there_pushes_no_known_room_out() {
        let cache = Cache::new(Arc::new(Failing));
        let known = RoomId::parse("known").unwrap();
        let start = Instant::now();
        cache.entries.lock().keep(&known, Some(room(&known)), start);
        let stale = start + FRESH;
        for number in 0..2 * KNOWN_MAX {
            let made_up = RoomId::parse(&format!("r{number}")).unwrap();
            cache.entries.lock().keep(&made_up, None, stale);
        }
        assert_eq!(cache.get(&known, stale).await.unwrap(), Some(room(&known)));
    }

    #[tokio::test]
    async fn a_store_that_fails_says_so_for_rooms_that_are_not_known() {
        let cache = Cache::new(Arc::new(Failing));
        let id = RoomId::parse("a").unwrap();
        let start = Instant::now();
        assert!(cache.get(&id, start).await.is_err());

        let room = room(&id);
        cache.entries.lock().keep(&id, Some(room.clone()), start);
        let stale = start + FRESH;
        assert_eq!(cache.get(&id, stale).await.unwrap(), Some(room));
        assert!(cache.get(&id, start + USABLE).await.is_err());
    }

    fn new(id: &RoomId) -> NewRoom {
        NewRoom {
            id: id.clone(),
            playback: Playback::Public,
            on_conflict: OnConflict::Refuse,
            limits: RoomLimits::default(),
            created_at: UnixMs(1),
        }
    }

    fn room(id: &RoomId) -> Room {
        Room {
            id: id.clone(),
            playback: Playback::Public,
            on_conflict: OnConflict::Refuse,
            limits: RoomLimits::default(),
            created_at: UnixMs(1),
            key_generation: 1,
            previous_key_until: None,
        }
    }
}
