use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Key frames come in bursts; a limit is of what goes out on average over this time.
const OVER: Duration = Duration::from_secs(5);

/// Bytes sent a second, against what may be.
#[derive(Debug)]
pub(super) struct Egress {
    /// 0: as much as the network takes.
    bytes_per_s_max: u64,
    /// When a total was read, and what it was; oldest first.
    totals: VecDeque<(Instant, u64)>,
}

impl Egress {
    pub(super) fn new(bytes_per_s_max: u64) -> Self {
        Self {
            bytes_per_s_max,
            totals: VecDeque::new(),
        }
    }

    /// The share of the limit, after `total` bytes in all.
    pub(super) fn ratio(&mut self, total: u64, now: Instant) -> f64 {
        self.totals.push_back((now, total));
        let is_old = |at: Instant| now.saturating_duration_since(at) > OVER;
        while self.totals.len() > 2 && self.totals.front().is_some_and(|(at, _)| is_old(*at)) {
            self.totals.pop_front();
        }
        let Some(&(since, before)) = self.totals.front() else {
            return 0.0;
        };
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        if self.bytes_per_s_max == 0 || seconds == 0.0 {
            return 0.0;
        }
        total.saturating_sub(before) as f64 / seconds / self.bytes_per_s_max as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_counts_as_what_it_is_on_average() {
        let start = Instant::now();
        let mut egress = Egress::new(1000);
        let mut off = Egress::new(0);
        for (second, total, expected) in [
            (0, 50_000, 0.0),
            (1, 51_000, 1.0),
            (2, 51_000, 0.5),
            (5, 55_000, 1.0),
            (6, 55_000, 0.8),
            (60, 55_000, 0.0),
            (61, 57_000, 2.0),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(egress.ratio(total, now), expected, "after {second} s");
            assert_eq!(off.ratio(total, now), 0.0);
        }
    }
}
