use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use isocast_access::{Keyring, Minted};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Banned, Bans};
use crate::clock::unix_now;
use crate::config;
use crate::error::Refusal;
use crate::hub::{Hub, Publisher, Source, Stream};
use crate::registry::{Held, Registry};
use crate::rooms::{self, OnConflict, PublishKey, Room, Rooms};

/// A present publisher that sent nothing for this long has lost its room to a newcomer.
const SILENCE: Duration = Duration::from_secs(1);

/// What admission needs to know.
pub(crate) struct Admission<'a> {
    pub node_id: &'a str,
    pub rooms: &'a dyn Rooms,
    /// For minted keys, which only need to know the room.
    pub known_rooms: &'a rooms::Cache,
    pub publish_keys: &'a Keyring,
    pub registry: &'a Arc<dyn Registry>,
    pub hub: &'a Hub,
    pub limits: &'a config::Limits,
    pub bans: &'a Bans,
    /// Where the publisher is.
    pub address: IpAddr,
    /// Asked before the room is claimed: whether the connection keeps its place.
    pub keep_place: &'a mut (dyn FnMut() -> bool + Send),
    /// The shutdown waits until the claim is given back.
    pub awaited: TaskTrackerToken,
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
        node_id,
        registry,
        hub,
        limits,
        bans,
        address,
        keep_place,
        awaited,
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
    let room = turn(&shown, hub).await?;
    if !keep_place() {
        return Err(Refusal::CrowdedOut);
    }
    let claim = registry.claim(&room.id, node_id, unix_now()).await;
    let claim = claim.map_err(|error| {
        tracing::warn!(%error, room = %room.id, "the room cannot be claimed");
        Refusal::Unavailable("the registry")
    })?;
    let held = Held::new(Arc::clone(registry), claim.clone(), awaited);
    let published = hub.publish(claim, shown.source.clone(), Instant::now().into_std());
    let (publisher, stream) = published.map_err(|_| Refusal::Full)?;
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

/// The room that this key opens, once a newcomer may have it.
async fn turn(shown: &Shown<'_>, hub: &Hub) -> Result<Room, Refusal> {
    let room = shown.lets_in().await?;
    tracing::debug!(room = %room.id, key = shown.source.key_fingerprint, "the key is right");
    let Some(stream) = hub.stream(&room.id) else {
        return Ok(room);
    };
    match room.on_conflict {
        OnConflict::Takeover => Ok(room),
        OnConflict::Refuse => match outlast(&stream).await? {
            Outlasted::AtOnce => Ok(room),
            // Its publisher may have gone because the room was deleted, or its key banned.
            Outlasted::AfterAWait => shown.lets_in().await,
        },
    }
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

#[derive(Debug, PartialEq, Eq)]
enum Outlasted {
    AtOnce,
    AfterAWait,
}

/// Waits until the present publisher has been silent long enough; its next frame refuses us.
async fn outlast(stream: &Stream) -> Result<Outlasted, Refusal> {
    let Some(first_seen) = stream.last_frame() else {
        return Ok(Outlasted::AtOnce);
    };
    let mut outlasted = Outlasted::AtOnce;
    loop {
        match stream.last_frame() {
            None => return Ok(outlasted),
            Some(last) if last > first_seen => return Err(Refusal::AlreadyLive),
            Some(last) if Instant::from_std(last).elapsed() >= SILENCE => return Ok(outlasted),
            Some(last) => {
                outlasted = Outlasted::AfterAWait;
                tokio::select! {
                    () = stream.changed() => {}
                    () = sleep_until((last + SILENCE).into()) => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
