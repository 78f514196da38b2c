//! Who publishes which room: claims with epochs.
//!
//! A claim is taken by whoever may publish a room and is given back at the end. Epochs of a room
//! only rise, so the holder of an older one can always be told from the holder of the present one.
//! [`Memory`] is the registry of a node that stands alone.

#[cfg(test)]
mod contract;
mod held;
mod memory;

use futures_util::future::BoxFuture;
use isocast_media::UnixMs;

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

/// Why there is no claim.
#[derive(Debug, thiserror::Error)]
#[error("the registry does not answer: {0}")]
pub(crate) struct Unavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

pub(crate) trait Registry: Send + Sync + std::fmt::Debug {
    /// Takes the room for `node`, whoever had it.
    fn claim<'a>(
        &'a self,
        room: &'a RoomId,
        node: &'a str,
        now: UnixMs,
    ) -> BoxFuture<'a, Result<Claim, Unavailable>>;

    /// Gives the claim back; nothing happens where a newer one exists.
    fn release<'a>(&'a self, claim: &'a Claim) -> BoxFuture<'a, Result<(), Unavailable>>;

    /// The present claim of a room.
    fn get<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Claim>, Unavailable>>;
}
