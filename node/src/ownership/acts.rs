//! What rooms want done.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use isocast_claims::record::Status;
use isocast_claims::store::{Reply, Request};
use isocast_claims::{self as claims, Action, NodeId, Pair, Session, Ticket};

use super::{Known, Ownership, listing};
use crate::error::Refusal;
use crate::rooms::RoomId;

impl Ownership {
    /// Does all that a room wants done. What takes time becomes a task, which tells the room what came of it.
    pub(super) fn act(self: &Arc<Self>, id: &RoomId, known: &mut Known) {
        while let Some(action) = known.room.poll() {
            match action {
                Action::Call(ticket, request) => self.call_registry(id, ticket, request),
                Action::Ask {
                    ticket,
                    peers,
                    pair,
                } => self.ask(id, ticket, peers, pair),
                Action::Announce(pair) => self.announce(id, pair),
                Action::Won { session, pair, .. } => {
                    self.list(id);
                    Self::tell(known, session, Ok(pair));
                }
                Action::Refused { session, why } => Self::tell(known, session, Err(refusal(why))),
                Action::Closed { session, by } => self.close(id, known, session, &by),
                Action::Corrupt(corrupt) => {
                    self.parts.corrupt.inc();
                    tracing::debug!(room = %id, %corrupt, "what lies in the registry is left out");
                }
            }
        }
    }

    fn call_registry(self: &Arc<Self>, id: &RoomId, ticket: Ticket, request: Request) {
        let (ownership, id) = (Arc::clone(self), id.clone());
        self.parts.tasks.spawn(async move {
            let ends =
                matches!(&request, Request::Put { record, .. } if record.status == Status::Ended);
            let reply = ownership.call(&id, request).await;
            let has_ended = ends && reply == Some(Reply::Written);
            ownership.change(&id, |known, now| known.room.replied(ticket, reply, now));
            if has_ended {
                listing::take_off(&*ownership.parts.registry, id).await;
            }
        });
    }

    fn list(&self, id: &RoomId) {
        let (registry, id) = (Arc::clone(&self.parts.registry), id.clone());
        self.parts.tasks.spawn(async move {
            listing::put_on(&*registry, &[id]).await;
        });
    }

    fn ask(self: &Arc<Self>, id: &RoomId, ticket: Ticket, peers: Vec<NodeId>, pair: Pair) {
        let (ownership, id) = (Arc::clone(self), id.clone());
        self.parts.tasks.spawn(async move {
            let ask = async |peer: &NodeId| {
                let answer = ownership.parts.peers.ask(peer, &id, &pair).await;
                ownership.change(&id, |known, now| {
                    known.room.answered(ticket, peer, answer, now)
                });
            };
            let mut answers: FuturesUnordered<_> = peers.iter().map(ask).collect();
            while answers.next().await.is_some() {}
        });
    }

    fn announce(self: &Arc<Self>, id: &RoomId, pair: Pair) {
        let (ownership, id) = (Arc::clone(self), id.clone());
        let peers = self.parts.peers.known();
        self.parts.tasks.spawn(async move {
            let tell = async |peer: &NodeId| {
                if let Some(floor) = ownership.parts.peers.announce(peer, &id, &pair).await {
                    ownership.change(&id, |known, now| known.room.admit(&floor, now).ok());
                }
            };
            let mut told: FuturesUnordered<_> = peers.iter().map(tell).collect();
            while told.next().await.is_some() {}
        });
    }

    fn tell(known: &mut Known, session: Session, verdict: Result<Pair, Refusal>) {
        let Some(party) = known.parties.get_mut(&session) else {
            return;
        };
        // Who does not wait any more leaves when it is dropped.
        if let Some(waits) = party.verdict.take() {
            waits.send(verdict).ok();
        }
    }

    /// The publisher is told in its session, and cut off from its stream.
    fn close(&self, id: &RoomId, known: &mut Known, session: Session, by: &Pair) {
        let Some(party) = known.parties.get(&session) else {
            return;
        };
        tracing::info!(room = %id, %by, "another publisher has the room");
        party.lost.cancel();
        if let Some(stream) = self.parts.hub.stream(id) {
            stream.revoke_below(by);
        }
    }
}

fn refusal(why: claims::Refusal) -> Refusal {
    match why {
        claims::Refusal::AlreadyLive => Refusal::AlreadyLive,
        claims::Refusal::Retry => Refusal::Unavailable("the registry"),
    }
}
