//! Who wins: from a newcomer's arrival to the verdict.

use super::arrival::{Pending, Rival, Step, rival};
use super::held::Held;
use super::{Action, Answer, Arrival, Now, Refusal, Room, Session, Standing, Ticket};
use crate::pair::{NodeId, Pair};
use crate::record::Status;
use crate::store::{Mark, Reply, Request};

/// To see a publisher fall silent takes five questions; each time the room changes hands meanwhile, one more.
const ROUNDS_MAX: u32 = 12;

impl Room {
    /// A newcomer: the registry is read, then all peers are asked, then the claim is written. While one is
    /// here, another is refused.
    pub fn arrive(&mut self, arrival: Arrival, now: Now) {
        if self.pending.is_some() {
            let (session, why) = (arrival.session, Refusal::AlreadyLive);
            self.actions.push_back(Action::Refused { session, why });
            return;
        }
        let ticket = self.call(Request::Read);
        let pair = self.floor.mint(None, &self.me, now.unix_ms);
        self.pending = Some(Pending {
            arrival,
            step: Step::Reading(ticket),
            until_ms: now.monotonic_ms + self.settings.registry_deadline_ms,
            expected: None,
            before: None,
            pair,
            rivals: Vec::new(),
            rounds: 0,
        });
    }

    /// A peer's answer, or `None` where it could not be reached.
    pub fn answered(&mut self, ticket: Ticket, from: &NodeId, answer: Option<Answer>, now: Now) {
        let floor = answer.as_ref().and_then(|answer| answer.floor.clone());
        if let Some(floor) = floor {
            // A floor that is lower than ours, or not to be believed, changes nothing.
            let _ = self.admit(&floor, now);
        }
        let silence_ms = self.settings.silence_ms;
        let Some(Pending { step, arrival, .. }) = &mut self.pending else {
            return;
        };
        let Step::Asking {
            ticket: asked,
            awaited,
            rivals,
        } = step
        else {
            return;
        };
        if *asked != ticket {
            return;
        }
        awaited.retain(|peer| peer != from);
        match answer.map(|answer| answer.standing) {
            Some(Standing::Pending) => return self.refuse(Refusal::AlreadyLive, now),
            Some(standing) if !arrival.takeover => rivals.extend(rival(standing, silence_ms)),
            Some(_) | None => {}
        }
        if awaited.is_empty() {
            self.decide(now);
        }
    }

    pub(super) fn tick_pending(&mut self, now: Now) {
        let Some(pending) = &self.pending else {
            return;
        };
        if now.monotonic_ms < pending.until_ms {
            return;
        }
        match pending.step {
            Step::Reading(_) | Step::Claiming(_) => self.pending_replied(None, None, now),
            Step::Asking { .. } => self.decide(now),
            Step::Waiting => self.ask(None, now),
        }
    }

    /// The registry has answered, or will not.
    pub(super) fn pending_replied(&mut self, reply: Option<Reply>, stored: Option<Pair>, now: Now) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        match reply {
            Some(Reply::Found(found) | Reply::Conflict(found)) => {
                pending.expected = Some(found.mark);
                pending.before = found.record.and_then(Result::ok).map(Box::new);
                self.ask(stored, now);
            }
            Some(Reply::Written) => {
                pending.expected = Some(Mark::of_pair(&pending.pair));
                self.win(now);
            }
            None if self.settings.strict => self.refuse(Refusal::Retry, now),
            None if matches!(pending.step, Step::Claiming(_)) => {
                pending.expected = None;
                self.win(now);
            }
            None => self.ask(None, now),
        }
    }

    /// Whom a newcomer waits for may have gone.
    pub(super) fn look_again(&mut self, now: Now) {
        if self.pending.as_ref().is_some_and(Pending::waits) {
            self.ask(None, now);
        }
    }

    /// Asks all peers, and this node itself. The claim stays the same from question to question unless a
    /// higher one has been seen meanwhile.
    fn ask(&mut self, stored: Option<Pair>, now: Now) {
        let own = rival(self.standing(now), self.settings.silence_ms);
        let ticket = self.ticket();
        let Some(pending) = &mut self.pending else {
            return;
        };
        pending.rounds += 1;
        if pending.rounds > ROUNDS_MAX {
            return self.refuse(Refusal::Retry, now);
        }
        if stored.as_ref() >= Some(&pending.pair) || self.floor.bars(&pending.pair) {
            pending.pair = self.floor.mint(stored.as_ref(), &self.me, now.unix_ms);
        }
        let pair = pending.pair.clone();
        let peers = pending.arrival.peers.clone();
        pending.step = Step::Asking {
            ticket,
            awaited: peers.clone(),
            rivals: own
                .filter(|_| !pending.arrival.takeover)
                .into_iter()
                .collect(),
        };
        pending.until_ms = now.monotonic_ms + self.settings.ask_deadline_ms;
        if peers.is_empty() {
            return self.decide(now);
        }
        self.actions.push_back(Action::Ask {
            ticket,
            peers,
            pair,
        });
    }

    /// All have answered, or will not: whoever has sent within a second keeps the room if it sends again.
    fn decide(&mut self, now: Now) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        let Step::Asking { rivals, .. } = std::mem::replace(&mut pending.step, Step::Waiting)
        else {
            return;
        };
        let before = std::mem::replace(&mut pending.rivals, rivals);
        let sends = |rival: &Rival| {
            let before = before.iter().find(|before| before.pair == rival.pair);
            before.is_some_and(|before| before.frames != rival.frames)
        };
        if pending.rivals.iter().any(sends) {
            return self.refuse(Refusal::AlreadyLive, now);
        }
        if let Some(age_ms) = pending.rivals.iter().map(|rival| rival.age_ms).min() {
            let left_ms = self.settings.silence_ms.saturating_sub(age_ms);
            pending.until_ms = now.monotonic_ms + left_ms.min(self.settings.look_again_ms);
            return;
        }
        if self.floor.bars(&pending.pair) {
            return self.ask(None, now);
        }
        match pending.expected.clone() {
            None => self.win(now),
            Some(expected) => self.claim(expected, now),
        }
    }

    fn claim(&mut self, expected: Mark, now: Now) {
        let Some(pending) = &self.pending else {
            return;
        };
        let ticket = self.call(Request::claim(expected, pending.record(now)));
        if let Some(pending) = &mut self.pending {
            pending.step = Step::Claiming(ticket);
            pending.until_ms = now.monotonic_ms + self.settings.registry_deadline_ms;
        }
    }

    fn win(&mut self, now: Now) {
        let bars = |pending: &Pending| self.floor.bars(&pending.pair);
        if self.pending.as_ref().is_some_and(bars) {
            return self.ask(None, now);
        }
        let Some(pending) = self.pending.take() else {
            return;
        };
        let record = pending.record(now);
        let (session, pair) = (pending.arrival.session, record.pair.clone());
        // Ours are always believed; a publisher that this node had is closed by it.
        let _ = self.admit(&pair, now);
        let renew_in_ms = match pending.expected {
            Some(_) => self.settings.renew_every_ms,
            None => 0,
        };
        self.held = Some(Held {
            record,
            session,
            last_frame_ms: Some(now.monotonic_ms),
            frames: 0,
            renew_at_ms: now.monotonic_ms + renew_in_ms,
            calling: None,
        });
        self.left = None;
        self.actions.push_back(Action::Announce(pair.clone()));
        self.actions.push_back(Action::Won {
            session,
            pair,
            before: pending.before,
        });
    }

    pub(super) fn refuse(&mut self, why: Refusal, now: Now) {
        if let Some(session) = self.give_up(now) {
            self.actions.push_back(Action::Refused { session, why });
        }
    }

    /// Nobody waits for the verdict any more. A claim that may have been written is given back.
    pub(super) fn give_up(&mut self, now: Now) -> Option<Session> {
        let pending = self.pending.take()?;
        if matches!(pending.step, Step::Claiming(_)) {
            self.release(pending.record(now), Status::Interrupted);
        }
        Some(pending.arrival.session)
    }
}
