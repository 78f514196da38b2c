use super::super::ring::Ring;
use super::*;

fn claim(epoch: u64) -> isocast_claims::Pair {
    Claim::of(room("a"), epoch).pair
}

/// Pushes frames as room time has them; the times at which viewers can join.
fn joins(ring: &mut Ring, frames: impl IntoIterator<Item = Frame>) -> Vec<i64> {
    let mut starts = Vec::new();
    for frame in frames {
        ring.push(frame, claim(1), false);
        let newest = ring.newest_gop().map(|gop| gop.start().0);
        if newest.is_some() && newest != starts.last().copied() {
            starts.extend(newest);
        }
    }
    starts
}

fn oldest_ms(ring: &Ring) -> i64 {
    ring.from(0).next().unwrap().frame.dts.0
}

/// Key frames every `gop_ms`, other frames every 100 ms.
fn video(gop_ms: i64, until_ms: i64) -> impl Iterator<Item = Frame> {
    let frame = move |dts| {
        if dts % gop_ms == 0 {
            key(dts)
        } else {
            delta(dts)
        }
    };
    (0..=until_ms).step_by(100).map(frame)
}

#[test]
fn two_gops_or_five_seconds_are_kept_whichever_is_longer() {
    for (gop_ms, until_ms, oldest) in [
        // Short GOPs: whole ones, and at least 5 s of them.
        (1000, 20_000, 15_000),
        (1000, 20_900, 15_000),
        (2000, 21_000, 16_000),
        // Long GOPs: the newest two.
        (10_000, 40_000, 30_000),
        (10_000, 49_900, 30_000),
        // Nothing is old enough to go.
        (1000, 4000, 0),
        (10_000, 19_900, 0),
    ] {
        let mut ring = Ring::new(1 << 30);
        joins(&mut ring, video(gop_ms, until_ms));
        assert_eq!(
            oldest_ms(&ring),
            oldest,
            "GOPs of {gop_ms} ms to {until_ms}"
        );
    }
}

#[test]
fn bytes_are_bounded_whatever_the_frames_are() {
    const MAX: usize = 64 << 10;
    for (name, len, dts_step, is_key) in [
        ("one endless GOP", 1000, 40, false),
        ("only key frames", 1000, 40, true),
        ("time stands still", 1000, 0, true),
        ("tiny frames", 1, 0, false),
        ("no bytes at all", 0, 0, true),
    ] {
        let mut ring = Ring::new(MAX);
        ring.push(key(0), claim(1), false);
        for n in 1..5000 {
            let data = vec![0; len];
            let kind = Kind::Media { key: is_key };
            ring.push(
                frame(Codec::Avc, kind, n * dts_step, &data),
                claim(1),
                false,
            );
            assert!(ring.held_bytes() <= MAX as u64, "{name}");
            let kept = ring.next_sequence() - ring.first_sequence();
            assert!(kept <= MAX as u64 / 512, "{name}: {kept} frames kept");
        }
    }
}

#[test]
fn a_frame_larger_than_the_ring_is_kept_alone() {
    let mut ring = Ring::new(1000);
    let kind = Kind::Media { key: true };
    for dts in [0, 40, 80] {
        ring.push(frame(Codec::Avc, kind, dts, &[0; 5000]), claim(1), false);
        assert_eq!(oldest_ms(&ring), dts);
        assert_eq!(ring.newest_gop().unwrap().start(), MediaMs(dts));
    }
}

#[test]
fn a_gop_that_lost_its_start_is_no_place_to_join() {
    let mut ring = Ring::new(16 << 10);
    joins(&mut ring, [key(0)]);
    let big = |dts| frame(Codec::Avc, Kind::Media { key: false }, dts, &[0; 6000]);
    joins(&mut ring, [big(40), big(80), big(120)]);
    assert!(ring.newest_gop().is_none());
    assert_eq!(joins(&mut ring, [key(160)]), [160]);
}

#[test]
fn audio_alone_can_be_joined_every_second() {
    let mut ring = Ring::new(1 << 20);
    let starts = joins(&mut ring, (0..=3500).step_by(20).map(audio));
    assert_eq!(starts, [0, 1000, 2000, 3000]);
}

#[test]
fn beside_video_only_its_key_frames_can_be_joined() {
    let mut ring = Ring::new(1 << 20);
    let frames = (0..=40).flat_map(|n| {
        [
            audio(n * 100),
            if n % 20 == 1 {
                key(n * 100)
            } else {
                delta(n * 100)
            },
        ]
    });
    // The first audio comes before anyone knows of video.
    assert_eq!(joins(&mut ring, frames), [0, 100, 2100]);
}

#[test]
fn video_begins_with_a_key_frame_and_so_after_each_new_publisher() {
    let mut ring = Ring::new(1 << 20);
    assert!(!ring.push(delta(0), claim(1), false));
    assert!(ring.push(audio(10), claim(1), false));
    assert!(ring.push(key(40), claim(1), false));
    assert!(ring.push(delta(80), claim(1), false));
    ring.restart(false);
    assert!(!ring.push(delta(120), claim(2), false));
    assert!(ring.push(key(160), claim(2), false));
    assert!(ring.push(delta(200), claim(2), false));
}

#[test]
fn what_describes_the_stream_is_told_once_and_again_by_a_new_publisher() {
    let mut ring = Ring::new(1 << 20);
    let rows = [
        (config(Codec::Avc, b"a"), true),
        (config(Codec::Avc, b"a"), false),
        (config(Codec::Aac, b"a"), true),
        (config(Codec::Avc, b"b"), true),
        (config(Codec::Avc, b"a"), true),
        (config(Codec::Aac, b"a"), false),
    ];
    for (row, (frame, expected)) in rows.into_iter().enumerate() {
        assert_eq!(ring.push(frame, claim(1), false), expected, "row {row}");
    }
    ring.restart(false);
    assert_eq!(ring.headers().of(Tracks::All).count(), 0);
    assert!(ring.push(config(Codec::Avc, b"a"), claim(2), false));
}

#[test]
fn a_cleared_ring_is_empty_and_its_sequences_go_on() {
    let mut ring = Ring::new(1 << 20);
    joins(&mut ring, [config(Codec::Avc, b"a"), key(0), delta(40)]);
    ring.clear();
    assert_eq!(
        (
            ring.held_bytes(),
            ring.first_sequence(),
            ring.next_sequence()
        ),
        (0, 3, 3)
    );
    assert!(ring.newest_gop().is_none());
    assert_eq!(ring.lag(0), (0, 0));
    ring.push(key(80), claim(1), false);
    assert_eq!((ring.first_sequence(), ring.next_sequence()), (3, 4));
    assert_eq!(ring.newest_gop().unwrap().first(), 3);
}
