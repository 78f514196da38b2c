//! A room's stream arrives at other servers too, unchanged, whatever becomes of them.

use std::path::Path;
use std::thread;

use isocast_harness::clip::{SECONDS, VIDEO_FRAMES_IN_10_S};
use isocast_harness::{
    Clip, Ffmpeg, Nginx, Node, NodeOptions, Peer, Process, Room, Signal, hashes, wait,
};
use serde_json::{Value, json};

/// A clip in real time, and twice as long again on a machine that is busy.
const PLAY_S: u64 = SECONDS as u64 * 3;

/// A node that may call this machine.
fn sender() -> NodeOptions {
    NodeOptions::default()
        .set("network.allow_addresses", "127.0.0.0/8")
        .set("hub.hold_s", 1)
}

fn receiver() -> NodeOptions {
    NodeOptions::default().set("hub.hold_s", 1)
}

fn target(name: &str, url: &str, key: &str) -> Value {
    json!({"name": name, "url": url, "stream_key": key})
}

fn send_on(node: &Node, room: &Room, targets: &[Value]) {
    let body = json!({"targets": targets}).to_string();
    let path = format!("/api/v1/rooms/{}/restreams", room.id);
    let answer = node.operator("PUT", &path, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn status(node: &Node, room: &Room, name: &str) -> Value {
    let path = format!("/api/v1/rooms/{}/restreams", room.id);
    let answer = node.operator("GET", &path, b"").json();
    let targets = answer["targets"].as_array().expect("a list").iter();
    let found = targets.into_iter().find(|target| target["name"] == name);
    found.expect("the target").clone()
}

fn wait_for_state(node: &Node, room: &Room, name: &str, state: &str, seconds: u64) -> Value {
    wait::until(&format!("{name} {state}"), seconds, || {
        let status = status(node, room, name);
        (status["state"] == state).then_some(status)
    })
}

fn publish(node: &Node, room: &Room) -> Process {
    let log = node.file(&format!("{}-publish.log", room.id));
    Ffmpeg::debian().publish_forever(&Clip::AudioVideo.path(), &node.publish_url(room), &log)
}

/// Pictures and sounds as they were sent, without a gap, for some seconds at least.
fn is_what_was_sent(what: &str, file: &Path) {
    let clip = Clip::AudioVideo.path();
    let (got, sent) = (hashes::video_frames(file), hashes::video_frames(&clip));
    hashes::assert_one_run(
        &format!("{what}, pictures"),
        &got,
        &sent,
        VIDEO_FRAMES_IN_10_S / 2,
    );
    let (got, sent) = (hashes::audio_packets(file), hashes::audio_packets(&clip));
    hashes::assert_one_run(&format!("{what}, sounds"), &got, &sent, 100);
}

#[test]
fn what_is_sent_on_to_a_node_and_to_nginx_is_what_was_sent() {
    let (here, there, nginx) = (sender().start(), receiver().start(), Nginx::start());
    let (room, other) = (here.public_room("here"), there.public_room("there"));
    // One by the command line, one by the API before the room is live.
    let key_file = here.file("key");
    std::fs::write(&key_file, format!("{}\n", other.key)).expect("a folder of ours");
    let url = format!("rtmp://{}/live", there.rtmp);
    let set = here.command(&[
        "room",
        "restream",
        "set",
        "here",
        "node",
        "--url",
        &url,
        "--key-file",
        &key_file.to_string_lossy(),
    ]);
    assert_eq!(set.code, Some(0), "{}", set.err);
    let nginx_url = format!("rtmp://{}/live", nginx.rtmp);
    let kept = json!({"name": "node", "url": url});
    send_on(&here, &room, &[kept, target("nginx", &nginx_url, "pushed")]);
    assert_eq!(status(&here, &room, "node")["state"], "idle");

    let log = here.file("publish.log");
    let clip = Clip::AudioVideo.path();
    let mut publisher = Ffmpeg::debian().publish(&clip, &here.publish_url(&room), &log);
    there.wait_for_live(&other);
    wait_for_state(&here, &room, "nginx", "live", 10);
    let files = [here.file("by-node.flv"), here.file("by-nginx.flv")];
    let urls = [there.rtmp_url(&other), nginx.url("pushed")];
    let recorders: Vec<_> = urls
        .iter()
        .zip(&files)
        .map(|(url, file)| Ffmpeg::debian().record(&["-rtmp_live", "live"], url, file))
        .collect();
    assert_eq!(here.metric("isocast_restreams{state=\"live\""), 2.0);
    assert_eq!(
        here.get("/api/v1/live/here").json()["viewers"],
        0,
        "none of them is a viewer"
    );

    publisher.wait_for_success(PLAY_S);
    for mut recorder in recorders {
        recorder.wait_for_success(PLAY_S);
    }
    is_what_was_sent("by a node", &files[0]);
    is_what_was_sent("by nginx", &files[1]);
    let list = here.command(&["room", "restream", "list", "here"]);
    assert_eq!(
        (list.code, list.out.lines().count()),
        (Some(0), 2),
        "{}",
        list.out
    );
    for name in ["node", "nginx"] {
        wait_for_state(&here, &room, name, "idle", 10);
    }
    let removed = here.command(&["room", "restream", "remove", "here", "nginx"]);
    assert_eq!(removed.code, Some(0), "{}", removed.err);
    let answer = here.operator("DELETE", "/api/v1/rooms/here/restreams", b"");
    assert_eq!(answer.status, 204);
    let list = here.command(&["room", "restream", "list", "here"]);
    assert_eq!(list.out, "");
    // The key is nowhere to be read but in memory.
    let secret = other.key.rsplit('_').next().expect("a key");
    for name in ["rooms.sqlite", "rooms.sqlite-wal"] {
        let bytes = std::fs::read(here.data_dir().join(name)).unwrap_or_default();
        let has_secret = bytes
            .windows(secret.len())
            .any(|it| it == secret.as_bytes());
        assert!(!has_secret, "{name} holds the key");
    }
    let log = here.stop();
    assert!(!log.contains(secret));
    there.stop();
}

#[test]
fn a_target_that_dies_is_sent_to_again_when_it_returns() {
    let (node, nginx) = (sender().start(), Nginx::start());
    let room = node.public_room("a");
    let url = format!("rtmp://{}/live", nginx.rtmp);
    let _publisher = publish(&node, &room);
    node.wait_for_live(&room);
    send_on(&node, &room, &[target("nginx", &url, "pushed")]);
    wait_for_state(&node, &room, "nginx", "live", 10);
    let mut viewer = Peer::play(node.rtmp, "room_a");
    viewer.expect_start();

    let address = nginx.kill();
    let waiting = wait_for_state(&node, &room, "nginx", "waiting", 10);
    assert!(waiting["error"].is_string(), "{waiting}");
    assert!(
        waiting["retries"]
            .as_u64()
            .is_some_and(|retries| retries >= 1)
    );
    assert!(viewer.has_media(5), "nobody else has noticed");

    let nginx = Nginx::start_at(address);
    wait_for_state(&node, &room, "nginx", "live", 30);
    let mut viewer = Peer::play(nginx.rtmp, "pushed");
    assert!(viewer.has_media(10));

    // Switched off and on while it is live.
    let mut off = target("nginx", &url, "pushed");
    off["enabled"] = json!(false);
    send_on(&node, &room, &[off]);
    assert_eq!(status(&node, &room, "nginx")["state"], "idle");
    wait::until("no push", 5, || {
        (node.metric("isocast_restreams{state=\"live\"") == 0.0).then_some(())
    });
    send_on(&node, &room, &[target("nginx", &url, "pushed")]);
    wait_for_state(&node, &room, "nginx", "live", 60);
    node.stop();
}

#[test]
fn who_refuses_is_left_alone_for_a_while() {
    let (here, there) = (sender().start(), receiver().start());
    let (room, _) = (here.public_room("here"), there.public_room("there"));
    let url = format!("rtmp://{}/live", there.rtmp);
    let wrong = "room_there_key_0123456789";
    send_on(&here, &room, &[target("node", &url, wrong)]);
    let _publisher = publish(&here, &room);
    let waiting = wait_for_state(&here, &room, "node", "waiting", 15);
    assert_eq!(waiting["error"], "refused: NetStream.Publish.BadName");
    assert_eq!(waiting["retries"], 1);
    let log = here.stop();
    assert!(!log.contains("0123456789"), "{log}");
    // The shortest pause after a refusal is 45 s, and the log has the one that was chosen.
    let line = log
        .lines()
        .find(|line| line.contains("tried again"))
        .expect("a line");
    let line: Value = serde_json::from_str(line).expect("JSON");
    let wait_s = line["fields"]["wait_s"]
        .as_f64()
        .or_else(|| line["wait_s"].as_f64());
    assert!(wait_s.is_some_and(|wait_s| wait_s >= 45.0), "{line}");
}

#[test]
fn without_a_list_no_private_address_is_called() {
    let (here, there) = (NodeOptions::default().start(), receiver().start());
    let (room, other) = (here.public_room("here"), there.public_room("there"));
    let port = there.rtmp.port();
    let targets: Vec<_> = [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ]
    .iter()
    .enumerate()
    .map(|(n, host)| {
        target(
            &format!("t{n}"),
            &format!("rtmp://{host}:{port}/live"),
            &other.key,
        )
    })
    .collect();
    send_on(&here, &room, &targets);
    let _publisher = publish(&here, &room);
    for n in 0..targets.len() {
        let waiting = wait_for_state(&here, &room, &format!("t{n}"), "waiting", 15);
        let error = waiting["error"].as_str().expect("a reason");
        assert!(error.contains("network.allow_addresses"), "{error}");
    }
    assert!(here.metric("isocast_outbound_total{what=\"restream\",result=\"denied\"") >= 4.0);
    assert_eq!(
        there.metric("isocast_connections_total{protocol=\"rtmp\""),
        0.0
    );
    here.stop();
}

#[test]
fn hosts_may_be_limited_and_restreaming_switched_off() {
    let limited = sender()
        .set("restream.allow_hosts", "live.example.com")
        .start();
    let room = limited.public_room("a");
    let put = |node: &Node, host: &str| {
        let body = json!({"targets": [target("t", &format!("rtmp://{host}/live"), "k")]});
        let path = "/api/v1/rooms/a/restreams";
        node.operator("PUT", path, body.to_string().as_bytes())
    };
    let refused = put(&limited, "127.0.0.1");
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (400, "bad_request")
    );
    assert_eq!(put(&limited, "live.example.com").status, 200);
    assert_eq!(status(&limited, &room, "t")["state"], "idle");
    let stranger = limited.get("/api/v1/rooms/a/restreams");
    assert_eq!(stranger.status, 401);
    limited.stop();

    let off = sender().set("restream.enabled", "false").start();
    let _room = off.public_room("a");
    assert_eq!(put(&off, "live.example.com").status, 404);
    off.stop();
}

#[test]
fn by_tls_only_to_whom_the_certificate_names() {
    let there = receiver().tls().start();
    let secure = there.secure();
    let ca_file = secure.certificate.cert_file.display();
    let trusting = sender().set("network.ca_file", ca_file).start();
    let distrusting = sender().start();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (room, other) = (trusting.public_room("here"), there.public_room("there"));
            let url = format!("rtmps://localhost:{}/live", secure.rtmps.port());
            send_on(&trusting, &room, &[target("node", &url, &other.key)]);
            let mut publisher = publish(&trusting, &room);
            there.wait_for_live(&other);
            let live = wait_for_state(&trusting, &room, "node", "live", 10);
            assert_eq!(live["error"], Value::Null);
            let mut viewer = Peer::play(there.rtmp, "room_there");
            assert!(viewer.has_media(10));
            publisher.signal(Signal::INT);
            publisher.wait(10);
        });
        scope.spawn(|| {
            let (room, other) = (distrusting.public_room("here"), there.public_room("other"));
            let url = format!("rtmps://{}/live", secure.rtmps);
            send_on(&distrusting, &room, &[target("node", &url, &other.key)]);
            let _publisher = publish(&distrusting, &room);
            let waiting = wait_for_state(&distrusting, &room, "node", "waiting", 15);
            let error = waiting["error"].as_str().expect("a reason");
            assert!(error.contains("cannot be trusted"), "{error}");
        });
    });
    trusting.stop();
    distrusting.stop();
    there.stop();
}
