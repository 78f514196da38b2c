//! What HTTP answers: status, code and headers, for what is live, not live, private and unknown.

use isocast_harness::{Clip, Ffmpeg, Node, NodeOptions, Process, Room, http, playlist};

/// A node with a live public room `demo`, an idle public room and a private room that is live.
struct Stage {
    node: Node,
    _publishers: [Process; 2],
}

fn stage() -> Stage {
    let node = NodeOptions::default().set("node.id", "node-7").start();
    let ffmpeg = Ffmpeg::debian();
    let publish = |room: &Room| {
        let log = node.file(&format!("{}.log", room.id));
        ffmpeg.publish_forever(&Clip::AudioVideo.path(), &node.publish_url(room), &log)
    };
    let demo = node.public_room("demo");
    let _idle = node.public_room("idle");
    let private = node.room("private", "private", "takeover");
    let publishers = [publish(&demo), publish(&private)];
    node.wait_for_live(&demo);
    node.wait_for_status("/hls/demo/index.m3u8", 200, 15);
    Stage {
        node,
        _publishers: publishers,
    }
}

#[test]
fn paths_have_their_status_and_code() {
    let Stage { node, _publishers } = &stage();
    for (path, status, code) in [
        // Both names of a room, both playlists.
        ("/hls/room_demo/index.m3u8", 200, ""),
        ("/hls/room_demo/master.m3u8", 200, ""),
        ("/hls/demo/index.m3u8", 200, ""),
        ("/hls/demo/master.m3u8", 200, ""),
        ("/api/v1/live", 200, ""),
        ("/api/v1/live/demo", 200, ""),
        ("/", 200, ""),
        ("/watch/demo", 200, ""),
        // Public, but nobody publishes.
        ("/hls/room_idle/index.m3u8", 404, "not_live"),
        ("/hls/idle/master.m3u8", 404, "not_live"),
        ("/flv/room_idle.flv", 404, "not_live"),
        ("/api/v1/live/idle", 404, "not_live"),
        // Private, though live.
        ("/hls/room_private/index.m3u8", 403, "playback_denied"),
        ("/hls/private/master.m3u8", 403, "playback_denied"),
        ("/hls/private/1-00c0ffee/1.ts", 403, "playback_denied"),
        ("/flv/room_private.flv", 403, "playback_denied"),
        ("/api/v1/live/private", 403, "playback_denied"),
        // Unknown: the same answer as private, so that nobody learns which rooms exist.
        ("/hls/room_nobody/index.m3u8", 403, "playback_denied"),
        ("/hls/nobody/master.m3u8", 403, "playback_denied"),
        ("/hls/nobody/1-00c0ffee/1.ts", 403, "playback_denied"),
        ("/flv/room_nobody.flv", 403, "playback_denied"),
        ("/api/v1/live/nobody", 403, "playback_denied"),
        // Segments that are not there.
        ("/hls/demo/1-00c0ffee/1.ts", 404, "no_segment"),
        ("/hls/demo/x/y.ts", 404, ""),
        // No such thing.
        ("/flv/x.flv", 404, "not_found"),
        ("/flv/.flv", 404, "not_found"),
        ("/flv/a/b/c.flv", 404, "not_found"),
        ("/flv/room_demo.mp4", 404, "not_found"),
        ("/nothing", 404, "not_found"),
        ("/metrics", 404, "not_found"),
        ("/readyz", 404, "not_found"),
        // For the operator.
        ("/api/v1/rooms", 401, "unauthorized"),
        ("/api/v1/rooms/demo", 401, "unauthorized"),
    ] {
        let answer = node.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        if !code.is_empty() {
            assert_eq!(answer.error_code(), code, "{path}: {}", answer.text());
            let message = answer.json()["error"]["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            assert!(
                message.contains(' '),
                "{path}: a sentence for people, not {message:?}"
            );
        }
        assert!(
            answer.header("x-request-id").is_some(),
            "{path}: x-request-id"
        );
    }
}

#[test]
fn headers_are_those_that_players_and_caches_need() {
    let Stage { node, _publishers } = &stage();
    let text = node.get("/hls/room_demo/index.m3u8").text();
    let segment = playlist::parse(&text)
        .segments
        .first()
        .expect("a segment")
        .uri
        .clone();
    let segment = format!("/hls/room_demo/{segment}");
    for (path, expected) in [
        (
            "/hls/room_demo/index.m3u8",
            [
                ("content-type", "application/vnd.apple.mpegurl"),
                ("x-cache", "LOCAL"),
                ("x-publisher-node", "node-7"),
                ("access-control-allow-origin", "*"),
            ],
        ),
        (
            "/hls/demo/master.m3u8",
            [
                ("content-type", "application/vnd.apple.mpegurl"),
                ("x-cache", "LOCAL"),
                ("x-publisher-node", "node-7"),
                ("access-control-allow-origin", "*"),
            ],
        ),
        (
            &segment,
            [
                ("content-type", "video/mp2t"),
                ("x-cache", "LOCAL"),
                ("x-publisher-node", "node-7"),
                ("access-control-allow-origin", "*"),
            ],
        ),
    ] {
        let answer = node.get(path);
        assert_eq!(answer.status, 200, "{path}");
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
    }
    let age = |path: &str| {
        let answer = node.get(path);
        let control = answer
            .header("cache-control")
            .unwrap_or_default()
            .to_owned();
        let age = control
            .split("max-age=")
            .nth(1)
            .and_then(|rest| rest.split(',').next());
        age.and_then(|age| age.trim().parse::<u32>().ok())
    };
    let playlist_age = age("/hls/room_demo/index.m3u8");
    assert!(
        playlist_age.is_none_or(|seconds| seconds <= 1),
        "a playlist is {playlist_age:?} s old"
    );
    assert!(
        age(&segment).is_some_and(|seconds| seconds >= 60),
        "a segment never changes"
    );
}

#[test]
fn an_error_can_be_read_by_players_on_other_pages_and_is_not_cached() {
    let node = Node::start();
    let answer = node.get("/hls/nobody/index.m3u8");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn flv_is_served_over_http_and_websocket() {
    let Stage { node, _publishers } = &stage();
    let mut flv = http::open(node.http, "GET", "/flv/room_demo.flv", &[], b"").expect("an answer");
    for (name, value) in [
        ("content-type", "video/x-flv"),
        ("x-publisher-node", "node-7"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(flv.head().header(name), Some(value), "{name}");
    }
    // Signature, version 1, audio and video, 9 bytes of header, no tag before (annex E.2, E.3).
    const HEADER: &[u8] = b"FLV\x01\x05\0\0\0\x09\0\0\0\0";
    let body = flv.read_at_least(64 << 10, 10);
    assert!(
        body.starts_with(HEADER),
        "{:?}",
        &body[..HEADER.len().min(body.len())]
    );

    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let open = |path| http::open(node.http, "GET", path, &upgrade, b"").expect("an answer");
    let mut socket = open("/ws/room_demo.flv");
    assert_eq!(socket.head().status, 101);
    // The accept value of RFC 6455 §1.3 for its sample key.
    let accept = socket.head().header("sec-websocket-accept");
    assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let frames = socket.read_at_least(64 << 10, 10);
    // A final, binary, unmasked frame (RFC 6455 §5.2), short enough for a length of one byte.
    let (head, payload) = frames.split_at(2);
    assert_eq!(head[0], 0x82);
    assert!(
        head[1] < 126 && payload.starts_with(HEADER),
        "{:?}",
        &frames[..20]
    );

    for (path, status) in [
        ("/ws/room_idle.flv", 404),
        ("/ws/room_private.flv", 403),
        ("/ws/room_nobody.flv", 403),
        ("/ws/x.flv", 404),
    ] {
        assert_eq!(open(path).head().status, status, "{path}");
    }
}

#[test]
fn what_is_live_is_described() {
    let Stage { node, _publishers } = &stage();
    let list = node.get("/api/v1/live").json();
    let rooms = list["rooms"].as_array().expect("a list");
    // The private one is live too, and not for everyone.
    let ids: Vec<_> = rooms
        .iter()
        .map(|room| room["id"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(ids, ["demo"]);
    let demo = node.get("/api/v1/live/demo").json();
    for (pointer, expected) in [
        ("/state", serde_json::json!("live")),
        ("/video/width", serde_json::json!(640)),
        ("/video/height", serde_json::json!(360)),
        ("/audio/sample_rate_hz", serde_json::json!(44100)),
        ("/audio/channels", serde_json::json!(2)),
        ("/audio/codec", serde_json::json!("mp4a.40.2")),
        ("/urls/flv", serde_json::json!("/flv/room_demo.flv")),
        ("/urls/ws_flv", serde_json::json!("/ws/room_demo.flv")),
        ("/urls/hls", serde_json::json!("/hls/room_demo/index.m3u8")),
    ] {
        assert_eq!(
            demo.pointer(pointer),
            Some(&expected),
            "{pointer} in {demo}"
        );
    }
    // High profile is 100, 0x64 (RFC 6381 §3.3).
    let codec = demo["video"]["codec"].as_str().unwrap_or_default();
    assert!(codec.starts_with("avc1.64"), "{codec}");
    let rate = demo["video"]["frame_rate"].as_f64().unwrap_or_default();
    assert!((rate - 30_000.0 / 1001.0).abs() < 0.01, "{rate}");
}

#[test]
fn a_request_keeps_the_id_it_came_with() {
    let node = Node::start();
    let ask = |id| {
        let answer = http::request(
            node.http,
            "GET",
            "/api/v1/live",
            &[("x-request-id", id)],
            b"",
        );
        answer.header("x-request-id").unwrap_or_default().to_owned()
    };
    assert_eq!(ask("abc-123"), "abc-123");
    let strange = ask("a b");
    assert!(!strange.is_empty() && strange != "a b", "{strange}");
}
