//! Signed play: what an address opens, and what is refused without one.

use isocast_access::Pass;
use serde_json::json;

use super::*;

const PREFIXED: [&str; 6] = [
    "/hls/room_sealed/index.m3u8",
    "/hls/sealed/master.m3u8",
    "/hls/room_sealed/1-00c0ffee/1.ts",
    "/flv/room_sealed.flv",
    "/ws/room_sealed.flv",
    "/api/v1/live/sealed",
];

fn now_s() -> u64 {
    (crate::clock::unix_now().0 / 1000) as u64
}

fn pass(room: &str, expires_at_s: u64) -> String {
    let room = RoomId::parse(room).unwrap();
    Pass::sign(&play_keys(), &room, expires_at_s).to_string()
}

#[tokio::test]
async fn a_signed_address_opens_its_room_alone_and_in_time() {
    let node = Node::start().await;
    node.room("sealed", Playback::Signed).await;
    let now = now_s();
    let good = pass("sealed", now + 100);
    let flipped = match good.ends_with('A') {
        true => format!("{}E", &good[..good.len() - 1]),
        false => format!("{}A", &good[..good.len() - 1]),
    };
    let (exp, sig) = good.split_once('.').unwrap();
    let longer = format!("{}.{sig}", exp.parse::<u64>().unwrap() + 1);
    let denied = (403, "playback_denied");
    for (prefix, expected) in [
        (String::new(), denied),
        (format!("/v/{good}"), (404, "not_live")),
        (format!("/v/{}", pass("sealed", now)), (403, "link_expired")),
        (format!("/v/{}", pass("sealed", 1)), (403, "link_expired")),
        (
            format!("/v/{}", pass("sealed", now + 86_400 + 1000)),
            denied,
        ),
        (format!("/v/{}", pass("other", now + 100)), denied),
        (format!("/v/{flipped}"), denied),
        (format!("/v/{longer}"), denied),
        ("/v/x".into(), denied),
        ("/v/%ff".into(), (400, "bad_request")),
        (format!("/v/{good}%00"), denied),
        (format!("/v/{good}."), denied),
    ] {
        for path in PREFIXED {
            let answer = node.ask(&format!("GET {prefix}{path}"), &[], "").await;
            let got = (answer.status, answer.code());
            assert_eq!((got.0, got.1.as_str()), expected, "{prefix}{path}");
        }
    }
}

#[tokio::test]
async fn what_no_address_opens_answers_as_if_it_were_not_there() {
    let node = Node::start().await;
    let in_time = now_s() + 100;
    for room in ["shut", "nobody"] {
        let prefix = format!("/v/{}", pass(room, in_time));
        let expired = format!("/v/{}", pass(room, 1));
        for prefix in ["", &prefix, &expired] {
            let line = format!("GET {prefix}/hls/{room}/index.m3u8");
            assert_eq!(node.ask(&line, &[], "").await.code(), "playback_denied");
        }
    }
    let open = format!("GET /v/{}/hls/open/index.m3u8", pass("open", in_time));
    assert_eq!(node.ask(&open, &[], "").await.code(), "not_live");
    let elsewhere = format!("GET /v/{}/api/v1/rooms", pass("open", in_time));
    assert_eq!(node.ask(&elsewhere, &[], "").await.code(), "not_found");
}

#[tokio::test]
async fn a_stream_has_hls_from_its_first_moment() {
    let node = Node::start().await;
    // Nothing but the hub knows of it yet.
    let (publisher, _stream) = super::publish(&node);
    let opus = isocast_media::Frame {
        codec: isocast_media::Codec::Opus,
        track_id: 0,
        kind: isocast_media::Kind::Config,
        dts: isocast_media::MediaMs(0),
        pts_offset_ms: 0,
        data: bytes::Bytes::from_static(b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0"),
    };
    publisher.push(opus, std::time::Instant::now()).unwrap();
    let answer = node.ask("GET /hls/open/index.m3u8", &[], "").await;
    assert_eq!(answer.code(), "codec_not_in_hls");
}

#[tokio::test]
async fn addresses_are_given_out_for_those_who_may() {
    let node = Node::start().await;
    node.room("sealed", Playback::Signed).await;
    let ask = async |room: &str, query: &str| {
        let line = format!("GET /api/v1/rooms/{room}/live/play-url{query}");
        node.ask(&line, &[AUTHORIZED], "").await
    };
    let answer = ask("sealed", "?expires_in_s=60").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let urls: wire::PlayUrls = serde_json::from_str(&answer.body).unwrap();
    let ends_ms = urls.expires_at_ms.unwrap();
    assert!((now_s() + 50..=now_s() + 60).contains(&(ends_ms / 1000)));

    let at = node.address;
    let hls = urls.hls_url.unwrap();
    let start = format!("http://{at}/v/");
    let rest = hls.strip_prefix(&start).expect("not the host it was sent");
    let (pass, path) = rest.split_once('/').unwrap();
    assert_eq!(path, "hls/room_sealed/index.m3u8");
    assert_eq!(
        urls.flv_url,
        Some(format!("{start}{pass}/flv/room_sealed.flv"))
    );
    let ws = format!("ws://{at}/v/{pass}/ws/room_sealed.flv");
    assert_eq!(urls.ws_flv_url, Some(ws));
    assert_eq!(urls.watch_url, format!("{start}{pass}/watch/sealed"));
    let query = Pass::parse(pass).unwrap().query();
    let rtmp = format!("rtmp://127.0.0.1/live/room_sealed?{query}");
    assert_eq!(urls.rtmp_url, Some(rtmp));
    let opened = node.ask(&format!("GET /v/{pass}/{path}"), &[], "").await;
    assert_eq!(opened.code(), "not_live");

    let open: Value = serde_json::from_str(&ask("open", "").await.body).unwrap();
    let plain = json!({
        "hls_url": format!("http://{at}/hls/room_open/index.m3u8"),
        "flv_url": format!("http://{at}/flv/room_open.flv"),
        "ws_flv_url": format!("ws://{at}/ws/room_open.flv"),
        "rtmp_url": "rtmp://127.0.0.1/live/room_open",
        "watch_url": format!("http://{at}/watch/open"),
        "expires_at_ms": null,
    });
    assert_eq!(open, plain);

    for (room, query, expected) in [
        ("shut", "", (403, "playback_denied")),
        ("nobody", "", (404, "no_room")),
        ("sealed", "?expires_in_s=0", (400, "bad_request")),
        ("sealed", "?expires_in_s=86401", (400, "bad_request")),
        ("sealed", "?expires_in_s=-1", (400, "bad_request")),
        ("sealed", "?expires_in_s=1h", (400, "bad_request")),
        ("sealed", "?expires=1", (400, "bad_request")),
    ] {
        let answer = ask(room, query).await;
        let got = (answer.status, answer.code());
        assert_eq!((got.0, got.1.as_str()), expected, "{room}{query}");
    }
    let stranger = "GET /api/v1/rooms/sealed/live/play-url";
    assert_eq!(node.ask(stranger, &[], "").await.status, 401);
}

#[tokio::test]
async fn addresses_start_as_the_configuration_says_and_leave_out_what_is_off() {
    let mut config = Config::default();
    config.public.http_url = "https://live.example".into();
    config.public.rtmp_url = "rtmps://in.live.example:443".into();
    config.hls.enabled = false;
    let node = Node::with(config, Arc::new(Memory::new())).await;
    let line = "GET /api/v1/rooms/open/live/play-url";
    let answer = node.ask(line, &[AUTHORIZED], "").await;
    let urls: wire::PlayUrls = serde_json::from_str(&answer.body).unwrap();
    let expected = wire::PlayUrls {
        hls_url: None,
        flv_url: Some("https://live.example/flv/room_open.flv".into()),
        ws_flv_url: Some("wss://live.example/ws/room_open.flv".into()),
        rtmp_url: Some("rtmps://in.live.example:443/live/room_open".into()),
        watch_url: "https://live.example/watch/open".into(),
        expires_at_ms: None,
    };
    assert_eq!(urls, expected);
}

/// Publishing, as an encoder with this key would.
async fn publish(node: &Node, key: &str) -> Result<crate::ingest::Admitted, &'static str> {
    let admitted = node.publish(key).await;
    admitted.map_err(|refusal| refusal.code())
}

#[tokio::test]
async fn keys_are_minted_for_those_who_may() {
    let node = Node::start().await;
    let own = node.room("show", Playback::Private).await;
    let ask = async |room: &str, query: &str| {
        let line = format!("GET /api/v1/rooms/{room}/live/publish-url{query}");
        node.ask(&line, &[AUTHORIZED], "").await
    };
    let mut keys = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let answer = ask("show", "?expires_in_s=60").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(!answer.body.contains(own.reveal()));
        let url: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(url["rtmp_url"], "rtmp://127.0.0.1/live");
        assert_eq!(url["placed"], false);
        let ends_s = url["expires_at_ms"].as_u64().unwrap() / 1000;
        assert!((now_s() + 50..=now_s() + 60).contains(&ends_s));
        keys.insert(url["stream_key"].as_str().unwrap().to_owned());
    }
    assert_eq!(keys.len(), 3, "each call mints another one");
    for key in &keys {
        assert!(publish(&node, key).await.is_ok());
    }
    for (room, query, expected) in [
        ("nobody", "", (404, "no_room")),
        ("show", "?expires_in_s=0", (400, "bad_request")),
        ("show", "?expires_in_s=86401", (400, "bad_request")),
    ] {
        let answer = ask(room, query).await;
        let got = (answer.status, answer.code());
        assert_eq!((got.0, got.1.as_str()), expected, "{room}{query}");
    }
    let stranger = "GET /api/v1/rooms/show/live/publish-url";
    assert_eq!(node.ask(stranger, &[], "").await.status, 401);
}

#[tokio::test]
async fn keys_are_replaced_with_an_overlap_or_revoked() {
    let node = Node::start().await;
    let first = node.room("show", Playback::Private).await;
    let replace = async |what: &str, body: &str| {
        let line = format!("POST /api/v1/rooms/show/{what}");
        let answer = node.ask(&line, &[JSON, AUTHORIZED], body).await;
        let json: Value = serde_json::from_str(&answer.body).unwrap();
        let key = json["stream_key"].as_str().map(str::to_owned);
        key.ok_or_else(|| (answer.status, answer.code()))
    };
    for body in [
        r#"{"overlap_s":604801}"#,
        r#"{"overlap_s":-1}"#,
        r#"{"overlap":1}"#,
        "{",
    ] {
        let refused = replace("rotate-key", body).await.unwrap_err();
        assert_eq!((refused.0, refused.1.as_str()), (400, "bad_request"));
    }
    let second = replace("rotate-key", r#"{"overlap_s":60}"#).await.unwrap();
    assert!(publish(&node, first.reveal()).await.is_ok());
    assert!(publish(&node, &second).await.is_ok());
    let third = replace("rotate-key", "").await.unwrap();
    for old in [first.reveal(), &second] {
        assert_eq!(publish(&node, old).await.err(), Some("key_refused"));
    }

    let present = publish(&node, &third).await.unwrap();
    let line = "GET /api/v1/rooms/show/live/publish-url";
    let minted: Value =
        serde_json::from_str(&node.ask(line, &[AUTHORIZED], "").await.body).unwrap();
    let minted = minted["stream_key"].as_str().unwrap();
    let fourth = replace("revoke-keys", "").await.unwrap();
    assert!(present.revocation().has_come(), "at once");
    for old in [&third, minted] {
        assert_eq!(publish(&node, old).await.err(), Some("key_refused"));
    }
    assert!(publish(&node, &fourth).await.is_ok());
    let stranger = "POST /api/v1/rooms/show/revoke-keys";
    assert_eq!(node.ask(stranger, &[], "").await.status, 401);
}
