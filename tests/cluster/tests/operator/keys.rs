//! Stream keys and tokens: made, given, changed, deleted, and never told.

use std::time::Instant;

use isocast_cluster::{Condition, PATIENCE_S, Stage, is_ready};
use isocast_harness::{Peer, http, wait};
use serde_json::json;

use crate::{POD, TALK, TOLD_S, is_refused, tells_no_secret, with_cluster};

#[test]
fn an_own_key_is_told_what_is_wrong_with_it_and_taken_once_it_is_right() {
    let stage = with_cluster("own-key");
    let namespace = &stage.namespace;
    stage.live_room(
        "talk",
        json!({"publish": {"keySecretRef": {"name": "mine"}}}),
    );
    let told = |seconds: u64, reason: &str, word: &str| {
        let began = Instant::now();
        let room = namespace.until(reason, seconds, TALK, |room| {
            Condition::of(room, "KeyReady").is("False", reason)
        });
        println!("{reason} after {:.1} s", began.elapsed().as_secs_f64());
        assert!(Condition::of(&room, "Ready").is("False", reason));
        assert!(Condition::of(&room, "Stalled").is("True", reason));
        let message = Condition::of(&room, "KeyReady").message;
        assert!(message.contains(word), "{message}");
    };
    told(TOLD_S, "SecretNotFound", "Secret mine");
    namespace.make("secrets", "mine", &json!({"stringData": {"other": "x"}}));
    told(SECRET_TOLD_S, "SecretKeyMissing", "stream-key");
    own_key(&stage, "canary/malformed/0123456789abcdef");
    told(SECRET_TOLD_S, "KeyMalformed", "room_talk_key_");
    own_key(&stage, "room_other_key_0123456789abcdefABCDEF");
    told(SECRET_TOLD_S, "KeyOfAnotherRoom", "another room");
    let (first, second) = (
        "room_talk_key_first0123456789abcdef",
        "room_talk_key_second0123456789abcde",
    );
    own_key(&stage, first);
    let ready = namespace.until("ready", SECRET_TOLD_S, TALK, is_ready);
    assert_eq!(ready["status"]["key"]["generation"], 1);
    let mut peer = Peer::publish(stage.node().rtmp(), first);
    peer.expect_start();

    own_key(&stage, second);
    let began = Instant::now();
    namespace.until("the next key", 10, TALK, |room| {
        room["status"]["key"]["generation"] == 2
    });
    println!(
        "a new key is in force after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    assert!(
        is_refused(&stage, first),
        "the old key opens nothing any more"
    );
    let mut newcomer = Peer::publish(stage.node().rtmp(), second);
    newcomer.expect_start();
    peer.expect_close(10);

    // What is in force stays in force while its Secret is away.
    namespace.delete("secrets", "mine");
    told(SECRET_TOLD_S, "SecretNotFound", "Secret mine");
    newcomer.close();
    let mut again = Peer::publish(stage.node().rtmp(), second);
    again.expect_start();
    tells_no_secret(
        &stage,
        &["talk"],
        &[first, second, "canary/malformed/0123456789abcdef"],
    );
}

fn own_key(stage: &Stage, key: &str) {
    let text = json!({"stringData": {"stream-key": key}});
    if stage.namespace.find("secrets", "mine").is_some() {
        stage.namespace.patch("secrets", "mine", &text);
    } else {
        stage.namespace.make("secrets", "mine", &text);
    }
}

#[test]
fn a_generated_key_is_renewed_by_deleting_its_secret() {
    let stage = with_cluster("renewed");
    let namespace = &stage.namespace;
    stage.live_room("talk", json!({"publish": {"generate": {}}}));
    stage.ready_room("talk");
    let first = stage.secret("talk-stream-key", "stream-key");
    namespace.delete("secrets", "talk-stream-key");
    // One of ours is asked for once a minute.
    let made = namespace.until("a new key", 75, ("secrets", "talk-stream-key"), |_| true);
    assert_eq!(made["metadata"]["ownerReferences"][0]["kind"], "LiveRoom");
    namespace.until("the next key", PATIENCE_S, TALK, |room| {
        room["status"]["key"]["generation"] == 2
    });
    assert!(is_refused(&stage, &first));
    assert!(!is_refused(
        &stage,
        &stage.secret("talk-stream-key", "stream-key")
    ));
}

#[test]
fn a_secret_of_somebody_else_is_left_alone() {
    let stage = with_cluster("foreign-key");
    let namespace = &stage.namespace;
    let foreign = namespace.make(
        "secrets",
        "talk-stream-key",
        &json!({"stringData": {"stream-key": "room_talk_key_0123456789abcdef"}}),
    );
    stage.live_room("talk", json!({}));
    namespace.until("told", TOLD_S, TALK, |room| {
        Condition::of(room, "KeyReady").is("False", "SecretNotOwned")
    });
    let now = namespace.get("secrets", "talk-stream-key");
    assert_eq!(
        now["metadata"]["resourceVersion"],
        foreign["metadata"]["resourceVersion"]
    );
    namespace.delete("secrets", "talk-stream-key");
    namespace.until("ready", 75, TALK, is_ready);
}

#[test]
fn tokens_that_were_deleted_are_made_anew_without_a_restart() {
    let stage = Stage::new("tokens");
    let namespace = &stage.namespace;
    stage.live_cluster("live", json!({}));
    stage.ready_cluster("live");
    let before = ["live-admin-token", "live-api-token"].map(|name| stage.secret(name, "token"));
    let pod = namespace.get("pods", "live-0");
    let node = stage.node();
    for name in ["live-admin-token", "live-api-token"] {
        namespace.delete("secrets", name);
    }
    // Secrets are not watched but asked for, these once a minute.
    for name in ["live-admin-token", "live-api-token"] {
        namespace.until("made anew", 75, ("secrets", name), |_| true);
    }
    let after = ["live-admin-token", "live-api-token"].map(|name| stage.secret(name, "token"));
    assert!(before[0] != after[0] && before[1] != after[1]);
    namespace.until("touched", PATIENCE_S, POD, |now| {
        now["metadata"]["annotations"]["isocast.dev/tokens"]
            != pod["metadata"]["annotations"]["isocast.dev/tokens"]
    });
    let ask = |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str())];
        http::request(
            (node.ip, 8081).into(),
            "GET",
            "/admin/v1/node",
            &headers,
            b"",
        )
        .status
    };
    wait::until("the node takes the new token", PATIENCE_S, || {
        (ask(&after[0]) == 200).then_some(())
    });
    assert_eq!(ask(&before[0]), 401);
    stage.live_room("talk", json!({}));
    stage.ready_room("talk");
    assert_eq!(stage.node().id, node.id, "nothing was restarted");
    let log = stage.operator.log();
    assert!(
        before
            .iter()
            .chain(&after)
            .all(|token| !log.contains(token))
    );
}

const SECRET_TOLD_S: u64 = 10;
