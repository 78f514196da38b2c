//! When the operator writes nothing.

use std::time::Duration;

use isocast_cluster::{Condition, PATIENCE_S, Stage};
use isocast_harness::{Peer, wait};
use serde_json::json;

use crate::{LIVE, TALK, TOLD_S, is_refused, uid, with_cluster};

#[test]
fn what_is_settled_is_not_written_to() {
    let stage = Stage::new("steady");
    stage.live_cluster("live", json!({"expose": {"ingress": {"host": "tv.example.com"}}, "resources": {"limits": {"memory": "1024Mi", "cpu": "0.5"}}}));
    stage.ready_cluster("live");
    for name in ["one", "two", "three"] {
        stage.live_room(name, json!({"playback": "public"}));
        stage.ready_room(name);
    }
    stage.namespace.until("told", PATIENCE_S, LIVE, |cluster| {
        cluster["status"]["liveRooms"] == 0
    });
    // What has been told last may still lead to one more look.
    let settled = wait::within(Duration::from_secs(10), || {
        let before = stage.writes().len();
        wait::within(Duration::from_secs(2), || {
            (stage.writes().len() > before).then_some(())
        })
        .is_none()
        .then_some(())
    });
    assert!(settled.is_some(), "{:?}", stage.writes());
    let before = stage.writes().len();
    let written = wait::within(Duration::from_secs(20), || {
        (stage.writes().len() > before).then_some(())
    });
    assert!(written.is_none(), "{:?}", &stage.writes()[before..]);
    println!("0 writes in 20 s; {before} to come here");
}

#[test]
fn an_operator_that_comes_back_restarts_no_pod_and_writes_nothing() {
    let mut stage = with_cluster("restart");
    stage.namespace.until("told", PATIENCE_S, LIVE, |cluster| {
        cluster["status"]["liveRooms"] == 0
    });
    stage.live_room("talk", json!({}));
    stage.ready_room("talk");
    let key = stage.secret("talk-stream-key", "stream-key");
    let mut peer = Peer::publish(stage.node().rtmp(), &key);
    peer.expect_start();
    let live = stage.namespace.until("live", PATIENCE_S, TALK, |room| {
        Condition::of(room, "Live").status == "True"
    });
    stage
        .namespace
        .until("counted", PATIENCE_S, LIVE, |cluster| {
            cluster["status"]["liveRooms"] == 1
        });
    let (pod, node) = (uid(&stage.namespace.get("pods", "live-0")), stage.node().id);
    stage.operator.stop();
    let before = stage.writes().len();
    for probe in ["probe-1", "probe-2"] {
        stage.operator.start_again();
        // Once this one is ready, the operator has seen everything and heard of the node.
        stage.live_room(probe, json!({}));
        stage.ready_room(probe);
        assert_eq!(
            stage.namespace.get("liverooms", "talk")["status"],
            live["status"]
        );
        if probe == "probe-1" {
            stage.operator.stop();
        } else {
            stage.operator.kill();
        }
    }
    let mut writes = stage.writes().split_off(before);
    writes.retain(|write| !write.contains("probe") && !write.contains(" events "));
    assert_eq!(writes, [] as [&str; 0]);
    peer.close();
    assert_eq!(uid(&stage.namespace.get("pods", "live-0")), pod);
    assert_eq!(stage.node().id, node);
}

#[test]
fn nothing_is_written_for_what_is_suspended() {
    let stage = Stage::new("suspended");
    let namespace = &stage.namespace;
    for name in ["live", "other"] {
        stage.live_cluster(name, json!({}));
    }
    for name in ["live", "other"] {
        stage.ready_cluster(name);
    }
    let suspend =
        |yes: bool| namespace.patch("liveclusters", "live", &json!({"spec": {"suspend": yes}}));
    suspend(true);
    let before = namespace.get("liveclusters", "live");
    for name in ["live", "other"] {
        let service = format!("{name}-http");
        namespace.patch("services", &service, &json!({"spec": {"type": "NodePort"}}));
    }
    namespace.patch("liveclusters", "live", &json!({"spec": {"replicas": 0}}));
    let type_ = |name: &str| namespace.get("services", name)["spec"]["type"].clone();
    wait::until("the other one is put right", TOLD_S, || {
        (type_("other-http") == "ClusterIP").then_some(())
    });
    assert_eq!(type_("live-http"), "NodePort");
    assert_eq!(
        namespace.get("liveclusters", "live")["status"],
        before["status"]
    );
    assert!(stage.kubelet.node("live-0").is_some(), "what runs goes on");
    let columns = namespace.kubectl(&["get", "lc", "live", "-o", "wide"]);
    assert!(columns.contains("true"), "{columns}");

    suspend(false);
    namespace.until("stopped", PATIENCE_S, LIVE, |cluster| {
        Condition::of(cluster, "Ready").is("True", "Stopped")
    });
    assert_eq!(type_("live-http"), "ClusterIP");
}

#[test]
fn nothing_is_written_for_a_suspended_room() {
    let stage = with_cluster("suspended-room");
    let namespace = &stage.namespace;
    for name in ["talk", "other"] {
        stage.live_room(name, json!({}));
        stage.ready_room(name);
    }
    namespace.until("not live", PATIENCE_S, TALK, |room| {
        Condition::of(room, "Live").status == "False"
    });
    namespace.patch("liverooms", "talk", &json!({"spec": {"suspend": true}}));
    let before = namespace.get("liverooms", "talk");
    let keys =
        ["talk", "other"].map(|name| stage.secret(&format!("{name}-stream-key"), "stream-key"));
    let mut peers = keys
        .clone()
        .map(|key| Peer::publish(stage.node().rtmp(), &key));
    for peer in &mut peers {
        peer.expect_start();
    }
    namespace.until("live", TOLD_S, ("liverooms", "other"), |room| {
        Condition::of(room, "Live").status == "True"
    });
    assert_eq!(
        namespace.get("liverooms", "talk")["status"],
        before["status"]
    );
    namespace.patch("liverooms", "talk", &json!({"spec": {"suspend": false}}));
    namespace.until("live", TOLD_S, TALK, |room| {
        Condition::of(room, "Live").status == "True"
    });
    // Deleted while it is suspended, it goes and its room stays.
    namespace.patch("liverooms", "talk", &json!({"spec": {"suspend": true}}));
    namespace.delete("liverooms", "talk");
    namespace.until_gone(TOLD_S, "liverooms", "talk");
    assert!(!is_refused(&stage, &keys[0]), "the room stays");
}
