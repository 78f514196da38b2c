use std::time::Duration;

use tokio::time::Instant;

use crate::outbound::Backoff;
use crate::sync::Mutex;

/// So many connections in a row fail before it opens.
const FAILURES_MAX: u32 = 3;
const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_LAST: Duration = Duration::from_secs(15);

/// Keeps a node from calling one that cannot be reached. Only connections count: whoever refuses, or is slow to
/// answer, can be reached.
#[derive(Debug)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug)]
struct State {
    failures: u32,
    backoff: Backoff,
    open_until: Option<Instant>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self(Mutex::new(State {
            failures: 0,
            backoff: Backoff::new(WAIT_FIRST, WAIT_LAST),
            open_until: None,
        }))
    }
}

impl Breaker {
    /// Whether a connection may be tried.
    pub(super) fn is_closed(&self) -> bool {
        let state = self.0.lock();
        state.open_until.is_none_or(|until| until <= Instant::now())
    }

    /// What became of a connection.
    pub(super) fn note(&self, is_connected: bool) {
        let mut state = self.0.lock();
        if is_connected {
            state.failures = 0;
            state.backoff.reset();
            state.open_until = None;
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX {
            state.open_until = Some(Instant::now() + state.backoff.failed());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_lets_one_try_through() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert!(breaker.is_closed());
            breaker.note(false);
        }
        assert!(!breaker.is_closed());
        advance(WAIT_FIRST).await;
        assert!(breaker.is_closed());
        breaker.note(false);
        assert!(!breaker.is_closed(), "the first failure opens it again");
        advance(WAIT_LAST).await;
        breaker.note(true);
        breaker.note(false);
        assert!(breaker.is_closed(), "it counts anew");
    }
}
