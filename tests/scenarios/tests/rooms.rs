//! Rooms by the command line, through the running node and without one.

use isocast_harness::{Clip, Ffmpeg, Node, Output, Peer, Scratch, http, node_binary, run, wait};
use serde_json::Value;

fn key_of(output: &Output) -> String {
    assert_eq!(output.code, Some(0), "{}", output.err);
    let json: Value = serde_json::from_str(&output.out).expect("JSON");
    json["stream_key"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_room_lives_through_the_running_node() {
    let node = Node::start();
    let create = ["room", "create", "cli", "--playback", "public", "--json"];
    let old = key_of(&node.command(&create));
    assert!(old.starts_with("room_cli_key_"));
    let again = node.command(&create);
    assert_eq!(again.code, Some(1), "a name is given once");
    assert_eq!(again.err.lines().count(), 1, "{}", again.err);

    let list: Value =
        serde_json::from_str(&node.command(&["room", "list", "--json"]).out).expect("JSON");
    assert_eq!(list.pointer("/rooms/0/id"), Some(&"cli".into()));
    assert_eq!(list.pointer("/rooms/0/playback"), Some(&"public".into()));
    assert!(!list.to_string().contains(&old));

    let new = key_of(&node.command(&["room", "rotate-key", "cli", "--json"]));
    assert_ne!(new, old);
    let (code, _) = Peer::publish(node.rtmp, &old).expect_refusal(10);
    assert_eq!(code, "NetStream.Publish.BadName");
    let mut publisher = Peer::publish(node.rtmp, &new);
    publisher.expect_start();
    publisher.close();

    assert_eq!(node.command(&["room", "delete", "cli"]).code, Some(0));
    Peer::publish(node.rtmp, &new).expect_refusal(10);
    assert_eq!(node.get("/api/v1/live/cli").status, 403);
    assert_eq!(
        node.command(&["room", "delete", "cli"]).code,
        Some(1),
        "there is none any more"
    );
    node.stop();
}

#[test]
fn deleting_a_room_sends_everyone_away() {
    let node = Node::start();
    let room = node.public_room("gone");
    let clip = Clip::AudioVideo.path();
    let ffmpeg = Ffmpeg::debian();
    let log = node.file("publisher.log");
    let mut publisher = ffmpeg.publish_forever(&clip, &node.publish_url(&room), &log);
    node.wait_for_status("/hls/gone/index.m3u8", 200, 15);
    let url = node.http_url("/flv/room_gone.flv");
    let mut flv = ffmpeg.record(&[], &url, &node.file("viewer.flv"));
    let mut rtmp = Peer::play(node.rtmp, "room_gone");
    assert!(rtmp.has_media(10));
    wait::until("a viewer over FLV", 10, || {
        (node.metric("isocast_viewers{protocol=\"http-flv\"") >= 1.0).then_some(())
    });

    assert_eq!(
        node.operator("DELETE", "/api/v1/rooms/gone", b"").status,
        204
    );
    publisher.wait(5);
    flv.wait(5);
    rtmp.expect_close(5);
    assert_eq!(
        node.get("/hls/gone/index.m3u8").status,
        403,
        "as if it had never been"
    );
    node.stop();
}

#[test]
fn rooms_are_made_without_a_node_and_kept_for_it() {
    let scratch = Scratch::new("rooms");
    let data = scratch.file("data");
    let room = |arguments: &[&str]| {
        let mut command = std::process::Command::new(node_binary());
        command
            .current_dir(scratch.path())
            .arg("room")
            .args(arguments);
        run(command.arg("--data-dir").arg(&data))
    };
    let key = key_of(&room(&["create", "early", "--json"]));
    assert!(key.starts_with("room_early_key_"));
    assert!(room(&["list"]).out.contains("early\tsigned\trefuse\tkey 1"));
    assert_ne!(key_of(&room(&["rotate-key", "early", "--json"])), key);
    assert!(room(&["list"]).out.contains("key 2"));

    // Where output may end up in a log, the key goes into a file of the owner's.
    let quiet = room(&["create", "quiet"]);
    assert!(!quiet.out.contains("_key_"), "{}", quiet.out);
    let file = data.join("keys/quiet");
    assert!(
        std::fs::read_to_string(&file)
            .expect("the key")
            .starts_with("room_quiet_key_")
    );
    assert_eq!(room(&["delete", "quiet"]).code, Some(0));
    assert!(!file.exists(), "a key that opens nothing is not kept");
}

#[test]
fn the_api_needs_its_token() {
    let node = Node::start();
    let _ = node.public_room("mine");
    for (method, path) in [
        ("GET", "/api/v1/rooms"),
        ("POST", "/api/v1/rooms"),
        ("GET", "/api/v1/rooms/mine"),
        ("DELETE", "/api/v1/rooms/mine"),
        ("POST", "/api/v1/rooms/mine/rotate-key"),
    ] {
        let almost = format!("Bearer {}x", node.token);
        for value in [
            None,
            Some("Bearer "),
            Some("Bearer x"),
            Some("Basic eDp5"),
            Some(&*almost),
        ] {
            let headers: Vec<_> = value
                .iter()
                .map(|value| ("Authorization", *value))
                .collect();
            let answer = http::request(node.http, method, path, &headers, b"");
            assert_eq!(answer.status, 401, "{method} {path} with {value:?}");
            assert_eq!(answer.error_code(), "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(
        node.operator("GET", "/api/v1/rooms/mine", b"").status,
        200,
        "the room is still there"
    );
    for (body, status) in [
        (r#"{"id":"mine"}"#, 409),
        (r#"{"id":"room_x"}"#, 400),
        (r#"{"id":"a/b"}"#, 400),
        (r#"{"playback":"everyone"}"#, 400),
        ("{", 400),
        ("", 400),
    ] {
        let answer = node.operator("POST", "/api/v1/rooms", body.as_bytes());
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    node.stop();
}
