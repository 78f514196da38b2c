//! LiveRooms from end to end, with an API server and a node that are fakes.

use std::sync::Arc;
use std::time::Duration;

use isocast_crds::{LiveCluster, LiveRoom};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::runtime::controller::Action;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, store};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Ctx, again, gone, reconcile};
use crate::backoff::Backoff;
use crate::events::Events;
use crate::fake_api::FakeApi;
use crate::metrics::Metrics;
use crate::node::fake::{Connection, FakeNode};
use crate::node::{Changed, Watches};
use crate::secrets::{Poller, Who};

const SECRET: &str = "/api/v1/namespaces/n/secrets/r-stream-key";

/// A LiveRoom of the LiveCluster `c`.
pub(crate) fn room(name: &str, metadata: Value, spec: Value) -> LiveRoom {
    serde_json::from_value(raw_room(name, metadata, spec)).expect("a LiveRoom")
}

fn raw_room(name: &str, metadata: Value, spec: Value) -> Value {
    let mut room = json!({
        "apiVersion": "isocast.dev/v1alpha1", "kind": "LiveRoom",
        "metadata": {
            "name": name, "namespace": "n", "uid": format!("uid-of-{name}"), "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "1",
        },
        "spec": {"clusterRef": {"name": "c"}},
    });
    for (part, more) in [("metadata", metadata), ("spec", spec)] {
        let more = more.as_object().expect("an object").clone();
        room[part].as_object_mut().expect("an object").extend(more);
    }
    room
}

/// The LiveCluster `c`, which serves.
pub(crate) fn cluster(metadata: Value) -> LiveCluster {
    let mut cluster = json!({
        "apiVersion": "isocast.dev/v1alpha1", "kind": "LiveCluster",
        "metadata": {"name": "c", "namespace": "n", "uid": "uid-of-c"},
        "spec": {"image": "isocast:1"},
        "status": {
            "readyReplicas": 1,
            "urls": {"rtmp": "rtmp://live.example:1935/live", "http": "https://live.example"},
            "effective": {"protocols": ["rtmp", "hls", "flv"]},
        },
    });
    let more = metadata.as_object().expect("an object").clone();
    cluster["metadata"]
        .as_object_mut()
        .expect("an object")
        .extend(more);
    serde_json::from_value(cluster).expect("a LiveCluster")
}

struct World {
    api: FakeApi,
    node: FakeNode,
    connection: Connection,
    changes: mpsc::Receiver<Changed>,
    polled: mpsc::Receiver<Who>,
    rooms: Writer<LiveRoom>,
    clusters: Writer<LiveCluster>,
    ctx: Arc<Ctx>,
}

impl World {
    /// The LiveCluster `c` with a node that tells what is live.
    async fn new() -> Self {
        let api = FakeApi::new();
        let mut node = FakeNode::start().await;
        let (watches, mut changes) = Watches::new();
        watches.want(
            &ObjectRef::new("c").within("n"),
            Some(node.address("c-0", "t")),
        );
        let connection = node.connection().await;
        connection
            .tell(r#"{"type":"hello","node_id":"c-0","version":"1","store_id":"s"}"#)
            .await;
        connection.tell(r#"{"type":"synced"}"#).await;
        changes.recv().await.expect("it is connected");
        let (rooms, rooms_writer) = store();
        let (clusters, mut clusters_writer) = store();
        clusters_writer.apply_watcher_event(&Event::Apply(cluster(json!({}))));
        let (poller, polled) = Poller::new(api.client());
        let ctx = Ctx {
            client: api.client(),
            rooms,
            clusters,
            watches: Arc::new(watches),
            poller: Arc::new(poller),
            events: Events::new(api.client(), None),
            metrics: Arc::new(Metrics::new()),
            backoff: Backoff::default(),
            puts: super::Puts::default(),
        };
        Self {
            api,
            node,
            connection,
            changes,
            polled,
            rooms: rooms_writer,
            clusters: clusters_writer,
            ctx: Arc::new(ctx),
        }
    }

    /// How many of the LiveCluster's pods serve now.
    fn serving(&mut self, pods: i32) {
        let mut cluster = cluster(json!({}));
        let status = cluster.status.as_mut().expect("it has a status");
        status.ready_replicas = Some(pods);
        self.clusters.apply_watcher_event(&Event::Apply(cluster));
    }

    fn create(&mut self, name: &str, metadata: Value, spec: Value) {
        self.api.put(&path(name), raw_room(name, metadata, spec));
        self.told(name);
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        self.api.change(&path(name), change);
        self.told(name);
    }

    /// The watch brings what the API server has.
    fn told(&mut self, name: &str) {
        let event = match self.api.object(&path(name)) {
            Some(room) => Event::Apply(serde_json::from_value(room).expect("a LiveRoom")),
            None => Event::Delete(room(name, json!({}), json!({}))),
        };
        self.rooms.apply_watcher_event(&event);
    }

    async fn reconcile(&mut self, name: &str) -> Action {
        let room = self
            .ctx
            .rooms
            .get(&ObjectRef::new(name).within("n"))
            .expect("it is there");
        let action = match reconcile(Arc::clone(&room), Arc::clone(&self.ctx)).await {
            Ok(action) => action,
            Err(error) => again(room, &error, Arc::clone(&self.ctx)),
        };
        self.told(name);
        action
    }

    /// `True Serving`: a condition's answer.
    fn condition(&self, name: &str, type_: &str) -> String {
        let room = self.api.object(&path(name)).expect("it is there");
        let conditions = room["status"]["conditions"]
            .as_array()
            .expect("conditions")
            .clone();
        let found = conditions
            .into_iter()
            .find(|condition| condition["type"] == type_);
        let found = found.expect("a condition");
        let word = |field: &str| found[field].as_str().expect("text").to_owned();
        format!("{} {}", word("status"), word("reason"))
    }

    /// Methods and the ends of the paths of all calls that write.
    fn writes(&self) -> Vec<String> {
        let calls = self
            .api
            .calls()
            .into_iter()
            .filter(|(method, ..)| method != "GET");
        let end = |path: &str| path.rsplit('/').next().expect("a path").to_owned();
        calls
            .map(|(method, path, _)| format!("{method} {}", end(&path)))
            .collect()
    }

    fn own_key(&self, secret: &str, key: &str) {
        let data = k8s_openapi::ByteString(key.as_bytes().to_vec());
        let secret_path = format!("/api/v1/namespaces/n/secrets/{secret}");
        self.api.put(
            &secret_path,
            json!({"metadata": {"name": secret, "namespace": "n"}, "data": {"stream-key": data}}),
        );
    }

    async fn close(self) {
        self.ctx.watches.close().await;
        self.ctx.poller.close().await;
    }
}

fn path(name: &str) -> String {
    format!("/apis/isocast.dev/v1alpha1/namespaces/n/liverooms/{name}")
}

fn own(secret: &str) -> Value {
    json!({"publish": {"keySecretRef": {"name": secret}}})
}

#[tokio::test(start_paused = true)]
async fn a_new_room_gets_a_key_a_place_on_the_node_and_a_status_and_then_nothing_is_written() {
    let mut world = World::new().await;
    world.create("r", json!({}), json!({"playback": "public"}));
    world.reconcile("r").await;
    assert_eq!(world.writes(), ["PATCH r", "POST secrets", "PATCH status"]);
    assert_eq!(world.condition("r", "Ready"), "True Serving");
    assert_eq!(world.condition("r", "KeyReady"), "True KeyFound");
    assert_eq!(world.api.events(), ["KeyGenerated", "RoomReady"]);

    let secret = world.api.object(SECRET).expect("it was made");
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], "uid-of-r");
    let status = world.api.object(&path("r")).expect("there")["status"].clone();
    let fingerprint = status["key"]["fingerprint"]
        .as_str()
        .expect("text")
        .to_owned();
    assert_eq!(world.node.rooms(), [format!("PUT r {fingerprint}")]);
    assert_eq!(
        status["urls"]["hls"],
        "https://live.example/hls/room_r/index.m3u8"
    );
    let key: k8s_openapi::ByteString =
        serde_json::from_value(secret["data"]["stream-key"].clone()).expect("data");
    let key = String::from_utf8(key.0).expect("text");
    assert!(key.starts_with("room_r_key_"));
    assert!(
        !world.api.dump().contains(&key),
        "the key stands in the Secret's data alone"
    );

    world.reconcile("r").await;
    assert_eq!((world.writes(), world.node.rooms()), (vec![], vec![]));

    // Deleted by hand: a new key, told to the node.
    world.api.remove(SECRET);
    world.reconcile("r").await;
    assert_eq!(world.writes(), ["POST secrets", "PATCH status"]);
    let [put] = &world.node.rooms()[..] else {
        panic!("one put")
    };
    assert_ne!(*put, format!("PUT r {fingerprint}"));
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn ones_own_key_is_taken_and_its_change_is_noticed() {
    let mut world = World::new().await;
    world.create("r", json!({}), own("mine"));
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Ready"), "False SecretNotFound");
    assert_eq!(world.condition("r", "Stalled"), "True SecretNotFound");
    for (key, ready) in [
        ("room_r_key_", "False KeyMalformed"),
        ("room_q_key_abcdefghijklmnopqrst", "False KeyOfAnotherRoom"),
        ("room_r_key_abcdefghijklmnopqrst\n", "True Serving"),
        ("room_r_key_abcdefghijklmnopqrstd", "True Serving"),
        ("room_r_key_abcdefghijklmnopqrstd\n\n", "False KeyMalformed"),
    ] {
        world.own_key("mine", key);
        let who = world.polled.recv().await;
        assert_eq!(
            who,
            Some(Who::Room(ObjectRef::new("r").within("n"))),
            "{key:?}"
        );
        world.reconcile("r").await;
        assert_eq!(world.condition("r", "Ready"), ready, "{key:?}");
        world.connection.tell(r#"{"type":"beat"}"#).await;
    }
    assert_eq!(world.node.rooms().len(), 2);
    let writes = world.writes();
    assert!(
        !writes
            .iter()
            .any(|write| write.contains("secrets") || write.contains("mine")),
        "{writes:?}"
    );
    let room = world.api.object(&path("r")).expect("there").to_string();
    assert!(!room.contains("_key_abcdefghijklmnopqrst"), "{room}");
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_has_the_id_and_the_next_one_gets_it() {
    let mut world = World::new().await;
    world.own_key("mine", "room_one_key_abcdefghijklmnopqrst");
    let mut spec = own("mine");
    spec["streamName"] = json!("one");
    world.create(
        "young",
        json!({"creationTimestamp": "2026-01-02T00:00:00Z"}),
        spec.clone(),
    );
    world.create("old", json!({}), spec);
    for name in ["young", "old"] {
        world.reconcile(name).await;
    }
    assert_eq!(
        world.condition("young", "ClusterAccepted"),
        "False StreamNameTaken"
    );
    assert_eq!(world.condition("young", "Ready"), "False StreamNameTaken");
    assert_eq!(world.condition("young", "KeyReady"), "True KeyFound");
    assert_eq!(world.condition("old", "Ready"), "True Serving");
    assert_eq!(world.node.rooms().len(), 1);

    // What never had the room takes nothing along.
    let now = Timestamp::now().to_string();
    world.change("young", |room| {
        room["metadata"]["finalizers"] = json!(["isocast.dev/room"])
    });
    world.change("young", |room| {
        room["metadata"]["deletionTimestamp"] = json!(now)
    });
    world.reconcile("young").await;
    assert_eq!(
        (world.api.object(&path("young")), world.node.rooms()),
        (None, vec![])
    );
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_refuses_or_is_lost_is_tried_again() {
    let mut world = World::new().await;
    world.own_key("mine", "room_r_key_abcdefghijklmnopqrst");
    world.create("r", json!({}), own("mine"));
    world.node.refuse(Some((507, "store_full")));
    world.reconcile("r").await;
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Ready"), "False NodeRefused");
    assert_eq!(world.condition("r", "Reconciling"), "True NodeRefused");
    assert_eq!(world.node.rooms().len(), 2);
    world.node.refuse(None);
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Ready"), "True Serving");
    assert_eq!(
        world.api.events(),
        ["RoomRefused", "RoomReady"],
        "only turns"
    );
    world.node.rooms();

    world
        .connection
        .tell(r#"{"type":"live","room":"r","since_ms":1767225600000}"#)
        .await;
    world.changes.recv().await.expect("the room");
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Live"), "True Publishing");
    assert_eq!(
        world.api.events(),
        ["RoomRefused", "RoomReady"],
        "not told again"
    );
    let status = world.api.object(&path("r")).expect("there")["status"].clone();
    assert_eq!(
        status["live"],
        json!({"node": "c-0", "since": "2026-01-01T00:00:00Z"})
    );
    assert_eq!(world.node.rooms().len(), 0);

    world
        .ctx
        .watches
        .want(&ObjectRef::new("c").within("n"), None);
    // An operator that has just started takes nothing back.
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Live"), "True Publishing");
    tokio::time::advance(Duration::from_secs(3)).await;
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Live"), "Unknown NodeUnreachable");
    assert_eq!(world.condition("r", "Ready"), "False NodeUnreachable");
    let status = world.api.object(&path("r")).expect("there")["status"].clone();
    assert_eq!(
        status["key"]["secretName"], "mine",
        "the key in force is still that one"
    );
    assert_eq!(status["live"], Value::Null);
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_room_takes_its_room_along_or_says_that_it_stays() {
    let mut world = World::new().await;
    world.own_key("mine", "room_r_key_abcdefghijklmnopqrst");
    let deleted = |ago_s: i64| (Timestamp::now() - SignedDuration::from_secs(ago_s)).to_string();
    for (ago_s, refusal, goes, events) in [
        (1, None, true, vec![]),
        (1, Some((500, "store")), false, vec![]),
        (61, Some((500, "store")), true, vec!["RoomLeftBehind"]),
    ] {
        world.create("r", json!({}), own("mine"));
        world.node.refuse(None);
        world.reconcile("r").await;
        assert_eq!(world.condition("r", "Ready"), "True Serving");
        let before = world.api.events().len();
        world.node.rooms();
        world.node.refuse(refusal);
        world.change("r", |room| {
            room["metadata"]["deletionTimestamp"] = json!(deleted(ago_s))
        });
        let action = world.reconcile("r").await;
        assert_eq!(world.node.rooms(), ["DELETE r"]);
        assert_eq!(
            world.api.object(&path("r")).is_none(),
            goes,
            "{ago_s} {refusal:?}"
        );
        assert_eq!(world.api.events()[before..], events);
        if !goes {
            assert_eq!(action, Action::requeue(Duration::from_secs(2)));
        }
        gone(&ObjectRef::new("r").within("n"), &world.ctx);
        world.api.remove(&path("r"));
    }
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_suspended_or_waits_for_a_cluster_is_not_touched() {
    let mut world = World::new().await;
    world.create("r", json!({}), json!({"suspend": true}));
    let action = world.reconcile("r").await;
    assert_eq!(
        (action, world.api.calls().len()),
        (Action::await_change(), 0)
    );

    world.change("r", |room| room["spec"]["suspend"] = json!(false));
    let going = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
    world
        .clusters
        .apply_watcher_event(&Event::Apply(cluster(going)));
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Ready"), "False ClusterDeleting");
    world
        .clusters
        .apply_watcher_event(&Event::Delete(cluster(json!({}))));
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Ready"), "False ClusterNotFound");
    assert_eq!(world.condition("r", "KeyReady"), "False SecretNotFound");
    assert_eq!(
        world.writes(),
        ["PATCH status", "PATCH status"],
        "no Secret, no finalizer"
    );
    assert_eq!(world.node.rooms().len(), 0);
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_somebody_else_is_left_alone() {
    let mut world = World::new().await;
    world.own_key("r-stream-key", "room_r_key_theirs");
    let theirs = world.api.object(SECRET);
    world.create("r", json!({}), json!({}));
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Ready"), "False SecretNotOwned");
    assert_eq!(
        (world.api.object(SECRET), world.node.rooms().len()),
        (theirs, 0)
    );
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_not_be_kept_is_told_and_made_later() {
    let mut world = World::new().await;
    world.create("r", json!({}), json!({}));
    world.api.forbid(Some("/secrets"));
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "KeyReady"), "False SecretNotMade");
    assert_eq!(world.condition("r", "Stalled"), "True SecretNotMade");
    assert_eq!(world.node.rooms().len(), 0);
    world.api.forbid(None);
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Ready"), "True Serving");
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_room_is_ready_once_its_live_cluster_serves() {
    let mut world = World::new().await;
    world.serving(0);
    world.create("r", json!({}), json!({}));
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Ready"), "False ClusterNotReady");
    assert_eq!(world.node.rooms().len(), 1, "the node has it already");
    world.serving(1);
    world.reconcile("r").await;
    assert_eq!(world.condition("r", "Ready"), "True Serving");
    world.close().await;
}
