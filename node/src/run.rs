//! The life of a node: open the data folder, bind, serve, hear the signal, drain, end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use isocast_access::{KeySet, Keyring};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::api;
use crate::app::App;
use crate::config::{Config, HttpUrl, Loaded};
use crate::data::{self, Folder, KeyringFile, Lock, NodeFile, Reread, Token, TokenFile};
use crate::edge::{Buckets, Caps, Port, Speaks};
use crate::hub::{self, Hub};
use crate::ingest::Bans;
use crate::load::{self, Load};
use crate::log;
use crate::metrics::Metrics;
use crate::outbound::{self, Dialler};
use crate::packager::Packager;
use crate::registry;
use crate::restream::{self, Restreams};
use crate::rooms::{self, KeyHasher, Sqlite};
use crate::stop::Stop;
use crate::thumbnail::Thumbnails;
use crate::tls::{Acceptors, Reloader};
use crate::webhooks::{HttpCarrier, Secrets, Webhooks};

/// A room command holds the data folder for a moment; another node holds it for long.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// How often held streams are looked at.
const TICK: Duration = Duration::from_millis(500);

/// Runs a node until it is told to stop.
pub(crate) fn run(loaded: Loaded) -> anyhow::Result<()> {
    log::start(&loaded.config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(live(loaded));
    // Whatever did not end within its deadline is given up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

async fn live(loaded: Loaded) -> anyhow::Result<()> {
    for file in &loaded.files {
        tracing::info!(file = %file.display(), "configuration read");
    }
    let config = loaded.config;
    let opened = open_data_folder(&config).await?;
    let lock = opened.lock;
    let store = Sqlite::open(&lock.folder().rooms_file(), KeyHasher::new(lock.secret()?)).await?;
    let store = Arc::new(store);
    let metrics = Metrics::new();
    let dialler = dialler(&config, &metrics)?;
    let http = outbound::Http::new(Arc::clone(&dialler));
    let (stop, tasks) = (Stop::default(), TaskTracker::new());
    let webhooks = match webhook_carrier(&config, &lock, http.clone())? {
        Some(carrier) => Webhooks::new(
            config.node.id.clone(),
            config.webhooks.events.clone(),
            carrier,
            metrics.webhooks.clone(),
            stop.clone(),
            tasks.clone(),
        ),
        None => Webhooks::default(),
    };
    let restreams = match config.restream.enabled {
        true => Restreams::new(
            store.clone(),
            dialler,
            restream::Allowed::new(&config.restream.allow_hosts),
            &metrics,
            stop.clone(),
            tasks.clone(),
        ),
        false => Restreams::default(),
    };
    let certificate = match config.tls.is_on() {
        true => Some(Reloader::start(config.tls.clone(), &metrics)?),
        false => None,
    };
    let listeners = Listeners::bind(&config)?;
    // From here on a signal ends the node in order.
    let signals = Signals::new()?;

    let app = Arc::new(App {
        node_id: config.node.id.clone(),
        known_rooms: rooms::Cache::new(store.clone()),
        rooms: store.clone(),
        registry: Arc::new(registry::Memory::default()),
        hub: Arc::new(Hub::new(hub_limits(&config))),
        bans: Bans::default(),
        packager: Packager::new(config.hls.clone(), tasks.clone()),
        thumbnails: Thumbnails::new(
            config.thumbnail.clone(),
            tasks.clone(),
            stop.closing_token(),
        ),
        metrics,
        outbound: http,
        load: Load::default(),
        key_attempts: Buckets::new(config.rtmp.key_attempts_per_min_max),
        api_token: opened.api_token,
        admin_token: opened.admin_token,
        key_set: key_set(&config)?,
        play_keys: opened.play_keys,
        publish_keys: opened.publish_keys,
        rtmp_address: listeners.rtmp.local_addr()?,
        http_address: listeners.http.local_addr()?,
        stop,
        webhooks,
        restreams,
        tasks: tasks.clone(),
        config,
    });
    lock.announce(&listeners.node_file()?)?;
    tracing::info!(
        node = app.node_id, rtmp = %listeners.rtmp.local_addr()?, http = %listeners.http.local_addr()?,
        internal = %listeners.internal.local_addr()?, "ready"
    );
    if let Some((rtmps, https)) = &listeners.secure {
        tracing::info!(rtmps = %rtmps.local_addr()?, https = %https.local_addr()?, "TLS is on");
    }
    listeners.serve(&app, &tasks, certificate.as_ref().map(Reloader::acceptors));
    if let Some(reloader) = certificate {
        tasks.spawn(reloader.run(Arc::clone(&app)));
    }
    tasks.spawn(tick(Arc::clone(&app)));
    tasks.spawn(load::watch(Arc::clone(&app)));

    let patience = signals.heard(&app.config).await;
    drain(&app, &tasks, patience).await;
    store.close().await;
    tracing::info!("ended");
    Ok(())
}

/// The public keys of whoever else signs tokens.
fn key_set(config: &Config) -> anyhow::Result<Option<Reread<KeySet>>> {
    let path = config.auth.jwks_file.clone();
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let key_set = Reread::open(move || data::read_key_set(&path));
    Ok(Some(key_set.context("auth.jwks_file")?))
}

/// The data folder, and the secrets of the node, wherever they are.
struct Opened {
    lock: Lock,
    api_token: Token,
    admin_token: Token,
    play_keys: Reread<Keyring>,
    publish_keys: Reread<Keyring>,
}

async fn open_data_folder(config: &Config) -> anyhow::Result<Opened> {
    let folder = Folder::open(&config.data_dir)?;
    let Some(lock) = folder.lock_within(LOCK_WAIT).await? else {
        bail!(
            "the data folder {} is in use by another node; give this one its own with --data-dir",
            config.data_dir.display()
        );
    };
    let api = folder.api_token(&config.api.token_file);
    let admin = folder.admin_token(&config.admin.token_file);
    let token = |key, file: &TokenFile| -> anyhow::Result<Token> {
        Ok(Token::new(file.clone(), lock.token(file).context(key)?))
    };
    let keyring = |key, file: KeyringFile| -> anyhow::Result<Reread<Keyring>> {
        lock.make_keyring(&file).context(key)?;
        Reread::open(move || file.read_existing()).context(key)
    };
    let play = folder.play_secret(&config.play.secret_file);
    let publish = folder.publish_secret(&config.publish.secret_file);
    let secrets = [
        api.path(),
        admin.path(),
        play.path(),
        publish.path(),
        &config.tls.key_file,
    ];
    for path in folder.exposed(&secrets) {
        tracing::warn!(path = %path.display(), "others on this machine can read this secret; make it mode 0600");
    }
    Ok(Opened {
        api_token: token("api.token_file", &api)?,
        admin_token: token("admin.token_file", &admin)?,
        play_keys: keyring("play.secret_file", play)?,
        publish_keys: keyring("publish.secret_file", publish)?,
        lock,
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

/// Where webhooks go; `None` where they are not configured.
fn webhook_carrier(
    config: &Config,
    lock: &Lock,
    http: outbound::Http,
) -> anyhow::Result<Option<HttpCarrier>> {
    if config.webhooks.url.is_empty() {
        return Ok(None);
    }
    let url =
        HttpUrl::parse(&config.webhooks.url).map_err(|wrong| anyhow!("webhooks.url: {wrong}"))?;
    let file = lock.folder().webhook_secret(&config.webhooks.secret_file);
    let secrets = lock.tokens(&file).context("webhooks.secret_file")?;
    for path in lock.folder().exposed(&[file.path()]) {
        tracing::warn!(path = %path.display(), "others on this machine can read this secret; make it mode 0600");
    }
    Ok(Some(HttpCarrier::new(
        http,
        url,
        Secrets::new(file, secrets),
    )))
}

pub(crate) fn dialler(config: &Config, metrics: &Metrics) -> anyhow::Result<Arc<Dialler>> {
    let rules = outbound::Rules::new(config.network.allow_addresses.clone());
    let trust = outbound::Trust::new(&config.network.ca_file).context("network.ca_file")?;
    let dialler = Dialler::new(rules, trust, metrics.outbound.clone());
    Ok(Arc::new(dialler))
}

/// The sockets, bound before anything is served.
struct Listeners {
    rtmp: TcpListener,
    http: TcpListener,
    internal: TcpListener,
    /// RTMPS and HTTPS, where there is a certificate.
    secure: Option<(TcpListener, TcpListener)>,
}

impl Listeners {
    fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind = |key: &'static str, address: SocketAddr| {
            listen(address).with_context(|| format!("{key} cannot listen on {address}"))
        };
        Ok(Self {
            rtmp: bind("listen.rtmp", config.listen.rtmp)?,
            http: bind("listen.http", config.listen.http)?,
            internal: bind("listen.internal", config.listen.internal)?,
            secure: match config.tls.is_on() {
                true => Some((
                    bind("listen.rtmps", config.listen.rtmps)?,
                    bind("listen.https", config.listen.https)?,
                )),
                false => None,
            },
        })
    }

    fn node_file(&self) -> std::io::Result<NodeFile> {
        let secure = self.secure.as_ref();
        Ok(NodeFile {
            pid: std::process::id(),
            rtmp: self.rtmp.local_addr()?,
            http: self.http.local_addr()?,
            internal: self.internal.local_addr()?,
            rtmps: secure.map(|(rtmps, _)| rtmps.local_addr()).transpose()?,
            https: secure.map(|(_, https)| https.local_addr()).transpose()?,
        })
    }

    fn serve(
        self,
        app: &Arc<App>,
        tasks: &TaskTracker,
        acceptors: Option<watch::Receiver<Acceptors>>,
    ) {
        let configured = [
            app.config.rtmp.connections_max,
            app.config.http.connections_max,
        ];
        let files = load::raise_open_files();
        let [rtmp_max, http_max] = load::places(files, configured, INTERNAL_CONNECTIONS_MAX);
        // Both ports of a protocol share its caps.
        let rtmp = Port {
            speaks: Speaks::Rtmp,
            caps: Caps::where_newcomers_win(rtmp_max, app.config.rtmp.pre_auth_per_ip_max),
            is_public: true,
            tls: None,
        };
        let http = Port {
            speaks: Speaks::Http(api::public(Arc::clone(app))),
            caps: Caps::new(http_max, app.config.http.connections_per_ip_max),
            is_public: true,
            tls: None,
        };
        let internal = Port {
            speaks: Speaks::Http(api::internal(Arc::clone(app))),
            caps: Caps::new(INTERNAL_CONNECTIONS_MAX, INTERNAL_CONNECTIONS_MAX),
            is_public: false,
            tls: None,
        };
        if let Some((rtmps_listener, https_listener)) = self.secure {
            let rtmps = rtmp.clone().with_tls(acceptors.clone());
            rtmps.open(app, tasks, rtmps_listener);
            let https = http.clone().with_tls(acceptors);
            https.open(app, tasks, https_listener);
        }
        rtmp.open(app, tasks, self.rtmp);
        http.open(app, tasks, self.http);
        internal.open(app, tasks, self.internal);
    }
}

/// Connections that wait to be accepted: a flood of them is a moment's work, and who comes after it
/// should not have to knock again. The system may allow fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Without it a node that starts anew waits for the last one's connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Probes and scrapers; the public cannot use these places up.
const INTERNAL_CONNECTIONS_MAX: usize = 256;

/// Moves held and ended streams on, and viewers away who take nothing.
async fn tick(app: Arc<App>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stall = Duration::from_secs(app.config.http.write_stall_s);
    let stop = app.stop.listeners_closing();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let now = Instant::now();
        app.hub.tick(now);
        app.webhooks.look(&app.hub, &app.packager);
        app.restreams.look();
        for _ in 0..app.hub.send_away_stalled(now, stall) {
            app.metrics.refused("viewer", "stalled");
        }
    }
}

/// Readiness off, then a while in which newcomers are still served, then RTMP peers leave one by
/// one, then connections end, and the listeners last.
async fn drain(app: &App, tasks: &TaskTracker, patience: Patience) {
    let deadline = Duration::from_secs(app.config.node.shutdown_deadline_s);
    tracing::info!(patience_s = patience.delay.as_secs(), "draining");
    app.stop.drain();
    let drained = timeout(deadline, async {
        sleep(patience.delay).await;
        // Who has not left by then is cut off.
        timeout(patience.spread, app.stop.part()).await.ok();
        app.stop.close();
        app.hub.end_all();
        app.webhooks.look(&app.hub, &app.packager);
        app.stop.close_listeners();
        tasks.close();
        tasks.wait().await;
    });
    if drained.await.is_err() {
        tracing::warn!(
            open = tasks.len(),
            "the shutdown deadline has passed; what is open is cut"
        );
    }
}

/// How long others are given to notice that this node goes.
struct Patience {
    /// For load balancers, to send nobody here any more.
    delay: Duration,
    /// For RTMP peers, to connect elsewhere.
    spread: Duration,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the word to stop. A load balancer needs time to notice; a person at a terminal
    /// does not.
    async fn heard(mut self, config: &Config) -> Patience {
        tokio::select! {
            _ = self.terminate.recv() => Patience {
                delay: Duration::from_secs(config.node.drain_delay_s),
                spread: config.node.drain_spread(),
            },
            _ = self.interrupt.recv() => Patience {
                delay: Duration::ZERO,
                spread: Duration::ZERO,
            },
        }
    }
}
