use super::*;

const HOLD: Duration = LIMITS.hold;

#[test]
fn a_stream_is_live_held_ended_and_forgotten() {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    publisher.send([key(0)]);
    assert_eq!(stream.state(), State::Live);
    world.tick(Duration::from_secs(3600));
    assert_eq!(
        stream.state(),
        State::Live,
        "however silent its publisher is"
    );

    drop(publisher);
    assert_eq!(stream.state(), State::Interrupted);
    world.tick(HOLD - Duration::from_secs(1));
    assert_eq!(stream.state(), State::Interrupted);
    let ended_at = Instant::now() + HOLD;
    world.hub.tick(ended_at);
    assert_eq!(stream.state(), State::Ended);

    world
        .hub
        .tick(ended_at + LIMITS.remember - Duration::from_secs(1));
    assert!(world.hub.stream(&room("a")).is_some());
    let asked_at = ended_at + Duration::from_secs(100);
    stream.touch(asked_at);
    world.hub.tick(ended_at + LIMITS.remember);
    assert!(
        world.hub.stream(&room("a")).is_some(),
        "someone asked for it"
    );
    world.hub.tick(asked_at + LIMITS.remember);
    assert!(world.hub.stream(&room("a")).is_none());
    assert_eq!(stream.state(), State::Gone);
}

#[test]
fn each_change_is_told_once_and_after_the_frames_before_it() {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    publisher.send([key(0)]);
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    drop(publisher);
    assert!(
        matches!(told(&mut viewer), Some(Delivery::Items(items)) if words(&items) == ["J1000", "V1000"])
    );
    assert!(matches!(told(&mut viewer), Some(Delivery::Interrupted)));
    assert!(told(&mut viewer).is_none());

    let (publisher, _) = world.publish("a");
    assert!(
        told(&mut viewer).is_none(),
        "that it is live again, frames tell"
    );
    publisher.send([key(100)]);
    assert_eq!(items(&mut viewer).len(), 1);
    drop(publisher);
    assert!(matches!(told(&mut viewer), Some(Delivery::Interrupted)));
    world.tick(HOLD);
    assert!(matches!(told(&mut viewer), Some(Delivery::Ended)));
    assert!(told(&mut viewer).is_none());
    world.tick(HOLD + LIMITS.remember);
    assert!(matches!(told(&mut viewer), Some(Delivery::Gone)));
    assert!(told(&mut viewer).is_none());
}

#[test]
fn a_publisher_that_comes_back_goes_on_after_what_was() {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    publisher.send([config(Codec::Avc, b"sps"), key(0), delta(40)]);
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    items(&mut viewer);
    drop(publisher);
    told(&mut viewer);
    let (publisher, again) = world.publish("a");
    assert!(Arc::ptr_eq(&stream, &again), "its viewers stay");
    publisher.send([config(Codec::Avc, b"sps"), delta(7), key(20), delta(60)]);
    let got = items(&mut viewer);
    let kinds: String = words(&got).iter().map(|word| &word[..1]).collect();
    assert_eq!(
        kinds, "cVv",
        "the description again, then from the key frame"
    );
    let slot = |at: usize| match &got[at] {
        Item::Frame(slot) => slot,
        Item::Join(_) => unreachable!(),
    };
    assert!(slot(1).frame.dts > MediaMs(1040));
    assert_eq!(slot(1).pair.epoch, 2);
}

#[test]
fn a_newcomer_revokes_the_present_publisher_and_its_frames() {
    let world = World::new();
    let (old, stream) = world.publish("a");
    old.send([key(0)]);
    let revocation = old.revocation();
    let (new, _) = world.publish("a");
    assert!(revocation.has_come() && !new.revocation().has_come());
    assert_eq!(old.push(delta(40), world.now), Err(Revoked));
    new.send([key(50)]);
    // The old one ends after it lost the room: nobody is interrupted.
    drop(old);
    assert_eq!(stream.state(), State::Live);
    new.send([delta(90)]);
    drop(new);
    assert_eq!(stream.state(), State::Interrupted);
}

#[test]
fn a_removed_room_is_gone_at_once() {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    publisher.send([key(0)]);
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    items(&mut viewer);
    world.hub.remove(&room("a"));
    assert!(matches!(told(&mut viewer), Some(Delivery::Gone)));
    assert!(publisher.revocation().has_come());
    assert_eq!(publisher.push(delta(40), world.now), Err(Revoked));
    drop(publisher);
    assert_eq!(stream.state(), State::Gone);
    let (_publisher, new) = world.publish("a");
    assert!(
        !Arc::ptr_eq(&stream, &new),
        "a room of the same name is another stream"
    );
    world.hub.remove(&room("nobody"));
}

#[test]
fn all_end_when_the_node_stops() {
    let world = World::new();
    let streams = ["a", "b"].map(|id| world.publish(id));
    world.hub.end_all();
    for (publisher, stream) in &streams {
        assert_eq!(stream.state(), State::Gone);
        assert!(publisher.revocation().has_come());
    }
    assert!(world.hub.streams().is_empty());
}

#[test]
fn an_ended_stream_keeps_no_frames_and_can_be_live_again() {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    publisher.send([key(0), delta(40)]);
    drop(publisher);
    world.tick(HOLD);
    let mut late = stream.subscribe(Protocol::Rtmp);
    assert!(matches!(told(&mut late), Some(Delivery::Ended)));
    let (publisher, again) = world.publish("a");
    assert!(Arc::ptr_eq(&stream, &again));
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    publisher.send([key(0)]);
    assert_eq!(items(&mut viewer).len(), 2, "a join and a frame");
}

#[test]
fn a_full_hub_takes_known_rooms_and_lets_ended_streams_go() {
    let world = World::new();
    let (a, _) = world.publish("a");
    let (b, ended) = world.publish("b");
    assert_eq!(world.try_publish("c").unwrap_err(), Full(2));
    let (_a, _) = world.publish("a");
    drop((a, b));
    assert_eq!(
        world.try_publish("c").unwrap_err(),
        Full(2),
        "a held one keeps its place"
    );
    world.tick(HOLD);
    let (_c, _) = world.publish("c");
    assert_eq!(ended.state(), State::Gone);
    assert!(world.hub.stream(&room("b")).is_none());
    assert_eq!(world.try_publish("d").unwrap_err(), Full(2));
}

#[test]
fn what_a_publisher_sends_is_measured_and_a_new_one_counts_anew() {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    publisher.send([config(Codec::Avc, b"sps"), delta(0), key(40), delta(80)]);
    publisher.send([audio(40), key(120)]);
    let quality = stream.quality(Instant::now());
    let Totals {
        bytes,
        frames,
        frames_awaiting_key,
        ..
    } = quality.totals;
    assert_eq!((bytes, frames, frames_awaiting_key), (24, 5, 1));
    assert_eq!(quality.gop, Some(GopLength { ms: 80, frames: 2 }));
    assert_eq!(quality.bitrate_bps, 24 * 8);

    stream.count_out(Protocol::Hls, 7);
    assert_eq!(stream.traffic().out(Protocol::Hls), 7);
    drop(publisher);
    assert_eq!(stream.quality(Instant::now()).totals.frames, 5);
    let (publisher, _) = world.publish("a");
    publisher.send([key(40), delta(80), key(120), delta(160)]);
    let totals = stream.quality(Instant::now()).totals;
    assert_eq!((totals.frames, totals.frames_resent), (4, 3));
    assert_eq!(stream.traffic().out(Protocol::Hls), 0);
}
