//! What this node answers its peers.

use std::sync::Arc;

use isocast_claims::{NodeId, Owner, Rejected};
use isocast_proto::v1::peer_service_server::{PeerService, PeerServiceServer};
use isocast_proto::{
    About, Asked, Bad, Description, Introduction, MESSAGE_BYTES_MAX, State, Verdict, v1,
};
use tonic::{Request, Response, Status};

use crate::error::Refusal;
use crate::hub::{self, Hub};
use crate::ownership::Ownership;
use crate::rooms::RoomId;

#[derive(Debug)]
pub(crate) struct Service {
    me: Owner,
    ownership: Arc<Ownership>,
    hub: Arc<Hub>,
}

impl Service {
    pub(crate) fn new(me: Owner, ownership: Arc<Ownership>, hub: Arc<Hub>) -> Self {
        Self { me, ownership, hub }
    }

    /// With its limits.
    pub(crate) fn served(self) -> PeerServiceServer<Self> {
        PeerServiceServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// An address may have a new owner; what is meant for another node is not answered in its place.
    fn is_meant(&self, to: &NodeId) -> Result<(), Refusal> {
        match *to == self.me.node {
            true => Ok(()),
            false => Err(Refusal::Misdirected(self.me.node.to_string())),
        }
    }

    fn describe(&self, room: &RoomId) -> Description {
        let stream = self.hub.stream(room);
        let stream = stream.filter(|stream| stream.state() != hub::State::Gone);
        let state = match stream.as_ref().map(|stream| stream.state()) {
            None | Some(hub::State::Gone) => State::None,
            Some(hub::State::Live) => State::Live,
            Some(hub::State::Interrupted) => State::Interrupted,
            Some(hub::State::Ended) => State::Ended,
        };
        let newest = stream.and_then(|stream| stream.newest());
        let (pair, room_time) = newest.unzip();
        Description {
            state,
            pair,
            room_time_ms: room_time.map(|time| time.0),
        }
    }
}

#[tonic::async_trait]
impl PeerService for Service {
    async fn introduce(
        &self,
        _: Request<v1::IntroduceRequest>,
    ) -> Result<Response<v1::IntroduceResponse>, Status> {
        Ok(Response::new((&Introduction(self.me.clone())).into()))
    }

    async fn question(
        &self,
        request: Request<v1::QuestionRequest>,
    ) -> Result<Response<v1::QuestionResponse>, Status> {
        let Asked { to, room, pair } = read(request)?;
        self.is_meant(&to)?;
        let answer = self.ownership.question(&room, &pair);
        Ok(Response::new((&answer).into()))
    }

    async fn announce(
        &self,
        request: Request<v1::AnnounceRequest>,
    ) -> Result<Response<v1::AnnounceResponse>, Status> {
        let Asked { to, room, pair } = read(request)?;
        self.is_meant(&to)?;
        let verdict = match self.ownership.admit(&room, &pair) {
            Ok(()) => Verdict::Accepted,
            Err(Rejected::Stale { floor }) => Verdict::Stale(floor),
            Err(ahead @ Rejected::EpochAhead) => {
                return Err(Refusal::BadRequest(ahead.to_string()).into());
            }
        };
        Ok(Response::new((&verdict).into()))
    }

    async fn describe(
        &self,
        request: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        let About { to, room } = read(request)?;
        self.is_meant(&to)?;
        Ok(Response::new((&self.describe(&room)).into()))
    }
}

fn read<Wire, Meant: TryFrom<Wire, Error = Bad>>(request: Request<Wire>) -> Result<Meant, Refusal> {
    let meant = Meant::try_from(request.into_inner());
    meant.map_err(|bad| Refusal::BadRequest(bad.to_string()))
}
