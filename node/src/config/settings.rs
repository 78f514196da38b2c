//! The keys: type, default, allowed range and meaning, each said once.
//!
//! The doc comment of a field becomes its row in docs/configuration.md, `range` is what the checks
//! allow, and a key's unit is in its name.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use isocast_admin::{CodecName, RoomLimits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HostPort, Network};

/// The whole configuration of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Folder for all that a node keeps: rooms, API token, secrets. Made with mode 0700.
    #[schemars(extend("format" = "folder"))]
    pub data_dir: PathBuf,
    pub node: Node,
    pub relay: Relay,
    pub listen: Listen,
    pub tls: Tls,
    pub proxies: Proxies,
    pub peers: Peers,
    pub network: Outbound,
    pub redis: Redis,
    pub registry: Registry,
    pub webhooks: Webhooks,
    pub restream: Restream,
    pub api: Api,
    pub admin: Admin,
    pub auth: Auth,
    pub rate: Rate,
    pub public: Public,
    pub play: Play,
    pub publish: Publish,
    pub rooms: Rooms,
    pub postgres: Postgres,
    pub rtmp: Rtmp,
    pub http: Http,
    pub hub: Hub,
    pub flv: Flv,
    pub hls: Hls,
    pub fetch: Fetch,
    pub log: Log,
    pub thumbnail: Thumbnail,
    pub metrics: Metrics,
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("isocast-data"),
            node: Node::default(),
            relay: Relay::default(),
            listen: Listen::default(),
            tls: Tls::default(),
            proxies: Proxies::default(),
            peers: Peers::default(),
            network: Outbound::default(),
            redis: Redis::default(),
            registry: Registry::default(),
            webhooks: Webhooks::default(),
            restream: Restream::default(),
            api: Api::default(),
            admin: Admin::default(),
            auth: Auth::default(),
            rate: Rate::default(),
            public: Public::default(),
            play: Play::default(),
            publish: Publish::default(),
            rooms: Rooms::default(),
            postgres: Postgres::default(),
            rtmp: Rtmp::default(),
            http: Http::default(),
            hub: Hub::default(),
            flv: Flv::default(),
            hls: Hls::default(),
            fetch: Fetch::default(),
            log: Log::default(),
            thumbnail: Thumbnail::default(),
            metrics: Metrics::default(),
            limits: Limits::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Node {
    /// Name of this node in headers, logs and metrics. Empty: the host's name.
    #[schemars(extend("format" = "node-id"))]
    pub id: String,
    /// Seconds from the stop signal to the exit, whatever is still open.
    #[schemars(range(min = 1, max = 3600))]
    pub shutdown_deadline_s: u64,
    /// Seconds after the stop signal in which newcomers are still served, until load balancers have noticed. Less than `shutdown_deadline_s`.
    #[schemars(range(min = 0, max = 600))]
    pub drain_delay_s: u64,
    /// Seconds over which publishers, and viewers by RTMP, HTTP-FLV and WebSocket, then leave: they are asked to connect elsewhere, or closed where they do not know of that. At most half of what `shutdown_deadline_s` leaves.
    #[schemars(range(min = 0, max = 600))]
    pub drain_spread_s: u64,
    /// Host by which other nodes reach this one, a name or an IP address. Needed where `redis.endpoints` names a registry that they share.
    #[schemars(extend("format" = "node-address"))]
    pub address: String,
    /// Where this node runs, such as `eu-west-1a`: nodes of one zone are preferred to others. Empty: nowhere in particular.
    #[schemars(extend("format" = "node-id"))]
    pub zone: String,
}

impl Node {
    pub(crate) fn drain_spread(&self) -> Duration {
        let left_s = self.shutdown_deadline_s.saturating_sub(self.drain_delay_s);
        Duration::from_secs(self.drain_spread_s.min(left_s / 2))
    }
}

impl Default for Node {
    fn default() -> Self {
        Self {
            id: String::new(),
            address: String::new(),
            zone: String::new(),
            shutdown_deadline_s: 60,
            drain_delay_s: 5,
            drain_spread_s: 10,
        }
    }
}

/// Live frames from other nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Relay {
    /// Seconds after its last viewer for which a stream is still pulled from another node.
    #[schemars(range(min = 1, max = 86_400))]
    pub idle_s: u64,
}

impl Default for Relay {
    fn default() -> Self {
        Self { idle_s: 300 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    /// Address for RTMP publishers and players.
    #[schemars(extend("format" = "socket-address"))]
    pub rtmp: SocketAddr,
    /// Address for HTTP: pages, HLS, FLV, WebSocket and the API.
    #[schemars(extend("format" = "socket-address"))]
    pub http: SocketAddr,
    /// Address for RTMP over TLS; bound only where there is a certificate.
    #[schemars(extend("format" = "socket-address"))]
    pub rtmps: SocketAddr,
    /// Address for HTTP over TLS, HTTP/1.1 and HTTP/2; bound only where there is a certificate.
    #[schemars(extend("format" = "socket-address"))]
    pub https: SocketAddr,
    /// Address for health, metrics, the admin API and other nodes. Not for the public.
    #[schemars(extend("format" = "socket-address"))]
    pub internal: SocketAddr,
    /// Address for RTMP between nodes; bound only where they have something to know each other by (`peers.token_file` or `peers.tls_cert_file`). Not for the public.
    #[schemars(extend("format" = "socket-address"))]
    pub relay: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            rtmp: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 1935)),
            http: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            rtmps: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 1936)),
            https: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8443)),
            internal: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            relay: SocketAddr::from((Ipv4Addr::LOCALHOST, 1937)),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// File with the certificate and those that vouch for it, in PEM; read again when it changes. Empty: no TLS.
    #[schemars(extend("format" = "file"))]
    pub cert_file: PathBuf,
    /// File with the private key of the certificate, in PEM.
    #[schemars(extend("format" = "file"))]
    pub key_file: PathBuf,
}

impl Tls {
    pub(crate) fn is_on(&self) -> bool {
        !self.cert_file.as_os_str().is_empty()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Proxies {
    /// Addresses and networks of the proxies before this node. Only they are believed when they tell a client's address: in `X-Forwarded-For`, or as `proxies.protocol_v2` says.
    #[schemars(with = "Vec<String>", extend("format" = "network"))]
    pub trusted: Vec<Network>,
    /// Whether every connection to the public ports starts with a header of the PROXY protocol, version 2, from a trusted proxy. Others are refused.
    pub protocol_v2: bool,
}

impl Proxies {
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

/// The other nodes of the cluster, and by what they know each other. Without a token or a certificate there are none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Peers {
    /// File with the token by which the nodes of a cluster know each other, in the clear: 16 to 256 characters, or two lines of them while one takes the other's place; read again when it changes. Empty: none.
    #[schemars(extend("format" = "file"))]
    pub token_file: PathBuf,
    /// File with the certificate by which other nodes know this one, and those that vouch for it, in PEM; read again when it changes. It is for the DNS name `isocast-peer`, as server and as client. Empty: none.
    #[schemars(extend("format" = "file"))]
    pub tls_cert_file: PathBuf,
    /// File with the private key of that certificate, in PEM.
    #[schemars(extend("format" = "file"))]
    pub tls_key_file: PathBuf,
    /// File with the authority that signs the nodes' certificates and nobody else's, in PEM.
    #[schemars(extend("format" = "file"))]
    pub tls_ca_file: PathBuf,
    /// The internal ports of the other nodes, each as host and port. This node may be among them.
    #[schemars(with = "Vec<String>", extend("format" = "host-port"))]
    pub list: Vec<HostPort>,
    /// DNS name of a headless Service that has all nodes, in full; its port `internal` is theirs. Empty: none.
    #[schemars(extend("format" = "service-name"))]
    pub service: String,
}

impl Peers {
    /// Whether nodes can know each other.
    pub(crate) fn has_credential(&self) -> bool {
        self.has_certificate() || self.has_token()
    }

    pub(crate) fn has_certificate(&self) -> bool {
        !self.tls_cert_file.as_os_str().is_empty()
    }

    pub(crate) fn has_token(&self) -> bool {
        !self.token_file.as_os_str().is_empty()
    }
}

/// What this node calls by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Outbound {
    /// Addresses and networks that this node may call although they are not public, and without TLS. A cloud's metadata address counts only where it is listed by itself.
    #[schemars(with = "Vec<String>", extend("format" = "network"))]
    pub allow_addresses: Vec<Network>,
    /// PEM file with authorities that are trusted beside the public ones to say who a called server is. Empty: none.
    #[schemars(extend("format" = "file"))]
    pub ca_file: PathBuf,
}

/// The Redis that nodes share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Redis {
    /// How it is run.
    pub mode: RedisMode,
    /// Where it is, `host:port`: its one server, the Sentinels, or some servers of the cluster. Empty: the registry is in this node's memory, and the node stands alone.
    #[schemars(with = "Vec<String>", extend("format" = "host-port"))]
    pub endpoints: Vec<HostPort>,
    /// The name under which the Sentinels know the master.
    #[schemars(extend("format" = "word"))]
    pub master_name: String,
    /// Its user for this node; Sentinels are asked without one. Empty: the default user.
    #[schemars(extend("format" = "word"))]
    pub user: String,
    /// File with the password, read again for each connection. Empty: none.
    #[schemars(extend("format" = "file"))]
    pub password_file: PathBuf,
    /// Whether it is called over TLS, Sentinels too.
    pub tls: bool,
    /// PEM file with the authorities that say who it is. Empty: the public ones.
    #[schemars(extend("format" = "file"))]
    pub ca_file: PathBuf,
    /// What all keys start with. Nodes that do not belong together but share a Redis need different ones.
    #[schemars(extend("format" = "key-prefix"))]
    pub key_prefix: String,
}

impl Redis {
    /// Whether nodes share a registry.
    pub(crate) fn is_on(&self) -> bool {
        !self.endpoints.is_empty()
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            mode: RedisMode::default(),
            endpoints: Vec::new(),
            master_name: String::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            tls: false,
            ca_file: PathBuf::new(),
            key_prefix: "isocast:".to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RedisMode {
    #[default]
    Standalone,
    Sentinel,
    Cluster,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Registry {
    /// Whether newcomers are refused while the registry does not answer, and told to come again. Otherwise nodes ask each other.
    pub strict: bool,
    /// Milliseconds between two heartbeats of this node and of what it holds.
    #[schemars(range(min = 200, max = 10_000))]
    pub renew_ms: u64,
    /// Milliseconds without a heartbeat after which a node counts as gone. At least twice `renew_ms`.
    #[schemars(range(min = 1000, max = 30_000))]
    pub dead_ms: u64,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            strict: false,
            renew_ms: 2000,
            dead_ms: 6000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Webhooks {
    /// URL that is told of what happens to rooms: `https`, or `http` to an address in `network.allow_addresses`. Empty: none is.
    #[schemars(extend("format" = "http-url"))]
    pub url: String,
    /// File with the secret that signs webhooks, read again for each; with two lines, both sign. Empty: `webhook-secret` in the data folder, made by the first start that needs it.
    #[schemars(extend("format" = "file"))]
    pub secret_file: PathBuf,
    /// What is told: publish, unpublish, first_viewer, last_viewer.
    #[schemars(with = "Vec<String>", extend("format" = "event-kind"))]
    pub events: Vec<EventKind>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            url: String::new(),
            secret_file: PathBuf::new(),
            events: EventKind::ALL.to_vec(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Restream {
    /// Whether rooms' streams are sent on to the servers that the API names.
    pub enabled: bool,
    /// Hosts that they may be sent to, `live.example.com` or `*.example.com`. Empty: every public address, and those in `network.allow_addresses`.
    #[schemars(extend("format" = "host"))]
    pub allow_hosts: Vec<String>,
}

impl Default for Restream {
    fn default() -> Self {
        Self {
            enabled: true,
            allow_hosts: Vec::new(),
        }
    }
}

/// What can happen to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    Publish,
    Unpublish,
    FirstViewer,
    LastViewer,
}

impl EventKind {
    pub(crate) const ALL: [Self; 4] = [
        Self::Publish,
        Self::Unpublish,
        Self::FirstViewer,
        Self::LastViewer,
    ];

    /// The word as the configuration writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Unpublish => "unpublish",
            Self::FirstViewer => "first_viewer",
            Self::LastViewer => "last_viewer",
        }
    }

    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Api {
    /// File with the token that `/api/v1/rooms` asks for; read again when it changes. Empty: `api-token` in the data folder, made by the first start.
    #[schemars(extend("format" = "file"))]
    pub token_file: PathBuf,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// File with the token that the admin API asks for; read again when it changes. Empty: `admin-token` in the data folder, made by the first start.
    #[schemars(extend("format" = "file"))]
    pub token_file: PathBuf,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// File with the public keys (a JSON Web Key Set) of whoever signs tokens for `/api/v1/rooms`; read again when it changes. Empty, and `jwks_url` too: the API token is the only one.
    #[schemars(extend("format" = "file"))]
    pub jwks_file: PathBuf,
    /// URL that they are fetched from instead: `https`, or `http` to an address in `network.allow_addresses`. Fetched anew when the answer's `max-age` is over, after 5 minutes at least and a day at most, and for a key that is not known, three times a minute at most. Keys that were there stay while it cannot be reached.
    #[schemars(extend("format" = "http-url"))]
    pub jwks_url: String,
    /// The `iss` that these tokens have.
    #[schemars(extend("format" = "word"))]
    pub issuer: String,
    /// What these tokens have in their `aud`.
    #[schemars(extend("format" = "word"))]
    pub audience: String,
}

/// Requests on the public ports from one address, or one /64 of IPv6. Pages, HLS, FLV and pictures
/// have no such limits: as many viewers may sit behind one address as it has connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rate {
    /// Requests a minute from one address, or one /64 of IPv6, that read with a right token; beyond, the answer is 429. A panel that looks at 1,000 rooms every half a minute needs 2,000. Behind a load balancer that hides addresses all callers share one, as for the keys below. 0: any number.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub api_read_per_min_max: u32,
    /// Those that change something. All of a minute may come at once. 0: any number.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub api_write_per_min_max: u32,
    /// Those with a wrong or expired token, or without one. Beyond, the answer is 429 instead of 401; a right token is let in all the same. 0: any number.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub auth_failures_per_min_max: u32,
    /// Those to `/api/v1/live`, for one room or all, and to `/api/v1/openapi.json`. A page asks 12 to 20 times a minute, so 1,000 viewers may share an address. 0: any number.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub public_read_per_min_max: u32,
    /// Reports of pages to `/api/v1/qoe`. A page sends one a minute; those beyond are not counted, which nobody who watches notices. 0: any number.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub qoe_per_min_max: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            api_read_per_min_max: 6000,
            api_write_per_min_max: 1200,
            auth_failures_per_min_max: 120,
            public_read_per_min_max: 20_000,
            qoe_per_min_max: 1000,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Public {
    /// How viewers and callers reach HTTP, such as `https://live.example`: what addresses that this node gives out start with. Empty: the address that the request for them came to.
    #[schemars(extend("format" = "http-address"))]
    pub http_url: String,
    /// The same for RTMP, such as `rtmp://live.example`. Empty: the same address and the port of `listen.rtmp`.
    #[schemars(extend("format" = "rtmp-address"))]
    pub rtmp_url: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Play {
    /// File with the secrets that sign addresses for viewers: one to four lines `<name> <secret>`, of which the first signs and all verify; read again when it changes. Empty: `play-secret` in the data folder, made by the first start.
    #[schemars(extend("format" = "file"))]
    pub secret_file: PathBuf,
    /// Seconds for which a signed address is good at most.
    #[schemars(range(min = 60, max = 31_536_000))]
    pub url_max_s: u64,
}

impl Default for Play {
    fn default() -> Self {
        Self {
            secret_file: PathBuf::new(),
            url_max_s: 86_400,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Publish {
    /// File with the secrets under which publish keys are minted, in the form of `play.secret_file`. Empty: `publish-secret` in the data folder, made by the first start.
    #[schemars(extend("format" = "file"))]
    pub secret_file: PathBuf,
    /// Seconds for which a minted key is good at most.
    #[schemars(range(min = 60, max = 31_536_000))]
    pub key_max_s: u64,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            secret_file: PathBuf::new(),
            key_max_s: 86_400,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rooms {
    /// File with the secret that rooms' keys are hashed and the keys of restreams sealed under: 64 hexadecimal digits, the same on all nodes that share rooms, and never another. Empty: `secret` in the data folder, made by the first start.
    #[schemars(extend("format" = "file"))]
    pub secret_file: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Postgres {
    /// File with the URL of the PostgreSQL database that keeps the rooms, `postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=…`, read again for each new connection of the node's watch over it; needs `rooms.secret_file`. Empty: rooms are in the data folder.
    #[schemars(extend("format" = "file"))]
    pub url_file: PathBuf,
    /// PEM file with authorities that are trusted beside the public ones to say who the database is; with it `sslmode` is `verify-full`. Empty: none, and `sslmode` is as the URL says, or `prefer`.
    #[schemars(extend("format" = "file"))]
    pub ca_file: PathBuf,
    /// Connections to the database at once, and one more that watches over it.
    #[schemars(range(min = 1, max = 1000))]
    pub connections_max: u32,
}

impl Postgres {
    pub(crate) fn is_on(&self) -> bool {
        !self.url_file.as_os_str().is_empty()
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            url_file: PathBuf::new(),
            ca_file: PathBuf::new(),
            connections_max: 10,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rtmp {
    /// Whether players are served over RTMP. Publishing always is.
    pub play: bool,
    /// Seconds from accept to the end of the RTMP handshake.
    #[schemars(range(min = 1, max = 60))]
    pub handshake_timeout_s: u64,
    /// Seconds from accept to `publish` or `play`.
    #[schemars(range(min = 1, max = 300))]
    pub publish_timeout_s: u64,
    /// Seconds from `publish` to the first audio or video.
    #[schemars(range(min = 1, max = 600))]
    pub first_media_timeout_s: u64,
    /// RTMP connections open at once. When they are all taken, a newcomer takes the place of one that has not yet published or played.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_max: usize,
    /// RTMP connections from one address, or one /64 of IPv6, that have not yet published or played.
    #[schemars(range(min = 1, max = 100_000))]
    pub pre_auth_per_ip_max: usize,
    /// Wrong keys a minute from one address, after which its connections are closed for half a minute. Behind a load balancer that hides addresses all publishers share one. 0: any number.
    #[schemars(range(min = 0, max = 100_000))]
    pub key_attempts_per_min_max: u32,
}

impl Default for Rtmp {
    fn default() -> Self {
        Self {
            play: true,
            handshake_timeout_s: 5,
            publish_timeout_s: 15,
            first_media_timeout_s: 20,
            connections_max: 10_000,
            pre_auth_per_ip_max: 64,
            key_attempts_per_min_max: 120,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    /// Seconds in which the header of a request must be complete.
    #[schemars(range(min = 1, max = 300))]
    pub header_timeout_s: u64,
    /// HTTP connections open at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_max: usize,
    /// HTTP connections from one address, or one /64 of IPv6.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_per_ip_max: usize,
    /// Seconds without a byte taken by the other side, after which its connection is closed.
    #[schemars(range(min = 1, max = 600))]
    pub write_stall_s: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            header_timeout_s: 5,
            connections_max: 20_000,
            connections_per_ip_max: 1024,
            write_stall_s: 30,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Hub {
    /// Bytes of recent frames kept per stream as its publisher sent them, from which a new viewer starts. RTMP and FLV each take as much again while such viewers watch.
    #[schemars(range(min = 65_536, max = 268_435_456))]
    pub gop_bytes_max: usize,
    /// Seconds for which viewers wait for a publisher that left to come back.
    #[schemars(range(min = 0, max = 300))]
    pub hold_s: u64,
    /// Bytes a viewer may lag before it skips to the newest key frame.
    #[schemars(range(min = 65_536, max = 268_435_456))]
    pub viewer_lag_bytes_max: usize,
    /// Milliseconds of media a viewer may lag before it skips to the newest key frame.
    #[schemars(range(min = 100, max = 60_000))]
    pub viewer_lag_ms_max: u64,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            gop_bytes_max: 16 << 20,
            hold_s: 15,
            viewer_lag_bytes_max: 4 << 20,
            viewer_lag_ms_max: 5000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Flv {
    /// Whether players are served FLV, over HTTP and over WebSocket.
    pub enabled: bool,
}

impl Default for Flv {
    fn default() -> Self {
        Self { enabled: true }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Hls {
    /// Whether streams are also cut into HLS.
    pub enabled: bool,
    /// Milliseconds a segment should last; it ends at the next key frame.
    #[schemars(range(min = 500, max = 10_000))]
    pub target_ms: u64,
    /// Segments in a live playlist.
    #[schemars(range(min = 3, max = 60))]
    pub window_segments: usize,
    /// Seconds after the last access and the stream's end until its segments are dropped.
    #[schemars(range(min = 10, max = 86_400))]
    pub idle_s: u64,
}

impl Default for Hls {
    fn default() -> Self {
        Self {
            enabled: true,
            target_ms: 2000,
            window_segments: 6,
            idle_s: 300,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Fetch {
    /// Bytes of segments kept that were cut by other nodes, for up to 10 minutes; beyond, those that nobody asked for longest go first.
    #[schemars(range(min = 0, max = 1_099_511_627_776_u64))]
    pub cache_bytes_max: usize,
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            cache_bytes_max: 256 << 20,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// Form of the log lines.
    pub format: LogFormat,
    /// Least important level that is logged.
    pub level: Level,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    #[default]
    Human,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl Level {
    /// The word as the configuration and a log filter write it.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Thumbnail {
    /// Whether pictures of live rooms are made, where ffmpeg is installed.
    pub enabled: bool,
    /// The ffmpeg that makes them; a name is looked for in `/usr/local/bin`, `/usr/bin` and `/bin`.
    #[schemars(extend("format" = "file"))]
    pub ffmpeg: PathBuf,
}

impl Default for Thumbnail {
    fn default() -> Self {
        Self {
            enabled: true,
            ffmpeg: PathBuf::from("ffmpeg"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Metrics {
    /// Live rooms that have series of their own, `isocast_room_…`: those that have been live the longest.
    #[schemars(range(min = 0, max = 10_000))]
    pub rooms_max: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { rooms_max: 100 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Viewers served at once, over all protocols.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub viewers_max: usize,
    /// Streams taken at once.
    #[schemars(range(min = 1, max = 100_000))]
    pub streams_max: usize,
    /// Bytes of memory that this node may come near: it takes no new viewers from 80 %, sends slow ones away from 90 % and takes no new publishers from 95 %. 0: only the limit of its control group, which counts in any case.
    #[schemars(range(min = 0, max = 1_099_511_627_776_u64))]
    pub memory_bytes_max: u64,
    /// Bytes a second sent to viewers that it may come near, with the same steps. 0: no limit.
    #[schemars(range(min = 0, max = 1_099_511_627_776_u64))]
    pub egress_bytes_per_s_max: u64,
    /// Kilobits a second that a room takes which does not say so itself, as for the keys below. 0: any.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub room_bitrate_kbps_max: u32,
    /// Width of the frame that a room's pictures fit in, upright or turned; without a height it holds for both sides. 0: any.
    #[schemars(range(min = 0, max = 65_535))]
    pub room_width_max: u32,
    /// Height of that frame. 0: any.
    #[schemars(range(min = 0, max = 65_535))]
    pub room_height_max: u32,
    /// Pictures a second that a room takes. 0: any.
    #[schemars(range(min = 0, max = 1000))]
    pub room_frame_rate_max: u32,
    /// Viewers of one room at once, over all protocols. 0: any.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub room_viewers_max: u32,
    /// Codecs that a room takes. Empty: all.
    #[schemars(with = "Vec<String>", extend("format" = "codec"))]
    pub room_codecs: Vec<CodecName>,
}

impl Limits {
    /// What a room takes that has these limits of its own.
    pub(crate) fn of_room(&self, own: &RoomLimits) -> RoomLimits {
        own.clone().or(&RoomLimits {
            bitrate_kbps_max: NonZeroU32::new(self.room_bitrate_kbps_max),
            width_max: NonZeroU32::new(self.room_width_max),
            height_max: NonZeroU32::new(self.room_height_max),
            frame_rate_max: NonZeroU32::new(self.room_frame_rate_max),
            viewers_max: NonZeroU32::new(self.room_viewers_max),
            codecs: self.room_codecs.clone(),
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            viewers_max: 10_000,
            streams_max: 1000,
            memory_bytes_max: 0,
            egress_bytes_per_s_max: 0,
            room_bitrate_kbps_max: 0,
            room_width_max: 0,
            room_height_max: 0,
            room_frame_rate_max: 0,
            room_viewers_max: 0,
            room_codecs: Vec::new(),
        }
    }
}
