//! Equal nodes: whoever has the publisher, all of them serve its viewers.

use std::collections::BTreeSet;

use isocast_harness::http::{self, Answer};
use isocast_harness::playlist::{self, Playlist};
use isocast_harness::{Clip, Ffmpeg, Node, NodeOptions, Process, Replicas, Room, wait};

#[test]
fn any_node_serves_hls_that_only_the_owner_cuts() {
    let replicas = Replicas::start(3, &NodeOptions::default().set("hub.hold_s", 4));
    let [owner, edge, other] = &replicas.nodes[..] else {
        unreachable!("three were started");
    };
    let room = replicas.public_room("show");
    let media = "/hls/show/index.m3u8";
    assert_eq!(edge.get(media).error_code(), "not_live");

    let publisher = publish(owner, &room, "first");
    owner.wait_for_status(media, 200, 15);
    // Who asks before, waits; who asks now, is answered.
    for (node, cache) in [(owner, "LOCAL"), (edge, "PROXY HIT"), (other, "PROXY HIT")] {
        let answer = node.get(media);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_from(&answer, "node-0", cache);
        assert_eq!(answer.header("cache-control"), Some("public, max-age=1"));
    }
    let master = edge.get("/hls/show/master.m3u8");
    assert!(master.text().contains("avc1."), "{}", master.text());

    let listed = listed(&edge.get(media));
    for segment in &listed.segments {
        let path = format!("/hls/show/{}", segment.uri);
        let local = owner.get(&path);
        assert_from(&local, "node-0", "LOCAL");
        for node in [edge, other] {
            let fetched = node.get(&path);
            assert_from(&fetched, "node-0", "PROXY");
            assert!(fetched.body == local.body, "{path} is the same everywhere");
            assert_eq!(fetched.header("etag"), local.header("etag"));
            assert_from(&node.get(&path), "node-0", "HIT");
        }
    }
    assert_eq!(
        edge.get("/hls/show/1-00c0ffee/1.ts").error_code(),
        "no_segment"
    );
    strangers_get_nothing(owner, &format!("show/{}", listed.segments[0].uri));
    plays(other, media);

    // Another encoder comes to another node.
    drop(publisher);
    let _publisher = publish(other, &room, "second");
    wait::until("all nodes with the new owner's", 20, || {
        let answers: Vec<Answer> = replicas.nodes.iter().map(|node| node.get(media)).collect();
        for answer in &answers {
            assert_eq!(
                answer.status, 200,
                "between two owners the last one goes on"
            );
        }
        let is_new = |answer: &Answer| answer.header("x-publisher-node") == Some("node-2");
        answers.iter().all(is_new).then_some(())
    });
    for node in [owner, edge] {
        let answer = node.get(media);
        assert_from(&answer, "node-2", "PROXY HIT");
        let old = node.get(&format!("/hls/show/{}", listed.segments[0].uri));
        assert_eq!(
            old.status, 200,
            "an old playlist's segments are still there"
        );
    }
    plays(edge, media);
}

#[test]
fn a_crowd_at_one_node_is_one_viewer_to_the_owner() {
    let replicas = Replicas::start(2, &NodeOptions::default());
    let [owner, edge] = &replicas.nodes[..] else {
        unreachable!("two were started");
    };
    let room = replicas.public_room("crowd");
    let media = "/hls/crowd/index.m3u8";
    let _publisher = publish(owner, &room, "publisher");
    owner.wait_for_live(&room);
    let segments: BTreeSet<String> = std::thread::scope(|scope| {
        let watch = || {
            let mut seen = BTreeSet::new();
            wait::until("four segments", 20, || {
                let listed = listed(&edge.get(media));
                for segment in listed.segments {
                    let answer = edge.get(&format!("/hls/crowd/{}", segment.uri));
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    seen.insert(segment.uri);
                }
                (seen.len() >= 4).then_some(())
            });
            seen
        };
        let viewers: Vec<_> = (0..20).map(|_| scope.spawn(watch)).collect();
        let seen = viewers.into_iter().map(|it| it.join().expect("it watched"));
        seen.flatten().collect()
    });
    let fetched = "isocast_http_requests_total{route=\"/peer/hls/{room}/{claim}/{segment}\"";
    assert_eq!(owner.metric(fetched) as usize, segments.len());
    let hits = edge.metric("isocast_fetch_answers_total{result=\"hit\"");
    let all = edge.metric("isocast_fetch_answers_total");
    assert!(hits / all > 0.9, "{hits} of {all}");
    assert!(edge.metric("isocast_viewers{protocol=\"hls\"") > 0.0);
    assert!(owner.metric("isocast_viewers{protocol=\"hls\"") < 1.0);
}

fn publish(node: &Node, room: &Room, name: &str) -> Process {
    let log = node.file(&format!("{name}.log"));
    let url = node.publish_url(room);
    Ffmpeg::debian().publish_forever(&Clip::AudioVideo.path(), &url, &log)
}

fn assert_from(answer: &Answer, publisher: &str, cache: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-publisher-node"), Some(publisher));
    let came = answer.header("x-cache").unwrap_or_default();
    assert!(cache.split(' ').any(|it| it == came), "{came}, not {cache}");
}

fn listed(answer: &Answer) -> Playlist {
    playlist::parse(&answer.text())
}

/// Only nodes are served on the internal port.
fn strangers_get_nothing(node: &Node, path: &str) {
    for headers in [
        &[][..],
        &[("Authorization", "Bearer not-the-token-of-the-nodes")],
    ] {
        let path = format!("/peer/hls/room_{path}");
        let answer = http::request(node.internal, "GET", &path, headers, b"");
        assert_eq!(answer.error_code(), "unauthorized");
    }
    assert_eq!(node.get(&format!("/peer/hls/room_{path}")).status, 404);
}

/// A player that we did not write takes what a node serves.
fn plays(node: &Node, path: &str) {
    let url = node.http_url(path);
    let arguments = ["-t", "3", "-i", &url, "-f", "null", "-"];
    let played = Ffmpeg::debian().run(arguments);
    assert_eq!((played.code, played.err.as_str()), (Some(0), ""));
}
