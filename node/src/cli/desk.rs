//! Where room commands are dealt with: by the running node, or on the store when none runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use isocast_media::UnixMs;
use tokio::time::Instant;

use super::client::Client;
use crate::api::restreams::{PutRestreams, Restream};
use crate::api::wire::{ChangeRoom, CreateRoom, CreatedRoom, Kick, PlayUrls, Room, Stats};
use crate::clock::unix_now;
use crate::config::Config;
use crate::data::{Folder, Lock, TokenFile};
use crate::rooms::{LIST_MAX, PublishKey, RoomId, Rooms, Store};

/// How long another process may hold the folder without saying where it listens: a node that
/// starts, or another room command, is done well before.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

const NOTHING_IS_LIVE: &str = "so nothing is live";

#[derive(Debug)]
pub(super) enum Desk {
    /// No node runs: the store itself, and the lock that keeps one from starting.
    Store { rooms: Arc<dyn Rooms>, _lock: Lock },
    /// The API of the running node.
    Node(Client),
}

impl Desk {
    pub(super) async fn open(
        config: &Config,
        folder: &Folder,
        token: &TokenFile,
    ) -> anyhow::Result<Self> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(lock) = folder.lock()? {
                let Store { rooms, trouble, .. } = Store::open(config, &lock).await?;
                if let Some(trouble) = trouble {
                    bail!(trouble);
                }
                return Ok(Self::Store { rooms, _lock: lock });
            }
            if let Some(node) = folder.node()? {
                // A node has its token before it says where it listens.
                let token = token.read_existing().context("api.token_file")?;
                return Ok(Self::Node(Client::new(node.internal, token)));
            }
            if Instant::now() >= give_up {
                bail!("another process holds the data folder and does not say where it listens");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    pub(super) async fn create(&self, request: CreateRoom) -> anyhow::Result<CreatedRoom> {
        match self {
            Self::Store { rooms, .. } => {
                let (room, stream_key) = rooms.create(request.at(unix_now())).await?;
                Ok(CreatedRoom {
                    room: room.into(),
                    stream_key,
                })
            }
            Self::Node(client) => client.create(&request).await,
        }
    }

    /// All rooms, page by page.
    pub(super) async fn list(&self) -> anyhow::Result<Vec<Room>> {
        let mut rooms: Vec<Room> = Vec::new();
        loop {
            let after = rooms.last().map(|room| room.id.clone());
            let page = self.page(after.as_ref()).await?;
            // A page that does not move on would keep us here for ever.
            let moves_on = page
                .rooms
                .first()
                .is_some_and(|room| Some(&room.id) > after.as_ref());
            rooms.extend(page.rooms);
            if page.is_last || !moves_on {
                return Ok(rooms);
            }
        }
    }

    async fn page(&self, after: Option<&RoomId>) -> anyhow::Result<Page> {
        match self {
            Self::Store { rooms, .. } => {
                let rooms = rooms.list(after, LIST_MAX).await?;
                let is_last = rooms.len() < LIST_MAX;
                Ok(Page {
                    rooms: rooms.into_iter().map(Room::from).collect(),
                    is_last,
                })
            }
            Self::Node(client) => {
                let list = client.list(after).await?;
                Ok(Page {
                    is_last: list.next.is_none(),
                    rooms: list.rooms,
                })
            }
        }
    }

    pub(super) async fn change(&self, id: &RoomId, change: ChangeRoom) -> anyhow::Result<Room> {
        match self {
            Self::Store { rooms, .. } => Ok(rooms.change(id, change.into()).await?.room.into()),
            Self::Node(client) => client.change(id, &change).await,
        }
    }

    pub(super) async fn delete(&self, id: &RoomId) -> anyhow::Result<()> {
        match self {
            Self::Store { rooms, .. } => Ok(rooms.delete(id).await?),
            Self::Node(client) => client.delete(id).await,
        }
    }

    pub(super) async fn rotate_key(
        &self,
        id: &RoomId,
        overlap_s: u64,
    ) -> anyhow::Result<PublishKey> {
        match self {
            Self::Store { rooms, .. } => {
                let overlap_ms = i64::try_from(overlap_s * 1000)?;
                let until = Some(UnixMs(unix_now().0 + overlap_ms)).filter(|_| overlap_ms > 0);
                Ok(rooms.rotate_key(id, until).await?)
            }
            Self::Node(client) => client.rotate_key(id, overlap_s).await,
        }
    }

    /// Where no node runs there is nobody to send away.
    pub(super) async fn revoke_keys(&self, id: &RoomId) -> anyhow::Result<PublishKey> {
        match self {
            Self::Store { rooms, .. } => Ok(rooms.rotate_key(id, None).await?),
            Self::Node(client) => client.revoke_keys(id).await,
        }
    }

    /// Only a node knows how it is reached.
    pub(super) async fn play_urls(
        &self,
        id: &RoomId,
        expires_in_s: Option<u64>,
    ) -> anyhow::Result<PlayUrls> {
        let node = self.node("and only a running one knows how it is reached")?;
        node.play_urls(id, expires_in_s).await
    }

    pub(super) async fn stats(&self, id: &RoomId) -> anyhow::Result<Stats> {
        self.node(NOTHING_IS_LIVE)?.stats(id).await
    }

    pub(super) async fn kick(&self, id: &RoomId, kick: Kick) -> anyhow::Result<()> {
        self.node(NOTHING_IS_LIVE)?.kick(id, kick).await
    }

    fn node(&self, what_follows: &str) -> anyhow::Result<&Client> {
        match self {
            Self::Store { .. } => {
                bail!("no node runs on this data folder, {what_follows}: start it first")
            }
            Self::Node(client) => Ok(client),
        }
    }

    pub(super) async fn restreams(&self, id: &RoomId) -> anyhow::Result<Vec<Restream>> {
        match self {
            Self::Store { rooms, .. } => {
                let targets = rooms.restreams(id).await?;
                Ok(targets.iter().map(|it| Restream::of(it, None)).collect())
            }
            Self::Node(client) => Ok(client.restreams(id).await?.targets),
        }
    }

    pub(super) async fn put_restreams(
        &self,
        id: &RoomId,
        request: PutRestreams,
    ) -> anyhow::Result<()> {
        match self {
            Self::Store { rooms, .. } => {
                let present = rooms.restreams(id).await?;
                // The node that sends asks its own configuration for what is allowed.
                let targets = request
                    .instead_of(&present, None)
                    .map_err(|wrong| anyhow!(wrong))?;
                Ok(rooms.put_restreams(id, &targets).await?)
            }
            Self::Node(client) => client.put_restreams(id, &request).await,
        }
    }

    /// Leaves the store closed before the lock is free.
    pub(super) async fn close(self) {
        if let Self::Store { rooms, .. } = &self {
            rooms.close().await;
        }
    }
}

#[derive(Debug)]
struct Page {
    rooms: Vec<Room>,
    is_last: bool,
}
