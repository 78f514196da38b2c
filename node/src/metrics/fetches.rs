use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{ResultLabel, series};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FetchLabels {
    /// `playlist` or `segment`.
    pub kind: &'static str,
    /// `hit`, `stale`, `coalesced`, `miss` or `none`.
    pub result: &'static str,
}

/// What is fetched from other nodes.
#[derive(Clone, Debug)]
pub(crate) struct Fetches {
    /// What viewers of rooms that another node cuts were given.
    pub answers: Family<FetchLabels, Counter>,
    /// Calls to other nodes.
    pub calls: Family<ResultLabel, Counter>,
    pub hedges: Counter,
    pub cache_bytes: Gauge,
}

impl Fetches {
    pub(super) fn new(to: &mut Registry) -> Self {
        Self {
            answers: series(
                to,
                "fetch_answers",
                "HLS of other nodes' rooms given to viewers, by kind and whether it was at hand",
            ),
            calls: series(
                to,
                "fetch_calls",
                "Calls to other nodes for HLS, by what became of them",
            ),
            hedges: series(
                to,
                "fetch_hedges",
                "Times a second node was asked because the first was slow",
            ),
            cache_bytes: series(
                to,
                "fetch_cache_bytes",
                "Bytes of other nodes' segments kept",
            ),
        }
    }
}
