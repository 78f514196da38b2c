//! A node in the hands of an operator: rooms put in place, what is live, tokens that change.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use isocast_harness::http::{self, Answer, Stream};
use isocast_harness::{
    Clip, Ffmpeg, Node, NodeOptions, Peer, Room, Scratch, node_binary, run, wait,
};
use serde_json::{Value, json};

const TOKEN: &str = "first-token-of-the-operator";
const NEXT_TOKEN: &str = "second-token-of-the-operator";

fn admin(node: &Node, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    let path = format!("/admin/v1/{path}");
    http::request(node.internal, method, &path, &headers, body.as_bytes())
}

fn put(node: &Node, room: &Room) -> Value {
    let body =
        json!({"playback": "public", "on_conflict": "refuse", "stream_key": room.key}).to_string();
    let answer = admin(node, TOKEN, "PUT", &format!("rooms/{}", room.id), &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn watch(node: &Node) -> Stream {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", bearer.as_str())];
    let watch = http::open(node.internal, "GET", "/admin/v1/watch", &headers, b"");
    let watch = watch.expect("the node answers");
    assert_eq!(watch.head().status, 200);
    watch
}

/// The next line that is news.
fn news(watch: &mut Stream) -> Value {
    loop {
        let line = watch.next_line(20).expect("the watch goes on");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        if line["type"] != "beat" {
            return line;
        }
    }
}

/// Puts a token there, as a mounted secret is: not for everyone.
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the scratch folder is writable");
    std::fs::set_permissions(path, Permissions::from_mode(0o640)).expect("it is ours");
}

#[test]
fn an_operator_puts_a_room_sees_it_live_and_replaces_its_key() {
    let scratch = Scratch::new("admin");
    let token_file = scratch.file("token");
    write(&token_file, TOKEN);
    let options = NodeOptions::default().set("admin.token_file", token_file.display());
    let mut node = options.start();
    let old = Room {
        id: "stage".into(),
        key: "room_stage_key_old0123456789abcdefg".into(),
    };
    let new = Room {
        key: "room_stage_key_new0123456789abcdefg".into(),
        ..old.clone()
    };
    assert_eq!(admin(&node, "x", "GET", "node", "").status, 401);
    let mut watch = watch(&node);
    let hello = news(&mut watch);
    assert_eq!(hello["type"], "hello");
    assert_eq!(news(&mut watch)["type"], "synced");

    let made = put(&node, &old);
    assert_eq!(made["changed"], true);
    assert_eq!(put(&node, &old)["changed"], false);
    let url = node.publish_url(&old);
    let log = node.file("publisher.log");
    let clip = Clip::AudioVideo.path();
    let mut publisher = Ffmpeg::debian().publish_forever(&clip, &url, &log);
    let live = news(&mut watch);
    assert_eq!(
        (&live["type"], &live["room"]),
        (&json!("live"), &json!("stage"))
    );
    node.wait_for_live(&old);

    let changed = put(&node, &new);
    assert_eq!(changed["key_generation"], 2);
    assert_ne!(changed["key_fingerprint"], made["key_fingerprint"]);
    let (code, _) = Peer::publish(node.rtmp, &old.key).expect_refusal(10);
    assert_eq!(code, "NetStream.Publish.BadName");
    assert!(publisher.is_running(), "it goes on until the new key comes");
    let mut newcomer = Peer::publish(node.rtmp, &new.key);
    newcomer.expect_start();
    publisher.wait(10);
    let taken_over = news(&mut watch);
    assert_eq!(taken_over["type"], "live");
    assert!(taken_over["since_ms"].as_i64() > live["since_ms"].as_i64());
    newcomer.close();
    assert_eq!(news(&mut watch), json!({"type": "ended", "room": "stage"}));
    assert_eq!(admin(&node, TOKEN, "DELETE", "rooms/stage", "").status, 204);

    write(&token_file, NEXT_TOKEN);
    wait::until("the next token counts", 10, || {
        (admin(&node, NEXT_TOKEN, "GET", "node", "").status == 200).then_some(())
    });
    assert_eq!(admin(&node, TOKEN, "GET", "node", "").status, 401);
    let is = admin(&node, NEXT_TOKEN, "GET", "node", "").json();
    assert_eq!(is["store_id"], hello["store_id"]);

    node.signal(isocast_harness::Signal::TERM);
    while let Some(line) = watch.next_line(20) {
        assert_eq!(line, r#"{"type":"beat"}"#);
    }
    let log = node.wait_for_end(15);
    for secret in [&old.key, &new.key, TOKEN, NEXT_TOKEN] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn room_commands_use_the_token_file_of_the_environment() {
    let scratch = Scratch::new("token-file");
    let token_file = scratch.file("token");
    write(&token_file, TOKEN);
    let options = NodeOptions::default().set("api.token_file", token_file.display());
    let node = options.start();
    let room = |token_file: &Path| {
        let mut command = Command::new(node_binary());
        command
            .current_dir(scratch.path())
            .args(["room", "create", "env", "--json"])
            .env("ISOCAST__DATA_DIR", node.data_dir())
            .env("ISOCAST__API__TOKEN_FILE", token_file);
        run(&mut command)
    };
    let missing = scratch.file("no-such");
    let failed = room(&missing);
    let line = format!("error: api.token_file: {}: is missing\n", missing.display());
    assert_eq!((failed.code, failed.err), (Some(1), line));
    let made = room(&token_file);
    assert_eq!((made.code, made.err.as_str()), (Some(0), ""));
    assert!(made.out.contains("room_env_key_"));
    node.stop();
}

#[test]
fn a_node_without_its_token_file_says_so_and_binds_nothing() {
    let scratch = Scratch::new("no-token");
    let short = scratch.file("short");
    write(&short, "short");
    for key in ["api.token_file", "admin.token_file"] {
        for (file, what) in [
            (scratch.file("no-such"), "is missing"),
            (
                short.clone(),
                "holds no token of 16 to 256 characters without spaces",
            ),
        ] {
            let mut command = Command::new(node_binary());
            command
                .current_dir(scratch.path())
                // Bound, it would say that it cannot be: the address is nobody's here.
                .args(["--set", "listen.rtmp=192.0.2.1:1935", "--set"])
                .arg(format!("{key}={}", file.display()));
            let ended = run(&mut command);
            let line = format!("error: {key}: {}: {what}\n", file.display());
            assert_eq!((ended.code, ended.err), (Some(1), line));
        }
    }
}

#[test]
fn playing_over_rtmp_can_be_switched_off() {
    let node = NodeOptions::default().set("rtmp.play", false).start();
    let room = node.public_room("web");
    let mut publisher = Peer::publish(node.rtmp, &room.key);
    publisher.expect_start();
    let (code, text) = Peer::play(node.rtmp, "room_web").expect_refusal(10);
    assert_eq!(code, "NetStream.Play.Failed");
    assert_eq!(text, "playing over RTMP is switched off on this server");
    assert_eq!(node.get("/api/v1/live/web").status, 200);
    publisher.close();
    node.stop();
}
