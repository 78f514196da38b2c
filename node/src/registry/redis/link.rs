//! The one connection that calls share, which a task of its own makes and makes again. While there is none, calls
//! fail at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::dial::{Connection, Dial};
use crate::metrics::{Metrics, ResultLabel};
use crate::outbound::Backoff;
use crate::registry::Unavailable;

/// For a call, all of it.
const DEADLINE: Duration = Duration::from_secs(1);
/// For a connection, with every server of a cluster or every Sentinel that is asked.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// After a failure, and after many.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3)];
/// A connection that broke sooner counts as one more failure.
const LASTING: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Link {
    dial: Dial,
    state: watch::Sender<State>,
    /// Calls that failed since one did not.
    failures: AtomicU32,
    /// Where one server of several may be gone, the others go on answering.
    failures_max: u32,
    calls: Family<ResultLabel, Counter>,
    up: Gauge,
}

#[derive(Clone, Debug)]
enum State {
    Up(Live),
    /// Why.
    Down(Arc<str>),
}

#[derive(Clone, Debug)]
struct Live {
    connection: Connection,
    number: u64,
}

impl Link {
    pub(super) fn new(dial: Dial, failures_max: u32, metrics: &Metrics) -> Self {
        Self {
            dial,
            state: watch::Sender::new(State::Down("it is not connected yet".into())),
            failures: AtomicU32::new(0),
            failures_max,
            calls: metrics.registry_calls.clone(),
            up: metrics.registry_up.clone(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(_))
    }

    /// Calls, where there is a connection. One that fails takes it away from all.
    pub(super) async fn run<T, F>(
        &self,
        work: impl FnOnce(Connection) -> F,
    ) -> Result<T, Unavailable>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let state = self.state.borrow().clone();
        let live = match state {
            State::Up(live) => live,
            State::Down(why) => {
                self.count("down");
                return Err(Unavailable(String::from(&*why).into()));
            }
        };
        let called = timeout(DEADLINE, work(live.connection)).await;
        let (result, error) = match called {
            Ok(Ok(value)) => {
                self.failures.store(0, Ordering::Relaxed);
                self.count("ok");
                return Ok(value);
            }
            Ok(Err(error)) if error.is_timeout() => ("late", late()),
            Ok(Err(error)) => ("error", error),
            Err(_) => ("late", late()),
        };
        self.count(result);
        if breaks(&error) {
            self.failed(live.number, &error);
        }
        Err(Unavailable(error.into()))
    }

    fn failed(&self, number: u64, error: &RedisError) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures < self.failures_max {
            return;
        }
        self.state.send_if_modified(|state| {
            let is_this = matches!(state, State::Up(live) if live.number == number);
            if is_this {
                *state = State::Down(error.to_string().into());
            }
            is_this
        });
    }

    fn count(&self, result: &'static str) {
        self.calls.get_or_create(&ResultLabel { result }).inc();
    }

    /// Until there is no connection; why.
    async fn broken(&self) -> Arc<str> {
        let mut states = self.state.subscribe();
        let is_down = |state: &State| matches!(state, State::Down(_));
        match states.wait_for(is_down).await.as_deref() {
            Ok(State::Down(why)) => Arc::clone(why),
            // The sender is ours.
            _ => "it is given up".into(),
        }
    }

    pub(super) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        stop.run_until_cancelled(self.connect_always()).await;
    }

    async fn connect_always(&self) {
        let [first, last] = AGAIN_AFTER;
        let mut backoff = Backoff::new(first, last);
        let mut is_told_down = false;
        for number in 0.. {
            let begun = Instant::now();
            let connected = timeout(CONNECT_DEADLINE, self.dial.connect()).await;
            let why = match connected.unwrap_or_else(|_| Err(late())) {
                Ok(connection) => {
                    self.failures.store(0, Ordering::Relaxed);
                    let live = Live { connection, number };
                    self.state.send_replace(State::Up(live));
                    self.up.set(1);
                    tracing::info!("the registry answers");
                    is_told_down = false;
                    self.broken().await
                }
                Err(error) => error.to_string().into(),
            };
            self.up.set(0);
            if !is_told_down {
                tracing::warn!(%why, "the registry does not answer; this node goes on without it");
                is_told_down = true;
            }
            self.state.send_replace(State::Down(why));
            if begun.elapsed() > CONNECT_DEADLINE + LASTING {
                backoff.reset();
            }
            sleep(backoff.failed()).await;
        }
    }
}

fn late() -> RedisError {
    let what = format!("no answer within {} s", DEADLINE.as_secs());
    RedisError::from(std::io::Error::new(std::io::ErrorKind::TimedOut, what))
}

/// Whether this connection is good for nothing more: it is gone, or leads to what is no master any more.
fn breaks(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
        ),
        _ => false,
    }
}
