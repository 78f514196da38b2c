//! Nodes that share a registry, or have lost it, and ask each other.

use std::future::pending;
use std::sync::Weak;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use isocast_claims::record::Status;
use isocast_claims::{Answer, Incarnation, NodeId, Rejected};
use tokio::time::advance;

use super::*;
use crate::hub::tests::{LIMITS, audio};
use crate::hub::{Limits, Publisher, Source};
use crate::registry::{Answer as Replies, Directory, Listed, Memory, Scan};

const SILENCE: Duration = Duration::from_secs(1);

/// All nodes, by name.
type Nodes = Arc<Mutex<Vec<(NodeId, Weak<Ownership>)>>>;

#[derive(Debug)]
struct Wired {
    me: NodeId,
    nodes: Nodes,
}

impl Wired {
    fn node(&self, id: &NodeId) -> Option<Arc<Ownership>> {
        let nodes = self.nodes.lock();
        let found = nodes.iter().find(|(node, _)| node == id)?;
        found.1.upgrade()
    }
}

impl Peers for Wired {
    fn known(&self) -> Vec<NodeId> {
        let nodes = self.nodes.lock();
        let all = nodes.iter().map(|(node, _)| node.clone());
        all.filter(|node| *node != self.me).collect()
    }

    fn ask<'a>(
        &'a self,
        peer: &'a NodeId,
        room: &'a RoomId,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Option<Answer>> {
        let answer = self.node(peer).map(|node| node.question(room, pair));
        ready(answer).boxed()
    }

    fn announce<'a>(
        &'a self,
        peer: &'a NodeId,
        room: &'a RoomId,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Option<Pair>> {
        let told = self.node(peer).map(|node| node.admit(room, pair));
        ready(match told {
            Some(Err(Rejected::Stale { floor })) => Some(floor),
            _ => None,
        })
        .boxed()
    }
}

/// Never answers in time.
#[derive(Debug)]
struct Lost;

impl Registry for Lost {
    fn call<'a>(&'a self, _: &'a RoomId, _: Request) -> Replies<'a, Reply> {
        pending().boxed()
    }

    fn stamp<'a>(&'a self, _: &'a Directory, _: &'a NodeId, _: String) -> Replies<'a, String> {
        pending().boxed()
    }

    fn scan<'a>(&'a self, _: &'a Directory) -> Replies<'a, Scan> {
        pending().boxed()
    }

    fn strike<'a>(&'a self, _: &'a Directory, _: &'a str, _: &'a str) -> Replies<'a, ()> {
        pending().boxed()
    }

    fn activate<'a>(&'a self, _: &'a [RoomId]) -> Replies<'a, ()> {
        pending().boxed()
    }

    fn deactivate<'a>(&'a self, _: &'a [RoomId]) -> Replies<'a, ()> {
        pending().boxed()
    }

    fn listed(&self) -> Replies<'_, Listed> {
        pending().boxed()
    }

    fn have_records<'a>(&'a self, _: &'a [RoomId]) -> Replies<'a, Vec<bool>> {
        pending().boxed()
    }

    fn is_reachable(&self) -> bool {
        false
    }
}

struct Node {
    ownership: Arc<Ownership>,
    hub: Arc<Hub>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Node {
    fn start(nodes: &Nodes, registry: Arc<dyn Registry>, settings: Settings) -> Self {
        let hub = Arc::new(Hub::new(Limits {
            lag_bytes_max: 1 << 20,
            streams_max: 9,
            ..LIMITS
        }));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let me = NodeId::parse(&format!("node-{}", nodes.lock().len())).unwrap();
        let ownership = Ownership::new(Parts {
            me: Owner {
                node: me.clone(),
                incarnation: Incarnation(1),
            },
            settings,
            dead_after_ms: 6000,
            registry,
            peers: Arc::new(Wired {
                me: me.clone(),
                nodes: Arc::clone(nodes),
            }),
            hub: Arc::clone(&hub),
            corrupt: Counter::default(),
            tasks: tasks.clone(),
        });
        nodes.lock().push((me, Arc::downgrade(&ownership)));
        tasks.spawn(Arc::clone(&ownership).run(stop.clone()));
        Self {
            ownership,
            hub,
            tasks,
            stop,
        }
    }

    async fn publish(&self) -> Result<(Publisher, Held), Refusal> {
        self.newcomer(false).await
    }

    async fn newcomer(&self, takeover: bool) -> Result<(Publisher, Held), Refusal> {
        let newcomer = Newcomer {
            takeover,
            key_fingerprint: "0123456789abcdef".into(),
        };
        let held = self.ownership.arrive(&room(), newcomer).await?;
        let now = Instant::now().into_std();
        let published = self.hub.publish(held.claim(), Source::anyone(), now);
        Ok((published.unwrap().0, held))
    }

    async fn publisher(&self) -> Option<String> {
        let pair = self.ownership.publisher(&room()).await.unwrap();
        pair.map(|pair| pair.owner.node.to_string())
    }

    async fn all_done(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn room() -> RoomId {
    RoomId::parse("a").unwrap()
}

/// Two nodes that share a registry.
fn two() -> [Node; 2] {
    let (nodes, registry) = (Nodes::default(), Arc::new(Memory::default()));
    [(); 2].map(|()| Node::start(&nodes, registry.clone(), Settings::default()))
}

/// Two nodes whose registry does not answer.
fn two_alone(strict: bool) -> [Node; 2] {
    let nodes = Nodes::default();
    let settings = Settings {
        strict,
        ..Settings::default()
    };
    [(); 2].map(|()| Node::start(&nodes, Arc::new(Lost), settings))
}

fn send(publisher: &Publisher) {
    publisher.push(audio(0), Instant::now().into_std()).ok();
}

/// Sends ten frames a second while `wait` does.
async fn while_sending<T>(publisher: &Publisher, wait: impl Future<Output = T>) -> T {
    let sends = async {
        loop {
            send(publisher);
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        waited = wait => waited,
        () = sends => unreachable!("it sends for ever"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_node_knows_who_publishes() {
    let [one, two] = two();
    assert_eq!(two.publisher().await, None);
    let published = one.publish().await.unwrap();
    for node in [&one, &two] {
        assert_eq!(node.publisher().await.as_deref(), Some("node-0"));
    }
    drop(published);
    one.all_done().await;
    assert_eq!(two.publisher().await, None);
}

#[tokio::test(start_paused = true)]
async fn the_registrys_clock_tells_whether_an_owner_lives() {
    for ahead_ms in [-3_600_000, 3_600_000] {
        let (nodes, registry) = (Nodes::default(), Arc::new(Memory::ahead(ahead_ms)));
        let [one, two] =
            [(); 2].map(|()| Node::start(&nodes, registry.clone(), Settings::default()));
        let _published = one.publish().await.unwrap();
        assert_eq!(
            two.publisher().await.as_deref(),
            Some("node-0"),
            "{ahead_ms}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_lives_for_as_long_as_its_publisher() {
    let [one, two] = two();
    let _published = one.publish().await.unwrap();
    sleep(Duration::from_secs(1000)).await;
    assert_eq!(two.publisher().await.as_deref(), Some("node-0"));
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_sends_keeps_its_room_against_other_nodes() {
    let [one, two] = two();
    let (publisher, held) = one.publish().await.unwrap();
    let began = Instant::now();
    let refused = while_sending(&publisher, two.publish()).await;
    assert_eq!(refused.err(), Some(Refusal::AlreadyLive));
    assert!(began.elapsed() < SILENCE, "its next frame tells");
    assert!(!held.is_lost() && !publisher.revocation().has_come());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_is_silent_loses_it_to_another_node() {
    let [one, two] = two();
    let (publisher, held) = one.publish().await.unwrap();
    let began = Instant::now();
    let (_new, _) = two.publish().await.unwrap();
    assert!(began.elapsed() >= SILENCE);
    assert!(held.is_lost() && publisher.revocation().has_come());
    assert_eq!(one.publisher().await.as_deref(), Some("node-1"));
}

#[tokio::test(start_paused = true)]
async fn where_newcomers_win_they_win_on_another_node_too() {
    let [one, two] = two();
    let (publisher, held) = one.publish().await.unwrap();
    send(&publisher);
    let began = Instant::now();
    let (_new, new) = two.newcomer(true).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(new.claim().pair > held.claim().pair);
    assert!(held.is_lost() && publisher.revocation().has_come());
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_gives_way_loses_it_at_once() {
    let [one, two] = two();
    let (publisher, held) = one.publish().await.unwrap();
    send(&publisher);
    one.hub.stream(&room()).unwrap().give_way();
    let began = Instant::now();
    let _new = two.publish().await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(held.is_lost() && publisher.revocation().has_come());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_for_the_verdict_holds_nothing() {
    let [one, two] = two();
    let (publisher, _held) = one.publish().await.unwrap();
    send(&publisher);
    let mut impatient = Box::pin(two.publish());
    assert!(futures_util::poll!(&mut impatient).is_pending());
    drop(impatient);
    advance(2 * SILENCE).await;
    assert_eq!(two.publisher().await.as_deref(), Some("node-0"));
    two.publish().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_registry_peers_tell_who_publishes() {
    let [one, two] = two_alone(false);
    let (publisher, held) = one.publish().await.unwrap();
    let refused = while_sending(&publisher, two.publish()).await;
    assert_eq!(refused.err(), Some(Refusal::AlreadyLive));
    sleep(2 * SILENCE).await;
    let _new = two.publish().await.unwrap();
    assert!(held.is_lost() && publisher.revocation().has_come());
}

#[tokio::test(start_paused = true)]
async fn a_strict_node_takes_nobody_without_its_registry() {
    let [one, _] = two_alone(true);
    let refused = one.publish().await.err();
    assert_eq!(refused, Some(Refusal::Unavailable("the registry")));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_broadcast_is_written_after_the_hold() {
    let (nodes, registry) = (Nodes::default(), Arc::new(Memory::default()));
    let node = Node::start(&nodes, registry.clone(), Settings::default());
    let published = node.publish().await.unwrap();
    let listed = async || registry.listed().await.unwrap().rooms;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(listed().await, [room()]);
    drop(published);
    let status = async || {
        let reply = registry.call(&room(), Request::Read).await.unwrap();
        let Reply::Found(found) = reply else {
            panic!("{reply:?}");
        };
        found.record.unwrap().unwrap().status
    };
    sleep(Duration::from_secs(2)).await;
    assert_eq!(status().await, Status::Interrupted);
    assert_eq!(listed().await, [room()]);
    node.hub
        .tick(Instant::now().into_std() + Duration::from_secs(15));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(status().await, Status::Ended);
    assert_eq!(listed().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_was_lost_is_written_again() {
    let (nodes, registry) = (Nodes::default(), Arc::new(Memory::default()));
    let node = Node::start(&nodes, registry.clone(), Settings::default());
    let _published = node.publish().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    registry.deactivate(&[room()]).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(registry.listed().await.unwrap().rooms, [room()]);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_life_has_left_is_given_back() {
    let (nodes, registry) = (Nodes::default(), Arc::new(Memory::default()));
    let before = Node::start(&nodes, registry.clone(), Settings::default());
    let _published = before.publish().await.unwrap();
    sleep(Duration::from_secs(1)).await;

    let after = Owner {
        node: NodeId::parse("node-0").unwrap(),
        incarnation: Incarnation(2),
    };
    let parts = Parts {
        me: after.clone(),
        settings: Settings::default(),
        dead_after_ms: 6000,
        registry: registry.clone(),
        peers: Arc::new(Alone),
        hub: Arc::clone(&before.hub),
        corrupt: Counter::default(),
        tasks: before.tasks.clone(),
    };
    // Its last word is a renewal: nothing of it runs any more.
    before.stop.cancel();
    tokio::spawn(Ownership::new(parts).run(CancellationToken::new()));
    sleep(Duration::from_secs(1)).await;
    let found = registry.read(&room()).await.unwrap();
    assert_eq!(found.record.unwrap().unwrap().status, Status::Interrupted);
}
