//! The other nodes of the cluster: who they are, what they are asked and told, and what this one answers them.
//!
//! Nodes talk by gRPC on their internal ports, to whoever is known by certificate or token ([`Credential`]). Which
//! node lies behind an address is learnt by asking it ([`discovery`]), and each request says which node it is for.

mod breaker;
mod client;
mod credential;
mod discovery;
mod service;
mod srv;
mod status;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use isocast_claims::{Answer, NodeId, Owner, Pair};
use isocast_proto::{Asked, Verdict};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use client::Client;
pub(crate) use credential::Credential;
pub(crate) use service::Service;
pub(crate) use status::reason;

use crate::config;
use crate::data::Reread;
use crate::outbound::{Dialler, HostPort};
use crate::ownership;
use crate::registry::Node;
use crate::rooms::RoomId;
use crate::tls::Mutual;
use discovery::{Discovery, Sources};

/// All that are known, by name; never this node.
pub(crate) type Known = BTreeMap<NodeId, Peer>;

/// Another node.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub owner: Owner,
    pub client: Client,
}

/// The peers of this node. Without a credential there are none.
#[derive(Debug)]
pub(crate) struct Peers {
    credential: Option<Credential>,
    known: watch::Sender<Arc<Known>>,
}

impl Peers {
    /// Looks for them until `stop`.
    pub(crate) fn start(
        me: Owner,
        credential: Option<Credential>,
        config: &config::Peers,
        registered: watch::Receiver<Arc<[(NodeId, Node)]>>,
        dialler: Arc<Dialler>,
        stop: CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let known = watch::Sender::default();
        if let Some(credential) = credential.clone() {
            let discovery = Discovery {
                me,
                sources: Sources {
                    list: config.list.clone(),
                    service: service(config),
                    registered,
                },
                credential,
                dialler,
                known: known.clone(),
                tasks: tasks.clone(),
            };
            tasks.spawn(discovery.run(stop));
        }
        Self { credential, known }
    }

    pub(crate) fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// What the internal port shows to peers, where it has certificates.
    pub(crate) fn mutual(&self) -> Option<Arc<Reread<Mutual>>> {
        self.credential.as_ref()?.mutual().cloned()
    }

    /// Where a node's internal port is.
    pub(crate) fn at(&self, node: &NodeId) -> Option<HostPort> {
        Some(self.peer(node)?.client.at().clone())
    }

    fn peer(&self, node: &NodeId) -> Option<Peer> {
        self.known.borrow().get(node).cloned()
    }
}

fn service(config: &config::Peers) -> Option<(String, Box<dyn srv::LookUp>)> {
    if config.service.is_empty() {
        return None;
    }
    match srv::Resolver::of_system() {
        Ok(resolver) => Some((config.service.clone(), Box::new(resolver))),
        Err(error) => {
            tracing::warn!(%error, "peers.service is not looked up: this machine names no servers for that");
            None
        }
    }
}

impl ownership::Peers for Peers {
    fn known(&self) -> Vec<NodeId> {
        self.known.borrow().keys().cloned().collect()
    }

    fn ask<'a>(
        &'a self,
        peer: &'a NodeId,
        room: &'a RoomId,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Option<Answer>> {
        async move {
            let asked = asked(peer, room, pair);
            let answer = self.peer(peer)?.client.question(&asked).await;
            answer
                .inspect_err(|error| tracing::debug!(%peer, %error, "no answer"))
                .ok()
        }
        .boxed()
    }

    fn announce<'a>(
        &'a self,
        peer: &'a NodeId,
        room: &'a RoomId,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Option<Pair>> {
        async move {
            let asked = asked(peer, room, pair);
            let told = self.peer(peer)?.client.announce(&asked).await;
            match told.inspect_err(|error| tracing::debug!(%peer, %error, "not told")) {
                Ok(Verdict::Stale(floor)) => Some(floor),
                Ok(Verdict::Accepted) | Err(_) => None,
            }
        }
        .boxed()
    }
}

fn asked(to: &NodeId, room: &RoomId, pair: &Pair) -> Asked {
    Asked {
        to: to.clone(),
        room: room.clone(),
        pair: pair.clone(),
    }
}
