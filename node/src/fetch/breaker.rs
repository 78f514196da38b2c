use std::time::{Duration, Instant};

/// Failures in a row after which a peer is left alone.
const FAILURES_MAX: u32 = 3;
/// For how long; then one call tries it, and another one each time that this has passed again.
const OPEN_FOR: Duration = Duration::from_secs(2);

/// Leaves a peer alone that cannot be reached or fails, so that nobody waits for it in vain.
///
/// Slowness does not count: a slow answer is one, and the deadline follows it. Nor does a refusal: whoever says
/// that there is nothing is well.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// When it opened, or was last tried since.
    tried: Option<Instant>,
}

impl Breaker {
    /// Whether a call may be made now; where it is open, this is the call that tries it.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        match self.tried {
            None => true,
            Some(tried) if now.saturating_duration_since(tried) < OPEN_FOR => false,
            Some(_) => {
                self.tried = Some(now);
                true
            }
        }
    }

    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.tried = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_open_it_and_one_call_at_a_time_tries() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        breaker.failed(start);
        breaker.failed(start);
        breaker.answered();
        breaker.failed(start);
        breaker.failed(start);
        assert!(breaker.admits(start), "not in a row");
        breaker.failed(start);
        assert!(!breaker.admits(start));

        let later = start + OPEN_FOR;
        assert!(breaker.admits(later), "half open");
        assert!(!breaker.admits(later), "for one");
        breaker.failed(later);
        assert!(!breaker.admits(later + OPEN_FOR / 2));
        assert!(breaker.admits(later + OPEN_FOR));
        breaker.answered();
        assert!(breaker.admits(later + OPEN_FOR) && breaker.admits(later + OPEN_FOR));
    }

    #[test]
    fn a_try_that_nobody_waited_for_does_not_keep_it_shut() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES_MAX {
            breaker.failed(start);
        }
        assert!(breaker.admits(start + OPEN_FOR));
        assert!(breaker.admits(start + 2 * OPEN_FOR));
    }
}
