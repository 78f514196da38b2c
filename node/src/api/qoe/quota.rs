use std::time::{Duration, Instant};

use crate::sync::Mutex;

const WINDOW: Duration = Duration::from_secs(60);
/// Reports in a minute: more viewers than a node has places for.
const IN_ALL_MAX: u32 = 30_000;

/// How many reports are taken in a minute, from all addresses together.
#[derive(Debug, Default)]
pub(super) struct Quota(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    reports: u32,
}

impl Quota {
    /// Whether one more report is taken.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut window = self.0.lock();
        let is_over = |began: Instant| now.saturating_duration_since(began) >= WINDOW;
        if window.began.is_none_or(is_over) {
            *window = Window {
                began: Some(now),
                reports: 0,
            };
        }
        window.reports += u32::from(window.reports <= IN_ALL_MAX);
        window.reports <= IN_ALL_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_have_their_share_of_each_minute() {
        let quota = Quota::default();
        let start = Instant::now();
        let taken = |at| {
            let tries = 0..2 * IN_ALL_MAX;
            tries.filter(|_| quota.allows(at)).count()
        };
        assert_eq!(taken(start), IN_ALL_MAX as usize);
        assert_eq!(taken(start + WINDOW - Duration::from_millis(1)), 0);
        assert_eq!(taken(start + WINDOW), IN_ALL_MAX as usize);
    }
}
