use futures_util::future::BoxFuture;
#[cfg(test)]
use futures_util::{FutureExt, future::ready};
use isocast_claims::{Answer, NodeId, Pair};

use crate::rooms::RoomId;

/// The other nodes. Each call has a deadline of its own.
pub(crate) trait Peers: Send + Sync + std::fmt::Debug {
    /// All that are known.
    fn known(&self) -> Vec<NodeId>;

    /// Asks one whether `pair` may have the room; `None` where it does not answer.
    fn ask<'a>(
        &'a self,
        peer: &'a NodeId,
        room: &'a RoomId,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Option<Answer>>;

    /// Tells one that `pair` has the room. The higher claim that it knows of, where there is one.
    fn announce<'a>(
        &'a self,
        peer: &'a NodeId,
        room: &'a RoomId,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Option<Pair>>;
}

/// There are none.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Alone;

#[cfg(test)]
impl Peers for Alone {
    fn known(&self) -> Vec<NodeId> {
        Vec::new()
    }

    fn ask<'a>(
        &'a self,
        _: &'a NodeId,
        _: &'a RoomId,
        _: &'a Pair,
    ) -> BoxFuture<'a, Option<Answer>> {
        ready(None).boxed()
    }

    fn announce<'a>(
        &'a self,
        _: &'a NodeId,
        _: &'a RoomId,
        _: &'a Pair,
    ) -> BoxFuture<'a, Option<Pair>> {
        ready(None).boxed()
    }
}
