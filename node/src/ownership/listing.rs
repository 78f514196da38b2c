//! The rooms of this node on the list of those that are live. Whoever reads the list checks it, so nobody waits
//! for what is done here, and what fails is done again.

use std::sync::Arc;
use std::time::Duration;

use isocast_claims::record::Status;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Ownership;
use crate::registry::{Registry, Unavailable};
use crate::rooms::RoomId;

/// How often this node's rooms are listed again: a registry may have lost them.
const LIST_EVERY: Duration = Duration::from_secs(10);

/// Gives back what an earlier life of this node has left, and keeps its rooms listed, until `stop`.
pub(super) async fn keep(ownership: Arc<Ownership>, stop: CancellationToken) {
    let registry = &*ownership.parts.registry;
    let mut ticks = interval(LIST_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut has_started = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        if !has_started {
            has_started = start(&ownership).await.is_ok();
        }
        let rooms = ownership.owned();
        if !rooms.is_empty() {
            put_on(registry, &rooms).await;
        }
    }
}

/// Has every room that is listed look for a claim of an earlier life of this node.
async fn start(ownership: &Arc<Ownership>) -> Result<(), Unavailable> {
    for room in ownership.parts.registry.listed().await?.rooms {
        ownership.change(&room, |known, _| {
            // A room that is owned, or wanted, has been looked at.
            if known.parties.is_empty() {
                known.room.start();
            }
        });
    }
    Ok(())
}

pub(super) async fn put_on(registry: &dyn Registry, rooms: &[RoomId]) {
    if let Err(error) = registry.activate(rooms).await {
        tracing::debug!(%error, "rooms are not listed as live");
    }
}

/// Takes a room off whose broadcast is over. One that is live again meanwhile is put back.
pub(super) async fn take_off(registry: &dyn Registry, room: RoomId) {
    let rooms = [room];
    let taken_off = async {
        registry.deactivate(&rooms).await?;
        let record = registry.read(&rooms[0]).await?.record;
        let is_live = matches!(record, Some(Ok(record)) if record.status == Status::Live);
        if is_live {
            registry.activate(&rooms).await?;
        }
        Ok::<_, Unavailable>(())
    };
    if let Err(error) = taken_off.await {
        tracing::debug!(%error, room = %rooms[0], "a room is still listed as live");
    }
}
