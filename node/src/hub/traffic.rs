use std::sync::atomic::{AtomicU64, Ordering};

use super::Protocol;

/// What viewers were given since the present publisher began.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes, by how they are received.
    out: [AtomicU64; Protocol::COUNT],
    skips: AtomicU64,
    viewers_dropped: AtomicU64,
}

impl Traffic {
    pub(crate) fn out(&self, protocol: Protocol) -> u64 {
        self.out[protocol as usize].load(Ordering::Relaxed)
    }

    /// Times a slow viewer skipped to a newer key frame.
    pub(crate) fn skips(&self) -> u64 {
        self.skips.load(Ordering::Relaxed)
    }

    /// Viewers sent away because they skipped too often.
    pub(crate) fn viewers_dropped(&self) -> u64 {
        self.viewers_dropped.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, protocol: Protocol, bytes: u64) {
        self.out[protocol as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_skip(&self) {
        self.skips.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_dropped_viewer(&self) {
        self.viewers_dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn restart(&self) {
        let counts = [&self.skips, &self.viewers_dropped];
        for count in self.out.iter().chain(counts) {
            count.store(0, Ordering::Relaxed);
        }
    }
}
