use isocast_media::UnixMs;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::clock::unix_now;
use crate::metrics::StateLabel;
use crate::sync::Mutex;

/// Where a push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing is to be sent: the room is not live, or the target not enabled.
    Idle,
    Connecting,
    Live,
    /// It failed, and will be tried again.
    Waiting,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Waiting => "waiting",
        }
    }
}

/// How a push is doing.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub state: State,
    pub since: UnixMs,
    /// Why it last failed, without what is secret.
    pub error: Option<String>,
    pub bytes_out: u64,
    pub retries: u64,
}

/// Pushes of this node by their state.
#[derive(Clone, Debug)]
pub(super) struct Gauges(Family<StateLabel, Gauge>);

impl Gauges {
    pub(super) fn new(family: Family<StateLabel, Gauge>) -> Self {
        Self(family)
    }

    fn of(&self, state: State) -> Gauge {
        let state = state.as_str();
        self.0.get_or_create_owned(&StateLabel { state })
    }
}

/// A push's status, written by its task. It counts in the gauges while it lives.
#[derive(Debug)]
pub(super) struct Cell {
    status: Mutex<Status>,
    gauges: Gauges,
}

impl Cell {
    pub(super) fn new(gauges: Gauges) -> Self {
        let status = Status {
            state: State::Connecting,
            since: unix_now(),
            error: None,
            bytes_out: 0,
            retries: 0,
        };
        gauges.of(status.state).inc();
        Self {
            status: Mutex::new(status),
            gauges,
        }
    }

    pub(super) fn read(&self) -> Status {
        self.status.lock().clone()
    }

    pub(super) fn enter(&self, state: State) {
        let mut status = self.status.lock();
        self.gauges.of(status.state).dec();
        self.gauges.of(state).inc();
        status.state = state;
        status.since = unix_now();
    }

    pub(super) fn failed(&self, error: String) {
        let mut status = self.status.lock();
        status.error = Some(error);
        status.retries += 1;
        drop(status);
        self.enter(State::Waiting);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.status.lock().bytes_out += bytes as u64;
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.gauges.of(self.read().state).dec();
    }
}
