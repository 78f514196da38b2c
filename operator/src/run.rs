//! The life of the operator: bind, connect, wait to be the one that works, work, end in order.

use std::convert::Infallible;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::http::HeaderValue;
use axum::http::header::USER_AGENT;
use futures_util::stream::poll_fn;
use futures_util::{Stream, StreamExt};
use isocast_crds::LiveRoom;
use kube::runtime::controller::{
    self, Action, Config as Pace, ReconcileReason, ReconcileRequest, applier,
};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, Config, Resource};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::cluster::desired::Home;
use crate::events::Events;
use crate::leader::{self, Leadership};
use crate::metrics::Metrics;
use crate::names::FIELD_MANAGER;
use crate::node::{Changed, Watches};
use crate::secrets::{Poller, Who};
use crate::serve::{self, Health};
use crate::settings::{LogFormat, Settings};
use crate::watch::{self, Caches, Queues, Triggers};
use crate::{cluster, room};

/// Objects of one kind that are worked on at once.
const AT_ONCE: u16 = 16;
/// What is under way when the operator is told to stop gets this long to end.
const END: Duration = Duration::from_secs(10);

/// Works until told to stop. One thread: the operator waits for others most of the time, and every
/// thread more costs memory.
pub(crate) fn run(settings: Settings) -> anyhow::Result<()> {
    log(&settings);
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(live(settings));
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

async fn live(settings: Settings) -> anyhow::Result<()> {
    let listener = serve::bind(settings.listen).await?;
    let client = connect().await?;
    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health {
        metrics: Arc::clone(&metrics),
        is_ready: AtomicBool::new(false),
    });
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(on_signal(stop.clone())?);
    tasks.spawn(serve::serve(listener, Arc::clone(&health), stop.clone()));

    let version = client
        .apiserver_version()
        .await
        .context("the API server does not answer")?;
    tracing::info!(version = version.git_version, "connected");
    health.is_ready.store(true, Ordering::Relaxed);

    let leadership = lead(&settings, &client, &stop).await;
    let mut done = Ok(());
    if !stop.is_cancelled() {
        metrics.leading.set(1);
        let operator = Operator {
            client,
            metrics: Arc::clone(&metrics),
            settings,
        };
        tokio::select! {
            () = operator.work_everywhere(&stop) => {}
            () = too_late(&stop) => tracing::warn!("what was under way did not end in time"),
            // Another operator may write from now on: this one does nothing more, not even in order.
            () = lost(leadership.as_ref()) => {
                stop.cancel();
                done = Err(anyhow::anyhow!("another operator has taken the lease, or the API server does not answer"));
            }
        }
        metrics.leading.set(0);
    }
    tasks.close();
    if timeout(END, tasks.wait()).await.is_err() {
        tracing::warn!(open = tasks.len(), "not everything ended in time");
    }
    if let (Ok(()), Some(leadership)) = (&done, leadership) {
        leadership.release().await;
    }
    tracing::info!("ended");
    done
}

/// [`END`] after the word to stop.
async fn too_late(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(END).await;
}

async fn lost(leadership: Option<&Leadership>) {
    match leadership {
        Some(leadership) => leadership.lost().await,
        None => std::future::pending().await,
    }
}

fn log(settings: &Settings) {
    let filter = tracing_subscriber::EnvFilter::new(format!(
        "{},hyper=warn,kube=warn,rustls=warn,tower=warn",
        settings.log_level
    ));
    let start = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Human => start.init(),
        LogFormat::Json => start.json().flatten_event(true).init(),
    }
}

/// One layer retries, and that is the reconciler: the client does not.
pub(crate) async fn connect() -> anyhow::Result<Client> {
    let mut config = Config::infer()
        .await
        .context("neither in a cluster nor a usable KUBECONFIG")?;
    // So that the API server's log tells who it was.
    let agent = HeaderValue::from_static(concat!("isocast-operator/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    Client::try_from(config).context("the API server's address or certificates in KUBECONFIG")
}

fn on_signal(stop: CancellationToken) -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stop.cancelled() => return,
        }
        tracing::info!("ending");
        stop.cancel();
    })
}

/// Waits until no other replica works.
async fn lead(
    settings: &Settings,
    client: &Client,
    stop: &CancellationToken,
) -> Option<Leadership> {
    if !settings.leader_election {
        return None;
    }
    let identity = settings.identity();
    leader::lead(
        client.clone(),
        &settings.lease_namespace,
        FIELD_MANAGER,
        &identity,
        stop,
    )
    .await
}

/// What the work in every namespace shares.
#[derive(Clone)]
struct Operator {
    client: Client,
    metrics: Arc<Metrics>,
    settings: Settings,
}

impl Operator {
    async fn work_everywhere(&self, stop: &CancellationToken) {
        let scopes = self.settings.scopes();
        let works = scopes.iter().map(|scope| self.work(scope.as_deref(), stop));
        futures_util::future::join_all(works).await;
    }

    /// Works in one namespace, or in all, until told to stop.
    async fn work(&self, scope: Option<&str>, stop: &CancellationToken) {
        let tasks = TaskTracker::new();
        let (triggers, Queues { clusters, rooms }) = watch::queues();
        let caches = watch::start(&self.client, scope, &triggers, &tasks, stop);
        let (watches, changes) = Watches::new();
        let (poller, polled) = Poller::new(self.client.clone());
        let (watches, poller) = (Arc::new(watches), Arc::new(poller));
        tasks.spawn(pass_on_changes(
            changes,
            Arc::clone(&caches),
            triggers.clone(),
            stop.clone(),
        ));
        tasks.spawn(pass_on_polled(polled, triggers.clone(), stop.clone()));
        tokio::select! {
            () = caches.wait() => tracing::info!(namespace = scope.unwrap_or("*"), "watching"),
            () = stop.cancelled() => {}
        }
        let events = Events::new(self.client.clone(), self.settings.identity.clone());
        let of_clusters = self.of_clusters(&caches, &watches, &poller, &events);
        let of_rooms = self.of_rooms(&caches, &watches, &poller, &events);
        let clusters = applier(
            |object, ctx| Box::pin(cluster::reconcile(object, ctx)),
            cluster::again,
            Arc::clone(&of_clusters),
            caches.clusters.clone(),
            requests(clusters, stop.clone()),
            Pace::default().concurrency(AT_ONCE),
        );
        let rooms = applier(
            |object, ctx| Box::pin(room::reconcile(object, ctx)),
            room::again,
            Arc::clone(&of_rooms),
            caches.rooms.clone(),
            requests(rooms, stop.clone()),
            Pace::default().concurrency(AT_ONCE),
        );
        futures_util::join!(
            run_all(clusters, |key| cluster::gone(&key, &of_clusters)),
            run_all(rooms, |key| room::gone(&key, &of_rooms)),
        );
        watches.close().await;
        poller.close().await;
        tasks.close();
        tasks.wait().await;
    }

    fn of_clusters(
        &self,
        caches: &Arc<Caches>,
        watches: &Arc<Watches>,
        poller: &Arc<Poller>,
        events: &Events,
    ) -> Arc<cluster::Ctx> {
        Arc::new(cluster::Ctx {
            client: self.client.clone(),
            home: Home {
                namespace: self.settings.lease_namespace.clone(),
            },
            caches: Arc::clone(caches),
            watches: Arc::clone(watches),
            poller: Arc::clone(poller),
            events: events.clone(),
            backoff: Backoff::default(),
            metrics: Arc::clone(&self.metrics),
        })
    }

    fn of_rooms(
        &self,
        caches: &Caches,
        watches: &Arc<Watches>,
        poller: &Arc<Poller>,
        events: &Events,
    ) -> Arc<room::Ctx> {
        Arc::new(room::Ctx {
            client: self.client.clone(),
            rooms: caches.rooms.clone(),
            clusters: caches.clusters.clone(),
            watches: Arc::clone(watches),
            poller: Arc::clone(poller),
            events: events.clone(),
            metrics: Arc::clone(&self.metrics),
            backoff: Backoff::default(),
            puts: room::Puts::default(),
        })
    }
}

/// Runs reconciliations to their end; they log their errors themselves. An object that is asked for
/// and not there any more is `gone`.
async fn run_all<K, E>(
    done: impl Stream<Item = Result<(ObjectRef<K>, Action), controller::Error<E, Infallible>>>,
    gone: impl Fn(ObjectRef<K>),
) where
    K: Resource<DynamicType = ()>,
    E: std::error::Error + 'static,
{
    let mut done = std::pin::pin!(done);
    while let Some(result) = done.next().await {
        if let Err(controller::Error::ObjectNotFound(key)) = result {
            let mut own = ObjectRef::new(&key.name);
            own.namespace = key.namespace;
            gone(own);
        }
    }
}

/// Objects to look at, until told to stop.
fn requests<K: Resource<DynamicType = ()> + 'static>(
    mut queue: mpsc::Receiver<ObjectRef<K>>,
    stop: CancellationToken,
) -> impl Stream<Item = Result<ReconcileRequest<K>, Infallible>> {
    let keys = poll_fn(move |context| queue.poll_recv(context));
    let requests = keys.map(|obj_ref| {
        Ok(ReconcileRequest {
            obj_ref,
            reason: ReconcileReason::Unknown,
        })
    });
    requests.take_until(stop.cancelled_owned())
}

/// What the nodes tell concerns their LiveClusters and rooms.
async fn pass_on_changes(
    mut changes: mpsc::Receiver<Changed>,
    caches: Arc<Caches>,
    triggers: Triggers,
    stop: CancellationToken,
) {
    loop {
        let change = tokio::select! {
            () = stop.cancelled() => return,
            change = changes.recv() => change,
        };
        let rooms = match change {
            None => return,
            Some(Changed::Cluster(cluster)) => {
                let _ = triggers.clusters.send(cluster).await;
                continue;
            }
            Some(Changed::Node(cluster)) => {
                let _ = triggers.clusters.send(cluster.clone()).await;
                caches
                    .rooms
                    .state_filter(|room| watch::is_of(room, &cluster))
            }
            Some(Changed::Room(cluster, id)) => {
                let is_it = |room: &LiveRoom| {
                    watch::is_of(room, &cluster) && watch::id(room) == id.as_str()
                };
                caches.rooms.state_filter(is_it)
            }
        };
        for room in rooms {
            let _ = triggers.rooms.send(ObjectRef::from_obj(&*room)).await;
        }
    }
}

/// A Secret has changed: whoever uses it is looked at.
async fn pass_on_polled(
    mut polled: mpsc::Receiver<Who>,
    triggers: Triggers,
    stop: CancellationToken,
) {
    loop {
        let who = tokio::select! {
            () = stop.cancelled() => return,
            who = polled.recv() => who,
        };
        // A queue is closed only when everything ends.
        let _ = match who {
            None => return,
            Some(Who::Cluster(cluster)) => triggers.clusters.send(cluster).await.is_ok(),
            Some(Who::Room(room)) => triggers.rooms.send(room).await.is_ok(),
        };
    }
}
