use std::time::{Duration, Instant};

use isocast_claims::NodeId;
use tokio::sync::watch;
use tokio::time::sleep;

use super::pull::{self, Done, Failure};
use super::{BEGIN, Place, Progress};
use crate::error::Refusal;
use crate::hub::State;
use crate::outbound::Backoff;
use crate::rooms::RoomId;

/// Pauses between tries.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(2);
/// A pull that ran for so long was a good one: what takes its place is begun at once.
const GOOD_RUN: Duration = Duration::from_secs(1);

/// Pulls a room until its stream is over, nobody watches it, or this node has it by itself; what to tell who asks
/// for it then.
pub(super) async fn run(
    place: &Place,
    room: &RoomId,
    progress: &watch::Sender<Progress>,
) -> Refusal {
    place.counts.active.inc();
    let over = tokio::select! {
        over = tries(place, room, progress) => over,
        () = place.stop.closing() => Refusal::Draining,
    };
    place.counts.active.dec();
    over
}

async fn tries(place: &Place, room: &RoomId, progress: &watch::Sender<Progress>) -> Refusal {
    let began = Instant::now();
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LAST);
    let mut failed: Vec<NodeId> = Vec::new();
    loop {
        let holders = place.ranked(room, &failed).await.unwrap_or_else(|error| {
            tracing::warn!(%room, %error, "which node has the room is not known");
            Vec::new()
        });
        let is_known = !holders.is_empty();
        let mut ran = false;
        for holder in holders {
            let started = Instant::now();
            let failure = match pull::run(place, room, &holder, progress).await {
                Ok(done) => return over(room, done),
                Err(failure) => failure,
            };
            tracing::info!(%room, from = %holder.node, %failure, "a pull has failed");
            failed.retain(|node| *node != holder.node);
            if started.elapsed() >= GOOD_RUN && !matches!(failure, Failure::Silent) {
                backoff.reset();
                ran = true;
                break; // by now others may have it
            }
            failed.push(holder.node);
        }
        match place.hub.stream(room).map(|stream| stream.state()) {
            Some(State::Live | State::Interrupted) => {}
            Some(State::Ended) if has_begun(progress) => return Refusal::Ended,
            _ if !is_known => return Refusal::NotLive,
            _ if began.elapsed() >= BEGIN => {
                return Refusal::Unavailable("the node that has this room");
            }
            _ => {}
        }
        if !ran {
            sleep(backoff.failed()).await;
        }
    }
}

fn over(room: &RoomId, done: Done) -> Refusal {
    tracing::info!(%room, why = done.reason(), "no longer pulled");
    match done {
        Done::Full(streams) => {
            tracing::warn!(%room, streams, "not pulled: this node carries as many streams as it takes");
            Refusal::Full
        }
        Done::Ended => Refusal::Ended,
        Done::Idle | Done::Replaced => Refusal::NotReady,
    }
}

fn has_begun(progress: &watch::Sender<Progress>) -> bool {
    matches!(*progress.borrow(), Progress::Begun(_))
}
