//! What every connection of this node shares.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use isocast_access::Keyring;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::data::{Reread, Token};
use crate::edge::{self, Buckets, Connected, Tcp};
use crate::error::Refusal;
use crate::fetch::Fetcher;
use crate::hub::{Hub, Protocol, Stream, Subscriber};
use crate::ingest::{Admission, Bans};
use crate::issuer::Issuer;
use crate::load::Load;
use crate::metrics::{Metrics, ProtocolLabel, TrafficLabels};
use crate::ownership::Ownership;
use crate::packager::Packager;
use crate::peers::Peers;
use crate::registry::{Nodes, Registry};
use crate::relay::Relays;
use crate::restream::Restreams;
use crate::rooms::{self, RoomId, Rooms};
use crate::stop::Stop;
use crate::thumbnail::Thumbnails;
use crate::webhooks::Webhooks;

#[derive(Debug)]
pub(crate) struct App {
    pub node_id: String,
    pub config: Config,
    pub rooms: Arc<dyn Rooms>,
    pub known_rooms: rooms::Cache,
    pub ownership: Arc<Ownership>,
    pub registry: Arc<dyn Registry>,
    pub nodes: Arc<Nodes>,
    pub hub: Arc<Hub>,
    pub bans: Bans,
    pub packager: Packager,
    /// HLS of rooms that other nodes own; `None` where there are no others.
    pub fetcher: Option<Fetcher>,
    pub thumbnails: Thumbnails,
    pub metrics: Metrics,
    pub load: Load,
    /// Wrong publish keys. Keys cannot be guessed; this keeps those who try off the store.
    pub key_attempts: Buckets,
    pub peers: Arc<Peers>,
    pub webhooks: Webhooks,
    pub restreams: Restreams,
    pub relays: Relays,
    pub api_token: Token,
    /// For the admin API, on the internal port.
    pub admin_token: Token,
    /// Who else signs tokens, where there is anybody.
    pub issuer: Option<Issuer>,
    /// Signs addresses for viewers.
    pub play_keys: Reread<Keyring>,
    /// Mints publish keys.
    pub publish_keys: Reread<Keyring>,
    /// Where publishers and players come over RTMP, with the port that 0 became.
    pub rtmp_address: SocketAddr,
    /// The same for HTTP.
    pub http_address: SocketAddr,
    pub stop: Stop,
    /// What is awaited before this node ends.
    pub tasks: TaskTracker,
}

impl App {
    /// What a publisher at this address is let in by; `keep_place` is asked before it gets the room.
    pub(crate) fn admission<'a>(
        &'a self,
        publish_keys: &'a Keyring,
        address: IpAddr,
        keep_place: &'a mut (dyn FnMut() -> bool + Send),
    ) -> Admission<'a> {
        Admission {
            rooms: &*self.rooms,
            known_rooms: &self.known_rooms,
            publish_keys,
            ownership: &self.ownership,
            hub: &self.hub,
            limits: &self.config.limits,
            bans: &self.bans,
            address,
            keep_place,
        }
    }

    /// A counted connection with this node's settings.
    pub(crate) fn tcp(
        &self,
        tcp: TcpStream,
        protocol: &'static str,
        connected: Connected,
    ) -> std::io::Result<Tcp> {
        let counter = |direction| {
            let labels = TrafficLabels {
                protocol,
                direction,
            };
            self.metrics.bandwidth_bytes.get_or_create_owned(&labels)
        };
        let stall_max = Duration::from_secs(self.config.http.write_stall_s);
        let sent = [counter("out"), self.metrics.egress_bytes.clone()];
        Tcp::new(tcp, connected, stall_max, counter("in"), sent)
    }

    /// Those who watch a stream in this way now.
    pub(crate) fn viewers(&self, stream: &Stream, protocol: Protocol) -> usize {
        match protocol {
            Protocol::Hls => self.packager.viewers(stream.room()) + self.fetched(stream.room()),
            _ => stream.viewers().by(protocol),
        }
    }

    /// Those who watch any stream in any way now.
    pub(crate) fn viewers_total(&self) -> usize {
        self.hub.viewers() + self.hls_viewers()
    }

    /// Those who watch any stream by HLS now, wherever it is cut.
    pub(crate) fn hls_viewers(&self) -> usize {
        let fetched = self.fetcher.as_ref().map_or(0, Fetcher::viewers_total);
        self.packager.viewers_total() + fetched
    }

    /// Those who watch a room by HLS here that another node cuts.
    fn fetched(&self, room: &RoomId) -> usize {
        let fetcher = self.fetcher.as_ref();
        fetcher.map_or(0, |fetcher| fetcher.viewers(room))
    }

    /// Whether this node takes one more viewer.
    pub(crate) fn check_viewer_place(&self) -> Result<(), Refusal> {
        self.load.check_new_viewer()?;
        match self.viewers_total() < self.config.limits.viewers_max {
            true => Ok(()),
            false => Err(Refusal::Full),
        }
    }

    /// Counts what a viewer has skipped since `counted`; the new total.
    pub(crate) fn count_skips(
        &self,
        protocol: Protocol,
        subscriber: &Subscriber,
        counted: u64,
    ) -> u64 {
        let total = subscriber.skips_total();
        if total > counted {
            let label = ProtocolLabel {
                protocol: protocol.label(),
            };
            self.metrics
                .viewer_skips
                .get_or_create(&label)
                .inc_by(total - counted);
        }
        total
    }
}

/// The address at the other end of the connection that a request came by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub IpAddr);

impl Peer {
    /// What its client is counted under.
    pub(crate) fn network(self) -> IpAddr {
        edge::network(self.0)
    }
}

/// Cancelled to send away who asked, also while they take nothing: over HTTP/1 that ends the
/// connection, over HTTP/2 the one answer, for others share the connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hangup(pub CancellationToken);

/// Where a request came to this node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub address: SocketAddr,
    pub by_tls: bool,
    /// Whether the other side has shown a certificate of this cluster's nodes.
    pub is_peer: bool,
}
