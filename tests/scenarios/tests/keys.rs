//! Publish keys that are minted, replaced and revoked, with real encoders.

use isocast_harness::{Clip, Ffmpeg, Node, Peer, Room, wait};

fn key_of(answer: &isocast_harness::http::Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let key = answer.json()["stream_key"].as_str().map(str::to_owned);
    key.expect("a stream key")
}

fn minted(node: &Node, room: &Room, expires_in_s: u32) -> String {
    let path = format!(
        "/api/v1/rooms/{}/live/publish-url?expires_in_s={expires_in_s}",
        room.id
    );
    let answer = node.operator("GET", &path, b"");
    assert!(!answer.text().contains(&room.key), "the room's own key");
    let url = answer.json()["rtmp_url"].as_str().map(str::to_owned);
    assert_eq!(url, Some(format!("rtmp://{}/live", node.rtmp)));
    key_of(&answer)
}

/// What an encoder with this key is told; `None` where it is let in.
fn refusal(node: &Node, key: &str) -> Option<String> {
    let mut peer = Peer::publish(node.rtmp, key);
    match peer.next(10) {
        isocast_harness::Reply::Event(isocast_media::rtmp::CallerEvent::Started) => {
            peer.close();
            None
        }
        isocast_harness::Reply::Event(isocast_media::rtmp::CallerEvent::Refused {
            description,
            ..
        }) => Some(description),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_encoder_publishes_with_a_minted_key_until_it_expires() {
    let node = Node::start();
    let room = node.room("show", "public", "refuse");
    let url = format!("rtmp://{}/live/{}", node.rtmp, minted(&node, &room, 3));
    let log = node.file("ffmpeg.log");
    let ffmpeg = Ffmpeg::newest();
    let mut encoder = ffmpeg.publish_forever(&Clip::AudioVideo.path(), &url, &log);
    node.wait_for_live(&room);
    let key = url.rsplit_once('/').expect("a key").1;
    wait::until("a key that has expired", 10, || {
        // Until then the room is taken, by the encoder itself.
        refusal(&node, key).filter(|told| told.contains("expired"))
    });
    assert!(encoder.is_running(), "who publishes goes on");
    assert!(!node.log().contains(key), "no key reaches the log");
}

#[test]
fn an_old_key_opens_the_room_while_it_overlaps() {
    let node = Node::start();
    let room = node.public_room("show");
    let beside = minted(&node, &room, 600);
    let path = "/api/v1/rooms/show/rotate-key";
    let new = key_of(&node.operator("POST", path, br#"{"overlap_s": 3}"#));
    for key in [&room.key, &beside, &new, &minted(&node, &room, 600)] {
        assert_eq!(refusal(&node, key), None, "while they overlap");
    }
    wait::until("the end of the overlap", 10, || refusal(&node, &room.key));
    assert!(refusal(&node, &beside).is_some());
    assert_eq!(refusal(&node, &new), None);
    let command = node.command(&["room", "rotate-key", "show", "--overlap-s", "60", "--json"]);
    assert_eq!(command.code, Some(0), "{}", command.err);
    assert_eq!(refusal(&node, &new), None);
}

#[test]
fn revoked_keys_end_their_publisher_at_once() {
    let node = Node::start();
    let room = node.public_room("show");
    let mut publisher = Peer::publish(node.rtmp, &minted(&node, &room, 600));
    publisher.expect_start();
    let command = node.command(&["room", "revoke-keys", "show", "--json"]);
    assert_eq!(command.code, Some(0), "{}", command.err);
    let json: serde_json::Value = serde_json::from_str(&command.out).expect("JSON");
    let (code, text) = publisher.expect_refusal(5);
    assert_eq!(code, "NetStream.Publish.BadName");
    assert!(text.contains("revoked"), "{text}");
    publisher.expect_close(5);
    assert!(refusal(&node, &room.key).is_some());
    let new = json["stream_key"].as_str().expect("a key");
    assert_eq!(refusal(&node, new), None);
}
