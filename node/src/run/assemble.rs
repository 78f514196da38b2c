use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use isocast_claims::{Incarnation, NodeId, Owner};
use tokio_util::task::TaskTracker;

use super::opened::{KeySetAt, Secrets};
use crate::app::App;
use crate::clock::unix_ms;
use crate::config::Config;
use crate::data::NodeFile;
use crate::edge::Buckets;
use crate::fetch::{self, Cluster, Fetcher};
use crate::hub::{self, Hub};
use crate::ingest::Bans;
use crate::issuer::{FetchedKeys, HttpSource, Issuer, Keys};
use crate::load::Load;
use crate::metrics::Metrics;
use crate::outbound::{self, Dialler};
use crate::ownership::{self, Ownership};
use crate::packager::Packager;
use crate::peers::Peers;
use crate::registry::{self, Nodes, Registry};
use crate::relay::{self, Holders, Relays};
use crate::restream::{self, Restreams};
use crate::rooms::{self, Rooms};
use crate::stop::Stop;
use crate::thumbnail::Thumbnails;
use crate::webhooks::{HttpCarrier, Webhooks};

/// What is made of the configuration before anything is bound.
pub(crate) struct Parts {
    pub config: Config,
    pub secrets: Secrets,
    pub rooms: Arc<dyn Rooms>,
    /// The registry that nodes share; `None` where this one stands alone.
    pub redis: Option<registry::Redis>,
    pub metrics: Metrics,
    pub dialler: Arc<Dialler>,
    /// Which nodes have which room, where that is not to be told by their owners.
    pub holders: Option<Arc<dyn Holders>>,
}

/// What all connections share; the node listens at these addresses.
pub(crate) fn assemble(parts: Parts, at: &NodeFile) -> Arc<App> {
    let Parts {
        config,
        secrets,
        rooms,
        redis,
        metrics,
        dialler,
        holders,
    } = parts;
    let (stop, tasks) = (Stop::default(), TaskTracker::new());
    let http = outbound::Http::new(Arc::clone(&dialler));
    let webhooks = match secrets.webhooks {
        Some((url, secrets)) => Webhooks::new(
            config.node.id.clone(),
            config.webhooks.events.clone(),
            HttpCarrier::new(http.clone(), url, secrets),
            metrics.webhooks.clone(),
            stop.clone(),
            tasks.clone(),
        ),
        None => Webhooks::default(),
    };
    let restreams = match config.restream.enabled {
        true => Restreams::new(
            Arc::clone(&rooms),
            Arc::clone(&dialler),
            restream::Allowed::new(&config.restream.allow_hosts),
            &metrics,
            stop.clone(),
            tasks.clone(),
        ),
        false => Restreams::default(),
    };
    let keys = secrets.key_set.map(|at| match at {
        KeySetAt::File(key_set) => Keys::File(key_set),
        KeySetAt::Url(url) => Keys::Url(FetchedKeys::start(
            HttpSource::new(http, url),
            metrics.key_set_fetches.clone(),
            stop.closing_token(),
            &tasks,
        )),
    });
    let issuer = keys.map(|keys| Issuer::new(keys, &config.auth));
    let hub = Arc::new(Hub::new(hub_limits(&config)));
    let me = Owner {
        node: NodeId::parse(&config.node.id).expect("a node id, as it was checked"),
        incarnation: Incarnation(unix_ms()),
    };
    let nodes = Arc::new(Nodes::default());
    let peers = Arc::new(Peers::start(
        me.clone(),
        secrets.peers,
        &config.peers,
        nodes.watch(),
        Arc::clone(&dialler),
        stop.closing_token(),
        &tasks,
    ));
    let registry: Arc<dyn Registry> = match redis {
        Some(redis) => {
            tasks.spawn(redis.keep_connected(stop.listeners_closing()));
            Arc::new(redis)
        }
        None => {
            metrics.registry_up.set(1);
            Arc::new(registry::Memory::default())
        }
    };
    let ownership = Ownership::new(ownership::Parts {
        me: me.clone(),
        settings: isocast_claims::Settings {
            strict: config.registry.strict,
            renew_every_ms: config.registry.renew_ms,
            ..isocast_claims::Settings::default()
        },
        dead_after_ms: config.registry.dead_ms,
        registry: Arc::clone(&registry),
        peers: Arc::clone(&peers) as _,
        hub: Arc::clone(&hub),
        corrupt: metrics.registry_corrupt.clone(),
        tasks: tasks.clone(),
    });
    let cluster = peers.credential().map(|credential| Cluster {
        ownership: Arc::clone(&ownership),
        peers: Arc::clone(&peers),
        credential: credential.clone(),
        dialler: Arc::clone(&dialler),
    });
    let fetcher = cluster.map(|cluster| {
        Fetcher::of(
            cluster,
            fetch::Settings {
                cache_bytes_max: config.fetch.cache_bytes_max,
                hold: Duration::from_secs(config.hub.hold_s),
            },
            metrics.fetches.clone(),
            &tasks,
            stop.closing_token(),
        )
    });
    let relays = peers.credential().map(|credential| {
        let owners = || relay::Owners {
            ownership: Arc::clone(&ownership),
            nodes: Arc::clone(&nodes),
        };
        let place = relay::Place {
            node: me.node,
            zone: config.node.zone.clone(),
            credential: credential.clone(),
            dialler,
            hub: Arc::clone(&hub),
            ownership: Arc::clone(&ownership),
            holders: holders.unwrap_or_else(|| Arc::new(owners())),
            idle: Duration::from_secs(config.relay.idle_s),
            counts: relay::Counts::of(&metrics),
            stop: stop.clone(),
        };
        Relays::new(place, tasks.clone())
    });
    Arc::new(App {
        node_id: config.node.id.clone(),
        known_rooms: rooms::Cache::new(Arc::clone(&rooms)),
        rooms,
        ownership,
        fetcher,
        peers,
        registry,
        nodes,
        hub,
        bans: Bans::default(),
        packager: Packager::new(config.hls.clone(), tasks.clone()),
        thumbnails: Thumbnails::new(
            config.thumbnail.clone(),
            tasks.clone(),
            stop.closing_token(),
        ),
        metrics,
        load: Load::default(),
        key_attempts: Buckets::new(config.rtmp.key_attempts_per_min_max),
        api_token: secrets.api_token,
        admin_token: secrets.admin_token,
        issuer,
        play_keys: secrets.play_keys,
        publish_keys: secrets.publish_keys,
        rtmp_address: at.rtmp,
        http_address: at.http,
        stop,
        webhooks,
        restreams,
        relays: relays.unwrap_or_default(),
        tasks,
        config,
    })
}

pub(crate) fn hub_limits(config: &Config) -> hub::Limits {
    hub::Limits {
        ring_bytes_max: config.hub.gop_bytes_max,
        hold: Duration::from_secs(config.hub.hold_s),
        remember: Duration::from_secs(config.hls.idle_s),
        lag_bytes_max: config.hub.viewer_lag_bytes_max as u64,
        lag_ms_max: i64::try_from(config.hub.viewer_lag_ms_max).unwrap_or(i64::MAX),
        streams_max: config.limits.streams_max,
    }
}

pub(crate) fn dialler(config: &Config, metrics: &Metrics) -> anyhow::Result<Arc<Dialler>> {
    let rules = outbound::Rules::new(config.network.allow_addresses.clone());
    let trust = outbound::Trust::new(&config.network.ca_file).context("network.ca_file")?;
    let dialler = Dialler::new(rules, trust, metrics.outbound.clone());
    Ok(Arc::new(dialler))
}
