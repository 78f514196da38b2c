//! Streams of several video or audio tracks.

use super::*;

fn on(track_id: u8, frame: Frame) -> Frame {
    Frame { track_id, ..frame }
}

fn opus(dts: i64) -> Frame {
    on(
        1,
        frame(Codec::Opus, Kind::Media { key: true }, dts, b"opus"),
    )
}

fn colours(codec: Codec) -> Frame {
    frame(codec, Kind::Metadata, 0, b"colorInfo")
}

/// Track, kind and what it is, for all that describes these tracks.
fn described(headers: &Headers, tracks: Tracks) -> Vec<(Codec, u8, Kind)> {
    let of = headers.of(tracks);
    of.map(|it| (it.codec, it.track_id, it.kind)).collect()
}

fn multitrack() -> (World, Publisher, Arc<Stream>) {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    publisher.send([
        config(Codec::Avc, b"sps"),
        on(1, config(Codec::Hevc, b"vps")),
        config(Codec::Aac, b"asc"),
        on(1, config(Codec::Opus, b"head")),
        on(
            1,
            frame(Codec::Hevc, Kind::Media { key: true }, 0, b"other"),
        ),
        key(0),
        opus(10),
        audio(10),
        on(
            1,
            frame(Codec::Hevc, Kind::Media { key: true }, 40, b"other"),
        ),
        delta(40),
    ]);
    (world, publisher, stream)
}

#[test]
fn a_viewer_gets_the_default_tracks_or_all_that_it_asked_for() {
    let (_world, publisher, stream) = multitrack();
    let mut plain = stream.subscribe(Protocol::HttpFlv);
    let mut all = stream.subscribe(Protocol::HttpFlv).with(Tracks::All);
    let (plain_got, all_got) = (items(&mut plain), items(&mut all));
    assert_eq!(words(&plain_got), ["J1000", "V1000", "a1010", "v1040"]);
    // Both join where the default track can be joined.
    assert_eq!(
        words(&all_got),
        ["J1000", "V1000", "a1010", "a1010", "V1040", "v1040"]
    );
    let (Item::Frame(one), Item::Frame(other)) = (&plain_got[1], &all_got[1]) else {
        unreachable!()
    };
    assert!(Arc::ptr_eq(one, other), "one frame, serialised once");
    // What a plain viewer does not get neither wakes nor delays it.
    publisher.send([opus(50)]);
    assert!(told(&mut plain).is_none());
    publisher.send([audio(60)]);
    assert_eq!(words(&items(&mut plain)), ["a1060"]);
    assert_eq!(words(&items(&mut all)), ["a1050", "a1060"]);
}

#[test]
fn headers_are_of_the_tracks_a_viewer_gets() {
    let (_world, _publisher, stream) = multitrack();
    let Item::Join(gop) = &items(&mut stream.subscribe(Protocol::Rtmp))[0] else {
        unreachable!()
    };
    let codecs = |tracks| -> Vec<_> { gop.header_frames(tracks).map(|it| it.codec).collect() };
    use Codec::{Aac, Avc, Hevc, Opus};
    assert_eq!(codecs(Tracks::Default), [Avc, Aac]);
    assert_eq!(codecs(Tracks::All), [Avc, Hevc, Aac, Opus]);
    let serialised = |tracks| gop.serialised(Wire::Rtmp, tracks, |_| Bytes::from(vec![0; 1]));
    let plain = serialised(Tracks::Default);
    assert_eq!(plain.as_ptr(), serialised(Tracks::Default).as_ptr());
    assert_ne!(plain.as_ptr(), serialised(Tracks::All).as_ptr());
}

#[test]
fn each_track_keeps_its_own_configuration() {
    let (_world, publisher, stream) = multitrack();
    publisher.send([on(1, config(Codec::Hevc, b"other vps"))]);
    let headers = stream.headers();
    let data: Vec<_> = headers.of(Tracks::All).map(|it| &it.data[..]).collect();
    assert_eq!(data, [&b"sps"[..], b"other vps", b"asc", b"head"]);
}

#[test]
fn what_describes_another_codec_is_left_out() {
    let mut headers = Headers::default();
    let config_and_colours = |codec| vec![(codec, 0, Kind::Config), (codec, 0, Kind::Metadata)];
    assert!(headers.keep(&config(Codec::Avc, b"sps")));
    // As ffmpeg tells the colours of a second track.
    assert!(!headers.keep(&colours(Codec::Hevc)));
    assert_eq!(headers.of(Tracks::Default).count(), 1);
    assert!(headers.keep(&config(Codec::Hevc, b"vps")));
    assert!(headers.keep(&colours(Codec::Hevc)));
    assert!(!headers.keep(&colours(Codec::Hevc)), "said already");
    assert_eq!(
        described(&headers, Tracks::Default),
        config_and_colours(Codec::Hevc)
    );
    assert!(headers.keep(&config(Codec::Av1, b"obu")));
    assert_eq!(
        described(&headers, Tracks::Default),
        [(Codec::Av1, 0, Kind::Config)]
    );
    // Colours may come first.
    let mut headers = Headers::default();
    assert!(headers.keep(&colours(Codec::Hevc)));
    assert!(headers.keep(&config(Codec::Hevc, b"vps")));
    assert_eq!(described(&headers, Tracks::Default).len(), 2);
}

#[test]
fn a_codec_that_describes_itself_replaces_one_that_does_not() {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    let mp3 = |dts| frame(Codec::Mp3, Kind::Media { key: true }, dts, b"mp3");
    publisher.send([config(Codec::Aac, b"asc"), audio(0), mp3(20), mp3(1100)]);
    let got = items(&mut stream.subscribe(Protocol::Rtmp));
    let Item::Join(gop) = &got[0] else {
        unreachable!()
    };
    assert_eq!(gop.header_frames(Tracks::Default).count(), 0);
    assert!(gop.has_audio() && !gop.has_video());
}

#[test]
fn only_the_default_video_track_is_waited_for_and_joined_at() {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    let other = |dts, key| on(3, frame(Codec::Av1, Kind::Media { key }, dts, b"av1"));
    let mut all = stream.subscribe(Protocol::Rtmp).with(Tracks::All);
    publisher.send([other(0, true), delta(0), other(40, false)]);
    assert!(told(&mut all).is_none());
    publisher.send([key(80), other(80, true), other(120, true)]);
    assert_eq!(
        words(&items(&mut all)),
        ["J1080", "V1080", "V1080", "V1120"]
    );
}

#[test]
fn tracks_of_a_kind_share_a_clock_and_none_goes_back() {
    let world = World::new();
    let (publisher, stream) = world.publish("a");
    let mut all = stream.subscribe(Protocol::Rtmp).with(Tracks::All);
    let picture = |id, dts| on(id, key(dts));
    publisher.send([
        picture(0, 5000),
        picture(1, 5000),
        on(1, audio(4990)),
        on(1, delta(5040)),
        delta(5040),
    ]);
    assert_eq!(
        words(&items(&mut all)),
        ["J1000", "V1000", "V1000", "a990", "v1040", "v1040"]
    );
    // A jump of all tracks breaks the timeline once.
    publisher.send([picture(0, 90_000), picture(1, 90_000), on(1, audio(89_990))]);
    let got = items(&mut all);
    assert_eq!(words(&got), ["V1041", "V1041", "a1031"]);
    let breaks = |item: &&Item| matches!(item, Item::Frame(slot) if slot.discontinuity);
    assert_eq!(got.iter().filter(breaks).count(), 1);
}
