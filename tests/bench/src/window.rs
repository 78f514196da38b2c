use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts that the sender and all viewers keep together, and the part of a run that is measured:
/// the messages sent from its opening to its close.
#[derive(Debug)]
pub(crate) struct Window {
    opens_ns: AtomicU64,
    closes_ns: AtomicU64,
    sent: AtomicU64,
    read_bytes: AtomicU64,
}

/// Opening and close lie so far ahead of now, in nanoseconds: whoever stamps a message meanwhile
/// on another core sees them in time.
const NOTICE_NS: u64 = 1_000_000;

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            opens_ns: AtomicU64::new(u64::MAX),
            closes_ns: AtomicU64::new(u64::MAX),
            sent: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn open(&self, now_ns: u64) {
        self.opens_ns.store(now_ns + NOTICE_NS, Relaxed);
    }

    pub(crate) fn close(&self, now_ns: u64) {
        self.closes_ns.store(now_ns + NOTICE_NS, Relaxed);
    }

    /// Whether a message sent then is one of the measured.
    pub(crate) fn holds(&self, sent_ns: u64) -> bool {
        (self.opens_ns.load(Relaxed)..self.closes_ns.load(Relaxed)).contains(&sent_ns)
    }

    pub(crate) fn count_sent(&self, sent_ns: u64) {
        if self.holds(sent_ns) {
            self.sent.fetch_add(1, Relaxed);
        }
    }

    /// Measured messages sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    pub(crate) fn count_read(&self, bytes: usize) {
        self.read_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// What all viewers together have read since the run began.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_sent_between_opening_and_close_counts() {
        let window = Window::new();
        window.count_sent(5);
        window.open(10);
        window.close(20);
        let (first, end) = (10 + NOTICE_NS, 20 + NOTICE_NS);
        for (sent_ns, count) in [(first - 1, 0), (first, 1), (end - 1, 2), (end, 2)] {
            window.count_sent(sent_ns);
            assert_eq!(window.sent(), count, "{sent_ns}");
        }
    }
}
