use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{ProtocolLabel, add, series, steps};

/// What one viewer saw for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Experience {
    pub protocol: &'static str,
    pub first_frame_s: Option<f64>,
    pub stalls: u64,
    pub stalled_s: f64,
    pub watched_s: f64,
    pub latency_s: Option<f64>,
}

type Histograms = Family<ProtocolLabel, Histogram, fn() -> Histogram>;

/// What viewers' pages tell.
#[derive(Debug)]
pub(crate) struct Experiences {
    first_frame: Histograms,
    stall_ratio: Histograms,
    stalls: Family<ProtocolLabel, Counter>,
    latency: Histograms,
}

impl Experiences {
    pub(super) fn new(to: &mut Registry) -> Self {
        Self {
            first_frame: add(
                to,
                "viewer_first_frame_seconds",
                "Time to the first picture, as viewers' pages tell",
                // 50 ms to 25 s; the targets are 1 s and less.
                Family::new_with_constructor(|| Histogram::new(steps(0.05, 2.0, 10))),
            ),
            stall_ratio: add(
                to,
                "viewer_stall_ratio",
                "Share of the time in which the picture stood still",
                // 0.1 % to half of the time; the target is 1 %.
                Family::new_with_constructor(|| {
                    Histogram::new([0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5])
                }),
            ),
            stalls: series(to, "viewer_stalls", "Times the picture stopped by itself"),
            latency: add(
                to,
                "viewer_latency_seconds",
                "How far viewers are behind the broadcaster",
                // 200 ms to 51 s: from FLV nearby to HLS far away.
                Family::new_with_constructor(|| Histogram::new(steps(0.2, 2.0, 9))),
            ),
        }
    }

    pub(crate) fn observe(&self, seen: &Experience) {
        let label = ProtocolLabel {
            protocol: seen.protocol,
        };
        if let Some(first_frame_s) = seen.first_frame_s {
            self.first_frame
                .get_or_create(&label)
                .observe(first_frame_s);
        }
        if seen.watched_s > 0.0 {
            let ratio = seen.stalled_s / seen.watched_s;
            self.stall_ratio.get_or_create(&label).observe(ratio);
        }
        self.stalls.get_or_create(&label).inc_by(seen.stalls);
        if let Some(latency_s) = seen.latency_s {
            self.latency.get_or_create(&label).observe(latency_s);
        }
    }
}
