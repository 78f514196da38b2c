//! Readers that we did not write accept every playlist and every segment.

use std::collections::BTreeMap;
use std::process::Command;

use isocast_harness::playlist::{self, Playlist, Segment};
use isocast_harness::{Clip, Ffmpeg, Node, NodeOptions, run, tool, wait};
use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::{HlsLine, Reader};

#[test]
fn ffprobe_and_a_playlist_parser_accept_everything() {
    let node = NodeOptions::default().set("hub.hold_s", 1).start();
    let node = &node;
    std::thread::scope(|scope| {
        for clip in Clip::ALL {
            scope.spawn(move || all_of_it_is_accepted(node, clip));
        }
    });
}

fn all_of_it_is_accepted(node: &Node, clip: Clip) {
    let name = clip.name();
    let room = node.public_room(name);
    let log = node.file(&format!("{name}.log"));
    let _publisher = Ffmpeg::debian().publish(&clip.path(), &node.publish_url(&room), &log);
    node.wait_for_status(&format!("/hls/{name}/index.m3u8"), 200, 15);

    let master = node.get(&format!("/hls/{name}/master.m3u8")).text();
    well_formed(&master);
    let video = clip.has_video().then_some("avc1.");
    let audio = clip.has_audio().then_some("mp4a.40.2");
    for part in video.iter().chain(&audio) {
        assert!(master.contains(part), "{name}: {part} in {master}");
    }
    assert_eq!(
        master.contains("RESOLUTION=640x360"),
        clip.has_video(),
        "{master}"
    );

    let mut segments = BTreeMap::new();
    let ended = wait::until(&format!("the end of {name}"), 40, || {
        let text = node.get(&format!("/hls/{name}/index.m3u8")).text();
        let playlist = well_formed(&text);
        for segment in &playlist.segments {
            if !segments.contains_key(&segment.uri) {
                segments.insert(segment.uri.clone(), segment.clone());
                segment_is_accepted(node, clip, segment);
            }
        }
        playlist.has_ended.then_some(playlist)
    });
    assert!(
        segments.len() >= 7,
        "{name}: only {} segments of 16 s",
        segments.len()
    );
    let total_s: f64 = segments.values().map(|segment| segment.duration_s).sum();
    assert!((15.8..16.3).contains(&total_s), "{name}: {total_s} s of 16");
    assert!(
        ended
            .segments
            .iter()
            .all(|segment| !segment.after_discontinuity)
    );
}

/// Every line is a known tag, a comment or a URI for a parser that is not ours.
fn well_formed(text: &str) -> Playlist {
    let options = ParsingOptionsBuilder::new()
        .with_parsing_for_all_tags()
        .build();
    let mut reader = Reader::from_str(text, options);
    while let Some(line) = reader
        .read_line()
        .unwrap_or_else(|error| panic!("{error:?} in {text}"))
    {
        assert!(
            !matches!(line, HlsLine::UnknownTag(_)),
            "{line:?} in {text}"
        );
    }
    let playlist = playlist::parse(text);
    for Segment {
        uri, duration_s, ..
    } in &playlist.segments
    {
        // RFC 8216 §4.3.3.1: rounded to the nearest integer, no longer than the target.
        assert!(
            duration_s.round() as u64 <= playlist.target_s,
            "{uri} lasts {duration_s} s: {text}"
        );
        let is_relative = !uri.contains("://") && !uri.starts_with('/');
        assert!(is_relative, "a cache in front may have another name: {uri}");
    }
    playlist
}

fn segment_is_accepted(node: &Node, clip: Clip, segment: &Segment) {
    let name = clip.name();
    let path = format!("/hls/{name}/{}", segment.uri);
    let answer = node.get(&path);
    assert_eq!(answer.status, 200, "{path}");
    assert_eq!(answer.body.len() % 188, 0, "{path}: whole TS packets");
    let file = node.file(&format!("{name}-{}.ts", segment.msn));
    std::fs::write(&file, &answer.body).expect("the folder can be written");
    let mut expected = Vec::new();
    expected.extend(clip.has_video().then_some("h264"));
    expected.extend(clip.has_audio().then_some("aac"));

    let mut probe = Command::new(tool("ffprobe"));
    let entries = "stream=codec_name:packet=flags,stream_index,dts_time";
    probe
        .args(["-v", "error", "-show_entries", entries, "-of", "json"])
        .arg(&file);
    let probe = run(&mut probe);
    assert_eq!((probe.code, probe.err.as_str()), (Some(0), ""), "{path}");
    let probe: serde_json::Value = serde_json::from_str(&probe.out).expect("JSON");
    let streams = probe["streams"].as_array().expect("streams");
    let mut codecs: Vec<_> = streams
        .iter()
        .filter_map(|s| s["codec_name"].as_str())
        .collect();
    codecs.sort_unstable_by_key(|codec| *codec == "aac");
    assert_eq!(codecs, expected, "{path}");
    if clip.has_video() {
        // A player that begins here needs a key frame first.
        let video = streams
            .iter()
            .position(|stream| stream["codec_name"] == "h264");
        let packets = probe["packets"].as_array().expect("packets");
        let first = packets
            .iter()
            .find(|packet| packet["stream_index"].as_u64() == video.map(|at| at as u64));
        let flags = first
            .and_then(|packet| packet["flags"].as_str())
            .unwrap_or_default();
        assert!(flags.starts_with('K'), "{path} begins with {flags}");
    }
}
