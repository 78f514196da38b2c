//! What this node counts, for Prometheus.

mod experience;
mod fetches;
pub(crate) mod rooms;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

pub(crate) use experience::Experience;
use experience::Experiences;
pub(crate) use fetches::{FetchLabels, Fetches};

use crate::sync::Mutex;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ProtocolLabel {
    pub protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TrafficLabels {
    pub protocol: &'static str,
    pub direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub method: &'static str,
    /// The route's pattern, never the request's own text.
    pub route: String,
    pub status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RefusalLabels {
    /// Where it was said: `rtmp`, `rtmps`, `http`, `https`, `peer`, `relay`, `ingest` or `viewer`.
    pub surface: &'static str,
    pub reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutboundLabels {
    /// What the call was for.
    pub what: &'static str,
    pub result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct KindLabel {
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ResultLabel {
    pub result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StateLabel {
    pub state: &'static str,
}

/// All series. Labels are constants and route patterns, so their number is bounded.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub connections_total: Family<ProtocolLabel, Counter>,
    pub connections: Family<ProtocolLabel, Gauge>,
    pub viewers: Family<ProtocolLabel, Gauge>,
    pub viewer_skips: Family<ProtocolLabel, Counter>,
    pub streams_active: Gauge,
    pub packet_processing: Histogram,
    pub bandwidth_bytes: Family<TrafficLabels, Counter>,
    pub media_bytes: Family<TrafficLabels, Counter>,
    pub http_requests: Family<RequestLabels, Counter>,
    pub http_request_duration: Histogram,
    /// Calls to others, by what they were for and what became of them.
    pub outbound: Family<OutboundLabels, Counter>,
    pub pressure_ratio: Family<KindLabel, Gauge<f64, AtomicU64>>,
    pub overload_level: Gauge,
    /// Bytes sent over all protocols; no series of its own, for it is the sum of others.
    pub egress_bytes: Counter,
    /// Streams that are sent on, by their state.
    pub restreams: Family<StateLabel, Gauge>,
    /// What was found in the registry and could not be read.
    pub registry_corrupt: Counter,
    /// Streams that are pulled from other nodes.
    pub relays_active: Gauge,
    /// Pulls by what became of them.
    pub relay_pulls: Family<ResultLabel, Counter>,
    pub relay_hop_delay: Histogram,
    /// What became of webhooks.
    pub webhooks: Family<ResultLabel, Counter>,
    /// Without a certificate there is no series: 0 would be a time.
    tls_certificate_expiry: Family<[(&'static str, &'static str); 0], Gauge>,
    pub tls_reloads: Family<ResultLabel, Counter>,
    /// Fetches of an issuer's keys, by what became of them.
    pub key_set_fetches: Family<ResultLabel, Counter>,
    /// 1 while the registry answers.
    pub registry_up: Gauge,
    pub registry_calls: Family<ResultLabel, Counter>,
    /// Nodes that were heard of lately, by what they say of themselves.
    pub nodes: Family<StateLabel, Gauge>,
    pub experience: Experiences,
    pub fetches: Fetches,
    refusals: Family<RefusalLabels, Counter>,
    refusals_logged: Mutex<HashMap<RefusalLabels, Instant>>,
}

/// A refusal is logged at most this often for each reason.
const REFUSAL_LOG_EVERY: Duration = Duration::from_secs(1);

impl Metrics {
    /// Each series with its name and what `/metrics` says of it.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("isocast");
        let to = &mut registry;
        Self {
            experience: Experiences::new(to),
            fetches: Fetches::new(to),
            connections_total: series(to, "connections", "Connections accepted, by protocol"),
            connections: series(to, "connections", "Connections open now, by protocol"),
            viewers: series(to, "viewers", "Viewers now, by protocol"),
            viewer_skips: series(
                to,
                "viewer_skips",
                "Times a slow viewer skipped to a newer key frame",
            ),
            streams_active: series(to, "streams_active", "Streams with a publisher now"),
            packet_processing: add(
                to,
                "packet_processing_duration_seconds",
                "Time to take in one media message",
                // 1 µs to 65 ms: one message from its chunks into the ring.
                Histogram::new(steps(1e-6, 4.0, 9)),
            ),
            bandwidth_bytes: series(to, "bandwidth_bytes", "Bytes in and out, by protocol"),
            media_bytes: series(
                to,
                "media_bytes",
                "Bytes of media from publishers and to viewers, by how they receive it",
            ),
            http_requests: series(
                to,
                "http_requests",
                "HTTP requests by method, route and status",
            ),
            http_request_duration: add(
                to,
                "http_request_duration_seconds",
                "Time to the head of an HTTP answer",
                // 100 µs to 26 s: from a playlist in memory to a long wait.
                Histogram::new(steps(1e-4, 4.0, 10)),
            ),
            outbound: series(
                to,
                "outbound",
                "Calls to other servers, by what for and what became of them",
            ),
            pressure_ratio: series(
                to,
                "pressure_ratio",
                "What is used of a limit, by kind; 0 where there is no limit",
            ),
            overload_level: series(
                to,
                "overload_level",
                "0: open, 1: no new viewers, 2: shedding slow viewers, 3: no new publishers",
            ),
            egress_bytes: Counter::default(),
            restreams: series(
                to,
                "restreams",
                "Streams that are sent on to other servers, by state",
            ),
            registry_corrupt: series(
                to,
                "registry_corrupt",
                "Records of the registry that could not be read",
            ),
            relays_active: series(
                to,
                "relays_active",
                "Rooms that are pulled from other nodes now, or are tried to",
            ),
            relay_pulls: series(
                to,
                "relay_pulls",
                "Pulls from other nodes that are over, by what ended them",
            ),
            relay_hop_delay: add(
                to,
                "relay_hop_delay_seconds",
                "Time from another node's sending to here, looked at once a second for each pull, by both nodes' clocks",
                // 1 ms to 2 s: what is beyond has other reasons.
                Histogram::new(steps(1e-3, 2.0, 12)),
            ),
            webhooks: series(to, "webhooks", "Webhooks by what became of them"),
            tls_certificate_expiry: series(
                to,
                "tls_certificate_expiry_timestamp_seconds",
                "When the certificate in use expires, in seconds since 1970",
            ),
            tls_reloads: series(
                to,
                "tls_reloads",
                "Times the certificate's files changed, by what came of it",
            ),
            key_set_fetches: series(
                to,
                "key_set_fetches",
                "Fetches of auth.jwks_url by what came of them",
            ),
            registry_up: series(to, "registry_up", "1 while the registry answers, else 0"),
            registry_calls: series(
                to,
                "registry_calls",
                "Calls of the registry by what became of them",
            ),
            nodes: series(
                to,
                "nodes",
                "Nodes that were heard of lately, by their state",
            ),
            refusals: series(to, "refusals", "What was refused, by place and reason"),
            refusals_logged: Mutex::default(),
            registry,
        }
    }

    /// Counts a refusal; true where it should be logged as well.
    pub(crate) fn refused(&self, surface: &'static str, reason: &'static str) -> bool {
        let labels = RefusalLabels { surface, reason };
        self.refusals.get_or_create(&labels).inc();
        let now = Instant::now();
        let mut logged = self.refusals_logged.lock();
        match logged.get(&labels) {
            Some(last) if now.saturating_duration_since(*last) < REFUSAL_LOG_EVERY => false,
            _ => {
                logged.insert(labels, now);
                true
            }
        }
    }

    pub(crate) fn certificate_expires(&self, at: SystemTime) {
        let since_1970 = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
        self.tls_certificate_expiry.get_or_create(&[]).set(seconds);
    }

    /// All series in OpenMetrics text, with those of rooms at their end.
    pub(crate) fn render(&self, room_series: &str) -> String {
        const FITS: &str = "writing to a String does not fail";
        let mut text = String::new();
        encode_registry(&mut text, &self.registry).expect(FITS);
        text.push_str(room_series);
        encode_eof(&mut text).expect(FITS);
        text
    }
}

fn series<M: Metric + Clone + Default>(to: &mut Registry, name: &str, help: &str) -> M {
    add(to, name, help, M::default())
}

fn add<M: Metric + Clone>(to: &mut Registry, name: &str, help: &str, metric: M) -> M {
    to.register(name, help, metric.clone());
    metric
}

fn steps(first: f64, factor: f64, count: u16) -> impl Iterator<Item = f64> {
    prometheus_client::metrics::histogram::exponential_buckets(first, factor, count)
}
