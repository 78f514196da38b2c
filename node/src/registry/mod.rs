//! What equal nodes share: who publishes which room, which nodes there are, what is live, who holds a copy.
//!
//! Claims are decided by `isocast_claims`; a registry only keeps them, and changes them in one step. Everything
//! else here is for readers: it is checked by whoever reads it, and what nobody renews is pruned by them.
//! [`Memory`] is the registry of a node that stands alone.

#![expect(
    dead_code,
    reason = "the tasks that keep nodes and lists up to date are still to come"
)]

mod active;
#[cfg(test)]
mod contract;
mod directory;
mod held;
mod memory;
mod nodes;

use futures_util::future::BoxFuture;
use isocast_claims::store::{Found, Reply, Request};
use isocast_claims::{Incarnation, NodeId, Owner, Pair, record};
use isocast_media::UnixMs;

pub(crate) use active::Listed;
pub(crate) use directory::{Directory, Scan};
pub(crate) use held::Held;
pub(crate) use memory::Memory;

use crate::rooms::RoomId;

/// The right to publish a room, until a higher epoch exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub room: RoomId,
    /// The id of the node that carries the publisher.
    pub node: String,
    /// Rises with every claim of the room; never less than the wall clock in milliseconds, so that
    /// a registry that forgot everything still gives higher ones.
    pub epoch: u64,
}

/// The registry could not be asked, or its answer is not known.
#[derive(Debug, thiserror::Error)]
#[error("the registry does not answer: {0}")]
pub(crate) struct Unavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Unavailable>>;

pub(crate) trait Registry: Send + Sync + std::fmt::Debug {
    /// What [`isocast_claims::store::apply`] does, in one step and by the registry's clock.
    fn call<'a>(&'a self, room: &'a RoomId, request: Request) -> Answer<'a, Reply>;

    /// The same for many rooms at once, as owners renew; the answers are in their order.
    fn call_many(
        &self,
        calls: Vec<(RoomId, Request)>,
    ) -> BoxFuture<'_, Vec<Result<Reply, Unavailable>>>;

    /// Puts a node's entry into a directory, stamped with the registry's time; what now lies there. The entry
    /// is an object of JSON with one field at least.
    fn stamp<'a>(
        &'a self,
        directory: &'a Directory,
        node: &'a NodeId,
        entry: String,
    ) -> Answer<'a, String>;

    /// All that lies in a directory, to its bounds.
    fn scan<'a>(&'a self, directory: &'a Directory) -> Answer<'a, Scan>;

    /// Removes an entry that still is what was seen.
    fn strike<'a>(
        &'a self,
        directory: &'a Directory,
        node: &'a str,
        seen: &'a str,
    ) -> Answer<'a, ()>;

    /// Lists rooms as live; those that are listed stay so. Called after their claims are written.
    fn activate<'a>(&'a self, rooms: &'a [RoomId]) -> Answer<'a, ()>;

    /// Takes rooms off the list.
    fn deactivate<'a>(&'a self, rooms: &'a [RoomId]) -> Answer<'a, ()>;

    /// All that is listed as live, to a bound; others may have written it.
    fn listed(&self) -> Answer<'_, Listed>;

    /// Whether there are records of these rooms.
    fn have_records<'a>(&'a self, rooms: &'a [RoomId]) -> Answer<'a, Vec<bool>>;

    /// Whether it answered when it was last asked.
    fn is_reachable(&self) -> bool;

    /// Takes the room for `node`, whoever had it.
    fn claim<'a>(&'a self, room: &'a RoomId, node: &'a str, now: UnixMs) -> Answer<'a, Claim> {
        Box::pin(async move {
            let mut found = self.read(room).await?;
            loop {
                let unix_ms = u64::try_from(now.0).unwrap_or(0);
                let above = |pair: &Pair| pair.epoch.saturating_add(1);
                let epoch = found.pair.as_ref().map_or(unix_ms, above).max(unix_ms);
                let record = record::Record {
                    pair: pair(node, epoch)?,
                    started_at_ms: unix_ms,
                    status: record::Status::Live,
                    last_heartbeat_ms: 0,
                    viewer_count: 0,
                    key_fingerprint: "0".repeat(16),
                    continuation: None,
                };
                match self.call(room, Request::claim(found.mark, record)).await? {
                    Reply::Written => {
                        return Ok(Claim {
                            room: room.clone(),
                            node: node.to_owned(),
                            epoch,
                        });
                    }
                    Reply::Conflict(other) | Reply::Found(other) => found = other,
                }
            }
        })
    }

    /// Gives the claim back; nothing happens where a newer one exists.
    fn release<'a>(&'a self, claim: &'a Claim) -> Answer<'a, ()> {
        Box::pin(async move {
            let found = self.read(&claim.room).await?;
            let ours = pair(&claim.node, claim.epoch)?;
            if let Some(Ok(record)) = found.record
                && record.pair == ours
            {
                let release = Request::release(record, record::Status::Ended);
                self.call(&claim.room, release).await?;
            }
            Ok(())
        })
    }

    /// The present claim of a room.
    fn get<'a>(&'a self, room: &'a RoomId) -> Answer<'a, Option<Claim>> {
        Box::pin(async move {
            let record = self.read(room).await?.record;
            let live = record.and_then(Result::ok);
            let live = live.filter(|record| record.status == record::Status::Live);
            Ok(live.map(|record| Claim {
                room: room.clone(),
                node: record.pair.owner.node.to_string(),
                epoch: record.pair.epoch,
            }))
        })
    }

    /// What lies there.
    fn read<'a>(&'a self, room: &'a RoomId) -> Answer<'a, Found> {
        Box::pin(async move {
            match self.call(room, Request::Read).await? {
                Reply::Found(found) | Reply::Conflict(found) => Ok(found),
                Reply::Written => Err(Unavailable("it wrote where it was to read".into())),
            }
        })
    }
}

fn pair(node: &str, epoch: u64) -> Result<Pair, Unavailable> {
    let node = NodeId::parse(node).map_err(|error| Unavailable(error.into()))?;
    let owner = Owner {
        node,
        incarnation: Incarnation(0),
    };
    Ok(Pair { epoch, owner })
}
