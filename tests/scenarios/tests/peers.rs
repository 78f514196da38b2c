//! Nodes ask each other who has a room.

use isocast_harness::{
    Clip, Ffmpeg, Node, NodeOptions, Process, Redis, Room, Scratch, Signal, wait,
};

#[test]
fn a_room_that_is_live_on_one_node_is_taken_on_another_once_its_publisher_is_gone() {
    let scratch = Scratch::new("peers");
    let token = scratch.file("token");
    std::fs::write(&token, "a-token-of-all-nodes").expect("the folder is ours");
    let options = |id| {
        let options = NodeOptions::default().set("node.id", id);
        options.set("peers.token_file", token.display())
    };
    let one = options("node-1").start();
    let two = options("node-2").set("peers.list", one.internal).start();
    knows(&two, "node-1");
    // Each has rooms of its own; what they share is the room's name.
    let [at_one, at_two] = [&one, &two].map(|node| node.room("show", "public", "refuse"));

    let mut first = publish(&one, &at_one);
    one.wait_for_live(&at_one);
    is_refused(&two, &at_two);
    assert!(first.is_running(), "{}", first.log());

    first.signal(Signal::INT);
    first.wait(10);
    let _third = publish(&two, &at_two);
    two.wait_for_live(&at_two);
    assert_eq!(one.metric("isocast_refusals_total{surface=\"peer\""), 0.0);
}

#[test]
fn nodes_that_met_in_the_registry_ask_each_other_when_it_is_gone() {
    let scratch = Scratch::new("peers");
    let token = scratch.file("token");
    std::fs::write(&token, "a-token-of-all-nodes").expect("the folder is ours");
    let redis = Redis::start();
    let [one, two] = ["node-1", "node-2"].map(|id| {
        let options = NodeOptions::default().set("node.id", id);
        let options = options.set("node.address", "127.0.0.1");
        let options = options.set("redis.endpoints", redis.address);
        options.set("peers.token_file", token.display()).start()
    });
    knows(&one, "node-2");
    knows(&two, "node-1");
    drop(redis);
    let [at_one, at_two] = [&one, &two].map(|node| node.room("show", "public", "refuse"));
    let mut first = publish(&one, &at_one);
    one.wait_for_live(&at_one);
    is_refused(&two, &at_two);
    first.signal(Signal::INT);
    first.wait(10);
    let _second = publish(&two, &at_two);
    two.wait_for_live(&at_two);
    is_refused(&one, &at_one);
}

fn knows(node: &Node, peer: &str) {
    let line = format!("\"peers\":\"{peer}\"");
    wait::until(&format!("a node that knows {peer}"), 10, || {
        node.log().contains(&line).then_some(())
    });
}

/// Another encoder is sending to the room.
fn is_refused(node: &Node, room: &Room) {
    let mut encoder = publish(node, room);
    assert!(!encoder.wait(10).success(), "{}", encoder.log());
    let refused = node.metric("isocast_refusals_total{reason=\"already_live\"");
    assert!(refused >= 1.0, "{}", node.log());
}

fn publish(node: &Node, room: &Room) -> Process {
    let log = node.file(&format!("publish-{}.log", node.id()));
    Ffmpeg::debian().publish_forever(&Clip::AudioVideo.path(), &node.publish_url(room), &log)
}
