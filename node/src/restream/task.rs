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

/// Pushes to one target until the stream is over or `ending` comes.
pub(super) async fn run(
    place: Arc<Place>,
    stream: Arc<Stream>,
    target: Target,
    status: Arc<Cell>,
    ending: CancellationToken,
) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LAST);
    let (room, name) = (stream.room(), &target.name);
    loop {
        status.enter(State::Connecting);
        let (live_for, failure) = match push::run(&place, &stream, &target, &status, &ending).await
        {
            Ok(Done) => return tracing::info!(%room, target = %name, "no longer sent on"),
            Err(failed) => failed,
        };
        if live_for >= GOOD_RUN {
            backoff.reset();
        }
        let wait = pause(&mut backoff, &failure);
        tracing::info!(%room, target = %name, error = %failure, wait_s = wait.as_secs_f32(), "sending on will be tried again");
        status.failed(failure.to_string());
        tokio::select! {
            () = sleep(wait) => {}
            () = ending.cancelled() => return,
            () = place.stop.closing() => return,
        }
    }
}

/// Who refuses will mostly refuse again: a key is wrong, or somebody else is live there.
fn pause(backoff: &mut Backoff, failure: &Failure) -> Duration {
    match failure {
        Failure::Refused { .. } | Failure::NotAllowed => backoff.failed_for_long(),
        _ => backoff.failed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refuses_is_asked_rarely() {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LAST);
        assert!(pause(&mut backoff, &Failure::HungUp) <= RETRY_FIRST);
        let refused = Failure::Refused {
            code: "NetStream.Publish.BadName".into(),
        };
        let long = RETRY_LAST.mul_f64(0.75);
        assert!(pause(&mut backoff, &refused) >= long);
        assert!(
            pause(&mut backoff, &Failure::HungUp) >= long,
            "until a good run"
        );
        backoff.reset();
        assert!(pause(&mut backoff, &Failure::HungUp) <= RETRY_FIRST);
    }
}
