//! Nodes in one process that pull from each other over loopback.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, ready};
use isocast_claims::{Incarnation, NodeId, Owner, Pair};
use isocast_media::rtmp::session::{Role, relay};
use isocast_media::rtmp::{Call, Caller, CallerEvent};
use isocast_media::{Codec, Frame, Kind, MediaMs};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::holders::Holder;
use super::*;
use crate::api::tests::Node;
use crate::config::Config;
use crate::data::scratch::Scratch;
use crate::hub::{Delivery, Item, Protocol, Publisher, Source, Subscriber};
use crate::outbound::HostPort;
use crate::registry::{Claim, Unavailable};
use crate::rooms::memory::Memory;

/// For whatever is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const PEER_TOKEN: &str = "isocast_peer_test";

/// Who has the room, as the test says.
#[derive(Debug, Default)]
struct Known(Mutex<Vec<Holder>>);

impl Holders for Known {
    fn holders<'a>(&'a self, _: &'a RoomId) -> BoxFuture<'a, Result<Vec<Holder>, Unavailable>> {
        ready(Ok(self.0.lock().clone())).boxed()
    }
}

/// Nodes `a`, `b`, …, of which each pulls from those that the test says.
struct Member {
    node: Node,
    _scratch: Scratch,
    known: Arc<Known>,
}

impl Member {
    async fn start(id: &str) -> Self {
        Self::with(id, |_| {}).await
    }

    async fn with(id: &str, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.node.id = id.into();
        let scratch = Scratch::new();
        config.peers.token_file = scratch.path().join("peers");
        std::fs::write(&config.peers.token_file, PEER_TOKEN).unwrap();
        change(&mut config);
        let known = Arc::<Known>::default();
        let rooms = Arc::new(Memory::new());
        let holders = Arc::clone(&known);
        Self {
            _scratch: scratch,
            node: Node::among(config, rooms, Some(holders)).await,
            known,
        }
    }

    fn id(&self) -> NodeId {
        NodeId::parse(&self.node.app.node_id).unwrap()
    }

    fn relay(&self) -> SocketAddr {
        self.node.relay.expect("it has peers")
    }

    fn pair(&self, epoch: u64) -> Pair {
        let owner = Owner {
            node: self.id(),
            incarnation: Incarnation(1),
        };
        Pair { epoch, owner }
    }

    fn publish(&self, epoch: u64) -> Publisher {
        let claim = Claim {
            room: room(),
            pair: self.pair(epoch),
        };
        let now = std::time::Instant::now();
        let published = self.node.app.hub.publish(claim, Source::anyone(), now);
        published.unwrap().0
    }

    /// Lets it know that `holder` has the room under this claim.
    fn knows(&self, holder: &Self, hops: u8, pair: &Pair) {
        self.knows_at(holder, holder.relay(), hops, pair);
    }

    fn knows_at(&self, holder: &Self, address: SocketAddr, hops: u8, pair: &Pair) {
        *self.known.0.lock() = vec![Holder {
            node: holder.id(),
            address: HostPort {
                host: address.ip().to_string(),
                port: address.port(),
            },
            pair: pair.clone(),
            hops,
            zone: String::new(),
        }];
    }

    async fn watch(&self) -> Subscriber {
        let stream = self.node.app.relays.ensure(&room()).await.unwrap();
        stream.subscribe(Protocol::HttpFlv)
    }

    fn counts(&self, series: &str) -> bool {
        self.node.app.metrics.render("").contains(series)
    }
}

fn room() -> RoomId {
    RoomId::parse("open").unwrap()
}

fn frame(key: bool, dts: i64) -> Frame {
    Frame {
        codec: Codec::Avc,
        track_id: 0,
        kind: Kind::Media { key },
        dts: MediaMs(dts),
        pts_offset_ms: 0,
        data: Bytes::from(vec![1; 5]),
    }
}

/// A key frame at each time that 1000 divides.
fn send(publisher: &Publisher, times: impl IntoIterator<Item = i64>) {
    for dts in times {
        let now = std::time::Instant::now();
        publisher.push(frame(dts % 1000 == 0, dts), now).unwrap();
    }
}

/// The times of frames that a viewer gets, until `count` have come.
async fn times(viewer: &mut Subscriber, count: usize) -> Vec<i64> {
    let mut times = Vec::new();
    while times.len() < count {
        let delivery = timeout(PATIENCE, viewer.next()).await;
        match delivery.expect("frames come") {
            Delivery::Items(items) => times.extend(items.iter().filter_map(|item| match item {
                Item::Frame(slot) => Some(slot.frame.dts.0),
                Item::Join(_) => None,
            })),
            Delivery::Interrupted => {}
            other => panic!("{other:?} after {times:?}"),
        }
    }
    times
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up, "never: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn viewers_of_another_node_share_one_pull() {
    let (a, b) = (Member::start("a").await, Member::start("b").await);
    let publisher = a.publish(7);
    send(&publisher, [0, 40, 80]);
    b.knows(&a, 0, &a.pair(7));
    let viewers = join_all((0..10).map(|_| b.watch())).await;
    let expected = [1000, 1040, 1080, 1120];
    send(&publisher, [120]);
    for mut viewer in viewers {
        assert_eq!(times(&mut viewer, 4).await, expected);
    }
    let of_a = a.node.app.hub.stream(&room()).unwrap();
    assert_eq!(of_a.viewers().total(), 0, "a node is no viewer");
    assert!(a.counts("isocast_connections_total{protocol=\"relay\"} 1"));
    assert!(b.counts("isocast_relays_active 1"));

    let mut tcp = b.node.connect().await;
    tcp.write_all(b"GET /flv/room_open.flv HTTP/1.1\r\nhost: b\r\n\r\n")
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = timeout(PATIENCE, tcp.read_buf(&mut head)).await;
        assert_ne!(read.unwrap().unwrap(), 0);
    }
    let head = String::from_utf8_lossy(&head);
    assert!(head.contains("x-publisher-node: a\r\n"), "{head}");
    assert!(head.contains("x-pull-mode: lazy-load\r\n"), "{head}");
    let live = b.node.ask("GET /api/v1/live/open", &[], "").await;
    assert_eq!(live.status, 404, "its owner tells of it");
}

#[tokio::test]
async fn what_nobody_publishes_is_not_live() {
    let b = Member::start("b").await;
    let flv = b.node.ask("GET /flv/room_open.flv", &[], "").await;
    assert_eq!(flv.status, 404, "{}", flv.body);
    assert!(flv.body.contains("not_live"), "{}", flv.body);
    // Nor where the one that had it does not.
    let a = Member::start("a").await;
    b.knows(&a, 0, &a.pair(7));
    let began = Instant::now();
    let late = b.node.app.relays.ensure(&room()).await.unwrap_err();
    assert_eq!(late, Refusal::Unavailable("the node that has this room"));
    assert!(began.elapsed() < BEGIN + Duration::from_secs(2));
    assert!(a.counts("surface=\"relay\",reason=\"no_room\""));
}

#[tokio::test]
async fn an_encoder_that_comes_back_to_its_node_keeps_viewers_elsewhere() {
    let (a, b) = (Member::start("a").await, Member::start("b").await);
    let publisher = a.publish(7);
    send(&publisher, [0, 40]);
    b.knows(&a, 0, &a.pair(7));
    let mut viewer = b.watch().await;
    assert_eq!(times(&mut viewer, 2).await, [1000, 1040]);
    drop(publisher);
    let of_b = b.node.app.hub.stream(&room()).unwrap();
    until("it is held", || of_b.state() == State::Interrupted).await;

    let publisher = a.publish(8);
    b.knows(&a, 0, &a.pair(8));
    send(&publisher, [2000, 2040, 2080]);
    let again = times(&mut viewer, 3).await;
    assert!(again[0] > 1040 && again.is_sorted(), "{again:?}");
    assert_eq!(of_b.pair(), Some(a.pair(8)));
    assert_eq!(of_b.state(), State::Live);
}

#[tokio::test]
async fn viewers_stay_when_the_publisher_goes_to_another_node() {
    let (a, b, c) = (
        Member::start("a").await,
        Member::start("b").await,
        Member::start("c").await,
    );
    let first = a.publish(7);
    send(&first, [0, 40]);
    c.knows(&a, 0, &a.pair(7));
    let mut viewer = c.watch().await;
    assert_eq!(times(&mut viewer, 2).await, [1000, 1040]);
    // The old owner does not know of it, and goes on.
    let second = b.publish(8);
    send(&second, [0]);
    c.knows(&b, 0, &b.pair(8));
    let of_c = c.node.app.hub.stream(&room()).unwrap();
    until("the new owner's is pulled", || {
        of_c.pair() == Some(b.pair(8))
    })
    .await;
    send(&second, [40, 80]);
    let new = times(&mut viewer, 3).await;
    assert!(new[0] >= 1040 && new.is_sorted(), "{new:?}");
    assert!(c.counts("isocast_relay_pulls_total{result=\"superseded\"} 1"));
}

#[tokio::test]
async fn a_lost_connection_is_made_anew_without_a_gap() {
    let (a, b) = (Member::start("a").await, Member::start("b").await);
    let (between, cut) = Between::start(a.relay()).await;
    let publisher = a.publish(7);
    send(&publisher, [0, 40]);
    b.knows_at(&a, between, 0, &a.pair(7));
    let mut viewer = b.watch().await;
    assert_eq!(times(&mut viewer, 2).await, [1000, 1040]);
    cut.cut();
    send(&publisher, [80, 120]);
    assert_eq!(times(&mut viewer, 2).await, [1080, 1120]);
    assert!(b.counts("isocast_relay_pulls_total{result=\"hung_up\"} 1"));
}

#[tokio::test]
async fn the_end_where_it_comes_from_is_the_end() {
    let (a, b) = (Member::start("a").await, Member::start("b").await);
    let publisher = a.publish(7);
    send(&publisher, [0]);
    b.knows(&a, 0, &a.pair(7));
    let mut viewer = b.watch().await;
    times(&mut viewer, 1).await;
    a.node.app.hub.remove(&room());
    let end = timeout(PATIENCE, viewer.next()).await.unwrap();
    assert!(matches!(end, Delivery::Ended), "{end:?}");
}

#[tokio::test]
async fn what_nobody_watches_is_no_longer_pulled() {
    let a = Member::start("a").await;
    let b = Member::with("b", |config| config.relay.idle_s = 1).await;
    let publisher = a.publish(7);
    send(&publisher, [0]);
    b.knows(&a, 0, &a.pair(7));
    let mut viewer = b.watch().await;
    times(&mut viewer, 1).await;
    drop(viewer);
    until("it is idle", || b.counts("isocast_relays_active 0")).await;
    assert!(b.counts("isocast_relay_pulls_total{result=\"idle\"} 1"));
    // And is again for whoever comes.
    send(&publisher, [1000]);
    let mut viewer = b.watch().await;
    assert_eq!(times(&mut viewer, 1).await, [2000]);
}

#[tokio::test]
async fn a_stream_comes_by_two_nodes_at_most_and_never_in_a_circle() {
    let (a, b, c, d) = (
        Member::start("a").await,
        Member::start("b").await,
        Member::start("c").await,
        Member::start("d").await,
    );
    let publisher = a.publish(7);
    send(&publisher, [0]);
    b.knows(&a, 0, &a.pair(7));
    c.knows(&b, 1, &a.pair(7));
    times(&mut b.watch().await, 1).await;
    let mut viewer = c.watch().await;
    assert_eq!(times(&mut viewer, 1).await, [1000], "by two");
    let of_c = c.node.app.hub.stream(&room()).unwrap();
    assert_eq!(of_c.upstream().unwrap().path, [a.id(), b.id()]);

    // It takes c for one that is nearer.
    d.knows(&c, 1, &a.pair(7));
    assert!(d.node.app.relays.ensure(&room()).await.is_err());
    assert!(c.counts("surface=\"relay\",reason=\"hops\""));
    assert_eq!(refusal(&c, asker("d", 3)).await, "NetStream.Play.Failed");
    assert_eq!(refusal(&c, asker("b", 1)).await, "NetStream.Play.Failed");
    assert!(c.counts("surface=\"relay\",reason=\"loop\""));
}

#[tokio::test]
async fn only_nodes_that_belong_to_it_are_served() {
    let a = Member::start("a").await;
    let publisher = a.publish(7);
    send(&publisher, [0]);
    let wrong = relay::Asker {
        token: Some(relay::Token("isocast_peer_tes7".into())),
        ..asker("b", 1)
    };
    let none = relay::Asker {
        token: None,
        ..asker("b", 1)
    };
    let stale = relay::Asker {
        expects: Some(told(&a.pair(8))),
        ..asker("b", 1)
    };
    for (asker, reason) in [
        (wrong, "credential"),
        (none, "credential"),
        (stale, "stale_pair"),
    ] {
        let began = Instant::now();
        assert_eq!(refusal(&a, asker).await, "NetStream.Play.Failed");
        assert!(began.elapsed() < Duration::from_secs(1));
        assert!(a.counts(&format!("surface=\"relay\",reason=\"{reason}\"")));
    }
    for role in [Role::Publish, Role::Play] {
        refused(&a, Caller::new(call(role), 1)).await;
    }
    assert!(a.counts("surface=\"relay\",reason=\"no_relay\"} 2"));
}

fn asker(node: &str, hops: u8) -> relay::Asker {
    relay::Asker {
        node: node.into(),
        hops,
        token: Some(relay::Token(PEER_TOKEN.into())),
        expects: None,
        since: None,
    }
}

fn call(role: Role) -> Call {
    Call {
        tc_url: "rtmp://a/live".into(),
        app: "live".into(),
        name: room().stream_name(),
        role,
    }
}

/// The code with which a node refuses this one.
async fn refusal(by: &Member, asker: relay::Asker) -> String {
    refused(by, Caller::relay(call(Role::Play), asker, 1)).await
}

async fn refused(by: &Member, mut caller: Caller) -> String {
    let mut tcp = TcpStream::connect(by.relay()).await.unwrap();
    let mut buffer = [0; 4096];
    loop {
        let event = caller.next_event(std::time::Instant::now()).unwrap();
        match event {
            Some(CallerEvent::Refused { code, .. }) => return code,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
        tcp.write_all(&caller.take_output()).await.unwrap();
        let read = timeout(PATIENCE, tcp.read(&mut buffer)).await.unwrap();
        let count = read.unwrap();
        assert_ne!(count, 0, "it says why before it closes");
        caller.receive(&buffer[..count]);
    }
}

/// Stands between two nodes, and cuts what goes by it.
struct Between(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Between {
    async fn start(to: SocketAddr) -> (SocketAddr, Self) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::<Mutex<Vec<_>>>::default();
        let all = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((mut one, _)) = listener.accept().await {
                let passing = tokio::spawn(async move {
                    let mut other = TcpStream::connect(to).await.unwrap();
                    let _ = copy_bidirectional(&mut one, &mut other).await;
                });
                all.lock().push(passing);
            }
        });
        (address, Self(open))
    }

    fn cut(&self) {
        for passing in self.0.lock().drain(..) {
            passing.abort();
        }
    }
}
