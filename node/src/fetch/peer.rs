//! Other nodes, as fetching sees them. Who they are is told by the registry and by peers, never by a request.

use std::fmt::Debug;
use std::time::Duration;

use axum::http::HeaderValue;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use isocast_claims::{NodeId, Pair, Rejected};

use super::wire::Object;
use crate::error::Refusal;
use crate::outbound::HostPort;
use crate::rooms::RoomId;

/// Another node, and where its internal port is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    pub node: NodeId,
    pub at: HostPort,
}

/// Who has which room, and the highest claim of it that was seen here.
pub(crate) trait Holders: Send + Sync + Debug {
    /// The nodes other than this one that have the room, its owner first; none where nobody has it.
    fn of<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Vec<Holder>>;

    /// A node by its name.
    fn node(&self, node: &NodeId) -> Option<Holder>;

    /// Lets pass what was cut under this claim, unless a higher one is known. It is known from here on.
    fn admit(&self, room: &RoomId, pair: &Pair) -> Result<(), Rejected>;
}

/// What a peer is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub room: RoomId,
    pub object: Object,
    /// What is here already, and how long to wait for what comes after it.
    pub after: Option<(Option<HeaderValue>, Duration)>,
}

/// What a peer says.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Found(Found),
    /// It is as it was; the claim under which that is said.
    Unchanged(Pair),
    /// The room is live, and there is nothing of it yet.
    NotYet(Pair),
    /// There is no such thing, which is an answer too.
    Absent(Refusal),
}

#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The claim of whoever cut it.
    pub pair: Pair,
    pub etag: Option<HeaderValue>,
    pub body: Bytes,
}

/// Why a peer has said nothing of use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("it cannot be reached, or broke off: {0}")]
    Unreachable(String),
    #[error("it answered with {0}")]
    Status(u16),
    #[error("it did not answer within its time")]
    Late,
    #[error("it answered with {0}")]
    Garbled(&'static str),
    /// Nobody was asked: all who have it were left alone, having failed too often.
    #[error("nobody who has it can be asked now")]
    Nobody,
}

impl Failure {
    /// Whether the peer is to be left alone where it goes on like this.
    pub(super) fn is_ill_health(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Status(500..))
    }

    /// A constant word for metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Status(_) => "status",
            Self::Late => "late",
            Self::Garbled(_) => "garbled",
            Self::Nobody => "nobody",
        }
    }
}

/// Calls peers. The caller has the deadline.
pub(crate) trait Call: Send + Sync + Debug {
    fn call<'a>(
        &'a self,
        holder: &'a Holder,
        ask: &'a Ask,
    ) -> BoxFuture<'a, Result<Reply, Failure>>;
}
