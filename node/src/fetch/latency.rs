use std::collections::VecDeque;
use std::time::Duration;

/// Answers that are remembered: a minute of one stream's segments, two seconds of thirty.
const SAMPLES_MAX: usize = 64;
/// Fewer say nothing about the slowest twentieth.
const SAMPLES_MIN: usize = 8;
const DEADLINE_MIN: Duration = Duration::from_millis(250);
pub(super) const DEADLINE_MAX: Duration = Duration::from_secs(5);
/// A second node is asked as well after this, while nothing is known of the first one.
const HEDGE_UNMEASURED: Duration = Duration::from_millis(500);

/// How long a peer's answers took, and what follows from that.
#[derive(Debug, Default)]
pub(super) struct Latency {
    /// Oldest first.
    samples: VecDeque<Duration>,
}

impl Latency {
    /// An answer took so long; or none came in this time, which would have taken longer.
    pub(super) fn note(&mut self, took: Duration) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(took);
    }

    /// How long to wait for an answer: a fifth more than nearly all of them take.
    pub(super) fn deadline(&self) -> Duration {
        let deadline = self.p95().map(|p95| p95.mul_f32(1.2));
        deadline.map_or(DEADLINE_MAX, |it| it.clamp(DEADLINE_MIN, DEADLINE_MAX))
    }

    /// When to ask somebody else as well. Every twentieth call does.
    pub(super) fn hedge_after(&self) -> Duration {
        self.p95().unwrap_or(HEDGE_UNMEASURED).min(DEADLINE_MAX)
    }

    fn p95(&self) -> Option<Duration> {
        if self.samples.len() < SAMPLES_MIN {
            return None;
        }
        let mut sorted: Vec<Duration> = self.samples.iter().copied().collect();
        sorted.sort_unstable();
        let place = (sorted.len() * 95).div_ceil(100) - 1;
        sorted.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn deadlines_follow_what_was_measured_within_bounds() {
        for (samples, deadline, hedge_after) in [
            (vec![], ms(5000), ms(500)),
            (vec![10; SAMPLES_MIN - 1], ms(5000), ms(500)),
            (vec![10; SAMPLES_MIN], ms(250), ms(10)),
            (vec![1000; SAMPLES_MIN], ms(1200), ms(1000)),
            (vec![9000; SAMPLES_MIN], ms(5000), ms(5000)),
            ((1..=100).map(|it| it * 10).collect(), ms(1164), ms(970)),
        ] {
            let mut latency = Latency::default();
            samples.iter().for_each(|&it| latency.note(ms(it)));
            let got = latency.deadline().as_millis();
            assert_eq!(got, deadline.as_millis(), "{samples:?}");
            assert_eq!(latency.hedge_after(), hedge_after, "{samples:?}");
        }
    }

    #[test]
    fn answers_that_never_came_in_time_lengthen_the_deadline() {
        let mut latency = Latency::default();
        (0..SAMPLES_MAX).for_each(|_| latency.note(ms(20)));
        for _ in 0..200 {
            latency.note(latency.deadline());
        }
        assert_eq!(latency.deadline(), DEADLINE_MAX);
    }
}
