//! Nodes that share nothing but a token ask each other who has a room.

use isocast_harness::{Clip, Ffmpeg, Node, NodeOptions, Process, Room, Scratch, Signal, wait};

#[test]
fn a_room_that_is_live_on_one_node_is_taken_on_another_once_its_publisher_is_gone() {
    let scratch = Scratch::new("peers");
    let token = scratch.file("token");
    std::fs::write(&token, "a-token-of-all-nodes").expect("the folder is ours");
    let options = || NodeOptions::default().set("peers.token_file", token.display());
    let one = options().set("node.id", "node-1").start();
    let two = options()
        .set("node.id", "node-2")
        .set("peers.list", one.internal)
        .start();
    wait::until("the nodes to know each other", 10, || {
        two.log().contains("\"peers\":\"node-1\"").then_some(())
    });
    // Each has rooms of its own; what they share is the room's name.
    let [at_one, at_two] = [&one, &two].map(|node| node.room("show", "public", "refuse"));

    let mut first = publish(&one, &at_one);
    one.wait_for_live(&at_one);
    let mut second = publish(&two, &at_two);
    assert!(!second.wait(10).success(), "{}", second.log());
    let refused = two.metric("isocast_refusals_total{reason=\"already_live\"");
    assert!(refused >= 1.0, "{}", two.log());
    assert!(first.is_running(), "{}", first.log());

    first.signal(Signal::INT);
    first.wait(10);
    let _third = publish(&two, &at_two);
    two.wait_for_live(&at_two);
    assert_eq!(one.metric("isocast_refusals_total{surface=\"peer\""), 0.0);
}

fn publish(node: &Node, room: &Room) -> Process {
    let log = node.file(&format!("publish-{}.log", node.id()));
    Ffmpeg::debian().publish_forever(&Clip::AudioVideo.path(), &node.publish_url(room), &log)
}
