//! What the operator counts.

use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// From a look that finds nothing to do to one that waits for a deadline.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Writes to the API server, status and pods among them, events not.
    pub writes: Counter,
    /// 1 while this is the operator that works.
    pub leading: Gauge,
    durations: Family<KindLabel, Histogram, fn() -> Histogram>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("isocast_operator");
        let writes = Counter::default();
        registry.register("writes", "Writes to the API server", writes.clone());
        let leading = Gauge::default();
        registry.register(
            "leading",
            "Whether this operator is the one that works",
            leading.clone(),
        );
        let durations =
            Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        registry.register(
            "reconcile_duration_seconds",
            "Time of one reconciliation",
            durations.clone(),
        );
        Self {
            registry,
            writes,
            leading,
            durations,
        }
    }

    /// Measures one reconciliation, from now to [`Timer::done`].
    pub(crate) fn reconciling(&self, kind: &'static str) -> Timer {
        let label = KindLabel { kind };
        let histogram = self.durations.get_or_create(&label).clone();
        Timer {
            histogram,
            began: Instant::now(),
        }
    }

    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("text takes text");
        text
    }
}

pub(crate) struct Timer {
    histogram: Histogram,
    began: Instant,
}

impl Timer {
    pub(crate) fn done(self) {
        self.histogram.observe(self.began.elapsed().as_secs_f64());
    }
}
