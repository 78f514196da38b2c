use std::fmt::Debug;

use futures_util::future::BoxFuture;
use isocast_claims::{NodeId, Pair};

use super::HOPS_MAX;
use crate::outbound::HostPort;
use crate::registry::Unavailable;
use crate::rooms::RoomId;

/// A node that has a room's stream and sends it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub node: NodeId,
    /// Its port for relays.
    pub address: HostPort,
    /// The claim under which it has the room.
    pub pair: Pair,
    /// By how many connections between nodes: 0 for the owner.
    pub hops: u8,
    pub zone: String,
}

/// Who has which room, as far as is known here. A holder that has it no more is found out when it is asked.
pub(crate) trait Holders: Send + Sync + Debug {
    fn holders<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Vec<Holder>, Unavailable>>;
}

/// Those that `node` may pull from, the best first: of the highest claim only, those that have just failed last,
/// then by zone, then the nearest to the publisher.
pub(super) fn ranked(
    mut holders: Vec<Holder>,
    node: &NodeId,
    zone: &str,
    failed: &[NodeId],
) -> Vec<Holder> {
    let highest = holders.iter().map(|holder| &holder.pair).max().cloned();
    holders.retain(|holder| {
        Some(&holder.pair) == highest.as_ref()
            && holder.node != *node
            && holder.pair.owner.node != *node
            && holder.hops < HOPS_MAX
    });
    holders.sort_by_key(|holder| {
        let has_failed = failed.contains(&holder.node);
        (has_failed, holder.zone != zone, holder.hops)
    });
    holders
}

#[cfg(test)]
mod tests {
    use isocast_claims::{Incarnation, Owner};

    use super::*;

    fn node(id: &str) -> NodeId {
        NodeId::parse(id).unwrap()
    }

    fn holder(id: &str, owner: &str, epoch: u64, hops: u8, zone: &str) -> Holder {
        let owner = Owner {
            node: node(owner),
            incarnation: Incarnation(1),
        };
        Holder {
            node: node(id),
            address: HostPort {
                host: id.into(),
                port: 1937,
            },
            pair: Pair { epoch, owner },
            hops,
            zone: zone.into(),
        }
    }

    fn order(holders: Vec<Holder>, failed: &[&str]) -> Vec<String> {
        let failed: Vec<_> = failed.iter().map(|id| node(id)).collect();
        let ranked = ranked(holders, &node("me"), "here", &failed);
        ranked.iter().map(|it| it.node.to_string()).collect()
    }

    #[test]
    fn the_nearest_is_asked_first() {
        let all = || {
            vec![
                holder("far-warm", "a", 2, 1, "there"),
                holder("a", "a", 2, 0, "there"),
                holder("near-warm", "a", 2, 1, "here"),
            ]
        };
        assert_eq!(order(all(), &[]), ["near-warm", "a", "far-warm"]);
        assert_eq!(order(all(), &["near-warm"]), ["a", "far-warm", "near-warm"]);
    }

    #[test]
    fn who_cannot_have_it_is_not_asked() {
        for (name, holders, expected) in [
            ("nobody", vec![], &[][..]),
            ("this node", vec![holder("me", "a", 1, 1, "here")], &[]),
            (
                "this node has it",
                vec![holder("b", "me", 1, 1, "here")],
                &[],
            ),
            ("too far", vec![holder("b", "a", 1, 2, "here")], &[]),
            (
                "of an older claim",
                vec![
                    holder("b", "a", 1, 0, "here"),
                    holder("c", "c", 2, 0, "there"),
                ],
                &["c"],
            ),
        ] {
            assert_eq!(order(holders, &[]), expected, "{name}");
        }
    }
}
