//! What nodes say of themselves, in `cluster:nodes`.

use std::sync::Arc;

use isocast_claims::NodeId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::directory::{Living, living};
use super::{Directory, Registry, Unavailable};

/// A node's entry. Who reads it leaves alone what it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    /// The host by which other nodes reach it.
    pub address: String,
    /// Which of its lives: when that began, in milliseconds since 1970 by its own clock.
    pub incarnation: u64,
    pub started_at: u64,
    pub status: Status,
    pub load: Load,
    pub zone: String,
    pub capabilities: Capabilities,
    pub ports: Ports,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Online,
    /// It takes nobody any more.
    Draining,
}

impl Status {
    pub(crate) const ALL: [Self; 2] = [Self::Online, Self::Draining];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Draining => "draining",
        }
    }
}

/// How much of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Shares of what there is; 0 where there is no limit.
    pub cpu: f64,
    pub memory: f64,
    pub egress: f64,
    pub streams: u64,
    pub viewers: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Capabilities {
    pub can_publish: bool,
    pub can_subscribe: bool,
    pub max_streams: u64,
}

/// Where it listens; `None` where it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub rtmp: u16,
    pub http: u16,
    pub internal: u16,
    #[serde(default)]
    pub relay: Option<u16>,
}

/// The nodes as they were last heard of, by name. While the registry does not answer they stay as they were.
#[derive(Debug, Default)]
pub(crate) struct Nodes(watch::Sender<Arc<[(NodeId, Node)]>>);

impl Nodes {
    /// Tells of every change.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<[(NodeId, Node)]>> {
        self.0.subscribe()
    }

    pub(crate) fn now(&self) -> Arc<[(NodeId, Node)]> {
        Arc::clone(&self.0.borrow())
    }

    pub(crate) fn heard(&self, nodes: Vec<(NodeId, Node)>) {
        self.0.send_if_modified(|known| {
            let is_new = **known != *nodes;
            if is_new {
                *known = nodes.into();
            }
            is_new
        });
    }
}

/// All nodes that were heard of lately, the reader's own among them, by name.
pub(crate) async fn nodes(
    registry: &dyn Registry,
    dead_after_ms: u64,
) -> Result<Living<Node>, Unavailable> {
    let mut living = living(registry, &Directory::Nodes, dead_after_ms).await?;
    living
        .entries
        .sort_by(|(a, _): &(NodeId, _), (b, _)| a.cmp(b));
    Ok(living)
}
