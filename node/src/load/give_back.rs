use std::time::{Duration, Instant};

use super::Level;
use super::ladder::RELEASE;

/// It holds up whoever allocates meanwhile, for milliseconds.
const EVERY_AT_MOST: Duration = Duration::from_mins(1);

/// When to ask the allocator for the memory that is free within it. To the limits it counts as used.
#[derive(Debug, Default)]
pub(super) struct GiveBack {
    last: Option<Instant>,
    /// Streams were kept since.
    was_busy: bool,
}

impl GiveBack {
    /// True when so large a share of the memory is used that the rest would soon be missed, and when
    /// the last stream is forgotten, whose memory nobody will use again soon.
    pub(super) fn is_due(&mut self, memory: f64, streams: usize, now: Instant) -> bool {
        self.was_busy |= streams > 0;
        let is_short = memory >= Level::NoNewViewers.begins_at() - RELEASE;
        let is_idle = streams == 0 && self.was_busy;
        let elapsed = |last| now.saturating_duration_since(last) >= EVERY_AT_MOST;
        let due = (is_short || is_idle) && self.last.is_none_or(elapsed);
        if due {
            self.last = Some(now);
            self.was_busy = streams > 0;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_memory_is_short_and_after_the_last_stream_and_once_a_minute() {
        let start = Instant::now();
        let mut give_back = GiveBack::default();
        for (second, memory, streams, due) in [
            (0, 0.0, 0, false),
            (1, 0.74, 2, false),
            (2, 0.75, 2, true),
            (61, 0.79, 2, false),
            (62, 0.79, 2, true),
            (70, 0.5, 0, false),
            (122, 0.5, 0, true),
            (500, 0.5, 0, false),
            (501, 0.5, 1, false),
            (502, 0.5, 0, true),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(give_back.is_due(memory, streams, now), due, "at {second} s");
        }
    }
}
