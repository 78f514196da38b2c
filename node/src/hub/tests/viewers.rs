use super::*;

fn live() -> (World, Publisher, Arc<Stream>) {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    publisher.send([config(Codec::Avc, b"sps"), config(Codec::Aac, b"asc")]);
    (world, publisher, stream)
}

#[test]
fn a_viewer_joins_at_the_newest_gop_with_headers_of_its_time() {
    let (_world, publisher, stream) = live();
    publisher.send([key(0), delta(40), audio(50), key(80), delta(120)]);
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    let got = items(&mut viewer);
    assert_eq!(words(&got), ["J1080", "V1080", "v1120"]);
    let Item::Join(gop) = &got[0] else {
        unreachable!()
    };
    let headers: Vec<_> = gop
        .header_frames(Tracks::Default)
        .map(|it| (it.codec, it.dts, it.data))
        .collect();
    let at = MediaMs(1080);
    assert_eq!(
        headers,
        [
            (Codec::Avc, at, Bytes::from_static(b"sps")),
            (Codec::Aac, at, Bytes::from_static(b"asc"))
        ]
    );
    assert!(gop.has_video() && gop.has_audio());

    publisher.send([audio(130), key(160)]);
    assert_eq!(
        words(&items(&mut viewer)),
        ["a1130", "V1160"],
        "it goes on without joining again"
    );
}

#[test]
fn a_viewer_waits_for_the_first_key_frame() {
    let (_world, publisher, stream) = live();
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    publisher.send([delta(0), delta(40)]);
    assert!(told(&mut viewer).is_none());
    publisher.send([key(80)]);
    assert_eq!(words(&items(&mut viewer)), ["J1080", "V1080"]);
}

#[test]
fn viewers_share_the_very_same_bytes_and_each_has_its_own_place() {
    let (_world, publisher, stream) = live();
    let mut viewers: Vec<_> = (0..3)
        .map(|_| stream.subscribe(Protocol::HttpFlv))
        .collect();
    publisher.send([key(0), delta(40)]);
    let written = Cell::new(0);
    let serialise = |items: &[Item]| -> Vec<*const u8> {
        let pointer = |item: &Item| {
            let bytes = match item {
                Item::Join(gop) => gop.serialised(Wire::Flv, Tracks::Default, |gop| {
                    written.set(written.get() + 1);
                    Bytes::from(format!(
                        "{} headers",
                        gop.header_frames(Tracks::Default).count()
                    ))
                }),
                Item::Frame(slot) => slot.serialised(Wire::Flv, |frame| {
                    written.set(written.get() + 1);
                    Bytes::from(frame.data.to_vec())
                }),
            };
            bytes.as_ptr()
        };
        items.iter().map(pointer).collect()
    };
    let all: Vec<_> = viewers
        .iter_mut()
        .map(|viewer| serialise(&items(viewer)))
        .collect();
    assert_eq!(all[0].len(), 3);
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    assert_eq!(written.get(), 3, "a join and two frames, each once");

    // One reads on, the others later.
    publisher.send([delta(80)]);
    assert_eq!(words(&items(&mut viewers[0])), ["v1080"]);
    publisher.send([delta(120)]);
    assert_eq!(words(&items(&mut viewers[1])), ["v1080", "v1120"]);
    assert_eq!(words(&items(&mut viewers[0])), ["v1120"]);
}

#[test]
fn rtmp_and_flv_forms_are_kept_apart() {
    let (_world, publisher, stream) = live();
    publisher.send([key(0)]);
    let got = items(&mut stream.subscribe(Protocol::Rtmp));
    let Item::Frame(slot) = &got[1] else {
        unreachable!()
    };
    assert_eq!(
        slot.serialised(Wire::Rtmp, |_| Bytes::from_static(b"r")),
        "r"
    );
    assert_eq!(
        slot.serialised(Wire::Flv, |_| Bytes::from_static(b"f")),
        "f"
    );
    assert_eq!(slot.serialised(Wire::Rtmp, |_| unreachable!()), "r");
}

#[test]
fn a_slow_viewer_skips_to_the_newest_key_frame_if_there_is_a_newer_one() {
    let (_world, publisher, stream) = live();
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    publisher.send([key(0)]);
    items(&mut viewer);
    // 7 s behind, but in the newest GOP: it is given everything.
    publisher.send((1..=70).map(|n| delta(n * 100)));
    let got = items(&mut viewer);
    assert_eq!((got.len(), viewer.skips_total()), (70, 0));
    // 4 s behind, in an older GOP: not slow yet.
    publisher.send((71..=110).map(|n| {
        if n == 100 {
            key(n * 100)
        } else {
            delta(n * 100)
        }
    }));
    assert_eq!((items(&mut viewer).len(), viewer.skips_total()), (40, 0));
    // 6 s behind with a newer key frame: there it goes, with headers.
    publisher.send((111..=171).map(|n| {
        if n == 170 {
            key(n * 100)
        } else {
            delta(n * 100)
        }
    }));
    assert_eq!(words(&items(&mut viewer)), ["J18000", "V18000", "v18100"]);
    assert_eq!(viewer.skips_total(), 1);
}

#[test]
fn a_viewer_behind_by_bytes_skips_too() {
    let (_world, publisher, stream) = live();
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    let big = |key, dts| frame(Codec::Avc, Kind::Media { key }, dts, &[0; 100 << 10]);
    publisher.send([big(true, 0)]);
    items(&mut viewer);
    publisher.send([big(false, 40), big(true, 80)]);
    assert_eq!(
        words(&items(&mut viewer)),
        ["v1040", "V1080"],
        "200 KiB are within 256 KiB"
    );
    publisher.send([big(false, 120), big(false, 160), big(true, 200)]);
    assert_eq!(words(&items(&mut viewer)), ["J1200", "V1200"]);
}

#[test]
fn a_viewer_whose_frames_are_gone_waits_for_a_key_frame() {
    let (_world, publisher, stream) = live();
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    publisher.send([key(0)]);
    items(&mut viewer);
    let big = |dts| frame(Codec::Avc, Kind::Media { key: false }, dts, &[0; 200 << 10]);
    publisher.send((1..=8).map(|n| big(n * 40)));
    assert!(
        told(&mut viewer).is_none(),
        "the ring holds no key frame any more"
    );
    assert_eq!(viewer.skips_total(), 0);
    publisher.send([key(400)]);
    assert_eq!(words(&items(&mut viewer)), ["J1400", "V1400"]);
    assert_eq!(viewer.skips_total(), 1);
}

/// Makes the viewer skip once; `n` counts the times.
fn fall_behind(publisher: &Publisher, n: i64) {
    let start = n * 20_000;
    publisher.send((0..=60).map(|step| {
        let dts = start + step * 100;
        if step == 60 { key(dts) } else { delta(dts) }
    }));
}

#[test]
fn the_third_skip_within_half_a_minute_is_the_last() {
    for (protocol, seconds, closed) in [
        (Protocol::Rtmp, [0, 10, 20], true),
        (Protocol::HttpFlv, [0, 0, 30], true),
        (Protocol::WebSocketFlv, [0, 20, 31], false),
        (Protocol::Packager, [0, 1, 2], false),
    ] {
        let (world, publisher, stream) = live();
        publisher.send([key(0)]);
        let mut viewer = stream.subscribe(protocol);
        let mut last = viewer.take(world.now);
        for (n, second) in (1..).zip(seconds) {
            assert!(
                matches!(last, Some(Delivery::Items(_))),
                "{protocol:?}: {last:?}"
            );
            fall_behind(&publisher, n);
            last = viewer.take(world.now + Duration::from_secs(second));
        }
        let is_closed = matches!(last, Some(Delivery::TooSlow));
        assert_eq!(
            (is_closed, viewer.skips_total()),
            (closed, 3),
            "{protocol:?}"
        );
    }
}

#[test]
fn what_is_handed_over_at_once_is_bounded() {
    let (_world, publisher, stream) = live();
    let mut viewer = stream.subscribe(Protocol::Packager);
    publisher.send([key(0)]);
    publisher.send((1..300).map(delta));
    let mut sizes = Vec::new();
    while let Some(Delivery::Items(items)) = told(&mut viewer) {
        sizes.push(items.len());
    }
    assert_eq!(sizes, [129, 128, 44], "a join and 300 frames");

    let world = World::with(Limits {
        ring_bytes_max: 64 << 20,
        lag_bytes_max: u64::MAX,
        ..LIMITS
    });
    let (publisher, stream) = world.publish("b");
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    let big = |dts, mib: usize| {
        frame(
            Codec::Avc,
            Kind::Media { key: dts == 0 },
            dts,
            &vec![0; mib << 19],
        )
    };
    publisher.send([big(0, 1), big(40, 1), big(80, 1), big(120, 5), big(160, 1)]);
    let mut sizes = Vec::new();
    while let Some(Delivery::Items(items)) = told(&mut viewer) {
        sizes.push(items.len());
    }
    // Two of half a MiB and their cost are more than 1 MiB; one of 2.5 MiB goes alone.
    assert_eq!(sizes, [2, 1, 1, 1, 1]);
}

#[tokio::test]
async fn nothing_is_lost_when_a_wait_is_given_up() {
    let (_world, publisher, stream) = live();
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    publisher.send([key(0)]);
    items(&mut viewer);
    for dts in 1..50 {
        // The wait has begun, and is dropped before or after the frame comes.
        let mut wait = Box::pin(viewer.next());
        assert!(futures_util::poll!(&mut wait).is_pending());
        if dts % 2 == 0 {
            drop(wait);
            publisher.send([delta(dts)]);
        } else {
            publisher.send([delta(dts)]);
            drop(wait);
        }
        assert_eq!(words(&items(&mut viewer)), [format!("v{}", 1000 + dts)]);
    }
}

#[tokio::test]
async fn a_waiting_viewer_is_woken() {
    let (_world, publisher, stream) = live();
    publisher.send([key(0)]);
    let mut viewer = stream.subscribe(Protocol::Rtmp);
    items(&mut viewer);
    let waits = tokio::spawn(async move { (viewer.next().await, viewer) });
    tokio::task::yield_now().await;
    publisher.send([delta(40)]);
    let (delivery, mut viewer) = waits.await.unwrap();
    assert!(matches!(delivery, Delivery::Items(items) if words(&items) == ["v1040"]));
    let waits = tokio::spawn(async move { viewer.next().await });
    tokio::task::yield_now().await;
    drop(publisher);
    assert!(matches!(waits.await.unwrap(), Delivery::Interrupted));
}

#[test]
fn viewers_are_counted_while_they_live_and_the_packager_never_is() {
    let (world, _publisher, stream) = live();
    let rtmp = stream.subscribe(Protocol::Rtmp);
    let flv = [
        stream.subscribe(Protocol::HttpFlv),
        stream.subscribe(Protocol::HttpFlv),
    ];
    let _packager = stream.subscribe(Protocol::Packager);
    let count = || Protocol::VIEWERS.map(|protocol| stream.viewers().by(protocol));
    assert_eq!((count(), world.hub.viewers()), ([1, 2, 0, 0], 3));
    drop(flv);
    assert_eq!((count(), world.hub.viewers()), ([1, 0, 0, 0], 1));
    drop(rtmp);
    assert_eq!(world.hub.viewers(), 0);
}

#[test]
fn viewers_that_are_sent_away_leave_the_publisher_and_whoever_comes_later() {
    let (_world, publisher, stream) = live();
    publisher.send([key(0)]);
    let mut viewer = stream.subscribe(Protocol::HttpFlv);
    let mut packager = stream.subscribe(Protocol::Packager);
    assert_eq!(items(&mut viewer).len(), 2);
    assert_eq!(items(&mut packager).len(), 2);
    stream.dismiss_viewers();
    publisher.send([delta(40)]);
    assert!(matches!(told(&mut viewer), Some(Delivery::Ended)));
    assert_eq!(items(&mut packager).len(), 1);
    let mut later = stream.subscribe(Protocol::HttpFlv);
    assert_eq!(words(&items(&mut later)), ["J1000", "V1000", "v1040"]);
}
