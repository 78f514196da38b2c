//! Nodes that share a registry in Redis.

use isocast_harness::{Node, NodeOptions, Redis, http, wait};
use serde_json::Value;

fn node(id: &str, redis: &str) -> NodeOptions {
    NodeOptions::default()
        .set("node.id", id)
        .set("node.address", "127.0.0.1")
        .set("node.zone", "here")
        .set("redis.endpoints", redis)
        .set("registry.renew_ms", 200)
        .set("registry.dead_ms", 1000)
}

fn registry_is(node: &Node, word: &str) {
    wait::until(&format!("a registry that is {word}"), 20, || {
        let ready = http::get(node.internal, "/readyz");
        assert_eq!(ready.status, 200, "{}", ready.text());
        (ready.json()["dependencies"]["registry"] == word).then_some(())
    });
}

fn nodes_are(node: &Node, state: &str, count: f64) {
    let series = format!("isocast_nodes{{state=\"{state}\"");
    wait::until(&format!("{count} nodes that are {state}"), 20, || {
        (node.metric(&series) == count).then_some(())
    });
}

fn lines(node: &Node, text: &str) -> usize {
    let log = node.log();
    log.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn nodes_know_of_each_other_while_they_are_there() {
    let redis = Redis::start();
    let at = redis.address.to_string();
    let (one, two) = (node("one", &at).start(), node("two", &at).start());
    for seen_by in [&one, &two] {
        nodes_are(seen_by, "online", 2.0);
    }
    let entry = redis.ask(&["HGET", "isocast:cluster:nodes", "two"]);
    let entry: Value = serde_json::from_str(&entry).expect("JSON");
    for (field, value) in [
        ("address", Value::from("127.0.0.1")),
        ("status", "online".into()),
        ("zone", "here".into()),
    ] {
        assert_eq!(entry[field], value, "{entry}");
    }
    assert_eq!(entry["ports"]["rtmp"], two.rtmp.port(), "{entry}");
    assert_eq!(entry["capabilities"]["can_publish"], true, "{entry}");

    // One that goes takes its entry with it; one that is killed is taken out by the others.
    two.stop();
    assert_eq!(redis.ask(&["HKEYS", "isocast:cluster:nodes"]), "one");
    let three = node("three", &at).start();
    nodes_are(&one, "online", 2.0);
    drop(three);
    nodes_are(&one, "online", 1.0);
    assert_eq!(redis.ask(&["HKEYS", "isocast:cluster:nodes"]), "one");
    one.stop();
}

#[test]
fn a_node_starts_without_its_registry_and_joins_when_it_comes() {
    let redis = Redis::start();
    let at = redis.kill();
    let node = node("one", &at.to_string()).start();
    registry_is(&node, "degraded");
    assert_eq!(node.metric("isocast_registry_up"), 0.0);

    let redis = Redis::start_at(at);
    registry_is(&node, "ok");
    nodes_are(&node, "online", 1.0);
    drop(redis);
    registry_is(&node, "degraded");
    nodes_are(&node, "online", 1.0);
    let told = lines(&node, "the registry does not answer");
    assert_eq!((told, lines(&node, "the registry answers")), (2, 1));
    node.stop();
}
