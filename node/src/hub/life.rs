use std::time::Instant;

use isocast_media::UnixMs;

use super::stream::{Inner, Stream};

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Live,
    /// Its publisher has gone; viewers are held for it to come back.
    Interrupted,
    /// It is over. A new publisher makes it live again.
    Ended,
    /// It is no longer remembered here.
    Gone,
}

impl Stream {
    pub(crate) fn state(&self) -> State {
        self.read().state
    }

    /// When the present publisher began; `None` where the stream is not live, or published elsewhere.
    pub(crate) fn live_since(&self) -> Option<UnixMs> {
        let inner = self.read();
        let is_here = inner.state == State::Live && inner.carried.is_none();
        is_here.then_some(inner.started_at)
    }

    /// The stream is of use to someone: it is remembered longer.
    pub(crate) fn touch(&self, now: Instant) {
        self.write().last_access = now;
    }

    pub(crate) fn last_use(&self) -> Instant {
        self.read().last_use()
    }

    pub(super) fn end_if_hold_is_over(&self, now: Instant) {
        let mut inner = self.write();
        let held = now.saturating_duration_since(inner.state_since);
        if inner.state == State::Interrupted && held >= self.limits().hold {
            self.finish(&mut inner, now);
        }
    }

    /// It is over; a new publisher makes it live again.
    pub(super) fn finish(&self, inner: &mut Inner, now: Instant) {
        inner.ring.clear();
        inner.timeline.end();
        inner.follow.end();
        self.enter(inner, State::Ended, now);
    }

    /// Ends it at once, and for good.
    pub(super) fn end(&self) {
        let mut inner = self.write();
        if let Some(present) = inner.present.take() {
            present.revoke();
        }
        inner.stop_carrying();
        self.enter(&mut inner, State::Gone, Instant::now());
    }

    /// True once it has ended and nobody has asked for it for a while; it is gone then.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        let mut inner = self.write();
        let forgotten = inner.state == State::Ended
            && now.saturating_duration_since(inner.last_use()) >= self.limits().remember;
        if forgotten {
            self.enter(&mut inner, State::Gone, now);
        }
        forgotten
    }

    pub(super) fn enter(&self, inner: &mut Inner, state: State, now: Instant) {
        inner.state = state;
        inner.state_since = now;
        self.change_head(|head| head.state = state);
    }
}

impl Inner {
    fn last_use(&self) -> Instant {
        self.state_since.max(self.last_access)
    }
}
