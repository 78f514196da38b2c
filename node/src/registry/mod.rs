//! What equal nodes share: who publishes which room, which nodes there are, what is live, who holds a copy.
//!
//! Claims are decided by `isocast_claims`; a registry only keeps them, and changes them in one step. Everything
//! else here is for readers: it is checked by whoever reads it, and what nobody renews is pruned by them.
//! [`Memory`] is the registry of a node that stands alone.

#![cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "lists of copies and of what is live have no reader yet"
    )
)]

mod active;
#[cfg(test)]
mod contract;
mod directory;
#[cfg(test)]
pub(crate) mod failing;
mod memory;
mod nodes;
mod redis;

use futures_util::future::BoxFuture;
use isocast_claims::store::{Found, Reply, Request};
use isocast_claims::{NodeId, Pair};

pub(crate) use active::Listed;
pub(crate) use directory::{Directory, Scan};
pub(crate) use memory::Memory;
pub(crate) use nodes::{Capabilities, Load, Node, Nodes, Ports, Status, nodes};
pub(crate) use redis::Redis;

use crate::clock::unix_ms;
use crate::rooms::RoomId;

/// The right to publish a room, until a higher pair is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub room: RoomId,
    pub pair: Pair,
}

/// The registry could not be asked, or its answer is not known.
#[derive(Debug, thiserror::Error)]
#[error("the registry does not answer: {0}")]
pub(crate) struct Unavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Unavailable>>;

pub(crate) trait Registry: Send + Sync + std::fmt::Debug {
    /// What [`isocast_claims::store::apply`] does, in one step and by the registry's clock.
    fn call<'a>(&'a self, room: &'a RoomId, request: Request) -> Answer<'a, Reply>;

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

    /// Its clock, in milliseconds since 1970, as far as it was heard. It may be hours away from this node's, which it
    /// is until it was.
    fn now_ms(&self) -> u64 {
        unix_ms()
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

#[cfg(test)]
impl Claim {
    /// A claim of `node-1`.
    pub(crate) fn of(room: RoomId, epoch: u64) -> Self {
        let owner = isocast_claims::Owner {
            node: NodeId::parse("node-1").unwrap(),
            incarnation: isocast_claims::Incarnation(1),
        };
        let pair = Pair { epoch, owner };
        Self { room, pair }
    }
}
