use prometheus_client::metrics::gauge::Gauge;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::caps::Permit;
use crate::metrics::{Metrics, ProtocolLabel};

/// What an open connection counts for: its place under the caps, the gauge of connections, and
/// the shutdown that waits for it. It goes wherever the connection goes, as into a WebSocket's task.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(super) permit: Permit,
    gauge: Gauge,
    _awaited: TaskTrackerToken,
}

impl Connected {
    pub(crate) fn new(
        metrics: &Metrics,
        protocol: &'static str,
        permit: Permit,
        awaited: TaskTrackerToken,
    ) -> Self {
        let label = ProtocolLabel { protocol };
        metrics.connections_total.get_or_create(&label).inc();
        let gauge = metrics.connections.get_or_create_owned(&label);
        gauge.inc();
        Self {
            permit,
            gauge,
            _awaited: awaited,
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
