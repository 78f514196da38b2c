//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Looks until `look` finds something, and returns it.
///
/// # Panics
/// Once `seconds` are over without it.
pub fn until<T>(what: &str, seconds: u64, look: impl FnMut() -> Option<T>) -> T {
    within(Duration::from_secs(seconds), look)
        .unwrap_or_else(|| panic!("not within {seconds} s: {what}"))
}

/// Looks until `look` finds something, or the time is over.
pub fn within<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let give_up = Instant::now() + time;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= give_up {
            return None;
        }
        rest();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no runtime here, and this is the pause between two looks at a condition"
)]
fn rest() {
    std::thread::sleep(LOOK_AGAIN);
}
