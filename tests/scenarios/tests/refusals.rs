//! Publishers that are refused, and the one that wins.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use isocast_harness::{Clip, Ffmpeg, Node, NodeOptions, Peer, Process, Room, Signal, wait};
use isocast_media::{Track, rtmp::Media};

const BAD_NAME: &str = "NetStream.Publish.BadName";

#[test]
fn a_wrong_key_and_an_unknown_room_get_the_same_answer() {
    let node = Node::start();
    let room = node.public_room("known");
    let secret = room.key.rsplit("_key_").next().unwrap_or_default();
    let unknown_room = format!("room_unknown_key_{secret}");
    let mut wrong = room.key.clone();
    let last = if wrong.pop() == Some('a') { 'b' } else { 'a' };
    wrong.push(last);

    let mut answers = Vec::new();
    for key in [
        &wrong,
        &unknown_room,
        "room_known",
        "room_known_key_",
        "x",
        "",
        "room_../../etc_key_x",
    ] {
        let mut peer = Peer::publish(node.rtmp, key);
        answers.push((key.to_owned(), peer.expect_refusal(10)));
        peer.expect_close(10);
    }
    let (_, first) = &answers[0];
    assert_eq!(first.0, BAD_NAME);
    assert!(
        first.1.contains(' '),
        "a sentence for people, not {:?}",
        first.1
    );
    for (key, answer) in &answers {
        assert_eq!(answer, first, "{key}");
    }
    node.stop();
}

#[test]
fn what_is_not_rtmp_is_closed_without_an_answer() {
    let node = Node::start();
    let mut hello = vec![
        0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
    ];
    hello.resize(517, 0x5a);
    let cases: [(&str, &[u8]); 6] = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("TLS", &hello),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("version 0", &[0; 64]),
        ("version 6", &[6; 64]),
        ("version 255", &[255; 64]),
    ];
    for (name, bytes) in cases {
        let began = Instant::now();
        let mut socket = TcpStream::connect(node.rtmp).expect("the node listens");
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("an option");
        socket.write_all(bytes).expect("the first bytes are taken");
        let mut answer = Vec::new();
        match socket.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{name}: {error}"),
        }
        assert_eq!(answer, b"", "{name}");
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{name}: at once, not by a deadline"
        );
    }
    node.stop();
}

/// VP9 says in key frames alone how large it is, whether a configuration comes before them or not.
#[test]
fn pictures_too_large_for_the_room_are_refused_on_every_track() {
    const KEY_FRAME_640_BY_360: &[u8] = b"\x82\x49\x83\x42\x00\x27\xf0\x16\x76\x06\x38\x24";
    let options = NodeOptions::default().set("limits.room_width_max", 320);
    let node = options.start();
    for (name, tag) in [
        ("the default track", &b"\x91vp09"[..]),
        ("another one", b"\x96\x01vp09\x01"),
    ] {
        let room = node.public_room(&name.replace(' ', "-"));
        let mut peer = Peer::publish(node.rtmp, &room.key);
        peer.expect_start();
        let body = [tag, KEY_FRAME_640_BY_360].concat().into();
        assert!(peer.send(&Media {
            track: Track::Video,
            timestamp: 0,
            body,
        }));
        let (code, description) = peer.expect_refusal(10);
        assert_eq!(code, "NetStream.Publish.Rejected", "{name}");
        assert!(description.contains("at most 320x320"), "{description}");
    }
    let refused = "isocast_refusals_total{surface=\"rtmp\",reason=\"picture_too_large\"}";
    assert_eq!(node.metric(refused), 2.0);
    node.stop();
}

/// A live room with ffmpeg as its publisher.
fn live(node: &Node, id: &str, on_conflict: &str) -> (Room, Process) {
    let room = node.room(id, "public", on_conflict);
    let log = node.file(&format!("{id}.log"));
    let clip = Clip::AudioVideo.path();
    let publisher = Ffmpeg::debian().publish_forever(&clip, &node.publish_url(&room), &log);
    node.wait_for_live(&room);
    (room, publisher)
}

#[test]
fn a_newcomer_is_refused_while_the_room_is_live() {
    let node = Node::start();
    let (room, mut first) = live(&node, "refuse", "refuse");
    let mut second = Peer::publish(node.rtmp, &room.key);
    let (code, description) = second.expect_refusal(10);
    assert_eq!(code, BAD_NAME);
    assert!(description.contains("already live"), "{description}");
    second.expect_close(10);
    assert!(first.is_running(), "the first goes on");
    node.wait_for_live(&room);
    node.stop();
}

#[test]
fn a_newcomer_takes_over_where_the_room_says_so() {
    let node = Node::start();
    let (room, mut first) = live(&node, "takeover", "takeover");
    let mut second = Peer::publish(node.rtmp, &room.key);
    second.expect_start();
    first.wait(10);
    node.stop();
}

#[test]
fn a_newcomer_wins_over_a_publisher_that_has_fallen_silent() {
    let node = Node::start();
    let (room, mut first) = live(&node, "silent", "refuse");
    first.signal(Signal::STOP);
    // What the stopped one has already sent would still count as a frame.
    let (mut taken, mut same) = (0.0, 0);
    wait::until("the last of its frames", 10, || {
        let before = std::mem::replace(&mut taken, messages_taken(&node));
        same = if taken == before { same + 1 } else { 0 };
        // Looks come 20 ms apart, its frames did too.
        (same >= 15).then_some(())
    });
    let began = Instant::now();
    let mut second = Peer::publish(node.rtmp, &room.key);
    second.expect_start();
    let waited = began.elapsed();
    assert!(
        waited < Duration::from_secs(3),
        "a second of silence is enough, not {waited:?}"
    );
    first.signal(Signal::CONT);
    first.wait(10);
    node.stop();
}

fn messages_taken(node: &Node) -> f64 {
    node.metric("isocast_packet_processing_duration_seconds_count")
}

#[test]
fn players_of_private_unknown_and_idle_rooms_are_refused() {
    let node = Node::start();
    let _ = node.room("private", "private", "refuse");
    let _ = node.public_room("idle");
    let ask = |name: &str| {
        let mut peer = Peer::play(node.rtmp, name);
        let answer = peer.expect_refusal(10);
        peer.expect_close(10);
        answer
    };
    assert_eq!(ask("room_idle").0, "NetStream.Play.StreamNotFound");
    let private = ask("room_private");
    assert_eq!(private.0, "NetStream.Play.Failed");
    for name in ["room_nobody", "nobody", "", "room_../x"] {
        assert_eq!(ask(name), private, "{name}");
    }
    node.stop();
}
