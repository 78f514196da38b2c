//! Streams whose publisher another node has.

use isocast_claims::{Incarnation, NodeId, Owner, Pair};

use super::*;

fn upstream(epoch: u64, node: &str) -> Upstream {
    let node = NodeId::parse(node).unwrap();
    Upstream {
        pair: Pair {
            epoch,
            owner: Owner {
                node: node.clone(),
                incarnation: Incarnation(1),
            },
        },
        path: vec![node],
    }
}

impl World {
    fn carry(&self, epoch: u64, node: &str) -> (Carrier, Arc<Stream>) {
        let carried = self.hub.carry(&room("a"), upstream(epoch, node), self.now);
        carried.unwrap()
    }
}

impl Carrier {
    fn send(&self, frames: impl IntoIterator<Item = Frame>) {
        for frame in frames {
            self.push(frame, false, Instant::now()).unwrap();
        }
    }
}

fn times(subscriber: &mut Subscriber) -> Vec<String> {
    words(&items(subscriber))
}

#[test]
fn frames_keep_the_room_time_that_they_come_with() {
    let world = World::new();
    let (carrier, stream) = world.carry(7, "b");
    let mut viewer = stream.subscribe(Protocol::HttpFlv);
    carrier.send([
        config(Codec::Avc, b"record"),
        key(3_600_000),
        audio(3_600_010),
        delta(3_600_040),
    ]);
    let expected = ["J3600000", "V3600000", "a3600010", "v3600040"];
    assert_eq!(times(&mut viewer), expected);
    assert_eq!(stream.pair(), Some(upstream(7, "b").pair));
    assert_eq!(stream.upstream().as_deref(), Some(&upstream(7, "b")));
    assert_eq!(stream.live_since(), None, "it is not this node's");
}

#[test]
fn a_pull_that_is_made_anew_goes_on_where_it_was() {
    let world = World::new();
    let (carrier, stream) = world.carry(7, "b");
    let mut viewer = stream.subscribe(Protocol::HttpFlv);
    carrier.send([key(1000), audio(1010), delta(1040)]);
    assert_eq!(stream.carried_to(), Some(MediaMs(1040)));
    assert_eq!(times(&mut viewer), ["J1000", "V1000", "a1010", "v1040"]);
    drop(carrier);
    assert_eq!(stream.state(), State::Interrupted);
    assert!(matches!(told(&mut viewer), Some(Delivery::Interrupted)));

    let (carrier, _) = world.carry(7, "b");
    carrier.send([
        key(1000),
        audio(1010),
        delta(1040),
        delta(1080),
        audio(1033),
    ]);
    assert_eq!(stream.state(), State::Live);
    assert_eq!(times(&mut viewer), ["v1080", "a1033"]);
}

#[test]
fn a_new_owner_that_goes_on_keeps_its_times() {
    let world = World::new();
    let (carrier, stream) = world.carry(7, "b");
    let mut viewer = stream.subscribe(Protocol::HttpFlv);
    carrier.send([key(5000), delta(5040)]);
    assert_eq!(times(&mut viewer), ["J5000", "V5000", "v5040"]);
    let (next, _) = world.carry(8, "c");
    assert_eq!(
        carrier.push(delta(5080), false, Instant::now()),
        Err(Replaced)
    );
    drop(carrier);
    assert_eq!(
        stream.state(),
        State::Live,
        "the old one takes nothing along"
    );
    next.send([key(7000), delta(7040)]);
    assert_eq!(times(&mut viewer), ["V7000", "v7040"]);
}

#[test]
fn a_new_owner_that_counts_anew_is_moved_to_where_viewers_are() {
    let world = World::new();
    let (carrier, stream) = world.carry(7, "b");
    let mut viewer = stream.subscribe(Protocol::HttpFlv);
    carrier.send([key(90_000), delta(90_040)]);
    times(&mut viewer);
    let (next, _) = world.carry(8, "c");
    let now = Instant::now() + Duration::from_millis(500);
    for frame in [key(1000), audio(1010), delta(1040)] {
        next.push(frame, false, now).unwrap();
    }
    let items = items(&mut viewer);
    let moved: Vec<i64> = items
        .iter()
        .filter_map(|item| match item {
            Item::Frame(slot) => Some(slot.frame.dts.0),
            Item::Join(_) => None,
        })
        .collect();
    let first = moved[0];
    assert!((90_041..91_000).contains(&first), "{first}");
    assert_eq!(moved, [first, first + 10, first + 40]);
    let Item::Frame(slot) = &items[0] else {
        panic!("{items:?}");
    };
    assert!(slot.discontinuity);
    assert_eq!(
        stream.carried_to(),
        Some(MediaMs(1040)),
        "in the owner's time"
    );
}

#[test]
fn lower_claims_are_not_carried() {
    let world = World::new();
    let (_carrier, _) = world.carry(7, "b");
    let stale = world.hub.carry(&room("a"), upstream(6, "z"), world.now);
    assert_eq!(stale.err(), Some(NotCarried::Stale));
}

#[test]
fn a_publisher_of_this_node_takes_the_place_of_what_is_carried() {
    let world = World::new();
    world.epoch.set(7);
    let (carrier, stream) = world.carry(7, "b");
    let mut viewer = stream.subscribe(Protocol::HttpFlv);
    carrier.send([key(50_000), delta(50_040)]);
    times(&mut viewer);
    let (publisher, _) = world.publish("a");
    assert!(carrier.revocation().is_cancelled());
    drop(carrier);
    assert_eq!(stream.state(), State::Live);
    assert_eq!(stream.upstream(), None);
    publisher.send([key(0), delta(40)]);
    let seen = times(&mut viewer);
    let [first, second] = [0, 1].map(|at| seen[at][1..].parse::<i64>().unwrap());
    assert!(first > 50_040 && second == first + 40, "{seen:?}");
    let again = world.hub.carry(&room("a"), upstream(9, "b"), world.now);
    assert_eq!(again.err(), Some(NotCarried::Published));
}

#[test]
fn time_goes_on_from_a_publisher_of_this_node_to_another_nodes() {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    let mut viewer = stream.subscribe(Protocol::HttpFlv);
    publisher.send([key(0), delta(40), delta(80)]);
    assert_eq!(times(&mut viewer).len(), 4);
    drop(publisher);
    let (carrier, _) = world.carry(7, "b");
    // The other node's clock may be a little behind: its first picture is a whole one all the same.
    carrier.send([key(1080), delta(1120), delta(1160)]);
    assert_eq!(times(&mut viewer), ["V1080", "v1120", "v1160"]);
}

#[test]
fn viewers_are_held_while_the_owner_holds_them_and_end_with_it() {
    let world = World::new();
    let (carrier, stream) = world.carry(7, "b");
    let mut viewer = stream.subscribe(Protocol::HttpFlv);
    carrier.send([key(1000)]);
    times(&mut viewer);
    carrier.hold(world.now);
    assert!(matches!(told(&mut viewer), Some(Delivery::Interrupted)));
    carrier.send([delta(1040)]);
    assert_eq!(stream.state(), State::Live, "its publisher has come back");
    times(&mut viewer);
    carrier.end(Instant::now());
    assert!(matches!(told(&mut viewer), Some(Delivery::Ended)));
    assert_eq!(stream.carried_to(), None);
}

#[test]
fn a_lost_pull_ends_with_the_hold() {
    let world = World::new();
    let (carrier, stream) = world.carry(7, "b");
    carrier.send([key(1000)]);
    drop(carrier);
    world.tick(LIMITS.hold - Duration::from_secs(1));
    assert_eq!(stream.state(), State::Interrupted);
    world.tick(LIMITS.hold);
    assert_eq!(stream.state(), State::Ended);
}

#[test]
fn what_only_owners_do_is_not_done_with_what_is_carried() {
    let world = World::new();
    let (carrier, stream) = world.carry(7, "b");
    let mut packager = stream.subscribe(Protocol::Packager);
    let mut restream = stream.subscribe(Protocol::Restream);
    carrier.send([key(1000), delta(1040)]);
    assert!(times(&mut packager).is_empty() && times(&mut restream).is_empty());
    world.epoch.set(7);
    let (publisher, _) = world.publish("a");
    publisher.send([key(0)]);
    assert_eq!(times(&mut packager).len(), 2, "it joins at the publisher's");
}

#[test]
fn who_has_a_part_joins_where_that_ends() {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    publisher.send([key(0), delta(40), key(2000), delta(2040), key(3000)]);
    for (since, expected) in [
        (None, "J4000"),
        (Some(4000), "J4000"),
        (Some(3999), "J3000"),
        (Some(1040), "J1000"),
        (Some(7), "J1000"),
    ] {
        let relay = stream.subscribe(Protocol::Relay);
        let mut relay = relay.since(since.map(MediaMs));
        assert_eq!(times(&mut relay)[0], expected, "{since:?}");
    }
}

#[test]
fn carried_streams_count_among_all() {
    let world = World::new();
    let (_one, _) = world.carry(1, "b");
    let (_two, _) = world.publish("b");
    let third = world.hub.carry(&room("c"), upstream(1, "b"), world.now);
    assert_eq!(third.err(), Some(NotCarried::Full(Full(2))));
}
