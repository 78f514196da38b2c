//! How a node goes: its steps, in order, and the moment at which each peer leaves.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How far this node is on its way out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    draining: CancellationToken,
    parting: CancellationToken,
    /// Who publishes, or watches by anything but HLS: each has a connection, or a part of one, for as long as that takes.
    sessions: TaskTracker,
    closing: CancellationToken,
    listeners: CancellationToken,
}

impl Stop {
    /// Readiness ends; everything else goes on until load balancers have noticed.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    pub(crate) fn draining(&self) -> WaitForCancellationFuture<'_> {
        self.draining.cancelled()
    }

    /// New publishers are sent away, and who publishes or watches (but by HLS) is to leave, each in
    /// its own moment. Returns when they are gone.
    pub(crate) async fn part(&self) {
        self.parting.cancel();
        self.sessions.close();
        self.sessions.wait().await;
    }

    pub(crate) fn is_parting(&self) -> bool {
        self.parting.is_cancelled()
    }

    pub(crate) fn parting(&self) -> WaitForCancellationFuture<'_> {
        self.parting.cancelled()
    }

    /// To be kept for as long as somebody publishes or watches.
    pub(crate) fn session(&self) -> TaskTrackerToken {
        self.sessions.token()
    }

    /// Connections are to end.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    pub(crate) fn closing(&self) -> WaitForCancellationFuture<'_> {
        self.closing.cancelled()
    }

    /// Cancelled when connections are to end.
    pub(crate) fn closing_token(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Nothing new is accepted.
    pub(crate) fn close_listeners(&self) {
        self.listeners.cancel();
    }

    pub(crate) fn listeners_closing(&self) -> CancellationToken {
        self.listeners.clone()
    }
}

/// When somebody leaves a node that is being stopped. Each has a moment of its own, or all
/// would come to another node at once.
#[derive(Debug)]
pub(crate) struct Departure {
    stop: Stop,
    spread: Duration,
    at: Option<Instant>,
    is_past: bool,
}

impl Departure {
    pub(crate) fn new(stop: &Stop, spread: Duration) -> Self {
        Self {
            stop: stop.clone(),
            spread,
            at: None,
            is_past: false,
        }
    }

    /// Returns once, in that moment. Safe to drop while waiting.
    pub(crate) async fn due(&mut self) {
        if self.is_past {
            return std::future::pending().await;
        }
        self.stop.parting().await;
        // The second half is for those who were asked last, to come to a key frame.
        let within = self.spread / 2;
        let part =
            || f64::from(u32::from_ne_bytes(crate::data::random::bytes())) / f64::from(u32::MAX);
        let at = self
            .at
            .get_or_insert_with(|| Instant::now() + within.mul_f64(part()));
        sleep_until(*at).await;
        self.is_past = true;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_leaves_once_in_the_first_half_of_the_spread() {
        let stop = Stop::default();
        let mut departure = Departure::new(&stop, Duration::from_secs(10));
        assert!(departure.due().now_or_never().is_none());
        assert!(stop.part().now_or_never().is_some(), "nobody is here");
        let began = Instant::now();
        departure.due().await;
        assert!(began.elapsed() <= Duration::from_secs(6));
        sleep(Duration::from_secs(10)).await;
        assert!(departure.due().now_or_never().is_none(), "only once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_does_not_move_the_moment() {
        let stop = Stop::default();
        let mut departure = Departure::new(&stop, Duration::from_secs(600));
        stop.part().await;
        let first = departure.due().now_or_never().map(|()| departure.at);
        let at = departure.at;
        assert!(first.is_none() && at.is_some());
        departure.due().await;
        assert_eq!(departure.at, at);
    }
}
