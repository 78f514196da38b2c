//! Holding a claim: renewals, and what ends it.

use super::{Action, Now, Room, Session, Ticket};
use crate::pair::Pair;
use crate::record::Record;
use crate::store::{Reply, Request};

/// A claim that this node holds for a publisher.
#[derive(Debug)]
pub(super) struct Held {
    /// What the registry is to have of it.
    pub(super) record: Record,
    pub(super) session: Session,
    /// The last frame, or the claim, by [`Now::monotonic_ms`]; `None` where it gives way to any newcomer.
    pub(super) last_frame_ms: Option<u64>,
    pub(super) frames: u64,
    pub(super) renew_at_ms: u64,
    /// What the registry is asked at present, and until when it may answer.
    pub(super) calling: Option<(Ticket, u64)>,
}

impl Held {
    pub(super) fn due(&self) -> u64 {
        self.calling
            .map_or(self.renew_at_ms, |(_, until_ms)| until_ms)
    }

    pub(super) fn calls(&self, reply: Ticket) -> bool {
        self.calling.is_some_and(|(ticket, _)| ticket == reply)
    }
}

impl Room {
    /// Renews at once: before a playlist names what the registry does not know of yet.
    /// The call to wait for, where there is a claim.
    pub fn renew(&mut self, now: Now) -> Option<Ticket> {
        let held = self.held.as_mut()?;
        let renewal = Request::renew(held.record.clone());
        held.renew_at_ms = now.monotonic_ms + self.settings.renew_every_ms;
        Some(self.call_as_owner(renewal, now))
    }

    pub(super) fn tick_held(&mut self, now: Now) {
        let Some(held) = &mut self.held else {
            return;
        };
        if now.monotonic_ms < held.due() {
            return;
        }
        match held.calling.take() {
            Some(_) => self.announce(),
            None => {
                self.renew(now);
            }
        }
    }

    /// A renewal is answered. Where the registry has lost this claim, or has a lower one or garbage in its
    /// place, it is put there again; a higher one has ended it already, when it was learnt of.
    pub(super) fn held_replied(&mut self, reply: Option<Reply>, now: Now) {
        let Some(held) = &mut self.held else {
            return;
        };
        held.calling = None;
        match reply {
            Some(Reply::Conflict(found)) => {
                let again = Request::claim(found.mark, held.record.clone());
                self.call_as_owner(again, now);
            }
            Some(Reply::Written | Reply::Found(_)) => {}
            None => self.announce(),
        }
    }

    /// The room is another's now.
    pub(super) fn close(&mut self, by: &Pair) {
        if let Some(held) = self.held.take() {
            self.actions.push_back(Action::Closed {
                session: held.session,
                by: by.clone(),
            });
        }
    }

    /// Without a registry peers hear of the claim from its owner, so that of two the lower one ends.
    fn announce(&mut self) {
        let pair = self.owns().cloned();
        self.actions.extend(pair.map(Action::Announce));
    }

    fn call_as_owner(&mut self, request: Request, now: Now) -> Ticket {
        let until_ms = now.monotonic_ms + self.settings.registry_deadline_ms;
        let ticket = self.call(request);
        if let Some(held) = &mut self.held {
            held.calling = Some((ticket, until_ms));
        }
        ticket
    }
}
