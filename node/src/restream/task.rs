use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Place;
use super::push::{self, Done, Failure};
use super::status::{Cell, State};
use crate::hub::Stream;
use crate::outbound::Backoff;
use crate::rooms::Target;

/// Pauses between tries.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(60);
/// A push that was live for so long was a good one: the next pause is short again.
const GOOD_RUN: Duration = Duration::from_secs(30);
/// So many refusals after a push that was live may be for the old connection, which the target has
/// not given up yet: growing pauses, a minute in all.
const REFUSALS_AFTER_LIVE: u32 = 5;

/// Pushes to one target until the stream is over or `ending` comes.
pub(super) async fn run(
    place: Arc<Place>,
    stream: Arc<Stream>,
    target: Target,
    status: Arc<Cell>,
    ending: CancellationToken,
) {
    let mut retries = Retries::new();
    let (room, name) = (stream.room(), &target.name);
    loop {
        status.enter(State::Connecting);
        let (live_for, failure) = match push::run(&place, &stream, &target, &status, &ending).await
        {
            Ok(Done) => return tracing::info!(%room, target = %name, "no longer sent on"),
            Err(failed) => failed,
        };
        let wait = retries.pause(live_for, &failure);
        tracing::info!(%room, target = %name, error = %failure, wait_s = wait.as_secs_f32(), "sending on will be tried again");
        status.failed(failure.to_string());
        tokio::select! {
            () = sleep(wait) => {}
            () = ending.cancelled() => return,
            () = place.stop.closing() => return,
        }
    }
}

#[derive(Debug)]
struct Retries {
    backoff: Backoff,
    /// Refusals that are still taken for passing ones.
    refusals_left: u32,
}

impl Retries {
    fn new() -> Self {
        Self {
            backoff: Backoff::new(RETRY_FIRST, RETRY_LAST),
            refusals_left: 0,
        }
    }

    /// How long to wait after this failure of a push that had been live for `live_for`.
    fn pause(&mut self, live_for: Duration, failure: &Failure) -> Duration {
        if live_for >= GOOD_RUN {
            self.backoff.reset();
        }
        if !live_for.is_zero() {
            self.refusals_left = REFUSALS_AFTER_LIVE;
        }
        match failure {
            // Only the first time, else two ends could keep each other busy with nothing.
            Failure::ReconnectRequested if self.backoff.is_fresh() => {
                self.backoff.failed();
                Duration::ZERO
            }
            Failure::Refused { .. } if self.refusals_left > 0 => {
                self.refusals_left -= 1;
                self.backoff.failed()
            }
            // Who refuses will mostly refuse again: a key is wrong, or somebody else is live there.
            Failure::Refused { .. } | Failure::NotAllowed => self.backoff.failed_for_long(),
            _ => self.backoff.failed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(45);
    const NEVER_LIVE: Duration = Duration::ZERO;

    fn refused() -> Failure {
        Failure::Refused {
            code: "NetStream.Publish.BadName".into(),
        }
    }

    #[test]
    fn who_refuses_is_asked_rarely() {
        let mut retries = Retries::new();
        assert!(retries.pause(NEVER_LIVE, &Failure::HungUp) <= RETRY_FIRST);
        assert!(retries.pause(NEVER_LIVE, &refused()) >= LONG);
        let wait = retries.pause(NEVER_LIVE, &Failure::HungUp);
        assert!(wait >= LONG, "until a good run");
        assert!(retries.pause(GOOD_RUN, &Failure::HungUp) <= RETRY_FIRST);
    }

    #[test]
    fn after_a_break_refusals_are_waited_out_first() {
        let mut retries = Retries::new();
        retries.pause(GOOD_RUN, &Failure::HungUp);
        let waits = [(); 6].map(|()| retries.pause(NEVER_LIVE, &refused()));
        for (wait, full_s) in waits.iter().zip([2, 4, 8, 16, 32]) {
            assert!(*wait <= Duration::from_secs(full_s), "{wait:?}");
        }
        assert!(waits[5] >= LONG);
    }

    #[test]
    fn who_asks_for_a_new_connection_has_it_at_once_but_not_over_and_over() {
        let mut retries = Retries::new();
        let asked = Failure::ReconnectRequested;
        assert_eq!(retries.pause(GOOD_RUN, &asked), Duration::ZERO);
        assert!(retries.pause(Duration::from_millis(1), &asked) > RETRY_FIRST);
        assert_eq!(retries.pause(GOOD_RUN, &asked), Duration::ZERO);
    }
}
