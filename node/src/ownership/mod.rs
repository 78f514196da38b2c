//! Which rooms this node owns: the shell around [`isocast_claims::Room`], one for each room.
//!
//! It hands to a room what happens (who comes and goes, what was sent, replies, answers, the time), and does
//! what the room wants done: calls the registry, asks peers, lets publishers in and sends them away.

mod acts;
mod held;
mod listing;
mod peers;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use isocast_claims::store::{Found, Reply, Request};
use isocast_claims::{Answer, Arrival, Now, Owner, Pair, Rejected, Room, Session, Settings};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use held::Held;
#[cfg(test)]
pub(crate) use peers::Alone;
pub(crate) use peers::Peers;

use crate::clock::unix_ms;
use crate::error::Refusal;
use crate::hub::{Hub, State};
use crate::registry::{Registry, Unavailable};
use crate::rooms::RoomId;
use crate::sync::Mutex;

/// Rooms that are due within so long are looked at together.
const TICK_MIN: Duration = Duration::from_millis(20);
/// How often it is looked whether broadcasts are over, where nothing else is due.
const TICK_MAX: Duration = Duration::from_secs(1);

/// What an [`Ownership`] is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub me: Owner,
    pub settings: Settings,
    /// An owner that renewed nothing for so long is taken for dead where rooms are listed.
    pub dead_after_ms: u64,
    pub registry: Arc<dyn Registry>,
    pub peers: Arc<dyn Peers>,
    pub hub: Arc<Hub>,
    /// Records that could not be read.
    pub corrupt: Counter,
    pub tasks: TaskTracker,
}

#[derive(Debug)]
pub(crate) struct Ownership {
    parts: Parts,
    /// What [`Now::monotonic_ms`] counts from.
    began: Instant,
    inner: Mutex<Inner>,
    /// A room is due earlier than was known.
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    rooms: HashMap<RoomId, Known>,
    last_session: u64,
    /// When the first room is due, by [`Now::monotonic_ms`].
    due_ms: Option<u64>,
}

/// A room, and who wants or has it here.
#[derive(Debug)]
struct Known {
    room: Room,
    parties: HashMap<Session, Party>,
}

/// A publisher that has the room, or wants to.
#[derive(Debug)]
struct Party {
    /// Who waits for the verdict; taken when it is there.
    verdict: Option<oneshot::Sender<Result<Pair, Refusal>>>,
    lost: CancellationToken,
}

/// Who wants to publish a room.
#[derive(Clone, Debug)]
pub(crate) struct Newcomer {
    /// It wins at once.
    pub takeover: bool,
    pub key_fingerprint: String,
}

impl Ownership {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            began: Instant::now(),
            inner: Mutex::default(),
            sooner: Notify::new(),
        })
    }

    /// This node, in this life.
    pub(crate) fn me(&self) -> &Owner {
        &self.parts.me
    }

    /// Takes the room for a newcomer, once it may have it. Safe to drop while it waits.
    pub(crate) async fn arrive(
        self: &Arc<Self>,
        room: &RoomId,
        newcomer: Newcomer,
    ) -> Result<Held, Refusal> {
        let session = self.number();
        let (verdict, verdict_comes) = oneshot::channel();
        let lost = CancellationToken::new();
        let party = Party {
            verdict: Some(verdict),
            lost: lost.clone(),
        };
        let arrival = Arrival {
            session,
            takeover: newcomer.takeover,
            key_fingerprint: newcomer.key_fingerprint,
            peers: self.parts.peers.known(),
        };
        let leaves = held::Leaves::new(Arc::clone(self), room.clone(), session);
        self.change(room, |known, now| {
            known.parties.insert(session, party);
            known.room.arrive(arrival, now);
        });
        // Every arrival has its verdict: each step of it has a deadline.
        let verdict = verdict_comes.await.unwrap_or(Err(Refusal::AlreadyLive));
        Ok(Held::new(leaves, verdict?, lost))
    }

    /// The claim under which a room is published, here or elsewhere, as far as the registry knows.
    pub(crate) async fn publisher(
        self: &Arc<Self>,
        room: &RoomId,
    ) -> Result<Option<Pair>, Unavailable> {
        if let Some(own) = self.owns(room) {
            return Ok(Some(own));
        }
        let registry = &self.parts.registry;
        let found = registry.read(room).await?;
        Ok(alive(&found, registry.now_ms(), self.parts.dead_after_ms))
    }

    /// The highest claim of a room that was seen here, whoever's.
    pub(crate) fn seen(&self, room: &RoomId) -> Option<Pair> {
        let inner = self.inner.lock();
        inner.rooms.get(room)?.room.floor().cloned()
    }

    /// The claim under which this node owns a room.
    pub(crate) fn owns(&self, room: &RoomId) -> Option<Pair> {
        let inner = self.inner.lock();
        inner.rooms.get(room)?.room.owns().cloned()
    }

    /// The rooms that this node owns.
    fn owned(&self) -> Vec<RoomId> {
        let inner = self.inner.lock();
        let owned = inner
            .rooms
            .iter()
            .filter(|(_, known)| known.room.owns().is_some());
        owned.map(|(id, _)| id.clone()).collect()
    }

    /// Answers a peer that wants a room under `pair`.
    pub(crate) fn question(self: &Arc<Self>, room: &RoomId, pair: &Pair) -> Answer {
        self.change(room, |known, now| known.room.question(pair, now))
    }

    /// Lets pass what comes from another node under a claim, where no higher one is known.
    pub(crate) fn admit(self: &Arc<Self>, room: &RoomId, pair: &Pair) -> Result<(), Rejected> {
        self.change(room, |known, now| known.room.admit(pair, now))
    }

    /// Does what is due, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        self.parts
            .tasks
            .spawn(listing::keep(Arc::clone(&self), stop.clone()));
        loop {
            let due_ms = self.inner.lock().due_ms;
            let left = due_ms.map_or(TICK_MAX, |due_ms| {
                Duration::from_millis(due_ms).saturating_sub(self.began.elapsed())
            });
            tokio::select! {
                () = sleep(left.clamp(TICK_MIN, TICK_MAX)) => self.tick(),
                () = self.sooner.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn tick(self: &Arc<Self>) {
        let now = self.now();
        let mut inner = self.inner.lock();
        inner.due_ms = None;
        let Inner { rooms, due_ms, .. } = &mut *inner;
        rooms.retain(|id, known| {
            if known.room.due().is_some_and(|due| due <= now.monotonic_ms) {
                self.hear(id, known);
                known.room.tick(now);
            }
            if known.room.has_left() && self.is_over(id) {
                known.room.end();
            }
            self.act(id, known);
            *due_ms = earlier(*due_ms, known.room.due());
            !(known.parties.is_empty() && known.room.is_spent(now))
        });
    }

    /// Whether nobody is held for the room's publisher any more.
    fn is_over(&self, room: &RoomId) -> bool {
        let stream = self.parts.hub.stream(room);
        let state = stream.map(|stream| stream.state());
        !matches!(state, Some(State::Live | State::Interrupted))
    }

    fn number(&self) -> Session {
        let mut inner = self.inner.lock();
        inner.last_session += 1;
        Session(inner.last_session)
    }

    /// Tells the room what has happened, and does what it wants.
    fn change<T>(self: &Arc<Self>, room: &RoomId, happens: impl FnOnce(&mut Known, Now) -> T) -> T {
        let now = self.now();
        let mut inner = self.inner.lock();
        let Inner { rooms, due_ms, .. } = &mut *inner;
        let known = rooms.entry(room.clone()).or_insert_with(|| Known {
            room: Room::new(self.parts.me.clone(), self.parts.settings),
            parties: HashMap::new(),
        });
        self.hear(room, known);
        let told = happens(known, now);
        self.act(room, known);
        let due = known.room.due();
        if earlier(*due_ms, due) != *due_ms {
            *due_ms = due;
            self.sooner.notify_one();
        }
        told
    }

    /// Tells a room what its publisher has sent until now.
    fn hear(&self, room: &RoomId, known: &mut Known) {
        let (Some(session), Some(pair)) = (known.room.holder(), known.room.owns()) else {
            return;
        };
        let stream = self.parts.hub.stream(room);
        if let Some(sent) = stream.and_then(|stream| stream.sent(pair)) {
            let since_began = |at: std::time::Instant| {
                let since = at.saturating_duration_since(self.began.into_std());
                milliseconds(since)
            };
            known
                .room
                .heard(session, sent.frames, sent.last.map(since_began));
        }
    }

    fn now(&self) -> Now {
        Now {
            monotonic_ms: milliseconds(self.began.elapsed()),
            unix_ms: unix_ms(),
        }
    }

    /// A call of the registry; `None` where it has failed.
    async fn call(&self, room: &RoomId, request: Request) -> Option<Reply> {
        let deadline = Duration::from_millis(self.parts.settings.registry_deadline_ms);
        match timeout(deadline, self.parts.registry.call(room, request)).await {
            Ok(Ok(reply)) => Some(reply),
            Ok(Err(error)) => {
                tracing::debug!(%room, %error, "a claim is not in the registry");
                None
            }
            Err(_) => None,
        }
    }
}

/// The claim that was found, where its owner lives and publishes.
fn alive(found: &Found, registry_ms: u64, dead_after_ms: u64) -> Option<Pair> {
    let record = found.record.as_ref()?.as_ref().ok()?;
    let is_alive = record.is_alive(registry_ms, dead_after_ms);
    is_alive.then(|| record.pair.clone())
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
