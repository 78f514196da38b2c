use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;

use crate::app::App;
use crate::hub::{Protocol, Stream};
use crate::metrics::TrafficLabels;

/// Counts what viewers of a stream are given: for its room, and for this node.
#[derive(Debug)]
pub(crate) struct Outflow {
    stream: Arc<Stream>,
    protocol: Protocol,
    node_bytes: Counter,
}

impl Outflow {
    pub(crate) fn new(app: &App, stream: &Arc<Stream>, protocol: Protocol) -> Self {
        let labels = TrafficLabels {
            protocol: protocol.label(),
            direction: "out",
        };
        Self {
            stream: Arc::clone(stream),
            protocol,
            node_bytes: app.metrics.media_bytes.get_or_create_owned(&labels),
        }
    }

    pub(crate) fn count(&self, bytes: usize) {
        self.stream.count_out(self.protocol, bytes as u64);
        self.node_bytes.inc_by(bytes as u64);
    }
}
