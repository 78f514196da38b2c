//! Memory stays where it is while publishers and players come and go.

use isocast_harness::{Clip, NodeOptions, Peer, Room, flv, wait};
use isocast_media::rtmp::Media;

const CYCLES: usize = 1000;
/// Rings, windows and pools are full by then.
const WARM_UP: usize = 100;
const ALLOWED_KIB: i64 = 8 << 10;
const SAMPLE_EVERY: usize = 25;
const ROOMS: usize = 2;

#[test]
fn a_thousand_publishers_and_players_leave_no_memory_behind() {
    let node = NodeOptions::default()
        .set("hub.hold_s", 0)
        .set("hls.idle_s", 10)
        .start();
    let rooms: Vec<_> = (0..ROOMS)
        .map(|n| node.public_room(&format!("cycle{n}")))
        .collect();
    // Headers and the pictures and sounds of about the first second.
    let media: Vec<_> = flv::read(&Clip::AudioVideo.path())
        .into_iter()
        .take(75)
        .collect();
    let mut samples = Vec::new();
    for cycle in 0..CYCLES {
        // A minute later by its own clock each time, or the frames would count as sent again.
        let later = |message: &Media| Media {
            timestamp: message.timestamp + cycle as u32 * 60_000,
            ..message.clone()
        };
        let media: Vec<_> = media.iter().map(later).collect();
        once(&node, &rooms[cycle % ROOMS], &media);
        if cycle >= WARM_UP && cycle % SAMPLE_EVERY == 0 {
            samples.push(i64::try_from(node.resident_kib()).expect("memory is small"));
        }
    }
    let first = samples[0];
    let furthest = samples
        .iter()
        .map(|kib| (kib - first).abs())
        .max()
        .unwrap_or_default();
    // The mean of the last third against that of the first: a leak shows here before it is large.
    let third = samples.len() / 3;
    let mean = |part: &[i64]| part.iter().sum::<i64>() / i64::try_from(part.len()).unwrap_or(1);
    let slope = mean(&samples[samples.len() - third..]) - mean(&samples[..third]);
    println!(
        "resident after {WARM_UP} cycles: {first} KiB; furthest {furthest}; slope {slope} KiB"
    );
    assert!(furthest <= ALLOWED_KIB, "{samples:?}");
    assert!(slope <= ALLOWED_KIB / 2, "memory grows: {samples:?}");
    wait::until("the last connection's end", 10, || {
        (node.metric("isocast_connections{protocol=\"rtmp\"") == 0.0).then_some(())
    });
    node.stop();
}

fn once(node: &isocast_harness::Node, room: &Room, media: &[Media]) {
    let mut publisher = Peer::publish(node.rtmp, &room.key);
    publisher.expect_start();
    for message in media {
        assert!(publisher.send(message), "the publisher stays connected");
    }
    node.wait_for_live(room);
    let mut player = Peer::play(node.rtmp, &format!("room_{}", room.id));
    assert!(player.has_media(10), "there is something to see");
    publisher.close();
    player.close();
}

#[test]
fn a_wrong_key_and_an_unknown_room_take_the_same_time() {
    const ROUNDS: usize = 50;
    let node = isocast_harness::Node::start();
    let room = node.public_room("known");
    let wrong = format!("room_known_key_{}", "x".repeat(43));
    let unknown = format!("room_unknown_key_{}", "x".repeat(43));
    assert_eq!(wrong.len(), room.key.len(), "as long as a real one");
    let time = |key: &str| {
        let began = std::time::Instant::now();
        Peer::publish(node.rtmp, key).expect_refusal(10);
        began.elapsed()
    };
    let (mut of_wrong, mut of_unknown) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_wrong.push(time(&wrong));
        of_unknown.push(time(&unknown));
    }
    of_wrong.sort_unstable();
    of_unknown.sort_unstable();
    let (wrong, unknown) = (of_wrong[ROUNDS / 2], of_unknown[ROUNDS / 2]);
    println!("medians: wrong key {wrong:?}, unknown room {unknown:?}");
    // Wide, for the machine is busy: this finds a slow hash or a skipped look-up, not a microsecond.
    let ratio = wrong.as_secs_f64() / unknown.as_secs_f64();
    assert!(
        (0.5..2.0).contains(&ratio),
        "wrong key {wrong:?}, unknown room {unknown:?}"
    );
}
