//! LiveRooms that are deleted, with and without a node that hears of it.

use std::time::{Duration, Instant};

use isocast_cluster::{Condition, PATIENCE_S};
use isocast_harness::Peer;
use serde_json::{Value, json};

use crate::{LIVE, TALK, TOLD_S, is_refused, with_cluster};

#[test]
fn a_retained_room_stays_with_its_key() {
    let stage = with_cluster("retain");
    let namespace = &stage.namespace;
    stage.live_room(
        "talk",
        json!({"deletionPolicy": "retain", "playback": "public"}),
    );
    stage.ready_room("talk");
    let key = stage.secret("talk-stream-key", "stream-key");
    namespace.delete("liverooms", "talk");
    namespace.until_gone(TOLD_S, "liverooms", "talk");
    assert!(!is_refused(&stage, &key));
}

#[test]
fn a_finalizer_taken_by_hand_comes_back_and_deletion_before_the_first_look_needs_none() {
    let mut stage = with_cluster("finalizer");
    stage.live_room("talk", json!({}));
    stage.ready_room("talk");
    let namespace = &stage.namespace;
    namespace.patch(
        "liverooms",
        "talk",
        &json!({"metadata": {"finalizers": null}}),
    );
    namespace.until("it comes back", TOLD_S, TALK, |room| {
        room["metadata"]["finalizers"] == json!(["isocast.dev/room"])
    });
    namespace.patch(
        "liverooms",
        "talk",
        &json!({"metadata": {"finalizers": ["isocast.dev/room", "example.com/theirs"]}}),
    );
    namespace.delete("liverooms", "talk");
    namespace.until("ours is gone", PATIENCE_S, TALK, |room| {
        room["metadata"]["finalizers"] == json!(["example.com/theirs"])
    });
    namespace.patch(
        "liverooms",
        "talk",
        &json!({"metadata": {"finalizers": null}}),
    );
    namespace.until_gone(TOLD_S, "liverooms", "talk");

    stage.operator.stop();
    stage.live_room("early", json!({}));
    let namespace = &stage.namespace;
    namespace.delete("liverooms", "early");
    namespace.until_gone(TOLD_S, "liverooms", "early");
    stage.operator.start_again();
    stage.live_room("talk", json!({}));
    stage.ready_room("talk");
    assert!(
        stage
            .namespace
            .find("secrets", "early-stream-key")
            .is_none()
    );
}

#[test]
fn a_room_whose_node_is_gone_goes_within_a_minute_and_says_what_it_leaves() {
    let stage = with_cluster("left-behind");
    let namespace = &stage.namespace;
    stage.live_room("talk", json!({}));
    stage.ready_room("talk");
    namespace.patch("liveclusters", "live", &json!({"spec": {"replicas": 0}}));
    namespace.until("stopped", PATIENCE_S, LIVE, |cluster| {
        Condition::of(cluster, "Ready").is("True", "Stopped")
    });
    let told = namespace.until("told", TOLD_S, TALK, |room| {
        Condition::of(room, "Ready").is("False", "ClusterStopped")
    });
    assert_eq!(Condition::of(&told, "Live").status, "Unknown");
    assert!(told["status"]["key"].is_object(), "the key is still that");
    let began = Instant::now();
    namespace.delete("liverooms", "talk");
    namespace.until_gone(75, "liverooms", "talk");
    println!("given up after {:.0} s", began.elapsed().as_secs_f64());
    assert!(
        began.elapsed() >= Duration::from_secs(50),
        "the node gets its time"
    );
    let events = stage.events("talk");
    let left = events
        .iter()
        .find(|event| event.starts_with("RoomLeftBehind: "));
    assert!(
        left.is_some_and(|event| event.contains("isocast-node room delete talk")),
        "{events:?}"
    );
}

#[test]
fn an_operator_that_was_away_catches_up() {
    let mut stage = with_cluster("away");
    for name in ["talk", "goes"] {
        stage.live_room(name, json!({}));
        stage.ready_room(name);
    }
    let (pod, goes) = (
        stage.node().id,
        stage.secret("goes-stream-key", "stream-key"),
    );
    stage.operator.kill();
    let key = stage.secret("talk-stream-key", "stream-key");
    let mut peer = Peer::publish(stage.node().rtmp(), &key);
    peer.expect_start();
    stage.live_room("comes", json!({}));
    stage.namespace.delete("liverooms", "goes");
    stage.operator.start_again();
    stage.ready_room("comes");
    stage.namespace.until("live", PATIENCE_S, TALK, |room| {
        Condition::of(room, "Live").status == "True"
    });
    stage.namespace.until_gone(PATIENCE_S, "liverooms", "goes");
    assert!(is_refused(&stage, &goes));
    assert_eq!(stage.node().id, pod);
    let generation = |room: &Value| room["status"]["key"]["generation"].clone();
    assert_eq!(
        generation(&stage.ready_room("talk")),
        1,
        "no key was changed"
    );
    peer.close();
}
