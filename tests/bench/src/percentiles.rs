//! Percentiles of many samples, and the spread of a few repeats.

use serde::Serialize;

/// The smallest sample that at least `percent` of all samples do not exceed (nearest rank), of
/// samples in rising order; `None` of no samples.
pub(crate) fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (percent * sorted.len()).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Milliseconds below which half, 95 % and 99 % of the samples are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) samples: usize,
}

impl Percentiles {
    /// Sorts the samples; `None` of no samples.
    pub(crate) fn of_us(samples: &mut [u32]) -> Option<Self> {
        samples.sort_unstable();
        let ms = |percent| percentile(samples, percent).map(|us| f64::from(us) / 1000.0);
        Some(Self {
            p50_ms: ms(50)?,
            p95_ms: ms(95)?,
            p99_ms: ms(99)?,
            samples: samples.len(),
        })
    }
}

/// What several repeats of one measurement gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let upper = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(*values.get(upper.checked_sub(1)?)?, *values.get(upper)?),
            _ => *values.get(upper)?,
        };
        Some(Self {
            min: *values.first()?,
            median,
            max: *values.last()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred: Vec<u32> = (1..=100).collect();
        for (samples, percent, expected) in [
            (&hundred[..], 50, Some(50)),
            (&hundred, 95, Some(95)),
            (&hundred, 99, Some(99)),
            (&hundred, 100, Some(100)),
            (&hundred, 0, Some(1)),
            (&[7], 99, Some(7)),
            (&[1, 2], 50, Some(1)),
            (&[1, 2], 51, Some(2)),
            (&[1, 2, 3], 50, Some(2)),
            (&[15, 20, 35, 40, 50], 30, Some(20)),
            (&[], 50, None),
        ] {
            assert_eq!(
                percentile(samples, percent),
                expected,
                "{percent} of {samples:?}"
            );
        }
    }

    #[test]
    fn samples_need_no_order_and_become_milliseconds() {
        let percentiles = Percentiles::of_us(&mut [3000, 500, 1000]).unwrap();
        assert_eq!(
            (percentiles.p50_ms, percentiles.p99_ms, percentiles.samples),
            (1.0, 3.0, 3)
        );
        assert_eq!(Percentiles::of_us(&mut []), None);
    }

    #[test]
    fn a_spread_of_an_even_count_has_the_middle_between_two() {
        for (values, expected) in [
            (&[2.0][..], Some((2.0, 2.0, 2.0))),
            (&[3.0, 1.0], Some((1.0, 2.0, 3.0))),
            (&[9.0, 1.0, 2.0], Some((1.0, 2.0, 9.0))),
            (&[4.0, 1.0, 2.0, 9.0], Some((1.0, 3.0, 9.0))),
            (&[], None),
        ] {
            let spread = Spread::of(values.iter().copied());
            assert_eq!(
                spread.map(|it| (it.min, it.median, it.max)),
                expected,
                "{values:?}"
            );
        }
    }
}
