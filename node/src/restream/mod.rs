//! Sending a room's stream on to other RTMP servers while it is live.
//!
//! Each target has a task of its own that reads the hub as viewers do, so that one that is slow or
//! away harms neither the publisher nor other targets. It connects, publishes, and starts again
//! with growing pauses until the stream is over, the target is taken away or this node stops.

mod allow;
mod push;
mod status;
mod task;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub(crate) use allow::Allowed;
pub(crate) use status::{State, Status};

use crate::hub::{self, Stream};
use crate::metrics::{Metrics, TrafficLabels};
use crate::outbound::Dialler;
use crate::rooms::{RoomId, Rooms, Target};
use crate::stop::Stop;
use crate::sync::Mutex;
use status::{Cell, Gauges};

/// Targets of one room.
pub(crate) const TARGETS_MAX: usize = 8;
/// Before the store is asked again for a room's targets.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// All rooms that are sent on; empty where restreaming is switched off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restreams(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Rooms>,
    place: Arc<Place>,
    rooms: Mutex<HashMap<RoomId, Room>>,
    tasks: TaskTracker,
}

/// What every task needs.
#[derive(Debug)]
struct Place {
    dialler: Arc<Dialler>,
    allowed: Allowed,
    gauges: Gauges,
    /// What is sent, in the node's counts of it.
    bytes_out: [Counter; 2],
    stop: Stop,
}

/// A room that is live, or was a moment ago.
#[derive(Debug)]
struct Room {
    stream: Arc<Stream>,
    /// `None` until the store has told them.
    targets: Option<Vec<Target>>,
    running: Vec<Running>,
    _ends_the_question: DropGuard,
}

#[derive(Debug)]
struct Running {
    target: Target,
    status: Arc<Cell>,
    task: JoinHandle<()>,
    _ends_the_task: DropGuard,
}

impl Restreams {
    pub(crate) fn new(
        store: Arc<dyn Rooms>,
        dialler: Arc<Dialler>,
        allowed: Allowed,
        metrics: &Metrics,
        stop: Stop,
        tasks: TaskTracker,
    ) -> Self {
        let labels = TrafficLabels {
            protocol: hub::Protocol::Restream.label(),
            direction: "out",
        };
        let place = Place {
            dialler,
            allowed,
            gauges: Gauges::new(metrics.restreams.clone()),
            bytes_out: [
                metrics.bandwidth_bytes.get_or_create_owned(&labels),
                metrics.egress_bytes.clone(),
            ],
            stop,
        };
        Self(Some(Arc::new(Inner {
            store,
            place: Arc::new(place),
            rooms: Mutex::default(),
            tasks,
        })))
    }

    /// Which hosts targets may name; `None` where restreaming is switched off.
    pub(crate) fn allowed(&self) -> Option<&Allowed> {
        self.0.as_ref().map(|inner| &inner.place.allowed)
    }

    /// Sends this stream on, now that it has a publisher; does nothing where that is under way.
    pub(crate) fn follow(&self, stream: &Arc<Stream>) {
        let Some(inner) = &self.0 else { return };
        let mut rooms = inner.rooms.lock();
        let known = rooms.get(stream.room());
        if known.is_some_and(|room| Arc::ptr_eq(&room.stream, stream)) {
            return; // what has ended is begun again by `look`
        }
        let asking = CancellationToken::new();
        let room = Room {
            stream: Arc::clone(stream),
            targets: None,
            running: Vec::new(),
            _ends_the_question: asking.clone().drop_guard(),
        };
        rooms.insert(stream.room().clone(), room);
        drop(rooms);
        let question = Arc::clone(inner).ask(Arc::clone(stream));
        inner
            .tasks
            .spawn(asking.run_until_cancelled_owned(question));
    }

    /// The room's targets are these from now on.
    pub(crate) fn changed(&self, room: &RoomId, targets: Vec<Target>) {
        let Some(inner) = &self.0 else { return };
        if let Some(room) = inner.rooms.lock().get_mut(room) {
            room.targets = Some(targets);
            inner.adjust(room);
        }
    }

    /// How a room's target is doing; nothing where it is not being sent to.
    pub(crate) fn status(&self, room: &RoomId, target: &Target) -> Option<Status> {
        let rooms = self.0.as_ref()?.rooms.lock();
        let running = rooms.get(room)?.running.iter();
        let mut of_target = running.filter(|running| running.target.is_same_push(target));
        Some(of_target.next()?.status.read())
    }

    /// Forgets what is over and begins again what should be running. Call it about twice a second.
    pub(crate) fn look(&self) {
        let Some(inner) = &self.0 else { return };
        inner
            .rooms
            .lock()
            .retain(|_, room| match room.stream.state() {
                // Its new owner sends it on.
                _ if room.stream.upstream().is_some() => false,
                hub::State::Live | hub::State::Interrupted => {
                    inner.adjust(room);
                    true
                }
                hub::State::Ended | hub::State::Gone => false,
            });
    }
}

impl Inner {
    async fn ask(self: Arc<Self>, stream: Arc<Stream>) {
        loop {
            match self.store.restreams(stream.room()).await {
                Ok(targets) => return self.told(&stream, targets),
                Err(error) => {
                    tracing::warn!(%error, room = %stream.room(), "where it is to be sent cannot be read");
                }
            }
            tokio::select! {
                () = sleep(ASK_AGAIN) => {}
                () = self.place.stop.closing() => return,
            }
        }
    }

    /// The store's answer, unless somebody has put other targets in place meanwhile.
    fn told(&self, stream: &Arc<Stream>, targets: Vec<Target>) {
        let mut rooms = self.rooms.lock();
        let room = rooms.get_mut(stream.room());
        let Some(room) = room.filter(|room| Arc::ptr_eq(&room.stream, stream)) else {
            return;
        };
        if room.targets.is_none() {
            room.targets = Some(targets);
            self.adjust(room);
        }
    }

    /// Makes what runs what should run.
    fn adjust(&self, room: &mut Room) {
        let targets = room.targets.as_deref().unwrap_or_default();
        let wanted = || targets.iter().filter(|target| target.enabled);
        // Dropping one ends its task.
        room.running.retain(|running| {
            let mut wanted = wanted();
            wanted.any(|target| target.is_same_push(&running.target)) && !running.task.is_finished()
        });
        for target in wanted() {
            let mut running = room.running.iter();
            if running.any(|running| running.target.is_same_push(target)) {
                continue;
            }
            let running = self.begin(&room.stream, target);
            room.running.push(running);
        }
    }

    fn begin(&self, stream: &Arc<Stream>, target: &Target) -> Running {
        let status = Arc::new(Cell::new(self.place.gauges.clone()));
        let ending = CancellationToken::new();
        let task = task::run(
            Arc::clone(&self.place),
            Arc::clone(stream),
            target.clone(),
            Arc::clone(&status),
            ending.clone(),
        );
        Running {
            target: target.clone(),
            status,
            task: self.tasks.spawn(task),
            _ends_the_task: ending.drop_guard(),
        }
    }
}

#[cfg(test)]
mod tests;
