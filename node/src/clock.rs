//! The wall clock.

use std::time::SystemTime;

use isocast_media::UnixMs;

pub(crate) fn unix_now() -> UnixMs {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixMs(since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }))
}

/// The same as a number that is never negative, as `isocast_claims` counts.
pub(crate) fn unix_ms() -> u64 {
    u64::try_from(unix_now().0).unwrap_or(0)
}
