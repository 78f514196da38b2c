//! HLS of rooms that other nodes own: their playlists and segments, fetched once for all who watch here.
//!
//! Only a room's owner cuts it. This node asks the owner for what its viewers ask it for: a [`Feed`] keeps the
//! playlist of each room that is watched here, by one call at a time which the owner holds back until there is a
//! newer one; segments are fetched once ([`flights`]) and kept ([`cache`]). Who is slow, ill or gone is borne
//! with ([`origin`]): players give up on errors, and bear waiting and playlists that do not change.

mod breaker;
mod cache;
mod client;
mod cluster;
mod feed;
mod flights;
mod latency;
mod origin;
mod peer;
mod watch;
pub(crate) mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isocast_claims::NodeId;
use isocast_media::hls::SegmentName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use cluster::Cluster;
pub(crate) use feed::Feed;

use crate::data::random;
use crate::error::Refusal;
use crate::metrics::{FetchLabels, Fetches};
use crate::rooms::RoomId;
use crate::sync::Mutex;
use cache::{Cache, Weighed};
use client::Client;
use feed::At;
use flights::{Flights, Share};
use origin::{Missing, Origin};
use peer::Found;
use wire::Object;

/// A segment never changes; this is how long it may be asked for.
const SEGMENT_KEPT: Duration = Duration::from_secs(600);
/// Rooms that are watched here at once. A feed is some 10 KiB.
const FEEDS_MAX: usize = 10_000;

/// All that this node fetches from others, and keeps of it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Origin,
    feeds: Mutex<HashMap<RoomId, Arc<Feed>>>,
    segments: Mutex<Cache<Key, Found>>,
    flights: Flights<(RoomId, Object), Result<Found, Missing>>,
    hold: Duration,
    counted: Fetches,
    tasks: TaskTracker,
    stop: CancellationToken,
}

type Key = (RoomId, SegmentName);

/// What a viewer is given.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub body: Bytes,
    /// Whose it is.
    pub publisher: NodeId,
    /// It was at hand.
    pub is_hit: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub cache_bytes_max: usize,
    /// How long a room's last playlist is handed out when its owner has gone.
    pub hold: Duration,
}

impl Fetcher {
    /// From the other nodes of the cluster.
    pub(crate) fn of(
        cluster: Cluster,
        settings: Settings,
        counted: Fetches,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let cluster = Arc::new(cluster);
        let calls = Client::new(Arc::clone(&cluster) as _, tasks.clone(), stop.clone());
        let origin = Origin::new(cluster, Arc::new(calls), counted.clone());
        Self::new(origin, settings, counted, tasks.clone(), stop)
    }

    fn new(
        origin: Origin,
        settings: Settings,
        counted: Fetches,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            origin,
            feeds: Mutex::default(),
            segments: Mutex::new(Cache::new(settings.cache_bytes_max)),
            flights: Flights::new(tasks.clone(), stop.clone()),
            hold: settings.hold,
            counted,
            tasks,
            stop,
        }))
    }

    /// The feed of a room, which is watched from here on.
    pub(crate) fn feed(&self, room: &RoomId) -> Result<Arc<Feed>, Refusal> {
        let feed = {
            let mut feeds = self.0.feeds.lock();
            match feeds.get(room) {
                Some(feed) => Arc::clone(feed),
                None if feeds.len() >= FEEDS_MAX => return Err(Refusal::Overloaded),
                None => {
                    let feed = Arc::new(Feed::new(room.clone(), self.0.hold));
                    feeds.insert(room.clone(), Arc::clone(&feed));
                    feed
                }
            }
        };
        if feed.touch() {
            let (watched, inner) = (Arc::clone(&feed), Arc::clone(&self.0));
            self.0.tasks.spawn(async move {
                tokio::select! {
                    () = watch::run(&watched, &inner.origin) => {}
                    () = inner.stop.cancelled() => {}
                }
                watched.unwatched();
            });
        }
        Ok(feed)
    }

    pub(crate) async fn playlist(&self, feed: &Feed) -> Result<Fetched, Refusal> {
        let playlist = feed.playlist().await;
        let (result, is_hit) = match &playlist {
            Ok(At::Hand(_)) => ("hit", true),
            Ok(At::HandOld(_)) => ("stale", true),
            Ok(At::Origin(_)) => ("miss", false),
            Err(_) => ("none", false),
        };
        self.count("playlist", result);
        let (At::Hand(playlist) | At::HandOld(playlist) | At::Origin(playlist)) = playlist?;
        Ok(Fetched {
            body: playlist.text.clone(),
            publisher: playlist.pair.owner.node.clone(),
            is_hit,
        })
    }

    /// The multivariant playlist of a room that has a media playlist.
    pub(crate) async fn multivariant(&self, feed: &Feed) -> Result<Fetched, Refusal> {
        feed.playlist().await?;
        let fetched = self.fly(feed, Object::Multivariant).await;
        let (found, is_hit) = match fetched {
            Ok((found, share)) => {
                feed.keep_multivariant(found.clone());
                (found, share == Share::Joined)
            }
            // Between two owners players get the last one, as they do the other playlist.
            Err(refusal) => (feed.multivariant().ok_or(refusal)?, true),
        };
        Ok(fetched_as(found, is_hit))
    }

    pub(crate) async fn segment(
        &self,
        room: &RoomId,
        name: SegmentName,
    ) -> Result<Fetched, Refusal> {
        if let Some(found) = self.kept(room, name) {
            self.count("segment", "hit");
            return Ok(fetched_as(found, true));
        }
        let feed = self.feed(room)?;
        feed.expects(name)
            .await
            .inspect_err(|_| self.count("segment", "none"))?;
        let (found, share) = self.fly(&feed, Object::Segment(name)).await?;
        Ok(fetched_as(found, share == Share::Joined))
    }

    /// A segment that is here.
    fn kept(&self, room: &RoomId, name: SegmentName) -> Option<Found> {
        let now = Instant::now().into_std();
        self.0.segments.lock().get(&(room.clone(), name), now)
    }

    /// Those who watch a room by way of this node, though another one cuts it.
    pub(crate) fn viewers(&self, room: &RoomId) -> usize {
        let feed = self.0.feeds.lock().get(room).cloned();
        feed.map_or(0, |feed| feed.viewers())
    }

    pub(crate) fn viewers_total(&self) -> usize {
        let feeds = self.0.feeds.lock();
        feeds.values().map(|feed| feed.viewers()).sum()
    }

    /// Lets go of what nobody asks for. Call it about once a second.
    pub(crate) fn tick(&self) {
        let now = Instant::now().into_std();
        self.0.feeds.lock().retain(|_, feed| !feed.is_forgotten());
        let mut segments = self.0.segments.lock();
        segments.sweep(now);
        self.0.counted.cache_bytes.set(segments.bytes() as i64);
    }

    async fn fly(&self, feed: &Feed, object: Object) -> Result<(Found, Share), Refusal> {
        let key = (feed.room().clone(), object);
        let fetch = || {
            let (inner, (room, object)) = (Arc::clone(&self.0), key.clone());
            let cut_by = match object {
                Object::Segment(name) => feed.owner_of(name.claim),
                Object::Playlist | Object::Multivariant => None,
            };
            async move { inner.fetch(&room, object, cut_by).await }
        };
        let flown = self.0.flights.join(&key, fetch).await;
        let (fetched, share) = flown.map_err(|_| Refusal::Overloaded)?;
        let result = match (&fetched, share) {
            (Err(_), _) => "none",
            (Ok(_), Share::Led) => "miss",
            (Ok(_), Share::Joined) => "coalesced",
        };
        self.count(object.kind(), result);
        let found = fetched.map_err(|missing| match missing {
            Missing::Absent(refusal) => refusal,
            Missing::Failed(_) => Refusal::Unavailable("the node that has this room"),
        })?;
        Ok((found, share))
    }

    fn count(&self, kind: &'static str, result: &'static str) {
        let labels = FetchLabels { kind, result };
        self.0.counted.answers.get_or_create(&labels).inc();
    }
}

impl Inner {
    async fn fetch(
        &self,
        room: &RoomId,
        object: Object,
        cut_by: Option<NodeId>,
    ) -> Result<Found, Missing> {
        let found = self.origin.fetch(room, object, cut_by.as_ref()).await?;
        if let Object::Segment(name) = object {
            // A name stands for its bytes whoever has them: no claim is asked about here, for playlists, which
            // alone name segments, were.
            let (key, now) = ((room.clone(), name), Instant::now().into_std());
            self.segments
                .lock()
                .put(key, found.clone(), jittered(SEGMENT_KEPT), now);
        }
        Ok(found)
    }
}

impl Weighed for Found {
    fn bytes(&self) -> &Bytes {
        &self.body
    }
}

fn fetched_as(found: Found, is_hit: bool) -> Fetched {
    Fetched {
        body: found.body,
        publisher: found.pair.owner.node,
        is_hit,
    }
}

/// Less up to a tenth by chance, so that what came together does not go together.
fn jittered(time: Duration) -> Duration {
    let part = f64::from(random::bytes::<1>()[0]) / f64::from(u8::MAX);
    time.mul_f64(1.0 - 0.1 * part)
}

#[cfg(test)]
mod tests;
