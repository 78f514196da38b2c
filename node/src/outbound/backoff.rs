use std::time::Duration;

use crate::data::random;

/// How long to wait before trying again: twice as long after each failure in a row, to a bound,
/// less up to a quarter by chance, so that what failed together is not tried together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    last: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, last: Duration) -> Self {
        Self {
            first,
            last,
            failures: 0,
        }
    }

    /// One more failure; the wait.
    pub(crate) fn failed(&mut self) -> Duration {
        let wait = self.wait(random::bytes::<1>()[0]);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// A failure that trying again soon cannot mend; the longest wait.
    pub(crate) fn failed_for_long(&mut self) -> Duration {
        self.failures = u32::MAX;
        self.failed()
    }

    /// Whether nothing has failed since it last worked.
    pub(crate) fn is_fresh(&self) -> bool {
        self.failures == 0
    }

    /// It worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    fn wait(&self, chance: u8) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let full = self.first.saturating_mul(doubled).min(self.last);
        full - full.mul_f64(f64::from(chance) / 256.0 / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_again() {
        let (first, last) = (Duration::from_secs(1), Duration::from_secs(60));
        let mut backoff = Backoff::new(first, last);
        for expected_s in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(backoff.wait(0).as_secs(), expected_s);
            let wait = backoff.failed();
            let full = Duration::from_secs(expected_s);
            assert!(wait <= full && wait >= full.mul_f64(0.75), "{wait:?}");
        }
        backoff.reset();
        assert_eq!(backoff.wait(0), first);
        assert!(backoff.failed_for_long() >= last.mul_f64(0.75));
        assert_eq!(backoff.wait(0), last);
        assert!(backoff.wait(255) >= last.mul_f64(0.75));
    }
}
