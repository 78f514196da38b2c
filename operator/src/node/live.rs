//! What is live: one watch stream to each LiveCluster's node, and what it has told.
//!
//! Each watch is a task. It connects, hears the whole picture, then changes; when the stream breaks
//! or falls silent, it connects again. What it knows can be read at any time without waiting; that
//! something has changed goes through one bounded queue. Where that is full the watch waits and
//! reads no further, so nothing is lost.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use isocast_admin::{RoomId, Secret};
use isocast_crds::LiveCluster;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::Client;
use super::watch::{Picture, Watch};

/// Changes that wait to be heard. Whoever hears them only passes them on, so this fills for moments.
const QUEUE_MAX: usize = 1024;

/// A node that can be reached has spoken by then.
const FIRST_WORD: Duration = Duration::from_secs(3);

/// A LiveCluster: namespace and name.
pub(crate) type Key = ObjectRef<LiveCluster>;

/// Where a node is, and what opens its admin API.
#[derive(Clone, Debug)]
pub(crate) struct NodeAddress {
    pub pod: String,
    pub ip: IpAddr,
    pub port: u16,
    pub token: Secret<String>,
}

/// What has to be looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// The LiveCluster and all its rooms: its node has come, gone, or has another store.
    Node(Key),
    /// The LiveCluster alone: the count of its live rooms.
    Cluster(Key),
    /// One room: it has gone live, or ended.
    Room(Key, RoomId),
}

/// A node, as far as it has spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeState {
    pub pod: String,
    /// Which room store it works on; the last known while it is not connected.
    pub store_id: String,
    /// Whether it tells, now, what is live.
    pub connected: bool,
}

/// Whether a room has a publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Live {
    No,
    Since {
        /// The pod that has the publisher.
        node: String,
        since_ms: i64,
    },
    /// Nobody tells.
    Unknown,
}

/// All watches.
#[derive(Debug)]
pub(crate) struct Watches {
    /// When the first watch could begin.
    began: Instant,
    nodes: Mutex<HashMap<Key, Node>>,
    changed: mpsc::Sender<Changed>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Node {
    /// When its watch began.
    began: Instant,
    address: NodeAddress,
    client: Client,
    picture: Arc<Mutex<Picture>>,
    stop: CancellationToken,
}

impl Drop for Node {
    /// A node that is wanted no more is watched no more.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Watches {
    /// No watch yet, and where changes come out.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Changed>) {
        Self::with_queue(QUEUE_MAX)
    }

    fn with_queue(max: usize) -> (Self, mpsc::Receiver<Changed>) {
        let (changed, changes) = mpsc::channel(max);
        let watches = Self {
            began: Instant::now(),
            nodes: Mutex::default(),
            changed,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        (watches, changes)
    }

    /// Watches this node for the LiveCluster from now on, or none. A node that is watched already
    /// goes on.
    pub(crate) fn want(&self, key: &Key, address: Option<NodeAddress>) {
        if self.stop.is_cancelled() {
            return;
        }
        let mut nodes = self.lock();
        let Some(address) = address else {
            nodes.remove(key);
            return;
        };
        if nodes.get(key).is_some_and(|node| node.address.is(&address)) {
            return;
        }
        let socket = SocketAddr::new(address.ip, address.port);
        let Ok(client) = Client::new(socket, &address.token) else {
            tracing::error!(livecluster = %key, "the admin token has bytes that no HTTP header can carry");
            nodes.remove(key);
            return;
        };
        let node = Node {
            began: Instant::now(),
            address,
            client: client.clone(),
            picture: Arc::default(),
            stop: self.stop.child_token(),
        };
        let watch = Watch {
            key: key.clone(),
            pod: node.address.pod.clone(),
            client,
            picture: Arc::clone(&node.picture),
            changed: self.changed.clone(),
        };
        self.tasks
            .spawn(watch.run(node.stop.clone(), self.stop.clone()));
        nodes.insert(key.clone(), node);
    }

    /// The LiveCluster's node. `None` while there is none, or it has never spoken.
    pub(crate) fn node(&self, key: &Key) -> Option<NodeState> {
        let nodes = self.lock();
        let node = nodes.get(key)?;
        let picture = lock(&node.picture);
        Some(NodeState {
            pod: node.address.pod.clone(),
            store_id: picture.store_id()?.to_owned(),
            connected: picture.is_synced(),
        })
    }

    /// How long the LiveCluster's node may still take to speak for the first time: an operator that
    /// has just started knows nothing, which is not to say that nothing answers. Zero once it has
    /// spoken.
    pub(crate) fn first_word_within(&self, key: &Key) -> Duration {
        let nodes = self.lock();
        let (began, is_heard) = match nodes.get(key) {
            Some(node) => (node.began, lock(&node.picture).store_id().is_some()),
            None => (self.began, false),
        };
        if is_heard {
            Duration::ZERO
        } else {
            FIRST_WORD.saturating_sub(began.elapsed())
        }
    }

    pub(crate) fn live(&self, key: &Key, room: &RoomId) -> Live {
        let nodes = self.lock();
        let Some(node) = nodes.get(key) else {
            return Live::Unknown;
        };
        match lock(&node.picture).since_ms(room) {
            None => Live::Unknown,
            Some(None) => Live::No,
            Some(Some(since_ms)) => Live::Since {
                node: node.address.pod.clone(),
                since_ms,
            },
        }
    }

    /// How many rooms are live. `None` while the node does not tell.
    pub(crate) fn live_count(&self, key: &Key) -> Option<usize> {
        lock(&self.lock().get(key)?.picture).live_count()
    }

    /// Calls the LiveCluster's node, whether it answers or not.
    pub(crate) fn client(&self, key: &Key) -> Option<Client> {
        Some(self.lock().get(key)?.client.clone())
    }

    /// Ends all watches.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.lock().clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Node>> {
        lock(&self.nodes)
    }
}

impl NodeAddress {
    fn is(&self, other: &Self) -> bool {
        let Self {
            pod,
            ip,
            port,
            token,
        } = self;
        (pod, ip, port) == (&other.pod, &other.ip, &other.port)
            && token.reveal() == other.token.reveal()
    }
}

/// What a task that panicked has left is still whole: all changes are made in one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::node::fake::{Connection, FakeNode};
    use crate::node::watch::SILENCE;
    use tokio::time::timeout;

    fn key() -> Key {
        ObjectRef::new("c").within("n")
    }

    fn room(id: &str) -> RoomId {
        RoomId::parse(id).expect("an id")
    }

    fn since(node: &str, since_ms: i64) -> Live {
        Live::Since {
            node: node.into(),
            since_ms,
        }
    }

    async fn next(changes: &mut mpsc::Receiver<Changed>) -> Changed {
        let limit = Duration::from_secs(30);
        let change = timeout(limit, changes.recv()).await;
        change.expect("within 30 s").expect("watches are open")
    }

    async fn connected(queue: usize) -> (Watches, mpsc::Receiver<Changed>, FakeNode, Connection) {
        let mut node = FakeNode::start().await;
        let (watches, mut changes) = Watches::with_queue(queue);
        watches.want(&key(), Some(node.address("c-0", "t")));
        let connection = node.connection().await;
        connection
            .tell(r#"{"type":"hello","node_id":"c-0","version":"1","store_id":"s1"}"#)
            .await;
        connection
            .tell(r#"{"type":"live","room":"a","since_ms":5}"#)
            .await;
        assert_eq!(
            watches.live(&key(), &room("a")),
            Live::Unknown,
            "not yet synced"
        );
        assert_eq!(watches.live_count(&key()), None);
        connection.tell(r#"{"type":"synced"}"#).await;
        assert_eq!(next(&mut changes).await, Changed::Node(key()));
        (watches, changes, node, connection)
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_node_tells_can_be_read() {
        let (watches, mut changes, node, connection) = connected(8).await;
        assert_eq!(node.tokens(), ["Bearer t"]);
        let state = watches.node(&key()).expect("it has spoken");
        assert_eq!(
            (&*state.pod, &*state.store_id, state.connected),
            ("c-0", "s1", true)
        );
        assert_eq!(watches.live(&key(), &room("a")), since("c-0", 5));
        assert_eq!(watches.live(&key(), &room("b")), Live::No);

        connection
            .tell(r#"{"type":"live","room":"b","since_ms":6,"newer":1}"#)
            .await;
        assert_eq!(next(&mut changes).await, Changed::Room(key(), room("b")));
        assert_eq!(next(&mut changes).await, Changed::Cluster(key()));
        assert_eq!(watches.live_count(&key()), Some(2));
        // Another publisher: the count is the same.
        connection
            .tell(r#"{"type":"live","room":"b","since_ms":7}"#)
            .await;
        assert_eq!(next(&mut changes).await, Changed::Room(key(), room("b")));
        assert_eq!(watches.live(&key(), &room("b")), since("c-0", 7));
        connection.tell(r#"{"type":"ended","room":"never"}"#).await;
        connection.tell(r#"{"type":"beat"}"#).await;
        connection.tell(r#"{"type":"ended","room":"a"}"#).await;
        assert_eq!(next(&mut changes).await, Changed::Room(key(), room("a")));
        assert_eq!(next(&mut changes).await, Changed::Cluster(key()));
        assert_eq!(watches.live(&key(), &room("a")), Live::No);
        watches.close().await;
        assert_eq!(watches.live(&key(), &room("b")), Live::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_ends_is_lost_and_found_again() {
        let (watches, mut changes, mut node, connection) = connected(8).await;
        drop(connection);
        assert_eq!(next(&mut changes).await, Changed::Node(key()));
        assert_eq!(watches.live(&key(), &room("a")), Live::Unknown);
        assert_eq!(watches.live_count(&key()), None);
        let state = watches.node(&key()).expect("it has spoken");
        assert_eq!((&*state.store_id, state.connected), ("s1", false));

        let connection = node.connection().await;
        connection
            .tell(r#"{"type":"hello","node_id":"c-0","version":"1","store_id":"s2"}"#)
            .await;
        connection.tell(r#"{"type":"synced"}"#).await;
        assert_eq!(next(&mut changes).await, Changed::Node(key()));
        assert_eq!(watches.node(&key()).expect("there").store_id, "s2");
        assert_eq!(watches.live(&key(), &room("a")), Live::No);
        watches.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_the_end_and_a_beat_is_not() {
        let (watches, mut changes, mut node, connection) = connected(8).await;
        let beat = Duration::from_secs(5);
        for _ in 0..10 {
            assert!(timeout(beat, changes.recv()).await.is_err());
            connection.tell(r#"{"type":"beat"}"#).await;
        }
        let silent = Instant::now();
        assert_eq!(next(&mut changes).await, Changed::Node(key()));
        assert_eq!(silent.elapsed(), SILENCE);
        assert!(!watches.node(&key()).expect("known").connected);
        node.connection().await;
        watches.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_watch_is_tried_again_later_and_later() {
        let mut node = FakeNode::start().await;
        let (watches, mut changes) = Watches::new();
        watches.want(&key(), Some(node.address("c-0", "t")));
        let long = format!(r#"{{"type":"beat","x":"{}"}}"#, "x".repeat(5000));
        let began = Instant::now();
        for line in [
            "nonsense",
            r#"{"type":"beat"}"#,
            r#"{"type":"synced"}"#,
            &long,
            "{}",
        ] {
            let connection = node.connection().await;
            connection.tell(line).await;
            connection.closed().await;
        }
        let elapsed = began.elapsed();
        // Pauses of 200, 400, 800 and 1600 ms, each of them less up to a half.
        let (least, most) = (Duration::from_millis(1500), Duration::from_millis(3000));
        assert!((least..=most).contains(&elapsed), "{elapsed:?}");
        assert_eq!(watches.node(&key()), None, "it has never spoken");
        watches.close().await;
        assert!(changes.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn one_watch_at_a_time_and_only_what_is_wanted() {
        let (watches, mut changes, mut node, connection) = connected(8).await;
        // The same again changes nothing.
        watches.want(&key(), Some(node.address("c-0", "t")));
        connection
            .tell(r#"{"type":"live","room":"b","since_ms":6}"#)
            .await;
        assert_eq!(next(&mut changes).await, Changed::Room(key(), room("b")));
        assert_eq!(next(&mut changes).await, Changed::Cluster(key()));

        watches.want(&key(), Some(node.address("c-0", "t2")));
        assert_eq!(next(&mut changes).await, Changed::Node(key()));
        assert_eq!(watches.live(&key(), &room("b")), Live::Unknown);
        connection.closed().await;
        let connection = node.connection().await;
        assert_eq!(node.tokens(), ["Bearer t", "Bearer t2"]);
        assert!(watches.client(&key()).is_some());

        watches.want(&key(), None);
        connection.closed().await;
        assert_eq!(watches.live(&key(), &room("a")), Live::Unknown);
        assert!(watches.client(&key()).is_none());
        watches.close().await;
        watches.want(&key(), Some(node.address("c-0", "t")));
        assert!(watches.client(&key()).is_none(), "it is closed");
        drop(watches);
        assert_eq!(changes.recv().await, None, "every task has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_makes_the_watch_wait_and_loses_nothing() {
        let (watches, mut changes, _node, connection) = connected(1).await;
        for number in 0..50 {
            let line = format!(r#"{{"type":"live","room":"r{number}","since_ms":1}}"#);
            connection.tell(&line).await;
        }
        for number in 0..50 {
            let changed = next(&mut changes).await;
            assert_eq!(changed, Changed::Room(key(), room(&format!("r{number}"))));
            assert_eq!(next(&mut changes).await, Changed::Cluster(key()));
        }
        assert_eq!(watches.live_count(&key()), Some(51));
        // Nobody listens any more: closing does not wait for that.
        for number in 0..50 {
            connection
                .tell(&format!(r#"{{"type":"ended","room":"r{number}"}}"#))
                .await;
        }
        watches.close().await;
    }
}
