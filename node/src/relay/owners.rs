use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::holders::{Holder, Holders};
use crate::outbound::HostPort;
use crate::ownership::Ownership;
use crate::registry::{Nodes, Unavailable};
use crate::rooms::RoomId;

/// The owners of rooms: ownership knows who has one, and the registry where that is.
#[derive(Debug)]
pub(crate) struct Owners {
    pub ownership: Arc<Ownership>,
    pub nodes: Arc<Nodes>,
}

impl Holders for Owners {
    /// Whose claim is registered; while the registry is away, whose was the highest that was heard of.
    fn holders<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Vec<Holder>, Unavailable>> {
        async move {
            let pair = match self.ownership.publisher(room).await {
                Ok(pair) => pair,
                Err(error) => Some(self.ownership.seen(room).ok_or(error)?),
            };
            let nodes = self.nodes.now();
            let holder = pair.and_then(|pair| {
                let (node, entry) = nodes.iter().find(|(node, _)| *node == pair.owner.node)?;
                Some(Holder {
                    node: node.clone(),
                    address: HostPort {
                        host: entry.address.clone(),
                        port: entry.ports.relay?,
                    },
                    pair,
                    hops: 0,
                    zone: entry.zone.clone(),
                })
            });
            Ok(holder.into_iter().collect())
        }
        .boxed()
    }
}
