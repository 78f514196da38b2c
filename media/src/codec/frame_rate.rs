/// Above this a time scale is not a frame rate (some encoders write their clock there).
const FRAMES_PER_SECOND_MAX: u32 = 480;

/// Frames a second as the stream states it, reduced: 30000/1001 for 29.97.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate {
    pub numerator: u32,
    pub denominator: u32,
}

impl FrameRate {
    #[must_use]
    pub fn per_second(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// From a clock of `time_scale` ticks a second, of which a frame lasts `ticks`; `None` where
    /// that is absurd.
    pub(super) fn from_ticks(time_scale: u32, ticks: u32) -> Option<Self> {
        if ticks == 0 || time_scale == 0 || time_scale / ticks > FRAMES_PER_SECOND_MAX {
            return None;
        }
        let divisor = greatest_common_divisor(time_scale, ticks);
        Some(Self {
            numerator: time_scale / divisor,
            denominator: ticks / divisor,
        })
    }
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rates_are_reduced_and_absurd_ones_are_unknown() {
        for (time_scale, ticks, expected) in [
            (60_000, 2002, Some((30_000, 1001))),
            (50, 2, Some((25, 1))),
            (50, 0, None),
            (0, 1, None),
            (1, u32::MAX, Some((1, u32::MAX))),
            (90_000, 1, None),
        ] {
            let rate = FrameRate::from_ticks(time_scale, ticks);
            let parts = rate.map(|rate| (rate.numerator, rate.denominator));
            assert_eq!(parts, expected, "{time_scale}/{ticks}");
        }
    }
}
