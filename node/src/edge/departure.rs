use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::app::Stop;

/// When this connection leaves a node that is being stopped. Each has a moment of its own, or all
/// would come to another node at once.
#[derive(Debug)]
pub(super) struct Departure {
    stop: Stop,
    spread: Duration,
    at: Option<Instant>,
    is_past: bool,
}

impl Departure {
    pub(super) fn new(stop: &Stop, spread: Duration) -> Self {
        Self {
            stop: stop.clone(),
            spread,
            at: None,
            is_past: false,
        }
    }

    /// Returns once, in that moment. Safe to drop while waiting.
    pub(super) async fn due(&mut self) {
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
