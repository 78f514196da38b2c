//! Webhooks: what happens to rooms, told to one URL of the operator's.
//!
//! Events of a room are delivered in their order, one at a time; what cannot be delivered is tried
//! again for an hour. Events wait in memory, within bounds: a publisher never waits for them, and
//! those that a stopped node has not delivered are lost. Answers are read for their status alone.

mod audience;
mod carrier;
mod event;
mod queue;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

pub(crate) use carrier::{Carrier, HttpCarrier};
pub(crate) use event::Reason;
pub(crate) use signature::Secrets;

use crate::clock::unix_now;
use crate::config::EventKind;
use crate::hub::{Hub, State};
use crate::metrics::ResultLabel;
use crate::outbound::{Backoff, Error};
use crate::packager::Packager;
use crate::registry::Claim;
use crate::rooms::RoomId;
use crate::stop::Stop;
use crate::sync::Mutex;
use audience::Audience;
use event::{Event, Happening};
use queue::{Pushed, Queue};

/// Waits between tries, and how long an event is tried.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(300);
const GIVE_UP: Duration = Duration::from_secs(3600);
/// How long a stopping node goes on delivering.
const FAREWELL: Duration = Duration::from_secs(5);
/// Calls under way at once, over all rooms.
const CALLS_MAX: usize = 8;

/// Tells what happens; does nothing where no URL is configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Webhooks(Option<Arc<Delivery>>);

#[derive(Debug)]
struct Delivery {
    node: String,
    wanted: Vec<EventKind>,
    carrier: Box<dyn Carrier>,
    queue: Mutex<Queue>,
    audience: Mutex<Audience>,
    calls: Semaphore,
    outcomes: Family<ResultLabel, Counter>,
    stop: Stop,
    tasks: TaskTracker,
}

impl Webhooks {
    pub(crate) fn new(
        node: String,
        wanted: Vec<EventKind>,
        carrier: impl Carrier + 'static,
        outcomes: Family<ResultLabel, Counter>,
        stop: Stop,
        tasks: TaskTracker,
    ) -> Self {
        Self(Some(Arc::new(Delivery {
            node,
            wanted,
            carrier: Box::new(carrier),
            queue: Mutex::default(),
            audience: Mutex::default(),
            calls: Semaphore::new(CALLS_MAX),
            outcomes,
            stop,
            tasks,
        })))
    }

    /// A publisher has begun; its end is told with what this returns.
    pub(crate) fn publishing(&self, claim: &Claim, key_fingerprint: Option<String>) -> Publishing {
        let key = key_fingerprint;
        self.tell(&claim.room, claim.pair.epoch, Happening::Publish { key });
        Publishing {
            webhooks: self.clone(),
            room: claim.room.clone(),
            epoch: claim.pair.epoch,
            began: Instant::now(),
            reason: Reason::Error,
        }
    }

    /// Looks who watches what, and tells of rooms where that began or ended. Call it about twice a
    /// second.
    pub(crate) fn look(&self, hub: &Hub, packager: &Packager) {
        let Some(delivery) = &self.0 else { return };
        let streams = hub.streams().into_iter();
        let present =
            streams.filter(|stream| stream.state() != State::Ended && stream.upstream().is_none());
        let rooms = present.map(|stream| audience::Seen {
            room: stream.room().clone(),
            epoch: stream.epoch(),
            viewers: stream.viewers().total() + packager.viewers(stream.room()),
        });
        let changes = delivery
            .audience
            .lock()
            .look(rooms.collect(), Instant::now());
        for change in changes {
            self.tell(&change.room, change.epoch, change.happening);
        }
    }

    fn tell(&self, room: &RoomId, epoch: u64, happening: Happening) {
        let Some(delivery) = &self.0 else { return };
        if !delivery.wanted.contains(&happening.kind()) {
            return;
        }
        let event = Event::new(room, &delivery.node, epoch, happening, unix_now());
        let Pushed {
            dropped,
            needs_worker,
        } = delivery.queue.lock().push(event);
        if dropped {
            delivery.count("dropped");
        }
        if needs_worker {
            let worker = Arc::clone(delivery).deliver_room(room.clone());
            delivery.tasks.spawn(worker);
        }
    }
}

/// A publisher of which was told that it began. Its end is told when this is dropped.
#[derive(Debug)]
pub(crate) struct Publishing {
    webhooks: Webhooks,
    room: RoomId,
    epoch: u64,
    began: Instant,
    reason: Reason,
}

impl Publishing {
    pub(crate) fn ended(mut self, reason: Reason) {
        self.reason = reason;
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        let lasted = self.began.elapsed().as_millis();
        let happening = Happening::Unpublish {
            reason: self.reason,
            duration_ms: u64::try_from(lasted).unwrap_or(u64::MAX),
        };
        self.webhooks.tell(&self.room, self.epoch, happening);
    }
}

/// What became of one try.
enum Tried {
    Delivered,
    /// The other side does not want it.
    Refused(StatusCode),
    /// This node's own rules do not allow the call, and will not before it starts anew.
    NotAllowed(Error),
    Failed(String),
}

impl Delivery {
    /// Delivers a room's events until none waits.
    async fn deliver_room(self: Arc<Self>, room: RoomId) {
        let abandoned = async {
            self.stop.closing().await;
            sleep(FAREWELL).await;
        };
        tokio::pin!(abandoned);
        loop {
            let Some(event) = self.queue.lock().pop(&room) else {
                return;
            };
            tokio::select! {
                () = self.deliver(&event) => {}
                () = &mut abandoned => {
                    self.count("abandoned");
                    while self.queue.lock().pop(&room).is_some() {
                        self.count("abandoned");
                    }
                    return;
                }
            }
        }
    }

    async fn deliver(&self, event: &Event) {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LAST);
        loop {
            let cause = match self.try_once(event).await {
                Tried::Delivered => return self.count("delivered"),
                Tried::Refused(status) => {
                    tracing::warn!(room = %event.room, event = %event.id, %status, "a webhook was refused");
                    return self.count("refused");
                }
                Tried::NotAllowed(error) => {
                    tracing::warn!(room = %event.room, event = %event.id, %error, "a webhook is given up");
                    return self.count("given_up");
                }
                Tried::Failed(cause) => cause,
            };
            let wait = backoff.failed();
            if event.made_at.elapsed() + wait > GIVE_UP {
                tracing::warn!(room = %event.room, event = %event.id, cause, "a webhook is given up");
                return self.count("given_up");
            }
            tracing::info!(room = %event.room, event = %event.id, cause, wait_s = wait.as_secs_f32(), "a webhook will be tried again");
            self.count("retried");
            let closing_comes = async {
                match self.stop.is_closing() {
                    true => std::future::pending().await,
                    false => self.stop.closing().await,
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = closing_comes => {}
            }
        }
    }

    async fn try_once(&self, event: &Event) -> Tried {
        let _turn = self.calls.acquire().await;
        match self.carrier.carry(event).await {
            Ok(status) if status.is_success() => Tried::Delivered,
            Ok(status) if is_final(status) => Tried::Refused(status),
            Ok(status) => Tried::Failed(format!("the answer was {status}")),
            Err(error @ (Error::Denied { .. } | Error::Plain { .. })) => Tried::NotAllowed(error),
            Err(error) => Tried::Failed(error.to_string()),
        }
    }

    fn count(&self, result: &'static str) {
        self.outcomes.get_or_create(&ResultLabel { result }).inc();
    }
}

/// Whether asking again would only give the same answer: the request is at fault (RFC 9110 §15.5),
/// but for what passes with time.
fn is_final(status: StatusCode) -> bool {
    const PASSES: [StatusCode; 3] = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    status.is_client_error() && !PASSES.contains(&status)
}

#[cfg(test)]
mod tests;
