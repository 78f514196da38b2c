//! Signed play with real players: what an address opens, for how long, and nothing else.

use isocast_access::{Keyring, Pass};
use isocast_admin::RoomId;
use isocast_harness::{Clip, Ffmpeg, Node, Peer, Process, Room, http, playlist, wait};

/// A node with two live rooms that are watched by signed addresses only.
struct Stage {
    node: Node,
    sealed: Room,
    other: Room,
    _publishers: [Process; 2],
}

impl Stage {
    fn start() -> Self {
        let node = Node::start();
        let sealed = node.room("sealed", "signed", "refuse");
        let other = node.room("other", "signed", "refuse");
        let publish = |room: &Room| {
            let log = node.file(&format!("{}.log", room.id));
            let url = node.publish_url(room);
            Ffmpeg::debian().publish_forever(&Clip::AudioVideo.path(), &url, &log)
        };
        let publishers = [publish(&sealed), publish(&other)];
        let stage = Self {
            node,
            sealed,
            other,
            _publishers: publishers,
        };
        for room in [&stage.sealed, &stage.other] {
            let hls = path_of(&stage.urls(room)["hls_url"]);
            stage.node.wait_for_status(&hls, 200, 15);
        }
        stage
    }

    /// What the API gives out.
    fn urls(&self, room: &Room) -> serde_json::Value {
        let path = format!("/api/v1/rooms/{}/live/play-url?expires_in_s=600", room.id);
        let answer = self.node.operator("GET", &path, b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer.json()
    }

    /// Signed as the node would, to end this many seconds from now.
    fn pass(&self, room: &Room, in_s: i64) -> Pass {
        let secret = std::fs::read_to_string(self.node.data_dir().join("play-secret"));
        let keys = Keyring::parse(&secret.expect("the first start makes it")).expect("a keyring");
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let id = RoomId::parse(&room.id).expect("an id");
        Pass::sign(&keys, &id, now.saturating_add_signed(in_s))
    }
}

fn path_of(url: &serde_json::Value) -> String {
    let url = url.as_str().expect("an address");
    let after_scheme = url.split_once("://").expect("a scheme").1;
    let (_, path) = after_scheme.split_once('/').expect("a path");
    format!("/{path}")
}

/// Plays two seconds of it.
fn plays(ffmpeg: &Ffmpeg, url: &str) -> bool {
    let output = ffmpeg.run(["-i", url, "-t", "2", "-c", "copy", "-f", "null", "-"]);
    output.code == Some(0)
}

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[test]
fn an_address_plays_over_every_protocol() {
    let stage = Stage::start();
    let urls = stage.urls(&stage.sealed);
    let (debian, newest) = (Ffmpeg::debian(), Ffmpeg::newest());
    for (ffmpeg, name) in [
        (&debian, "hls_url"),
        (&newest, "hls_url"),
        (&debian, "flv_url"),
        (&debian, "rtmp_url"),
        (&newest, "rtmp_url"),
    ] {
        let url = urls[name].as_str().expect("an address");
        assert!(plays(ffmpeg, url), "{} {url}", ffmpeg.name());
    }
    let ws = path_of(&urls["ws_flv_url"]);
    let socket = http::open(stage.node.http, "GET", &ws, &UPGRADE, b"");
    let mut socket = socket.expect("an answer");
    assert_eq!(socket.head().status, 101);
    assert!(socket.read_at_least(64 << 10, 10).len() >= 64 << 10);

    let page = stage.node.get(&path_of(&urls["watch_url"]));
    assert!(
        [200, 404].contains(&page.status),
        "built with a page or not"
    );
    let prefix = path_of(&urls["watch_url"]).replace("/watch/sealed", "");
    let live = stage.node.get(&format!("{prefix}/api/v1/live/sealed"));
    assert_eq!(live.status, 200, "{}", live.text());
    let hls = format!("{prefix}/hls/room_sealed/index.m3u8");
    assert_eq!(live.json()["urls"]["hls"], hls);
}

#[test]
fn segments_stand_below_the_address_of_their_playlist() {
    let stage = Stage::start();
    let hls = path_of(&stage.urls(&stage.sealed)["hls_url"]);
    let folder = hls.trim_end_matches("index.m3u8");
    let answer = stage.node.get(&hls);
    let segments = playlist::parse(&answer.text()).segments;
    let uri = &segments.last().expect("a segment").uri;
    assert!(!uri.contains("://") && !uri.starts_with('/'), "{uri}");
    let segment = stage.node.get(&format!("{folder}{uri}"));
    assert_eq!(segment.status, 200, "{}", segment.text());
    let caching = segment.header("cache-control").unwrap_or_default();
    let fresh_s = caching
        .strip_prefix("public, max-age=")
        .and_then(|rest| rest.strip_suffix(", immutable"))
        .and_then(|seconds| seconds.parse::<u64>().ok())
        .expect(caching);
    assert!((500..=600).contains(&fresh_s), "no longer than the address");
    let bare = format!("/hls/room_sealed/{uri}");
    assert_eq!(stage.node.get(&bare).error_code(), "playback_denied");
}

#[test]
fn without_a_good_address_nothing_plays() {
    let stage = Stage::start();
    let node = &stage.node;
    let expired = stage.pass(&stage.sealed, -1);
    let elsewhere = stage.pass(&stage.other, 600);
    for (prefix, query, code) in [
        (String::new(), String::new(), "playback_denied"),
        (format!("/v/{expired}"), expired.query(), "link_expired"),
        (
            format!("/v/{elsewhere}"),
            elsewhere.query(),
            "playback_denied",
        ),
    ] {
        for path in [
            "/hls/room_sealed/index.m3u8",
            "/flv/room_sealed.flv",
            "/ws/room_sealed.flv",
        ] {
            let path = format!("{prefix}{path}");
            let answer = http::request(node.http, "GET", &path, &UPGRADE, b"");
            assert_eq!((answer.status, answer.error_code().as_str()), (403, code));
        }
        let mut player = Peer::play(node.rtmp, &format!("room_sealed?{query}"));
        let (status, text) = player.expect_refusal(10);
        assert_eq!(status, "NetStream.Play.Failed");
        assert_eq!(text.contains("expired"), code == "link_expired", "{text}");
        player.expect_close(10);
    }
    let good = stage.pass(&stage.sealed, 600).query();
    let mut player = Peer::play(node.rtmp, &format!("room_sealed?{good}"));
    assert!(player.has_media(10));
}

/// A session goes on when its address expires: only the way in is closed.
#[test]
fn who_is_in_stays_in() {
    let stage = Stage::start();
    let short = stage.pass(&stage.sealed, 3);
    let flv = format!("/v/{short}/flv/room_sealed.flv");
    let viewing = http::open(stage.node.http, "GET", &flv, &[], b"");
    let mut viewing = viewing.expect("an answer");
    assert_eq!(viewing.head().status, 200);
    wait::until("an expired address", 10, || {
        let again = stage.node.get(&format!("/v/{short}/api/v1/live/sealed"));
        (again.error_code() == "link_expired").then_some(())
    });
    assert!(viewing.read_at_least(256 << 10, 20).len() >= 256 << 10);
}

/// The way to take addresses back before they expire.
#[test]
fn a_new_secret_ends_what_the_old_one_signed() {
    let stage = Stage::start();
    let old = format!("/v/{}/api/v1/live/sealed", stage.pass(&stage.sealed, 600));
    assert_eq!(stage.node.get(&old).status, 200);
    let file = stage.node.data_dir().join("play-secret");
    let line = std::fs::read_to_string(&file).expect("readable");
    let new = format!("k2 {}\n", "n".repeat(43));
    std::fs::write(&file, format!("{new}{line}")).expect("writable");
    wait::until("addresses signed by the new secret", 10, || {
        let path = format!("/v/{}/api/v1/live/sealed", stage.pass(&stage.sealed, 600));
        (stage.node.get(&path).status == 200).then_some(())
    });
    assert_eq!(stage.node.get(&old).status, 200, "the old one verifies");
    std::fs::write(&file, new).expect("writable");
    stage.node.wait_for_status(&old, 403, 10);
    assert_eq!(stage.node.get(&old).error_code(), "playback_denied");
}
