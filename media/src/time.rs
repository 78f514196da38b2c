//! Times that cannot be mistaken for each other.

use std::ops::{Add, Sub};

/// A point on a media timeline, in milliseconds. RTMP's 32-bit timestamps become this once, at
/// the edge, by [`Unwrapper`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaMs(pub i64);

impl MediaMs {
    /// The 32 bits that RTMP and FLV carry; wraps after 49.7 days.
    #[must_use]
    pub fn wrapped(self) -> u32 {
        self.0 as u32
    }

    /// The same point in MPEG-TS ticks of 90 kHz (ISO/IEC 13818-1 §2.4.3.7), not yet wrapped to 33 bits.
    #[must_use]
    pub fn ticks_90k(self) -> i64 {
        self.0 * 90
    }
}

impl Add<i64> for MediaMs {
    type Output = Self;
    fn add(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl Sub for MediaMs {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// Wall-clock time: milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// Seconds since 1970 that have passed; 0 before it.
    #[must_use]
    pub fn whole_seconds(self) -> u64 {
        u64::try_from(self.0 / 1000).unwrap_or(0)
    }
}

impl Add<i64> for UnixMs {
    type Output = Self;
    fn add(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl Sub for UnixMs {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// Turns 32-bit timestamps that wrap (RTMP 1.0 §3, serial number arithmetic) into a line that
/// does not: each one is read as the nearest value to the last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwrapper {
    last: Option<i64>,
}

impl Unwrapper {
    /// One that has come to this point.
    #[must_use]
    pub fn at(time: MediaMs) -> Self {
        Self { last: Some(time.0) }
    }

    pub fn unwrap(&mut self, timestamp: u32) -> MediaMs {
        let value = match self.last {
            None => i64::from(timestamp),
            Some(last) => last + i64::from(timestamp.wrapping_sub(last as u32) as i32),
        };
        self.last = Some(value);
        MediaMs(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_on_from_a_known_point() {
        let mut line = Unwrapper::at(MediaMs(0x7_0000_0005));
        assert_eq!(line.unwrap(3), MediaMs(0x7_0000_0003));
        assert_eq!(line.unwrap(0xFFFF_FFFF), MediaMs(0x6_FFFF_FFFF));
    }

    #[test]
    fn a_wrap_goes_on_and_a_step_back_goes_back() {
        let mut line = Unwrapper::default();
        for (timestamp, expected) in [
            (0xFFFF_FF00, 0xFFFF_FF00),
            (0xFFFF_FFFF, 0xFFFF_FFFF),
            (0x0000_0010, 0x1_0000_0010),
            (0xFFFF_FFF0, 0xFFFF_FFF0),
            (0x0000_0020, 0x1_0000_0020),
        ] {
            assert_eq!(line.unwrap(timestamp), MediaMs(expected), "{timestamp:#x}");
        }
    }
}
