//! What is compared when two nodes hold the same room.

use std::fmt;
use std::sync::Arc;

/// How far ahead of its own clock a node believes an epoch, in milliseconds: 24 h. Clocks may be an hour
/// apart; what lies further ahead is garbage, and believing it would spoil the room's epochs for good.
pub const EPOCH_AHEAD_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// The longest name of a host (RFC 1035 §2.3.4).
const NODE_ID_BYTES_MAX: usize = 253;

/// The name of a node: 1 to 253 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

/// The text names no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node id is 1 to 253 of A-Z, a-z, 0-9, `.`, `_` and `-`")]
pub struct BadNodeId;

impl NodeId {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, BadNodeId> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_id = (1..=NODE_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_letter);
        is_id.then(|| Self(text.into())).ok_or(BadNodeId)
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One life of a node: when it started, in milliseconds since 1970 by its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// Who holds a claim. A pod that is started again has its old name, and remembers nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The node's name.
    pub node: NodeId,
    /// Which of its lives.
    pub incarnation: Incarnation,
}

/// A claim's place among all claims of its room, compared from the top: whoever sees a higher one gives way.
///
/// The incarnation belongs to what is compared. A registry that lost its last writes, and a node that was
/// started again, can come to the same epoch for the same name twice; these are two claims all the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// Rises with every claim; milliseconds since 1970, or more where epochs ran ahead of the minter's clock.
    pub epoch: u64,
    /// Who minted it.
    pub owner: Owner,
}

impl Pair {
    /// `<epoch>-<8 hex digits of the owner>`, for names of segments and objects.
    ///
    /// The epoch alone is not enough there: the two sides of a partition count on from the same epoch, and
    /// would give one name to different bytes.
    #[must_use]
    pub fn name(&self) -> String {
        let Owner { node, incarnation } = &self.owner;
        let said = node.as_str().bytes().chain(incarnation.0.to_be_bytes());
        // FNV-1a, 32 bits.
        let tag = said.fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        format!("{}-{tag:08x}", self.epoch)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner { node, incarnation } = &self.owner;
        write!(f, "{} of {node}, started {}", self.epoch, incarnation.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn pair(epoch: u64, node: &str, incarnation: u64) -> Pair {
        Pair {
            epoch,
            owner: Owner {
                node: NodeId::parse(node).expect("a node id"),
                incarnation: Incarnation(incarnation),
            },
        }
    }

    #[test]
    fn ids_are_taken_or_refused() {
        let (long, too_long) = ("a".repeat(253), "a".repeat(254));
        for (text, good) in [
            ("node-1", true),
            ("isocast-0.isocast", true),
            ("N_9", true),
            (&long, true),
            ("", false),
            (&too_long, false),
            ("a b", false),
            ("a/b", false),
            ("a\0", false),
            ("é", false),
        ] {
            assert_eq!(NodeId::parse(text).is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn pairs_compare_by_epoch_then_node_then_incarnation() {
        let rising = [
            pair(1, "b", 9),
            pair(2, "a", 5),
            pair(2, "a", 6),
            pair(2, "b", 1),
            pair(10, "a", 1),
        ];
        assert!(rising.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn every_claim_has_a_name_of_its_own() {
        let of = |epoch, node, incarnation| pair(epoch, node, incarnation).name();
        assert_eq!(of(7, "a", 1), of(7, "a", 1));
        assert!(of(7, "a", 1).starts_with("7-"));
        for other in [of(7, "a", 2), of(7, "b", 1), of(8, "a", 1)] {
            assert_ne!(of(7, "a", 1), other);
        }
    }
}
