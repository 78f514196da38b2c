use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use isocast_claims::{NodeId, Pair, Rejected};

use super::client::Dial;
use super::peer::{Holder, Holders};
use crate::outbound::{Connection, Dialler, Error};
use crate::ownership::Ownership;
use crate::peers::{Credential, Peers};
use crate::rooms::RoomId;
use crate::tls;

/// For TCP and TLS together.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// The cluster as fetching sees it: ownership knows who has a room, and peers where that is.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub ownership: Arc<Ownership>,
    pub peers: Arc<Peers>,
    pub credential: Credential,
    pub dialler: Arc<Dialler>,
}

impl Holders for Cluster {
    /// Whose claim is registered, and whose is the highest that was seen: the registry may be away, or not yet
    /// know. Whoever does not have the room says so.
    fn of<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Vec<Holder>> {
        async move {
            let registered = self.ownership.publisher(room).await;
            let registered = registered.unwrap_or_else(|error| {
                tracing::debug!(%room, %error, "who has the room is what was heard last");
                None
            });
            let mut pairs: Vec<Pair> = registered.into_iter().collect();
            pairs.extend(self.ownership.seen(room));
            pairs.sort_unstable_by(|one, other| other.cmp(one));
            pairs.dedup_by(|one, other| one.owner.node == other.owner.node);
            let owners = pairs.iter().map(|pair| &pair.owner.node);
            owners.filter_map(|node| self.node(node)).collect()
        }
        .boxed()
    }

    fn node(&self, node: &NodeId) -> Option<Holder> {
        let (node, at) = (node.clone(), self.peers.at(node)?);
        Some(Holder { node, at })
    }

    fn admit(&self, room: &RoomId, pair: &Pair) -> Result<(), Rejected> {
        self.ownership.admit(room, pair)
    }
}

impl Dial for Cluster {
    fn dial<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<Box<dyn Connection>, Error>> {
        let protocols = &[tls::HTTP2];
        let connection =
            self.credential
                .connect(&self.dialler, &holder.at, protocols, CONNECT_WITHIN);
        connection.boxed()
    }

    fn bearer(&self) -> BoxFuture<'_, Option<HeaderValue>> {
        async {
            let bearer = self.credential.bearer().await?;
            let mut bearer = HeaderValue::from_bytes(bearer.as_bytes()).ok()?;
            bearer.set_sensitive(true);
            Some(bearer)
        }
        .boxed()
    }
}
