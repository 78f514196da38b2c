//! What rooms take at most, and changes of them.

use super::*;

impl Node {
    async fn change(&self, body: &str) -> Answer {
        self.ask("PATCH /api/v1/rooms/open", &[JSON, AUTHORIZED], body)
            .await
    }

    /// What a viewer with this browser is told.
    async fn watch(&self, path: &str, browser: &str) -> (u16, String) {
        let answer = self
            .ask(&format!("GET {path}"), &[("user-agent", browser)], "")
            .await;
        let code = match answer.status {
            200 => String::new(),
            _ => answer.code(),
        };
        (answer.status, code)
    }
}

#[tokio::test]
async fn a_change_touches_what_it_names() {
    let node = Node::start().await;
    for (body, limits) in [
        (
            r#"{"limits":{"viewers_max":3,"codecs":["h264","aac"]}}"#,
            Some(serde_json::json!({"viewers_max": 3, "codecs": ["h264", "aac"]})),
        ),
        (
            r#"{"on_conflict":"takeover","limits":{"codecs":null}}"#,
            Some(serde_json::json!({"viewers_max": 3})),
        ),
        (r#"{"limits":{"viewers_max":null}}"#, None),
        (r"{}", None),
    ] {
        let changed = node.change(body).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        let got = node.ask("GET /api/v1/rooms/open", &[AUTHORIZED], "").await;
        for body in [&changed.body, &got.body] {
            let room: Value = serde_json::from_str(body).unwrap();
            assert_eq!(room.get("limits").cloned(), limits, "{body}");
            assert_eq!(room["playback"], "public");
        }
    }
    for (body, status) in [
        (r#"{"limits":{"viewers_max":0}}"#, 400),
        (r#"{"limits":{"viewers":1}}"#, 400),
        (r#"{"limits":null}"#, 400),
        (r#"{"id":"other"}"#, 400),
        (r#"{"playback":null}"#, 200),
    ] {
        assert_eq!(node.change(body).await.status, status, "{body}");
    }
    let unknown = "PATCH /api/v1/rooms/nobody";
    let unknown = node.ask(unknown, &[JSON, AUTHORIZED], "{}").await;
    assert_eq!(unknown.code(), "no_room");
    let stranger = node.ask("PATCH /api/v1/rooms/open", &[JSON], "{}").await;
    assert_eq!(stranger.code(), "unauthorized");
}

#[tokio::test]
async fn a_full_room_takes_no_more_viewers_and_keeps_those_it_has() {
    let node = Node::start().await;
    let (publisher, stream) = publish(&node);
    node.app.packager.follow(&stream).unwrap();
    let full = (503, "room_full".to_owned());
    let changed = node.change(r#"{"limits":{"viewers_max":2}}"#).await;
    assert_eq!(changed.status, 200);
    let one = stream.subscribe(crate::hub::Protocol::Rtmp);
    let hls = "/hls/room_open/index.m3u8";
    send_sound_for(&publisher, 9000);
    assert_eq!(node.watch(hls, "first").await.0, 200);
    assert_eq!(node.watch(hls, "second").await, full);
    assert_eq!(node.watch("/flv/room_open.flv", "x").await, full);
    assert_eq!(node.watch(hls, "first").await.0, 200, "it is here already");
    drop(one);
    assert_eq!(node.watch(hls, "second").await.0, 200);

    node.change(r#"{"limits":{"viewers_max":1}}"#).await;
    assert_eq!(node.watch(hls, "first").await.0, 200, "nobody is sent away");
    assert_eq!(node.watch(hls, "third").await, full);
    let listed = node.ask("GET /api/v1/live/open", &[], "").await;
    assert_eq!(listed.status, 200, "a full room may be looked at");
}

#[tokio::test]
async fn a_full_node_counts_viewers_of_every_protocol() {
    let mut config = Config::default();
    config.limits.viewers_max = 2;
    let node = Node::with(config, Arc::new(Memory::new())).await;
    let (publisher, stream) = publish(&node);
    node.app.packager.follow(&stream).unwrap();
    // It cuts what comes from now on.
    tokio::task::yield_now().await;
    send_sound_for(&publisher, 9000);
    let hls = "/hls/room_open/index.m3u8";
    let full = (503, "full".to_owned());
    for browser in ["first", "second"] {
        assert_eq!(node.watch(hls, browser).await, (200, String::new()));
    }
    assert_eq!(node.watch(hls, "third").await, full);
    assert_eq!(node.watch("/flv/room_open.flv", "x").await, full);
    assert_eq!(node.watch(hls, "first").await.0, 200, "it is here already");
}

/// A sound every 100 ms of media time.
fn send_sound_for(publisher: &crate::hub::Publisher, ms: i64) {
    use isocast_media::{Codec, Frame, Kind, MediaMs};
    for dts in (100..ms).step_by(100) {
        let frame = Frame {
            codec: Codec::Aac,
            track_id: 0,
            kind: Kind::Media { key: true },
            dts: MediaMs(dts),
            pts_offset_ms: 0,
            data: bytes::Bytes::from_static(b"\x21\x10\x04"),
        };
        publisher.push(frame, std::time::Instant::now()).unwrap();
    }
}
