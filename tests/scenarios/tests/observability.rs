//! What operators see: metrics that move, logs without secrets.

use isocast_harness::{Clip, Ffmpeg, NodeOptions, Peer, http, wait};

#[test]
fn metrics_have_their_names_and_move() {
    let node = NodeOptions::default().start();
    let room = node.public_room("seen");
    let clip = Clip::AudioVideo.path();
    let log = node.file("publisher.log");
    let _publisher = Ffmpeg::debian().publish_forever(&clip, &node.publish_url(&room), &log);
    node.wait_for_status("/hls/seen/index.m3u8", 200, 15);
    let mut player = Peer::play(node.rtmp, "room_seen");
    assert!(player.has_media(10));
    Peer::publish(node.rtmp, "room_seen_key_wrong").expect_refusal(10);

    for (series, least) in [
        ("isocast_connections_total{protocol=\"rtmp\"", 3.0),
        ("isocast_connections_total{protocol=\"http\"", 1.0),
        ("isocast_connections{protocol=\"rtmp\"", 2.0),
        ("isocast_streams_active", 1.0),
        ("isocast_viewers{protocol=\"rtmp\"", 1.0),
        ("isocast_packet_processing_duration_seconds_count", 50.0),
        ("isocast_packet_processing_duration_seconds_bucket", 50.0),
        ("isocast_bandwidth_bytes_total{direction=\"in\"", 50_000.0),
        ("isocast_bandwidth_bytes_total{direction=\"out\"", 50_000.0),
        ("isocast_http_requests_total", 2.0),
        ("isocast_http_requests_total{status=\"200\"", 1.0),
        ("isocast_http_request_duration_seconds_count", 2.0),
        ("isocast_refusals_total{surface=\"rtmp\"", 1.0),
    ] {
        wait::until(&format!("{series} at {least}"), 5, || {
            (node.metric(series) >= least).then_some(())
        });
    }
    let answer = http::get(node.internal, "/metrics");
    assert!(answer.text().ends_with("# EOF\n"));
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let ready = http::get(node.internal, "/readyz").json();
    assert_eq!(ready["dependencies"]["rooms"], "ok");
    node.stop();
}

#[test]
fn logs_are_json_and_keep_secrets() {
    let node = NodeOptions::default().set("log.level", "debug").start();
    let room = node.public_room("secret");
    let token = node.token.clone();
    let clip = Clip::AudioVideo.path();
    let log = node.file("publisher.log");
    let mut publisher = Ffmpeg::debian().publish(&clip, &node.publish_url(&room), &log);
    node.wait_for_status("/hls/secret/index.m3u8", 200, 15);
    let mut said = vec![
        node.get("/api/v1/live").text(),
        node.get("/api/v1/live/secret").text(),
        node.operator("GET", "/api/v1/rooms", b"").text(),
        node.operator("GET", "/api/v1/rooms/secret", b"").text(),
        http::get(node.internal, "/metrics").text(),
        http::get(node.internal, "/readyz").text(),
    ];
    let mistyped = format!("{}x", room.key);
    let (code, description) = Peer::publish(node.rtmp, &mistyped).expect_refusal(10);
    said.extend([code, description]);
    // A key where a path or a stream's name should be.
    said.push(node.get(&format!("/flv/{}.flv", room.key)).text());
    let (_, description) = Peer::play(node.rtmp, &room.key).expect_refusal(10);
    said.push(description);
    let rotated = node
        .operator("POST", "/api/v1/rooms/secret/rotate-key", b"")
        .json();
    let rotated = rotated["stream_key"].as_str().expect("a key").to_owned();
    publisher.signal(isocast_harness::Signal::INT);
    publisher.wait(10);
    let log = node.stop();

    assert!(log.contains("publishing began"), "{log}");
    for line in log.lines() {
        let json: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            json["level"].is_string() && json["timestamp"].is_string(),
            "{line}"
        );
    }
    said.push(log);
    let secret = |key: &str| key.rsplit("_key_").next().unwrap_or_default().to_owned();
    for (name, secret) in [
        ("key", secret(&room.key)),
        ("new key", secret(&rotated)),
        ("token", token),
    ] {
        assert!(secret.len() >= 16, "{name}");
        for text in &said {
            assert!(!text.contains(&secret), "the {name} is in {text}");
        }
    }
}
