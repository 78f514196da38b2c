use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use isocast_claims::NodeId;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::breaker::Breaker;
use super::feed::Unfit;
use super::latency::{DEADLINE_MAX, Latency};
use super::peer::{Ask, Call, Failure, Found, Holder, Holders, Reply};
use super::wire::Object;
use crate::error::Refusal;
use crate::metrics::{Fetches, ResultLabel};
use crate::outbound::Backoff;
use crate::rooms::RoomId;
use crate::sync::Mutex;

/// Nodes that are asked for one thing: its owner, who it was pushed to, and one more.
const HOLDERS_MAX: usize = 3;
/// Calls to one peer at once, and to all of them; playlists that are waited for are no part of it.
const CALLS_AT_PEER_MAX: usize = 32;
const CALLS_MAX: usize = 128;
/// A peer that was not called for so long is forgotten.
const PEER_KEPT: Duration = Duration::from_secs(600);

/// Asks the nodes that have something, so that one that is slow, ill or gone costs as little as can be.
#[derive(Debug)]
pub(super) struct Origin {
    holders: Arc<dyn Holders>,
    calls: Arc<dyn Call>,
    peers: Mutex<HashMap<Holder, Arc<Peer>>>,
    places: Semaphore,
    counted: Fetches,
}

#[derive(Debug)]
struct Peer {
    health: Mutex<Health>,
    places: Semaphore,
}

#[derive(Debug)]
struct Health {
    breaker: Breaker,
    latency: Latency,
    called: Instant,
}

impl Origin {
    pub(super) fn new(holders: Arc<dyn Holders>, calls: Arc<dyn Call>, counted: Fetches) -> Self {
        Self {
            holders,
            calls,
            peers: Mutex::default(),
            places: Semaphore::new(CALLS_MAX),
            counted,
        }
    }

    pub(super) fn holders(&self) -> &dyn Holders {
        &*self.holders
    }

    /// Fetches something, from whoever has it. Tries again where that fails, for as long as a proxied answer may
    /// take: players bear waiting better than errors.
    pub(super) async fn fetch(
        &self,
        room: &RoomId,
        object: Object,
        cut_by: Option<&NodeId>,
    ) -> Result<Found, Missing> {
        let give_up = Instant::now() + DEADLINE_MAX;
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
        let ask = Ask {
            room: room.clone(),
            object,
            after: None,
        };
        let mut failure = Failure::Late;
        loop {
            let attempt = timeout_at(give_up, self.attempt(&ask, cut_by)).await;
            match attempt {
                Err(_) => return Err(Missing::Failed(failure)),
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(Missing::Absent(refusal))) => return Err(Missing::Absent(refusal)),
                Ok(Err(Missing::Failed(why))) => failure = why,
            }
            let wait = backoff.failed();
            if Instant::now() + wait >= give_up {
                return Err(Missing::Failed(failure));
            }
            sleep(wait).await;
        }
    }

    /// Asks the owner; a second node when that takes longer than it nearly always does; and the next one each
    /// time that one has failed, or does not have it.
    async fn attempt(&self, ask: &Ask, cut_by: Option<&NodeId>) -> Result<Found, Missing> {
        let mut holders = self.holders.of(&ask.room).await;
        // Who has lost the room still has what it cut of it.
        let cut_by = cut_by.and_then(|node| self.holders.node(node));
        holders.extend(cut_by.filter(|it| !holders.contains(it)));
        if holders.is_empty() {
            return Err(Missing::Absent(Refusal::NotLive));
        }
        let mut waiting = holders.iter().take(HOLDERS_MAX);
        let mut running: FuturesUnordered<BoxFuture<'_, _>> = FuturesUnordered::new();
        let mut hedge_at = None;
        let (mut absent, mut owner_says_absent, mut failure) = (None, false, None);
        loop {
            if running.is_empty() {
                let Some((holder, peer)) = self.next_well(&mut waiting) else {
                    break;
                };
                let hedge_after = peer.health.lock().latency.hedge_after();
                hedge_at.get_or_insert(Some(Instant::now() + hedge_after));
                running.push(Box::pin(self.object(holder, peer, ask)));
            }
            let may_hedge = running.len() == 1 && waiting.len() > 0;
            let hedge_due = hedge_at.flatten().filter(|_| may_hedge);
            let hedge = async {
                match hedge_due {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                Some((holder, reply)) = running.next() => match reply {
                    Ok(Reply::Found(found)) => return Ok(found),
                    Ok(Reply::Unchanged(_) | Reply::NotYet(_)) => {
                        failure = Some(Failure::Garbled("what answers another question"));
                    }
                    // Of an owner and one who only has a part, the owner knows.
                    Ok(Reply::Absent(refusal)) if *holder == holders[0] => {
                        absent = Some(refusal);
                        owner_says_absent = true;
                    }
                    Ok(Reply::Absent(refusal)) => {
                        absent.get_or_insert(refusal);
                    }
                    Err(why) => {
                        tracing::debug!(node = %holder.node, room = %ask.room, %why, "a fetch failed");
                        failure = Some(why);
                    }
                },
                () = hedge => {
                    hedge_at = Some(None);
                    if let Some((holder, peer)) = self.next_well(&mut waiting) {
                        self.counted.hedges.inc();
                        running.push(Box::pin(self.object(holder, peer, ask)));
                    }
                }
            }
        }
        Err(match (absent, failure) {
            (Some(refusal), failure) if owner_says_absent || failure.is_none() => {
                Missing::Absent(refusal)
            }
            (_, failure) => Missing::Failed(failure.unwrap_or(Failure::Nobody)),
        })
    }

    /// The next holder that is not left alone for now.
    fn next_well<'a>(
        &self,
        waiting: &mut impl Iterator<Item = &'a Holder>,
    ) -> Option<(&'a Holder, Arc<Peer>)> {
        waiting.find_map(|holder| {
            let peer = self.peer(holder);
            let admits = peer.admits();
            admits.then_some((holder, peer))
        })
    }

    /// One call to one node for something that is there or not, within the time that this node should take.
    async fn object<'a>(
        &self,
        holder: &'a Holder,
        peer: Arc<Peer>,
        ask: &Ask,
    ) -> (&'a Holder, Result<Reply, Failure>) {
        let _places = (place(&self.places).await, place(&peer.places).await);
        let deadline = peer.health.lock().latency.deadline();
        let begun = Instant::now();
        let reply = timeout(deadline, self.calls.call(holder, ask)).await;
        let reply = reply.unwrap_or(Err(Failure::Late));
        if matches!(reply, Ok(Reply::Found(_)) | Err(Failure::Late)) {
            peer.health.lock().latency.note(begun.elapsed());
        }
        (holder, self.count(&peer, reply))
    }

    /// One call for a playlist's successor, which the node holds back until there is one.
    pub(super) async fn wait(
        &self,
        holder: &Holder,
        ask: &Ask,
        deadline: Duration,
    ) -> Result<Reply, Failure> {
        let peer = self.peer(holder);
        if !peer.admits() {
            return Err(Failure::Nobody);
        }
        let reply = timeout(deadline, self.calls.call(holder, ask)).await;
        self.count(&peer, reply.unwrap_or(Err(Failure::Late)))
    }

    fn count(&self, peer: &Peer, reply: Result<Reply, Failure>) -> Result<Reply, Failure> {
        let mut health = peer.health.lock();
        let result = match &reply {
            Ok(_) => {
                health.breaker.answered();
                "ok"
            }
            Err(failure) => {
                if failure.is_ill_health() {
                    health.breaker.failed(Instant::now().into_std());
                }
                failure.label()
            }
        };
        self.counted
            .calls
            .get_or_create(&ResultLabel { result })
            .inc();
        reply
    }

    /// A playlist came that is not handed out.
    pub(super) fn count_unfit(&self, why: &Unfit) {
        let result = why.label();
        self.counted
            .calls
            .get_or_create(&ResultLabel { result })
            .inc();
    }

    fn peer(&self, holder: &Holder) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        if let Some(peer) = peers.get(holder) {
            return Arc::clone(peer);
        }
        let now = Instant::now();
        peers.retain(|_, peer| now - peer.health.lock().called < PEER_KEPT);
        let peer = Arc::new(Peer {
            health: Mutex::new(Health {
                breaker: Breaker::default(),
                latency: Latency::default(),
                called: now,
            }),
            places: Semaphore::new(CALLS_AT_PEER_MAX),
        });
        peers.insert(holder.clone(), Arc::clone(&peer));
        peer
    }
}

impl Peer {
    fn admits(&self) -> bool {
        let mut health = self.health.lock();
        health.called = Instant::now();
        health.breaker.admits(Instant::now().into_std())
    }
}

async fn place(places: &Semaphore) -> SemaphorePermit<'_> {
    places.acquire().await.expect("it is never closed")
}

/// Why something was not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Whoever would have it says that it is not there.
    Absent(Refusal),
    Failed(Failure),
}
