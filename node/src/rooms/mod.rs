//! Rooms and who may publish into them.
//!
//! [`Rooms`] is what the rest of the node sees. [`Sqlite`] keeps rooms on disk, [`postgres`] where several
//! nodes share them; tests also have a twin in memory and one that always fails. One contract suite runs on all that keep rooms.

mod cache;
mod key;
mod postgres;
mod seal;
mod sql;
mod sqlite;
mod store;
mod target;

#[cfg(test)]
mod contract;
#[cfg(test)]
pub(crate) mod failing;
#[cfg(test)]
pub(crate) mod memory;

use std::error::Error as StdError;

use futures_util::future::BoxFuture;
use isocast_media::UnixMs;

pub(crate) use cache::Cache;
pub(crate) use isocast_admin::{
    CodecName, OnConflict, Playback, PublishKey, RoomId, RoomLimits, RoomLimitsChange,
};
pub(crate) use key::KeyHasher;
pub(crate) use postgres::{Schema, Source, migrate};
pub(crate) use sqlite::Sqlite;
pub(crate) use store::Store;
pub(crate) use target::{PushUrl, Target, TargetName, stream_key};

/// One room as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub id: RoomId,
    pub playback: Playback,
    pub on_conflict: OnConflict,
    /// Its own; what they leave out is up to the configuration.
    pub limits: RoomLimits,
    pub created_at: UnixMs,
    /// 1 for the first publish key, one more with each new one.
    pub key_generation: u32,
    /// Until when the keys of the generation before open the room as well.
    pub previous_key_until: Option<UnixMs>,
}

impl Room {
    /// Whether keys of this generation open the room.
    pub(crate) fn takes_keys_of(&self, generation: u32, now: UnixMs) -> bool {
        let is_previous = generation.checked_add(1) == Some(self.key_generation);
        let overlaps = self.previous_key_until.is_some_and(|until| now < until);
        generation == self.key_generation || (is_previous && overlaps)
    }
}

/// A room to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewRoom {
    pub id: RoomId,
    pub playback: Playback,
    pub on_conflict: OnConflict,
    pub limits: RoomLimits,
    pub created_at: UnixMs,
}

impl NewRoom {
    /// With its first key.
    fn into_room(self) -> Room {
        let Self {
            id,
            playback,
            on_conflict,
            limits,
            created_at,
        } = self;
        Room {
            id,
            playback,
            on_conflict,
            limits,
            created_at,
            key_generation: 1,
            previous_key_until: None,
        }
    }

    /// What `stored` becomes; its key is the same or a new one.
    fn instead_of(self, stored: &Room, same_key: bool) -> Room {
        Room {
            created_at: stored.created_at,
            key_generation: stored.key_generation + u32::from(!same_key),
            previous_key_until: stored.previous_key_until.filter(|_| same_key),
            ..self.into_room()
        }
    }
}

/// What is to be different about a room; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    pub playback: Option<Playback>,
    pub on_conflict: Option<OnConflict>,
    pub limits: RoomLimitsChange,
}

impl Change {
    fn of(self, room: &Room) -> Room {
        let mut room = room.clone();
        room.playback = self.playback.unwrap_or(room.playback);
        room.on_conflict = self.on_conflict.unwrap_or(room.on_conflict);
        room.limits.change(self.limits);
        room
    }
}

/// A room that was put in place or changed, and what was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Put {
    pub room: Room,
    pub before: Option<Room>,
}

impl Put {
    /// Whether the room is new or differs from what was there.
    pub(crate) fn has_changed(&self) -> bool {
        self.before.as_ref() != Some(&self.room)
    }

    /// Whether a key that opened the room opens it no more.
    pub(crate) fn has_new_key(&self) -> bool {
        let before = self.before.as_ref().map(|room| room.key_generation);
        before.is_some_and(|generation| generation != self.room.key_generation)
    }

    /// Whether somebody who could watch now cannot.
    pub(crate) fn is_closed_to_viewers(&self) -> bool {
        let before = self.before.as_ref().map(|room| room.playback);
        before.is_some_and(|before| before > self.room.playback)
    }
}

/// Why the store gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("room {0} exists already")]
    AlreadyExists(RoomId),
    #[error("there is no room {0}")]
    NotFound(RoomId),
    /// Asking again later may help.
    #[error("the room store does not answer: {0}")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
}

/// The most rooms one `list` gives.
pub(crate) const LIST_MAX: usize = 1000;

/// What a store answers, once it does.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// A store of rooms. Every call has its own deadline and ends with [`Error::Unavailable`] then;
/// a change that was under way at the deadline may still happen.
pub(crate) trait Rooms: Send + Sync + std::fmt::Debug {
    /// Makes a room with its first publish key, which is told here and never again.
    fn create(&self, room: NewRoom) -> Answer<'_, (Room, PublishKey)>;

    /// Makes the room as `room` says, with this key of its own: anew where there is none, else by
    /// changing what differs. Where nothing does, nothing is written. A room that is there keeps
    /// its `created_at`.
    fn put<'a>(&'a self, room: NewRoom, key: &'a PublishKey) -> Answer<'a, Put>;

    /// Changes what `change` names.
    fn change<'a>(&'a self, id: &'a RoomId, change: Change) -> Answer<'a, Put>;

    fn get<'a>(&'a self, id: &'a RoomId) -> Answer<'a, Option<Room>>;

    /// Up to `limit` (at most [`LIST_MAX`]) rooms with ids after `after`, in the byte order of ids.
    fn list<'a>(&'a self, after: Option<&'a RoomId>, limit: usize) -> Answer<'a, Vec<Room>>;

    fn delete<'a>(&'a self, id: &'a RoomId) -> Answer<'a, ()>;

    /// Replaces the publish key. The old one is refused from `overlap_until` on, or at once, and
    /// all before it at once.
    fn rotate_key<'a>(
        &'a self,
        id: &'a RoomId,
        overlap_until: Option<UnixMs>,
    ) -> Answer<'a, PublishKey>;

    /// The room that this key opens now; `None` for a wrong key and for an unknown room, after the
    /// same work.
    fn authenticate<'a>(&'a self, key: &'a PublishKey, now: UnixMs) -> Answer<'a, Option<Room>>;

    /// Where the room's stream is also sent, in their order; none for a room that does not exist.
    fn restreams<'a>(&'a self, id: &'a RoomId) -> Answer<'a, Vec<Target>>;

    /// Puts these in the place of all there were.
    fn put_restreams<'a>(&'a self, id: &'a RoomId, targets: &'a [Target]) -> Answer<'a, ()>;

    /// Which store this is: a random word that stays, and that a store made anew does not have.
    fn store_id(&self) -> Answer<'_, String>;

    /// Ends what it has open; after that it answers no more.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
