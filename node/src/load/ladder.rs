/// What this node still does. Streams and viewers that are here go on at every level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    #[default]
    Open,
    /// Those who watch go on.
    NoNewViewers,
    /// The viewers who are furthest behind go.
    Shedding,
    /// And whoever publishes goes on.
    NoNewPublishers,
}

impl Level {
    const ALL: [Self; 4] = [
        Self::Open,
        Self::NoNewViewers,
        Self::Shedding,
        Self::NoNewPublishers,
    ];

    /// The share of a limit from which this level holds.
    pub(super) fn begins_at(self) -> f64 {
        match self {
            Self::Open => 0.0,
            Self::NoNewViewers => 0.80,
            Self::Shedding => 0.90,
            Self::NoNewPublishers => 0.95,
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::NoNewViewers => "no_new_viewers",
            Self::Shedding => "shedding",
            Self::NoNewPublishers => "no_new_publishers",
        }
    }
}

/// A level is left only once pressure is this much below its beginning, so that a node whose
/// viewers come and go does not change its mind every second.
pub(super) const RELEASE: f64 = 0.05;

/// The level that follows `before` at this pressure, a share of the limit.
pub(super) fn ladder(pressure: f64, before: Level) -> Level {
    let highest = |slack: f64| {
        let reached = |level: &Level| pressure >= level.begins_at() - slack;
        let reached = Level::ALL.into_iter().rev().find(reached);
        reached.unwrap_or_default()
    };
    highest(0.0).max(highest(RELEASE).min(before))
}

#[cfg(test)]
mod tests {
    use super::Level::{NoNewPublishers, NoNewViewers, Open, Shedding};
    use super::*;

    #[test]
    fn levels_rise_at_once_and_fall_with_slack() {
        for (pressure, before, expected) in [
            (0.0, Open, Open),
            (0.799, Open, Open),
            (0.80, Open, NoNewViewers),
            (0.899, Open, NoNewViewers),
            (0.90, Open, Shedding),
            (0.95, Open, NoNewPublishers),
            (7.0, Open, NoNewPublishers),
            (0.95, Shedding, NoNewPublishers),
            (0.79, NoNewViewers, NoNewViewers),
            (0.75, NoNewViewers, NoNewViewers),
            (0.749, NoNewViewers, Open),
            (0.86, Shedding, Shedding),
            (0.84, Shedding, NoNewViewers),
            (0.79, Shedding, NoNewViewers),
            (0.0, Shedding, Open),
            (0.91, NoNewPublishers, NoNewPublishers),
            (0.89, NoNewPublishers, Shedding),
            (0.76, NoNewPublishers, NoNewViewers),
            (0.0, NoNewPublishers, Open),
            (f64::NAN, NoNewPublishers, Open),
        ] {
            assert_eq!(
                ladder(pressure, before),
                expected,
                "{pressure} after {before:?}"
            );
        }
    }
}
