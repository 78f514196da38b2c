//! Messages between nodes: delayed, reordered, lost, one way or both.

use super::rng::Rng;

#[derive(Debug)]
pub(super) struct Network {
    /// `cut[from][to]` counts the faults that keep this way shut.
    cut: Vec<Vec<u32>>,
    pub(super) lost_percent: u64,
    pub(super) delay_ms_max: u64,
}

const DELAY_MS_MAX: u64 = 20;

impl Network {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            cut: vec![vec![0; nodes]; nodes],
            lost_percent: 0,
            delay_ms_max: DELAY_MS_MAX,
        }
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cut[from][to] += 1;
    }

    pub(super) fn heal(&mut self) {
        *self = Self::new(self.cut.len());
    }

    pub(super) fn mend(&mut self, from: usize, to: usize) {
        self.cut[from][to] = self.cut[from][to].saturating_sub(1);
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut[from][to] > 0
    }

    /// How long a message is under way; `None` for one that is lost.
    pub(super) fn delay_ms(&self, from: usize, to: usize, rng: &mut Rng) -> Option<u64> {
        let arrives = !self.is_cut(from, to) && !rng.percent(self.lost_percent);
        arrives.then(|| rng.within(1..self.delay_ms_max + 1))
    }
}
