//! Requests, as the asking node means them and the asked one reads them.

use isocast_admin::RoomId;
use isocast_claims::{NodeId, Pair};

use crate::bad::{self, Bad};
use crate::v1;

/// A claim of a room, asked about or announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The node that is meant.
    pub to: NodeId,
    /// Of which room.
    pub room: RoomId,
    /// Under which claim.
    pub pair: Pair,
}

/// A room that is to be described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The node that is meant.
    pub to: NodeId,
    /// Which room.
    pub room: RoomId,
}

impl TryFrom<v1::QuestionRequest> for Asked {
    type Error = Bad;

    fn try_from(request: v1::QuestionRequest) -> Result<Self, Bad> {
        Ok(Self {
            to: bad::node("to", &request.to)?,
            room: bad::room(&request.room)?,
            pair: bad::pair("pair", request.pair)?,
        })
    }
}

impl TryFrom<v1::AnnounceRequest> for Asked {
    type Error = Bad;

    fn try_from(request: v1::AnnounceRequest) -> Result<Self, Bad> {
        Ok(Self {
            to: bad::node("to", &request.to)?,
            room: bad::room(&request.room)?,
            pair: bad::pair("pair", request.pair)?,
        })
    }
}

impl TryFrom<v1::DescribeRequest> for About {
    type Error = Bad;

    fn try_from(request: v1::DescribeRequest) -> Result<Self, Bad> {
        Ok(Self {
            to: bad::node("to", &request.to)?,
            room: bad::room(&request.room)?,
        })
    }
}

impl From<&Asked> for v1::QuestionRequest {
    fn from(asked: &Asked) -> Self {
        Self {
            to: asked.to.to_string(),
            room: asked.room.to_string(),
            pair: Some((&asked.pair).into()),
        }
    }
}

impl From<&Asked> for v1::AnnounceRequest {
    fn from(asked: &Asked) -> Self {
        Self {
            to: asked.to.to_string(),
            room: asked.room.to_string(),
            pair: Some((&asked.pair).into()),
        }
    }
}

impl From<&About> for v1::DescribeRequest {
    fn from(about: &About) -> Self {
        Self {
            to: about.to.to_string(),
            room: about.room.to_string(),
        }
    }
}
