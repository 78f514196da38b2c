use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Error, Room, RoomId, Rooms};

/// For this long a known room is not asked for again.
const FRESH: Duration = Duration::from_secs(60);
/// For this long a known room serves on while the store does not answer.
const USABLE: Duration = Duration::from_secs(3600);
/// For this long an unknown room stays unknown: enough to make asking for nothing cheap.
const ABSENT: Duration = Duration::from_secs(1);
/// Rooms remembered. An entry is some 200 bytes: 2 MB in all.
const ENTRIES_MAX: usize = 10_000;

/// Rooms asked for lately, so that a viewer's request does not cost a look into the store.
///
/// Who changes a room calls [`Cache::forget`].
#[derive(Debug)]
pub(crate) struct Cache {
    store: Arc<dyn Rooms>,
    entries: Mutex<HashMap<RoomId, Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    room: Option<Room>,
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
        let known = self.lock().get(id).cloned();
        if let Some(entry) = &known
            && entry.age(now) < entry.fresh_for()
        {
            return Ok(entry.room.clone());
        }
        match self.store.get(id).await {
            Ok(room) => {
                self.keep(id, room.clone(), now);
                Ok(room)
            }
            Err(error) => match known {
                Some(entry) if entry.room.is_some() && entry.age(now) < USABLE => Ok(entry.room),
                _ => Err(error),
            },
        }
    }

    pub(crate) fn forget(&self, id: &RoomId) {
        self.lock().remove(id);
    }

    fn keep(&self, id: &RoomId, room: Option<Room>, now: Instant) {
        let mut entries = self.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| entry.age(now) < entry.fresh_for());
        }
        if entries.len() < ENTRIES_MAX {
            entries.insert(id.clone(), Entry { room, read_at: now });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RoomId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.read_at)
    }

    fn fresh_for(&self) -> Duration {
        if self.room.is_some() { FRESH } else { ABSENT }
    }
}

#[cfg(test)]
mod tests {
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

        let new = NewRoom {
            id: id.clone(),
            playback: Playback::Public,
            on_conflict: OnConflict::Refuse,
            limits: RoomLimits::default(),
            created_at: UnixMs(1),
        };
        let (room, _) = store.create(new).await.unwrap();
        assert_eq!(
            cache.get(&id, start).await.unwrap(),
            None,
            "for a second it stays unknown"
        );
        let later = start + ABSENT;
        assert_eq!(cache.get(&id, later).await.unwrap(), Some(room.clone()));

        store.delete(&id).await.unwrap();
        let soon = later + Duration::from_secs(1);
        assert_eq!(cache.get(&id, soon).await.unwrap(), Some(room));
        cache.forget(&id);
        assert_eq!(cache.get(&id, soon).await.unwrap(), None);
    }
    #[tokio::test]
    async fn a_store_that_fails_says_so_for_rooms_that_are_not_known() {
        let cache = Cache::new(Arc::new(Failing));
        let id = RoomId::parse("a").unwrap();
        let start = Instant::now();
        assert!(cache.get(&id, start).await.is_err());

        let room = Room {
            id: id.clone(),
            playback: Playback::Public,
            on_conflict: OnConflict::Refuse,
            limits: RoomLimits::default(),
            created_at: UnixMs(1),
            key_generation: 1,
        };
        cache.keep(&id, Some(room.clone()), start);
        let stale = start + FRESH;
        assert_eq!(cache.get(&id, stale).await.unwrap(), Some(room));
        assert!(cache.get(&id, start + USABLE).await.is_err());
    }
}
