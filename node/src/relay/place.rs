use std::sync::Arc;
use std::time::{Duration, Instant};

use isocast_claims::{NodeId, Pair};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::{sleep, timeout};

use super::holders::{self, Holder, Holders};
use crate::hub::{Hub, Protocol, Stream};
use crate::metrics::{Metrics, ResultLabel, TrafficLabels};
use crate::outbound::Dialler;
use crate::ownership::Ownership;
use crate::peers::Credential;
use crate::registry::Unavailable;
use crate::rooms::RoomId;
use crate::stop::Stop;

/// For the registry to tell who has a room.
const ASK: Duration = Duration::from_secs(1);
/// How often it is asked whether a room that is pulled has a new owner.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether anybody watches.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// What every pull needs.
#[derive(Debug)]
pub(crate) struct Place {
    pub node: NodeId,
    pub zone: String,
    /// By what nodes know each other.
    pub credential: Credential,
    pub dialler: Arc<Dialler>,
    pub hub: Arc<Hub>,
    pub ownership: Arc<Ownership>,
    pub holders: Arc<dyn Holders>,
    /// How long a pull outlives its last viewer.
    pub idle: Duration,
    pub counts: Counts,
    pub stop: Stop,
}

#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub active: Gauge,
    /// Pulls by what became of them.
    pub pulls: Family<ResultLabel, Counter>,
    pub bytes_in: Counter,
    pub hop_delay: Histogram,
}

impl Counts {
    pub(crate) fn of(metrics: &Metrics) -> Self {
        let labels = TrafficLabels {
            protocol: Protocol::Relay.label(),
            direction: "in",
        };
        Self {
            active: metrics.relays_active.clone(),
            pulls: metrics.relay_pulls.clone(),
            bytes_in: metrics.bandwidth_bytes.get_or_create_owned(&labels),
            hop_delay: metrics.relay_hop_delay.clone(),
        }
    }
}

impl Place {
    /// Whom to pull a room from, the best first.
    pub(super) async fn ranked(
        &self,
        room: &RoomId,
        failed: &[NodeId],
    ) -> Result<Vec<Holder>, Unavailable> {
        let asked = timeout(ASK, self.holders.holders(room)).await;
        let holders = asked.unwrap_or_else(|late| Err(Unavailable(late.into())))?;
        Ok(holders::ranked(holders, &self.node, &self.zone, failed))
    }

    /// Returns once somebody has a higher claim of the room than this one.
    pub(super) async fn superseded(&self, room: &RoomId, pair: &Pair) {
        loop {
            sleep(LOOK_EVERY).await;
            // A registry that does not answer changes nothing.
            let holders = self.ranked(room, &[]).await.unwrap_or_default();
            if holders.iter().any(|holder| holder.pair > *pair) {
                return;
            }
        }
    }

    /// Returns once nobody has watched the stream here for a while.
    pub(super) async fn idles(&self, stream: &Stream) {
        loop {
            sleep(COUNT_EVERY.min(self.idle)).await;
            let now = Instant::now();
            if stream.viewers().total() > 0 {
                stream.touch(now);
            } else if now.saturating_duration_since(stream.last_use()) >= self.idle {
                return;
            }
        }
    }
}
