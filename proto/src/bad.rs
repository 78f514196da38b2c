use isocast_admin::RoomId;
use isocast_claims::{Incarnation, NodeId, Owner, Pair};

use crate::v1;

/// What is wrong with a message that could be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// A field that is always set is not.
    #[error("`{0}` is missing, or of a later release")]
    Missing(&'static str),
    /// A text names no node.
    #[error("`{0}` is no node id")]
    Node(&'static str),
    /// A text names no room.
    #[error("`room` is no room id")]
    Room,
}

pub(crate) fn node(field: &'static str, text: &str) -> Result<NodeId, Bad> {
    NodeId::parse(text).map_err(|_| Bad::Node(field))
}

pub(crate) fn room(text: &str) -> Result<RoomId, Bad> {
    RoomId::parse(text).map_err(|_| Bad::Room)
}

pub(crate) fn pair(field: &'static str, pair: Option<v1::Pair>) -> Result<Pair, Bad> {
    let pair = pair.ok_or(Bad::Missing(field))?;
    Ok(Pair {
        epoch: pair.epoch,
        owner: Owner {
            node: node("pair.node", &pair.node)?,
            incarnation: Incarnation(pair.incarnation),
        },
    })
}

pub(crate) fn optional_pair(pair: Option<v1::Pair>) -> Result<Option<Pair>, Bad> {
    pair.map(|some| self::pair("pair", Some(some))).transpose()
}

impl From<&Pair> for v1::Pair {
    fn from(pair: &Pair) -> Self {
        Self {
            epoch: pair.epoch,
            node: pair.owner.node.to_string(),
            incarnation: pair.owner.incarnation.0,
        }
    }
}
