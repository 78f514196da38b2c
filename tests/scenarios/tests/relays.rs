//! Equal nodes that share a registry: whoever has the publisher, all of them send it live.

use isocast_harness::http::{self, Stream};
use isocast_harness::{
    Clip, Ffmpeg, Node, NodeOptions, Peer, Process, Redis, Replicas, Room, flv, wait,
};

const LIVE: &str = "/flv/room_show.flv";
/// More than a second of the clip.
const SOME_BYTES: usize = 200_000;

#[test]
fn every_node_sends_what_one_of_them_takes() {
    let redis = Redis::start();
    let options = NodeOptions::default()
        .set("redis.endpoints", redis.address)
        .set("node.address", "127.0.0.1")
        .set("relay.idle_s", 2)
        .set("hub.hold_s", 4);
    let replicas = Replicas::start(3, &options);
    let [owner, edge, other] = &replicas.nodes[..] else {
        unreachable!("three were started");
    };
    let room = replicas.public_room("show");
    assert_eq!(edge.get(LIVE).error_code(), "not_live");

    let publisher = publish(owner, &room, "first");
    owner.wait_for_live(&room);
    let mut viewer = watch(edge);
    assert_eq!(viewer.head().header("x-publisher-node"), Some("node-0"));
    assert_eq!(viewer.head().header("x-pull-mode"), Some("lazy-load"));
    let local = watch(owner);
    assert_eq!(local.head().header("x-pull-mode"), None);
    let seen = in_order(&viewer.read_at_least(SOME_BYTES, 20));

    // Who comes after the first shares its pull.
    let mut crowd: Vec<Stream> = (0..5).map(|_| watch(edge)).collect();
    for one in &mut crowd {
        in_order(&one.read_at_least(SOME_BYTES, 20));
    }
    let mut by_rtmp = Peer::play(edge.rtmp, "room_show");
    by_rtmp.expect_start();
    assert!(by_rtmp.has_media(10));
    plays(edge);
    assert_eq!(edge.metric("isocast_relays_active"), 1.0);
    assert_eq!(
        edge.metric("isocast_relay_pulls_total"),
        0.0,
        "none is over"
    );
    assert_eq!(other.metric("isocast_relays_active"), 0.0, "nobody asked");
    drop((crowd, by_rtmp));

    // Another encoder comes to another node: viewers go on, and time does not go back.
    drop(publisher);
    let publisher = publish(other, &room, "second");
    let all = in_order(&viewer.read_at_least(seen.bytes + 5 * SOME_BYTES, 30));
    assert!(all.frames > seen.frames);
    assert_eq!(
        watch(edge).head().header("x-publisher-node"),
        Some("node-2")
    );
    assert_eq!(
        watch(owner).head().header("x-publisher-node"),
        Some("node-2")
    );

    // Nobody watches at the first node any more.
    drop(local);
    wait::until("the end of its pull", 20, || {
        (owner.metric("isocast_relays_active") == 0.0).then_some(())
    });
    drop(publisher);
    wait::until("the end of the broadcast", 20, || {
        let answer = other.get("/hls/show/index.m3u8");
        answer.text().contains("#EXT-X-ENDLIST").then_some(())
    });
    viewer.read_to_end().expect("it ends for who watches");
    assert_eq!(edge.get(LIVE).status, 404);
}

struct Seen {
    bytes: usize,
    frames: usize,
}

/// What a viewer got, with its times in order.
fn in_order(body: &[u8]) -> Seen {
    let tags = flv::tags(body);
    let mut last = [0; 2];
    let mut frames = 0;
    for tag in &tags {
        let track = match tag.track {
            isocast_media::frame::Track::Audio => 0,
            isocast_media::frame::Track::Video => 1,
            isocast_media::frame::Track::Data => continue,
        };
        assert!(tag.timestamp >= last[track], "time goes back");
        last[track] = tag.timestamp;
        frames += 1;
    }
    assert!(last.iter().all(|time| *time > 0), "sound and picture");
    let bytes = body.len();
    Seen { bytes, frames }
}

fn watch(node: &Node) -> Stream {
    let stream = http::open(node.http, "GET", LIVE, &[], b"").expect("the node answers");
    assert_eq!(stream.head().status, 200);
    stream
}

fn publish(node: &Node, room: &Room, name: &str) -> Process {
    let log = node.file(&format!("{name}.log"));
    let url = node.publish_url(room);
    Ffmpeg::debian().publish_forever(&Clip::AudioVideo.path(), &url, &log)
}

/// A player that we did not write takes what a node sends.
fn plays(node: &Node) {
    let url = node.http_url(LIVE);
    let arguments = ["-t", "2", "-i", &url, "-f", "null", "-"];
    let played = Ffmpeg::debian().run(arguments);
    assert_eq!((played.code, played.err.as_str()), (Some(0), ""));
}
