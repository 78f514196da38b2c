//! What a node knows and does about one room.

mod arrival;
mod held;
mod peer;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::VecDeque;

pub use arrival::{Arrival, Refusal};
pub use peer::{Answer, Standing};

use crate::floor::{Floor, Rejected};
use crate::pair::{NodeId, Owner, Pair};
use crate::record::{Continuation, Corrupt, Record, Status};
use crate::store::{Found, Reply, Request};
use arrival::Pending;
use held::Held;

/// What time it is, by the two clocks of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since a moment that stays the same while the node runs; deadlines are in these.
    pub monotonic_ms: u64,
    /// Milliseconds since 1970. May jump; epochs are made of these.
    pub unix_ms: u64,
}

/// A publisher's connection, numbered by its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session(pub u64);

/// Ties an answer to what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// How long what takes, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Newcomers are refused while the registry does not answer.
    pub strict: bool,
    /// How long the registry may take for one call.
    pub registry_deadline_ms: u64,
    /// How long peers may take to answer a question.
    pub ask_deadline_ms: u64,
    /// How soon a newcomer looks again whether the present publisher sends.
    pub look_again_ms: u64,
    /// A publisher that sent nothing for so long has lost its room to a newcomer.
    pub silence_ms: u64,
    /// How often a claim is renewed.
    pub renew_every_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            strict: false,
            registry_deadline_ms: 1000,
            ask_deadline_ms: 300,
            look_again_ms: 250,
            silence_ms: 1000,
            renew_every_ms: 2000,
        }
    }
}

/// What the node is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Call the registry, and hand its reply to [`Room::replied`].
    Call(Ticket, Request),
    /// Ask these peers for [`Room::question`], and hand their answers to [`Room::answered`].
    Ask {
        /// For the answers.
        ticket: Ticket,
        /// Whom.
        peers: Vec<NodeId>,
        /// The claim that the newcomer is to have.
        pair: Pair,
    },
    /// Tell every peer of this claim, for [`Room::admit`]. Whether it arrives is not awaited, but a peer that
    /// refuses it as stale says so: without a registry nobody else may tell the owner of a higher claim.
    Announce(Pair),
    /// The newcomer has the room.
    Won {
        /// Which newcomer.
        session: Session,
        /// Its claim.
        pair: Pair,
        /// What the registry had of the owner before.
        before: Option<Box<Record>>,
    },
    /// The newcomer has not.
    Refused {
        /// Which newcomer.
        session: Session,
        /// Why.
        why: Refusal,
    },
    /// The publisher has lost the room and is closed.
    Closed {
        /// Which publisher.
        session: Session,
        /// Who has it now.
        by: Pair,
    },
    /// Count this.
    Corrupt(Corrupt),
}

/// One node's part in who owns a room.
///
/// The caller hands in what happens, then takes every [`Action`] with [`poll`](Self::poll), and calls
/// [`tick`](Self::tick) when [`due`](Self::due) has come. Peers share the rule that whoever sees a higher
/// claim gives way; nothing else ends an ownership but the publisher's own leaving.
#[derive(Debug)]
pub struct Room {
    me: Owner,
    settings: Settings,
    floor: Floor,
    held: Option<Held>,
    pending: Option<Pending>,
    /// Reads what an earlier life of this node left.
    starting: Option<Ticket>,
    /// What was held last, until the room is said to have ended.
    left: Option<Record>,
    last_ticket: u64,
    actions: VecDeque<Action>,
}

impl Room {
    /// A room that nothing is known of.
    #[must_use]
    pub fn new(me: Owner, settings: Settings) -> Self {
        Self {
            me,
            settings,
            floor: Floor::default(),
            held: None,
            pending: None,
            starting: None,
            left: None,
            last_ticket: 0,
            actions: VecDeque::new(),
        }
    }

    /// The claim under which this node owns the room.
    #[must_use]
    pub fn owns(&self) -> Option<&Pair> {
        self.held.as_ref().map(|held| &held.record.pair)
    }

    /// The publisher for which this node owns the room.
    #[must_use]
    pub fn holder(&self) -> Option<Session> {
        self.held.as_ref().map(|held| held.session)
    }

    /// The highest claim seen here, whoever's.
    #[must_use]
    pub fn floor(&self) -> Option<&Pair> {
        self.floor.seen()
    }

    /// Whether nothing is lost by forgetting this room.
    #[must_use]
    pub fn is_spent(&self, now: Now) -> bool {
        self.held.is_none() && self.pending.is_none() && self.floor.is_spent(now.unix_ms)
    }

    /// This node has just started, and the room is one of those that the registry knows: a claim that an
    /// earlier life of the node left there is given back.
    pub fn start(&mut self) {
        self.starting = Some(self.call(Request::Read));
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`tick`](Self::tick), by [`Now::monotonic_ms`].
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let pending = self.pending.as_ref().map(|pending| pending.until_ms);
        let held = self.held.as_ref().map(Held::due);
        pending.into_iter().chain(held).min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Now) {
        self.tick_pending(now);
        self.tick_held(now);
    }

    /// Lets pass what comes under a claim: a peer's word, or a frame, segment or playlist of an owner. What is
    /// refused as stale is answered with the floor, which its owner hands in here; it then stops.
    pub fn admit(&mut self, pair: &Pair, now: Now) -> Result<(), Rejected> {
        let admitted = self.floor.admit(pair, now.unix_ms);
        if admitted == Err(Rejected::EpochAhead) {
            self.actions.push_back(Action::Corrupt(Corrupt::EpochAhead));
        }
        if admitted.is_ok() && self.owns().is_some_and(|own| own < pair) {
            self.close(pair);
        }
        admitted
    }

    /// The registry's reply, or `None` where it failed.
    pub fn replied(&mut self, ticket: Ticket, reply: Option<Reply>, now: Now) {
        let stored = match &reply {
            Some(Reply::Found(found) | Reply::Conflict(found)) => self.learn(found, now),
            Some(Reply::Written) | None => None,
        };
        if self.starting.take_if(|read| *read == ticket).is_some() {
            self.release_earlier(reply);
        } else if self.pending.as_ref().is_some_and(|it| it.calls(ticket)) {
            self.pending_replied(reply, stored, now);
        } else if self.held.as_ref().is_some_and(|it| it.calls(ticket)) {
            self.held_replied(reply, now);
        }
    }

    /// The publisher, or whoever wants to be, is gone.
    pub fn leave(&mut self, session: Session, now: Now) {
        if self.pending.as_ref().is_some_and(|it| it.is(session)) {
            self.give_up(now);
        }
        if let Some(held) = self.held.take_if(|held| held.session == session) {
            self.release(held.record.clone(), Status::Interrupted);
            self.left = Some(held.record);
            self.look_again(now);
        }
    }

    /// Whether its publisher has gone, and it is not said yet that the broadcast is over.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.left.is_some()
    }

    /// Nobody came back: the broadcast is over.
    pub fn end(&mut self) {
        if let Some(record) = self.left.take() {
            self.release(record, Status::Ended);
        }
    }

    /// What a publisher has sent so far: how many frames, and when the last one came, by
    /// [`Now::monotonic_ms`]; `None` where it gives way to any newcomer. Say it before whatever asks for it: a
    /// question, an arrival, an answer, a tick.
    pub fn heard(&mut self, session: Session, frames: u64, last_frame_ms: Option<u64>) {
        if let Some(held) = self.held.as_mut().filter(|held| held.session == session) {
            held.frames = frames;
            held.last_frame_ms = last_frame_ms;
        }
    }

    /// What the next renewal is to say: viewers on all nodes, and where HLS and the timeline stand.
    pub fn describe(&mut self, viewer_count: u64, continuation: Option<Continuation>) {
        if let Some(held) = &mut self.held {
            held.record.viewer_count = viewer_count;
            held.record.continuation = continuation;
        }
    }

    /// Believes what was found as far as it can be, and gives way to it. The claim in it, if there is one.
    fn learn(&mut self, found: &Found, now: Now) -> Option<Pair> {
        if let Some(Err(corrupt)) = found.record {
            self.actions.push_back(Action::Corrupt(corrupt));
        }
        let pair = found.pair.as_ref()?;
        match self.admit(pair, now) {
            Ok(()) | Err(Rejected::Stale { .. }) => Some(pair.clone()),
            Err(Rejected::EpochAhead) => None,
        }
    }

    fn release_earlier(&mut self, found: Option<Reply>) {
        let Some(Reply::Found(Found {
            record: Some(Ok(record)),
            ..
        })) = found
        else {
            return;
        };
        let owner = &record.pair.owner;
        let is_earlier = owner.node == self.me.node && owner.incarnation != self.me.incarnation;
        if is_earlier && record.status == Status::Live {
            self.release(record, Status::Interrupted);
        }
    }

    fn call(&mut self, request: Request) -> Ticket {
        let ticket = self.ticket();
        self.actions.push_back(Action::Call(ticket, request));
        ticket
    }

    /// Nobody waits for it: a record that stays live without an owner has no power, and dies by its heartbeat.
    fn release(&mut self, record: Record, status: Status) {
        self.call(Request::release(record, status));
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }
}
