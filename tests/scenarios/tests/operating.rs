//! Looking after a live room: what is told of it, and sending its publisher away.

use std::process::Command;

use isocast_harness::{
    Clip, Ffmpeg, Node, NodeOptions, Output, Peer, clip, http, node_binary, run, wait,
};

/// A room command on the running node.
fn room(node: &Node, arguments: &[&str]) -> Output {
    let mut command = Command::new(node_binary());
    command.arg("room").args(arguments);
    run(command.arg("--data-dir").arg(node.data_dir()))
}

#[test]
fn what_comes_in_and_goes_out_is_told_as_it_is() {
    let node = Node::start();
    let made = node.public_room("measured");
    let (clip, log) = (Clip::AudioVideo.path(), node.file("publisher.log"));
    let _publisher = Ffmpeg::debian().publish_forever(&clip, &node.publish_url(&made), &log);
    node.wait_for_status("/hls/measured/index.m3u8", 200, 15);
    let mut player = Peer::play(node.rtmp, "room_measured");
    assert!(player.has_media(10));

    // The clip has 29.97 frames and a key frame a second.
    let path = "/api/v1/rooms/measured/stats";
    let stats = wait::until("rates as the clip has them", 20, || {
        let stats = node.operator("GET", path, b"").json();
        let frames_per_s = stats["video"]["frames_per_s"].as_f64()?;
        let is_right = (28.0..32.0).contains(&frames_per_s) && stats["video"]["gop_ms"] == 1001;
        is_right.then_some(stats)
    });
    assert_eq!(stats["state"], "live");
    assert_eq!(stats["publisher"]["address"], "127.0.0.1");
    let encoder = stats["publisher"]["encoder"].as_str().unwrap_or_default();
    assert!(encoder.starts_with("Lavf"), "{stats}");
    assert_eq!(stats["viewers"]["rtmp"], 1);
    let count = |name: &str, of: &str| stats[name][of].as_u64().unwrap_or_default();
    assert!(count("bytes_out", "rtmp") > 1000 && count("bytes_out", "hls") > 100);
    assert!(stats["bitrate_kbps"].as_u64() > Some(50), "{stats}");
    assert_eq!(
        (count("frames", "resent"), stats["timestamp_jumps"].as_u64()),
        (0, Some(0))
    );
    assert!(node.metric("isocast_room_bytes_in_total{room=\"measured\"") > 10_000.0);
    assert!(node.metric("isocast_media_bytes_total{protocol=\"rtmp\",direction=\"out\"") > 1000.0);

    let table = room(&node, &["stats", "measured"]).out;
    assert!(table.contains("a key frame every 1001 ms"), "{table}");
    node.stop();
}

#[test]
fn a_publisher_is_sent_away_with_the_reason_and_its_key_is_refused_for_a_while() {
    let node = Node::start();
    let made = node.public_room("kicked");
    let mut publisher = Peer::publish(node.rtmp, &made.key);
    publisher.expect_start();
    let done = room(&node, &["kick", "kicked", "--ban-s", "3600"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    let (_, reason) = publisher.expect_refusal(10);
    assert_eq!(reason, "an operator has ended this broadcast");
    publisher.expect_close(10);

    let (_, reason) = Peer::publish(node.rtmp, &made.key).expect_refusal(10);
    assert!(reason.contains("this key is taken again in 3"), "{reason}");
    // Another key of the room is not banned.
    let rotated = node
        .operator("POST", "/api/v1/rooms/kicked/rotate-key", b"")
        .json();
    let key = rotated["stream_key"].as_str().expect("a key");
    Peer::publish(node.rtmp, key).expect_start();
    wait::until("nobody publishes", 10, || {
        let done = room(&node, &["kick", "kicked"]);
        (done.code == Some(1)).then(|| assert!(done.err.contains("not live"), "{}", done.err))
    });
    node.stop();
}

#[test]
fn a_publisher_whose_connection_is_lost_is_kept_from_coming_back() {
    let node = Node::start();
    let made = node.public_room("gone");
    let mut publisher = Peer::publish(node.rtmp, &made.key);
    publisher.expect_start();
    drop(publisher);
    let path = "/api/v1/rooms/gone/stats";
    wait::until("the hold", 10, || {
        let stats = node.operator("GET", path, b"").json();
        (stats["state"] == "interrupted").then_some(())
    });
    let done = room(&node, &["kick", "gone", "--ban-s", "3600"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    let (_, reason) = Peer::publish(node.rtmp, &made.key).expect_refusal(10);
    assert!(reason.contains("this key is taken again in 3"), "{reason}");
    node.stop();
}

#[test]
fn who_is_sent_away_with_a_minted_key_does_not_come_back_with_the_next() {
    let node = Node::start();
    let made = node.public_room("minted");
    let mint = || {
        let path = "/api/v1/rooms/minted/live/publish-url";
        let answer = node.operator("GET", path, b"").json();
        answer["stream_key"].as_str().expect("a key").to_owned()
    };
    let mut publisher = Peer::publish(node.rtmp, &mint());
    publisher.expect_start();
    let done = room(&node, &["kick", "minted", "--ban-s", "3600"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    publisher.expect_refusal(10);
    let (_, reason) = Peer::publish(node.rtmp, &mint()).expect_refusal(10);
    assert!(reason.contains("this key is taken again in 3"), "{reason}");
    Peer::publish(node.rtmp, &made.key).expect_start();
    node.stop();
}

#[test]
fn a_live_room_has_a_picture_for_those_who_may_watch_it() {
    let node = Node::start();
    let open = node.public_room("open");
    let shut = node.room("shut", "private", "refuse");
    let silent = node.public_room("silent");
    let mut publishers = Vec::new();
    for (room, clip) in [
        (&open, Clip::AudioVideo),
        (&shut, Clip::VideoOnly),
        (&silent, Clip::AudioOnly),
    ] {
        let log = node.file(&format!("{}.log", room.id));
        publishers.push(Ffmpeg::debian().publish_forever(
            &clip.path(),
            &node.publish_url(room),
            &log,
        ));
    }
    node.wait_for_status("/hls/open/index.m3u8", 200, 15);
    let picture = node.get("/thumbnail/room_open.jpg");
    assert_eq!(
        (picture.status, picture.header("content-type")),
        (200, Some("image/jpeg"))
    );
    assert!(picture.body.starts_with(&[0xFF, 0xD8]) && picture.body.len() > 1000);
    assert_eq!(
        node.get("/api/v1/live/open").json()["thumbnail"],
        "/thumbnail/room_open.jpg"
    );

    node.wait_for_live(&silent);
    for (path, status, code) in [
        ("/thumbnail/room_shut.jpg", 403, "playback_denied"),
        ("/thumbnail/room_none.jpg", 403, "playback_denied"),
        ("/thumbnail/room_silent.jpg", 404, "no_thumbnail"),
        ("/thumbnail/open.jpg", 404, "not_found"),
        ("/thumbnail/room_open.png", 404, "not_found"),
    ] {
        let answer = node.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.json()["error"]["code"], code, "{path}");
    }
    assert!(node.get("/api/v1/live/silent").json()["thumbnail"].is_null());
    node.stop();
}

#[test]
fn every_video_codec_has_a_picture_by_debians_ffmpeg() {
    const CODECS: [(&str, &[&str]); 4] = [
        ("h264", &["libx264", "-preset", "ultrafast"]),
        (
            "hevc",
            &[
                "libx265",
                "-preset",
                "ultrafast",
                "-x265-params",
                "log-level=none",
            ],
        ),
        ("av1", &["libsvtav1", "-preset", "12"]),
        (
            "vp9",
            &["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"],
        ),
    ];
    let node = NodeOptions::default()
        .set("thumbnail.ffmpeg", "/usr/bin/ffmpeg")
        .start();
    for (name, encoder) in CODECS {
        let made = node.public_room(name);
        let (file, log) = (
            node.file(&format!("{name}.flv")),
            node.file(&format!("{name}.log")),
        );
        clip::encode(&file, 3, encoder, &["aac"]);
        let _publisher = Ffmpeg::newest().publish_forever(&file, &node.publish_url(&made), &log);
        // Asked for before its first key frame, it has no picture for ten seconds.
        wait::until("it has had key frames", 20, || {
            let path = format!("/api/v1/rooms/{name}/stats");
            let stats = node.operator("GET", &path, b"").json();
            stats["video"]["gop_ms"].is_u64().then_some(())
        });
        let picture = node.get(&format!("/thumbnail/room_{name}.jpg"));
        assert_eq!(picture.status, 200, "{name}: {}", picture.text());
        assert!(picture.body.len() > 1000, "{name}");
    }
    node.stop();
}

#[test]
fn who_asks_too_often_waits_and_a_right_token_is_let_in_all_the_same() {
    let node = NodeOptions::default()
        .set("rate.auth_failures_per_min_max", 3)
        .set("rate.api_write_per_min_max", 60)
        .start();
    let guess = |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str())];
        http::request(node.http, "GET", "/api/v1/rooms", &headers, b"")
    };
    let statuses: Vec<_> = (0..5).map(|_| guess("a-guess").status).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    assert_eq!(guess(&node.token).status, 200);
    assert!(node.metric("isocast_refusals_total{surface=\"http\",reason=\"auth_failures\"") >= 2.0);

    // A minute's worth at once, and then one a second.
    let write = || node.operator("DELETE", "/api/v1/rooms/nobody", b"");
    let refused = wait::until("a write that is refused", 30, || {
        let answer = write();
        (answer.status == 429).then_some(answer)
    });
    assert_eq!(refused.error_code(), "too_many");
    assert_eq!(refused.header("retry-after"), Some("1"));
    wait::until("a write that is taken again", 5, || {
        (write().status == 404).then_some(())
    });
    let made = node.command(&["room", "create", "mine"]);
    assert_eq!(made.code, Some(0), "the internal port: {}", made.err);
    assert_eq!(
        node.get("/watch/mine").status,
        200,
        "viewers notice nothing"
    );
    node.stop();
}
