use super::*;

const STALL: Duration = Duration::from_secs(30);

/// A stream of `frames` frames 40 ms apart, and the viewers who took so many of them.
fn watched<const N: usize>(taken: [i64; N]) -> (World, Publisher, [Subscriber; N]) {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    publisher.send([key(0)]);
    let mut viewers = taken.map(|_| stream.subscribe(Protocol::HttpFlv));
    for frame in 1..=50 {
        for (viewer, until) in viewers.iter_mut().zip(taken) {
            if frame <= until {
                items(viewer);
            }
        }
        publisher.send([delta(frame * 40)]);
    }
    (world, publisher, viewers)
}

fn is_sent_away(viewer: &Subscriber) -> bool {
    viewer.hangup().is_cancelled()
}

#[test]
fn the_furthest_behind_are_shed_first() {
    let (world, _publisher, mut viewers) = watched([40, 1, 50, 20]);
    let _packager = world
        .hub
        .stream(&room("a"))
        .unwrap()
        .subscribe(Protocol::Packager);
    assert_eq!(world.hub.shed(2, 0), 2);
    assert_eq!(
        viewers.each_ref().map(is_sent_away),
        [false, true, false, true]
    );
    assert!(matches!(told(&mut viewers[1]), Some(Delivery::SentAway)));
    assert_eq!(world.hub.shed(9, 1000), 0, "the others keep up");
    assert_eq!(world.hub.shed(9, 0), 2, "and those sent away count no more");
}

#[tokio::test]
async fn who_waits_learns_that_it_is_sent_away() {
    let (world, _publisher, [mut viewer]) = watched([50]);
    items(&mut viewer);
    let waits = tokio::spawn(async move { viewer.next().await });
    tokio::task::yield_now().await;
    assert_eq!(world.hub.shed(1, 0), 1);
    assert!(matches!(waits.await.unwrap(), Delivery::SentAway));
}

#[test]
fn who_takes_nothing_for_long_is_sent_away_and_who_waits_is_not() {
    let (world, _publisher, [stalled, mut waiting, new]) = watched([1, 50, 0]);
    items(&mut waiting);
    let soon = Instant::now();
    assert_eq!(world.hub.send_away_stalled(soon, STALL), 0);
    let later = soon + STALL;
    assert_eq!(world.hub.send_away_stalled(later, STALL), 1);
    assert!(is_sent_away(&stalled) && !is_sent_away(&waiting) && !is_sent_away(&new));
    assert_eq!(world.hub.send_away_stalled(later, STALL), 0, "once");

    // The stream is gone, and its viewer has not noticed.
    world.hub.remove(&room("a"));
    assert_eq!(world.hub.send_away_stalled(soon, STALL), 0);
    assert_eq!(world.hub.send_away_stalled(later, STALL), 1);
    assert!(is_sent_away(&waiting));
}
