//! Lists of nodes that keep themselves up to date: each node writes its own entry again and again, and readers
//! remove those of nodes that no longer do.

use isocast_claims::{NodeId, record};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Registry, Unavailable};
use crate::rooms::RoomId;

/// Entries of a directory that are read.
pub(super) const ENTRIES_MAX: usize = 1024;
/// No node writes as much.
pub(super) const ENTRY_BYTES_MAX: usize = 4096;
/// A directory that nobody writes to is gone after so long, in seconds.
pub(super) const KEPT_S: u64 = record::KEPT_S;
/// Clocks are an hour apart at most, so nobody stamped what lies further ahead. In milliseconds.
const AHEAD_MAX_MS: u64 = 60 * 60 * 1000;

/// Which list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Directory {
    /// All nodes.
    Nodes,
    /// The nodes that hold a copy of this room's stream.
    Replicas(RoomId),
}

impl Directory {
    /// Where it lies, below the cluster's prefix.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Nodes => "cluster:nodes".to_owned(),
            Self::Replicas(room) => format!("{}:replicas", record::key(room)),
        }
    }
}

/// What lies in a directory: names and entries as others wrote them.
#[derive(Debug, PartialEq)]
pub(crate) struct Scan {
    /// The registry's clock, in milliseconds since 1970.
    pub registry_ms: u64,
    pub entries: Vec<(String, String)>,
    /// What was left out, for it cannot be an entry.
    pub corrupt: u64,
}

/// The entries of nodes that were heard of lately.
#[derive(Debug, PartialEq)]
pub(crate) struct Living<E> {
    pub entries: Vec<(NodeId, E)>,
    /// What lies there and is no entry.
    pub corrupt: u64,
}

/// Reads a directory, and removes the entries of nodes that were silent for `dead_after_ms`.
pub(crate) async fn living<E: DeserializeOwned>(
    registry: &dyn Registry,
    directory: &Directory,
    dead_after_ms: u64,
) -> Result<Living<E>, Unavailable> {
    let scan = registry.scan(directory).await?;
    let mut living = Living {
        entries: Vec::new(),
        corrupt: scan.corrupt,
    };
    for (name, text) in &scan.entries {
        let stamp = serde_json::from_str::<Stamp>(text);
        let silent_ms = stamp.map(|stamp| stamp.silent_ms(scan.registry_ms));
        match (NodeId::parse(name), serde_json::from_str(text), silent_ms) {
            (Ok(node), Ok(entry), Ok(Some(silent_ms))) if silent_ms < dead_after_ms => {
                living.entries.push((node, entry));
            }
            (Ok(_), Ok(_), Ok(Some(_))) => registry.strike(directory, name, text).await?,
            _ => living.corrupt += 1,
        }
    }
    Ok(living)
}

/// What every entry has.
#[derive(Deserialize)]
struct Stamp {
    /// In milliseconds since 1970, by the registry's clock.
    last_heartbeat: u64,
}

impl Stamp {
    /// How long nothing was heard; `None` for what no clock has stamped.
    fn silent_ms(&self, registry_ms: u64) -> Option<u64> {
        let is_possible = self.last_heartbeat <= registry_ms.saturating_add(AHEAD_MAX_MS);
        is_possible.then(|| registry_ms.saturating_sub(self.last_heartbeat))
    }
}

/// The entry with the registry's time in front of its other fields.
pub(super) fn stamped(entry: &str, registry_ms: u64) -> String {
    let fields = entry.strip_prefix('{').unwrap_or(entry);
    format!("{{\"last_heartbeat\":{registry_ms},{fields}")
}
