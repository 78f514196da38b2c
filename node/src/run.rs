//! The life of a node: open the data folder, bind, serve, hear the signal, drain, end.

pub(crate) mod assemble;
mod heartbeat;
mod listeners;
pub(crate) mod opened;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::app::App;
use crate::config::{Config, Loaded};
use crate::data::NodeFile;
use crate::load;
use crate::log;
use crate::metrics::Metrics;
use crate::registry::{Ports, Redis};
use crate::tls::Reloader;
use assemble::{Parts, assemble, dialler};
use listeners::Listeners;
use opened::Opened;

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
    let Opened {
        lock,
        store,
        secrets,
    } = Opened::open(&config).await?;
    let metrics = Metrics::new();
    let dialler = dialler(&config, &metrics)?;
    let certificate = match config.tls.is_on() {
        true => Some(Reloader::start((&config.tls).into(), &metrics)?),
        false => None,
    };
    let redis = match config.redis.is_on() {
        true => Some(Redis::new(&config.redis, &metrics)?),
        false => None,
    };
    let listeners = Listeners::bind(&config)?;
    // From here on a signal ends the node in order.
    let signals = Signals::new()?;

    let parts = Parts {
        config,
        secrets,
        rooms: Arc::clone(&store.rooms),
        redis,
        metrics,
        dialler,
        holders: None,
    };
    let at = listeners.node_file()?;
    let app = assemble(parts, &at);
    lock.announce(&at)?;
    tracing::info!(node = app.node_id, rtmp = %at.rtmp, http = %at.http, internal = %at.internal, "ready");
    if let (Some(rtmps), Some(https)) = (at.rtmps, at.https) {
        tracing::info!(%rtmps, %https, "TLS is on");
    }
    begin(&app, listeners, certificate);
    if let Some(keeper) = store.keeper {
        app.tasks.spawn(keeper.run(app.stop.listeners_closing()));
    }
    app.tasks
        .spawn(heartbeat::beat(Arc::clone(&app), ports(&at)));
    let patience = signals.heard(&app.config).await;
    drain(&app, patience).await;
    store.rooms.close().await;
    tracing::info!("ended");
    Ok(())
}

/// Serves from here on, and starts what looks after those who are served.
fn begin(app: &Arc<App>, listeners: Listeners, certificate: Option<Reloader>) {
    listeners.serve(app, certificate.as_ref().map(Reloader::acceptors));
    if let Some(reloader) = certificate {
        app.tasks.spawn(reloader.run(Arc::clone(app)));
    }
    app.tasks.spawn(tick(Arc::clone(app)));
    app.tasks.spawn(load::watch(Arc::clone(app)));
    let ownership = Arc::clone(&app.ownership);
    app.tasks.spawn(ownership.run(app.stop.listeners_closing()));
}

/// Where others reach this node, in the clear: nodes have TLS of their own.
fn ports(at: &NodeFile) -> Ports {
    Ports {
        rtmp: at.rtmp.port(),
        http: at.http.port(),
        internal: at.internal.port(),
        relay: at.relay.map(|relay| relay.port()),
    }
}

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
        if let Some(fetcher) = &app.fetcher {
            fetcher.tick();
        }
        app.webhooks.look(&app.hub, &app.packager);
        app.restreams.look();
        app.relays.look(&app.hub);
        for _ in 0..app.hub.send_away_stalled(now, stall) {
            app.metrics.refused("viewer", "stalled");
        }
    }
}

/// Readiness off, then a while in which newcomers are still served, then publishers and viewers leave
/// one by one, then connections end, and the listeners last.
async fn drain(app: &App, patience: Patience) {
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
        app.tasks.close();
        app.tasks.wait().await;
    });
    if drained.await.is_err() {
        tracing::warn!(
            open = app.tasks.len(),
            "the shutdown deadline has passed; what is open is cut"
        );
    }
}

/// How long others are given to notice that this node goes.
struct Patience {
    /// For load balancers, to send nobody here any more.
    delay: Duration,
    /// For publishers and viewers, to connect elsewhere.
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
