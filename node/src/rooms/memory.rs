//! Rooms in memory: the twin that tests use where the disk does not matter.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};

use isocast_media::UnixMs;
use tokio::sync::{RwLock, RwLockWriteGuard};

use super::key::Stored;
use super::{
    Answer, Change, Error, KeyHasher, LIST_MAX, NewRoom, PublishKey, Put, Room, RoomId, Rooms,
    Target,
};
use crate::data::{Secret, random};

#[derive(Debug)]
pub(crate) struct Memory {
    rooms: Mutex<BTreeMap<RoomId, Stored>>,
    targets: Mutex<BTreeMap<RoomId, Vec<Target>>>,
    hasher: KeyHasher,
    id: String,
    telling: RwLock<()>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            rooms: Mutex::default(),
            targets: Mutex::default(),
            hasher: KeyHasher::new(Secret::new([0; 32])),
            id: random::base62_256(),
            telling: RwLock::default(),
        }
    }

    /// While this is kept, what is asked for is done but not told.
    pub(crate) async fn silence(&self) -> RwLockWriteGuard<'_, ()> {
        self.telling.write().await
    }

    /// What a room is now, told at once.
    pub(crate) fn stored(&self, id: &RoomId) -> Option<Room> {
        self.rooms().get(id).map(|stored| stored.room.clone())
    }

    fn answer<'a, T: Send + 'a>(
        &'a self,
        doing: impl Future<Output = Result<T, Error>> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move {
            let done = doing.await;
            drop(self.telling.read().await);
            done
        })
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeMap<RoomId, Stored>> {
        self.rooms
            .lock()
            .expect("no test panics while it holds this")
    }

    fn targets(&self) -> MutexGuard<'_, BTreeMap<RoomId, Vec<Target>>> {
        self.targets
            .lock()
            .expect("no test panics while it holds this")
    }
}

impl Rooms for Memory {
    fn create(&self, new: NewRoom) -> Answer<'_, (Room, PublishKey)> {
        self.answer(async move {
            let room = new.into_room();
            let mut rooms = self.rooms();
            if rooms.contains_key(&room.id) {
                return Err(Error::AlreadyExists(room.id));
            }
            let key = PublishKey::generate(&room.id);
            let stored = Stored {
                room: room.clone(),
                hash: self.hasher.hash(&key),
                previous_hash: None,
            };
            rooms.insert(room.id.clone(), stored);
            Ok((room, key))
        })
    }

    fn put<'a>(&'a self, new: NewRoom, key: &'a PublishKey) -> Answer<'a, Put> {
        self.answer(async move {
            let mut rooms = self.rooms();
            let before = rooms.get(&new.id).cloned();
            let (room, previous_hash) = match &before {
                Some(stored) => {
                    let same_key = self.hasher.is_of(&stored.hash, key);
                    let previous_hash = stored.previous_hash.filter(|_| same_key);
                    (new.instead_of(&stored.room, same_key), previous_hash)
                }
                None => (new.into_room(), None),
            };
            let stored = Stored {
                room: room.clone(),
                hash: self.hasher.hash(key),
                previous_hash,
            };
            rooms.insert(room.id.clone(), stored);
            Ok(Put {
                room,
                before: before.map(|stored| stored.room),
            })
        })
    }

    fn change<'a>(&'a self, id: &'a RoomId, change: Change) -> Answer<'a, Put> {
        self.answer(async move {
            let mut rooms = self.rooms();
            let not_found = || Error::NotFound(id.clone());
            let stored = rooms.get_mut(id).ok_or_else(not_found)?;
            let room = change.of(&stored.room);
            let before = std::mem::replace(&mut stored.room, room.clone());
            Ok(Put {
                room,
                before: Some(before),
            })
        })
    }

    fn get<'a>(&'a self, id: &'a RoomId) -> Answer<'a, Option<Room>> {
        self.answer(async move { Ok(self.stored(id)) })
    }

    fn list<'a>(&'a self, after: Option<&'a RoomId>, limit: usize) -> Answer<'a, Vec<Room>> {
        self.answer(async move {
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            let rooms = self.rooms();
            let range = rooms.range::<RoomId, _>((start, Bound::Unbounded));
            Ok(range
                .take(limit.min(LIST_MAX))
                .map(|(_, stored)| stored.room.clone())
                .collect())
        })
    }

    fn delete<'a>(&'a self, id: &'a RoomId) -> Answer<'a, ()> {
        self.answer(async move {
            self.targets().remove(id);
            self.rooms()
                .remove(id)
                .map(drop)
                .ok_or_else(|| Error::NotFound(id.clone()))
        })
    }

    fn rotate_key<'a>(
        &'a self,
        id: &'a RoomId,
        overlap_until: Option<UnixMs>,
    ) -> Answer<'a, PublishKey> {
        self.answer(async move {
            let mut rooms = self.rooms();
            let stored = rooms.get_mut(id);
            let stored = stored.ok_or_else(|| Error::NotFound(id.clone()))?;
            let key = PublishKey::generate(id);
            stored.room.key_generation += 1;
            stored.room.previous_key_until = overlap_until;
            stored.previous_hash = overlap_until.map(|_| stored.hash);
            stored.hash = self.hasher.hash(&key);
            Ok(key)
        })
    }

    fn authenticate<'a>(&'a self, key: &'a PublishKey, now: UnixMs) -> Answer<'a, Option<Room>> {
        self.answer(async move {
            let stored = self.rooms().get(key.room()).cloned();
            Ok(self.hasher.admit(key, stored, now))
        })
    }

    fn restreams<'a>(&'a self, id: &'a RoomId) -> Answer<'a, Vec<Target>> {
        self.answer(async move { Ok(self.targets().get(id).cloned().unwrap_or_default()) })
    }

    fn put_restreams<'a>(&'a self, id: &'a RoomId, targets: &'a [Target]) -> Answer<'a, ()> {
        self.answer(async move {
            if !self.rooms().contains_key(id) {
                return Err(Error::NotFound(id.clone()));
            }
            self.targets().insert(id.clone(), targets.to_vec());
            Ok(())
        })
    }

    fn store_id(&self) -> Answer<'_, String> {
        self.answer(async move { Ok(self.id.clone()) })
    }
}
