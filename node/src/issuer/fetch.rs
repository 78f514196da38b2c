//! A key set that is fetched by a task of its own, now and then and for keys that nobody knows yet.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use isocast_access::{BadKeySet, KeySet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::ResultLabel;
use crate::outbound::{self, Backoff};

/// Keys that are not in the set make it be fetched anew so often in a minute: anybody can name one,
/// and one stranger's is not to be in the way of a new key.
const FETCHES_PER_MIN_MAX: usize = 3;
const MINUTE: Duration = Duration::from_secs(60);
/// Requests that wait for the same fetch; those beyond are answered by what is known.
const ASKS_MAX: usize = 64;
/// After a failure, and after many.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Where a key set comes from.
pub(crate) trait Source: fmt::Debug + Send + Sync {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, Error>>;
}

#[derive(Debug)]
pub(crate) struct Fetched {
    pub key_set: KeySet,
    pub fresh_for: Duration,
}

/// Why there is no new set. Holds nothing of the URL but its host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Call(#[from] outbound::Error),
    #[error("{host} answered with status {status} instead of a key set")]
    Status { host: String, status: u16 },
    #[error("what {host} answered {error}")]
    Content { host: String, error: BadKeySet },
}

impl Error {
    /// A constant word for metrics.
    fn label(&self) -> &'static str {
        match self {
            Self::Call(error) => error.label(),
            Self::Status { .. } => "status",
            Self::Content { .. } => "content",
        }
    }
}

/// The set as it was fetched last. A set outlives the failure to fetch another.
#[derive(Debug)]
pub(crate) struct FetchedKeys {
    key_set: watch::Receiver<Option<Arc<KeySet>>>,
    asks: mpsc::Sender<Ask>,
}

/// Somebody waits for this key.
#[derive(Debug)]
struct Ask {
    key: String,
    /// Dropped once nothing more is to be waited for.
    _waiting: oneshot::Sender<()>,
}

impl FetchedKeys {
    /// Starts the task that fetches.
    pub(crate) fn start(
        source: impl Source + 'static,
        fetches: Family<ResultLabel, Counter>,
        stop: CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let (newest, key_set) = watch::channel(None);
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let [first, last] = AGAIN_AFTER;
        let fetcher = Fetcher {
            source: Box::new(source),
            key_set: newest,
            asks: asked,
            asked_at: Vec::new(),
            due: Instant::now(),
            backoff: Backoff::new(first, last),
            fetches,
        };
        tasks.spawn(fetcher.run(stop));
        Self { key_set, asks }
    }

    /// The set, fetched anew where it lacks this key and that has not been tried lately; `None` as
    /// long as there was never one.
    pub(super) async fn with(&self, key: String) -> Option<Arc<KeySet>> {
        let known = self.key_set.borrow().clone();
        if known.as_ref().is_some_and(|set| set.has(&key)) {
            return known;
        }
        let (waiting, done) = oneshot::channel();
        let ask = Ask {
            key,
            _waiting: waiting,
        };
        if self.asks.try_send(ask).is_ok() {
            // The sender is dropped, never used. That ends with the fetch's deadline, or with the node.
            let _ = done.await;
        }
        self.key_set.borrow().clone()
    }
}

/// The task that fetches.
#[derive(Debug)]
struct Fetcher {
    source: Box<dyn Source>,
    key_set: watch::Sender<Option<Arc<KeySet>>>,
    asks: mpsc::Receiver<Ask>,
    /// When keys that are not known made it be fetched, within the last minute.
    asked_at: Vec<Instant>,
    due: Instant,
    backoff: Backoff,
    fetches: Family<ResultLabel, Counter>,
}

impl Fetcher {
    async fn run(mut self, stop: CancellationToken) {
        let mut waiting = None;
        let fetching = async {
            loop {
                self.fetch().await;
                drop(waiting);
                waiting = self.wait().await;
            }
        };
        stop.run_until_cancelled(fetching).await;
    }

    /// Until the set is to be fetched; who waits for that.
    async fn wait(&mut self) -> Option<Ask> {
        loop {
            tokio::select! {
                biased;
                () = sleep_until(self.due) => return None,
                Some(ask) = self.asks.recv() => {
                    if self.is_worth_it(&ask) {
                        return Some(ask);
                    }
                }
            }
        }
    }

    /// Whether the set is fetched for this key.
    fn is_worth_it(&mut self, ask: &Ask) -> bool {
        // It may have come while this one waited; and until there is a set, that is tried in any case.
        let may_be_new =
            |set: &Option<Arc<KeySet>>| set.as_ref().is_some_and(|set| !set.has(&ask.key));
        if !may_be_new(&self.key_set.borrow()) {
            return false;
        }
        let now = Instant::now();
        self.asked_at.retain(|at| now - *at < MINUTE);
        if self.asked_at.len() >= FETCHES_PER_MIN_MAX {
            return false;
        }
        self.asked_at.push(now);
        true
    }

    async fn fetch(&mut self) {
        let fetched = self.source.fetch().await;
        let result = fetched.as_ref().err().map_or("ok", Error::label);
        self.fetches.get_or_create(&ResultLabel { result }).inc();
        let wait = match fetched {
            Ok(Fetched { key_set, fresh_for }) => {
                if !self.backoff.is_fresh() {
                    tracing::info!("the keys of auth.jwks_url are there again");
                }
                self.backoff.reset();
                self.key_set.send_replace(Some(Arc::new(key_set)));
                fresh_for
            }
            Err(error) => {
                if self.backoff.is_fresh() {
                    tracing::warn!(%error, "auth.jwks_url gives no keys; those it gave before stay");
                }
                self.backoff.failed()
            }
        };
        self.due = Instant::now() + wait;
    }
}
