use std::net::IpAddr;
use std::sync::Arc;

use isocast_access::{Keyring, Minted};
use tokio::time::Instant;

use super::{Banned, Bans};
use crate::clock::unix_now;
use crate::config;
use crate::error::Refusal;
use crate::hub::{Hub, Publisher, Source, Stream};
use crate::ownership::{Held, Newcomer, Ownership};
use crate::rooms::{self, OnConflict, PublishKey, Room, Rooms};

/// What admission needs to know.
pub(crate) struct Admission<'a> {
    pub rooms: &'a dyn Rooms,
    /// For minted keys, which only need to know the room.
    pub known_rooms: &'a rooms::Cache,
    pub publish_keys: &'a Keyring,
    pub ownership: &'a Arc<Ownership>,
    pub hub: &'a Hub,
    pub limits: &'a config::Limits,
    pub bans: &'a Bans,
    /// Where the publisher is.
    pub address: IpAddr,
    /// Asked before the room is claimed: whether the connection keeps its place.
    pub keep_place: &'a mut (dyn FnMut() -> bool + Send),
}

/// Who publishes now, and where.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub publisher: Publisher,
    pub stream: Arc<Stream>,
    pub held: Held,
}

/// Checks the key and makes its holder the publisher of the room, or says why not.
///
/// The holder of the key who sends is the rightful publisher: a newcomer wins where the present
/// one has been silent for a second (its connection is dead, its encoder restarted), or where the
/// room says that newcomers win.
pub(crate) async fn admit(admission: Admission<'_>, key: &str) -> Result<Admitted, Refusal> {
    let Admission {
        ownership,
        hub,
        limits,
        bans,
        address,
        keep_place,
        rooms,
        known_rooms,
        publish_keys,
    } = admission;
    let key = PublishKey::parse(key).map_err(|_| Refusal::KeyRefused)?;
    let minted = Minted::read(publish_keys, &key);
    let shown = Shown {
        source: Source {
            key_fingerprint: key.fingerprint(),
            minted_generation: minted.map(|minted| minted.generation),
            address,
        },
        minted,
        key: &key,
        rooms,
        known_rooms,
        bans,
    };
    let room = shown.lets_in().await?;
    tracing::debug!(room = %room.id, key = shown.source.key_fingerprint, "the key is right");
    if !keep_place() {
        return Err(Refusal::CrowdedOut);
    }
    let newcomer = Newcomer {
        takeover: room.on_conflict == OnConflict::Takeover,
        key_fingerprint: shown.source.key_fingerprint.clone(),
    };
    let held = ownership.arrive(&room.id, newcomer).await?;
    // Its publisher may have gone because the room was deleted, or its key banned.
    let room = shown.newest(room).await?;
    let published = hub.publish(
        held.claim(),
        shown.source.clone(),
        Instant::now().into_std(),
    );
    let (publisher, stream) = published.map_err(|_| Refusal::Full)?;
    if held.is_lost() {
        return Err(Refusal::AlreadyLive);
    }
    stream.set_room_limits(limits.of_room(&room.limits));
    // Who changed or deleted the room since the key was checked did not find this stream to tell it.
    let newest = match shown.newest(room.clone()).await {
        Ok(newest) => newest,
        Err(refusal) => {
            drop(publisher);
            if matches!(rooms.get(&room.id).await, Ok(None)) {
                hub.remove(&room.id);
            }
            return Err(refusal);
        }
    };
    if newest.limits != room.limits {
        stream.set_room_limits(limits.of_room(&newest.limits));
    }
    Ok(Admitted {
        publisher,
        stream,
        held,
    })
}

/// A key and who comes with it, and what tells whether they are let in.
struct Shown<'a> {
    key: &'a PublishKey,
    /// What it says itself; `None` for one that would be a room's own.
    minted: Option<Minted>,
    source: Source,
    rooms: &'a dyn Rooms,
    known_rooms: &'a rooms::Cache,
    bans: &'a Bans,
}

impl Shown<'_> {
    /// The room that this key opens now, for those who were not sent away lately.
    async fn lets_in(&self) -> Result<Room, Refusal> {
        let room = self.opens().await?;
        self.check_ban(&room)?;
        Ok(room)
    }

    /// The room as it is now, as far as that can be known, for the same.
    async fn newest(&self, known: Room) -> Result<Room, Refusal> {
        let room = match self.opens().await {
            Err(Refusal::Unavailable(_)) => {
                tracing::warn!(room = %known.id, "its key and limits are those of a moment ago");
                known
            }
            answer => answer?,
        };
        self.check_ban(&room)?;
        Ok(room)
    }

    fn check_ban(&self, room: &Room) -> Result<(), Refusal> {
        let banned = Banned::of(&room.id, &self.source);
        let left = self.bans.left(&banned, Instant::now().into_std());
        left.map_or(Ok(()), |left| {
            Err(Refusal::Banned {
                left_s: left.as_secs() + 1,
            })
        })
    }

    /// The room that this key opens now.
    async fn opens(&self) -> Result<Room, Refusal> {
        let unavailable = |error| {
            tracing::warn!(%error, "publish keys cannot be checked");
            Refusal::Unavailable("the room store")
        };
        let now = unix_now();
        let Some(minted) = self.minted else {
            let room = self.rooms.authenticate(self.key, now).await;
            return room.map_err(unavailable)?.ok_or(Refusal::KeyRefused);
        };
        let id = self.key.room();
        let room = self.known_rooms.get(id, Instant::now().into_std());
        let room = room.await.map_err(unavailable)?;
        let room = room.filter(|room| room.takes_keys_of(minted.generation, now));
        let is_in_time = now.0 < i64::try_from(minted.expires_at_s * 1000).unwrap_or(i64::MAX);
        match room {
            Some(room) if is_in_time => Ok(room),
            Some(_) => Err(Refusal::KeyExpired),
            None => Err(Refusal::KeyRefused),
        }
    }
}

#[cfg(test)]
mod tests;
