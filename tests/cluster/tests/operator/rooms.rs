//! The life of a LiveRoom: published to, changed, waiting for its LiveCluster or for another LiveRoom.

use std::time::Instant;

use isocast_cluster::{Condition, PATIENCE_S, Stage, is_ready};
use isocast_harness::{Peer, http, wait};
use serde_json::json;

use crate::{LIVE, TALK, TOLD_S, is_refused, tells_no_secret, with_cluster};

#[test]
fn a_live_room_gets_a_key_is_published_to_and_goes() {
    let stage = with_cluster("generate");
    let namespace = &stage.namespace;
    let began = Instant::now();
    stage.live_room("talk", json!({"playback": "public"}));
    let ready = stage.ready_room("talk");
    println!(
        "ready {:.2} s after it was made",
        began.elapsed().as_secs_f64()
    );
    assert!(Condition::of(&ready, "ClusterAccepted").is("True", "Accepted"));
    assert!(Condition::of(&ready, "KeyReady").is("True", "KeyFound"));
    let idle = namespace.until("not live", PATIENCE_S, TALK, |room| {
        Condition::of(room, "Live").is("False", "NotPublishing")
    });
    let status = &idle["status"];
    assert_eq!(status["streamName"], "talk");
    assert_eq!(
        (&status["key"]["secretName"], &status["key"]["generation"]),
        (&json!("talk-stream-key"), &json!(1))
    );
    let host = |service: &str| format!("{service}.{}.svc", namespace.name);
    let (rtmp, http) = (
        format!("rtmp://{}/live", host("live-rtmp")),
        format!("http://{}:8080", host("live-http")),
    );
    assert_eq!(
        status["urls"],
        json!({
            "publish": rtmp, "rtmp": format!("{rtmp}/room_talk"), "page": format!("{http}/watch/talk"),
            "hls": format!("{http}/hls/room_talk/index.m3u8"), "flv": format!("{http}/flv/room_talk.flv"),
        })
    );

    let (key, node) = (stage.secret("talk-stream-key", "stream-key"), stage.node());
    let mut peer = Peer::publish(node.rtmp(), &key);
    peer.expect_start();
    let live = namespace.until("live", TOLD_S, TALK, |room| {
        Condition::of(room, "Live").is("True", "Publishing")
    });
    assert_eq!(live["status"]["live"]["node"], "live-0");
    namespace.until("counted", TOLD_S, LIVE, |cluster| {
        cluster["status"]["liveRooms"] == 1
    });
    let columns = namespace.kubectl(&["get", "lr", "-o", "wide"]);
    let columns: Vec<Vec<_>> = columns
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        columns[0],
        [
            "NAME",
            "READY",
            "STATUS",
            "LIVE",
            "CLUSTER",
            "PAGE",
            "KEY",
            "SUSPENDED",
            "AGE"
        ]
    );
    let page = format!("{http}/watch/talk");
    assert_eq!(
        columns[1][..7],
        [
            "talk",
            "True",
            "Serving",
            "True",
            "live",
            &page,
            "talk-stream-key"
        ]
    );
    peer.close();
    let ended = namespace.until("ended", TOLD_S, TALK, |room| {
        Condition::of(room, "Live").is("False", "NotPublishing")
    });
    assert!(ended["status"]["live"].is_null());
    namespace.until("counted", TOLD_S, LIVE, |cluster| {
        cluster["status"]["liveRooms"] == 0
    });
    let events = stage.events("talk");
    for reason in ["KeyGenerated: ", "RoomReady: "] {
        assert!(
            events.iter().any(|event| event.starts_with(reason)),
            "{events:?}"
        );
    }

    let mut peer = Peer::publish(node.rtmp(), &key);
    peer.expect_start();
    let began = Instant::now();
    namespace.delete("liverooms", "talk");
    namespace.until_gone(PATIENCE_S, "liverooms", "talk");
    println!(
        "gone {:.2} s after it was deleted",
        began.elapsed().as_secs_f64()
    );
    peer.expect_close(5);
    assert!(is_refused(&stage, &key));
    namespace.until_gone(PATIENCE_S, "secrets", "talk-stream-key");
    tells_no_secret(&stage, &["talk"], &[&key]);
}

#[test]
fn a_change_of_the_spec_is_in_force_and_a_lie_in_the_status_is_put_right() {
    let stage = with_cluster("room-change");
    let namespace = &stage.namespace;
    stage.live_room("talk", json!({}));
    stage.ready_room("talk");
    let idle = namespace.until("not live", PATIENCE_S, TALK, |room| {
        Condition::of(room, "Live").status == "False"
    });
    assert!(idle["status"]["urls"]["hls"].is_null(), "nobody may watch");
    let live = |status: u16| {
        let path = "/api/v1/live/talk";
        wait::until("the node follows", TOLD_S, || {
            (http::get(stage.node().http(), path).status == status).then_some(())
        });
    };
    let key = stage.secret("talk-stream-key", "stream-key");
    let mut peer = Peer::publish(stage.node().rtmp(), &key);
    peer.expect_start();
    live(403);
    namespace.patch(
        "liverooms",
        "talk",
        &json!({"spec": {"playback": "public"}}),
    );
    live(200);
    let good = namespace.until("public", TOLD_S, TALK, |room| {
        room["status"]["urls"]["hls"].is_string()
    });
    for lie in [
        json!({"urls": {"publish": "rtmp://evil.example.com/live"}}),
        json!({"key": null, "streamName": "other"}),
        json!({"conditions": null}),
        json!({"observedGeneration": 99, "live": {"node": "x", "since": "2026-01-01T00:00:00Z"}}),
    ] {
        namespace.patch("liverooms", "talk/status", &json!({"status": lie}));
        namespace.until("as before", TOLD_S, TALK, |room| {
            let same = |field: &str| room["status"][field] == good["status"][field];
            is_ready(room)
                && ["urls", "key", "streamName", "observedGeneration"]
                    .into_iter()
                    .all(same)
        });
    }
    peer.close();
}

#[test]
fn a_room_waits_for_its_live_cluster_and_follows_it() {
    let stage = Stage::new("order");
    let namespace = &stage.namespace;
    stage.live_room("talk", json!({}));
    let told = namespace.until("told", TOLD_S, TALK, |room| {
        Condition::of(room, "ClusterAccepted").is("False", "ClusterNotFound")
    });
    assert!(Condition::of(&told, "Ready").is("False", "ClusterNotFound"));
    assert!(
        told["metadata"]["finalizers"].is_null(),
        "nothing has to be taken away"
    );
    stage.live_cluster("live", json!({}));
    stage.ready_room("talk");
    let key = stage.secret("talk-stream-key", "stream-key");

    // Without a volume the next node knows nothing, and is told.
    let first = stage.node();
    namespace.kubectl(&["delete", "pod", "live-0", "--wait=false"]);
    wait::until("another node", PATIENCE_S, || {
        stage
            .kubelet
            .node("live-0")
            .filter(|node| node.id != first.id)
    });
    wait::until("it knows the key", PATIENCE_S, || {
        stage
            .kubelet
            .node("live-0")
            .filter(|node| is_open(node.http()))?;
        (!is_refused(&stage, &key)).then_some(())
    });
    namespace.until("ready again", PATIENCE_S, TALK, is_ready);

    namespace.delete("liveclusters", "live");
    namespace.until("told", PATIENCE_S, TALK, |room| {
        let accepted = Condition::of(room, "ClusterAccepted");
        accepted.status == "False"
    });
    // With its LiveCluster gone there is nothing to wait for.
    namespace.delete("liverooms", "talk");
    namespace.until_gone(TOLD_S, "liverooms", "talk");
}

fn is_open(address: std::net::SocketAddr) -> bool {
    http::open(address, "GET", "/api/v1/live", &[], b"").is_ok()
}

#[test]
fn of_two_that_want_one_id_the_older_has_it() {
    let stage = with_cluster("rivals");
    let namespace = &stage.namespace;
    stage.live_room("first", json!({"streamName": "talk"}));
    let first = stage.ready_room("first");
    // The API server's times are of whole seconds, and of one second the name decides.
    stage.live_room("second", json!({"streamName": "talk"}));
    let told = namespace.until("told", TOLD_S, ("liverooms", "second"), |room| {
        Condition::of(room, "ClusterAccepted").is("False", "StreamNameTaken")
    });
    assert!(Condition::of(&told, "Stalled").is("True", "StreamNameTaken"));
    assert!(
        Condition::of(&told, "Ready")
            .message
            .contains("LiveRoom first")
    );
    assert!(namespace.find("secrets", "second-stream-key").is_none());
    assert_eq!(
        namespace.get("liverooms", "first")["status"],
        first["status"]
    );
    let events = stage.events("second");
    assert!(
        events
            .iter()
            .any(|event| event.starts_with("StreamNameTaken: ")),
        "{events:?}"
    );

    let key = stage.secret("first-stream-key", "stream-key");
    namespace.delete("liverooms", "first");
    let second = namespace.until("ready", PATIENCE_S, ("liverooms", "second"), is_ready);
    assert_eq!(second["status"]["streamName"], "talk");
    assert!(is_refused(&stage, &key));
    assert!(!is_refused(
        &stage,
        &stage.secret("second-stream-key", "stream-key")
    ));
}
