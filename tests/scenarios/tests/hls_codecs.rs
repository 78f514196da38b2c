//! HLS of codecs beyond H.264 and AAC: what MPEG-TS carries comes back unchanged, and of the rest
//! players are told so at once.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use isocast_harness::clip::encode;
use isocast_harness::playlist;
use isocast_harness::{Ffmpeg, Node, NodeOptions, Process, Room, hashes, run, tool};

const SECONDS: u32 = 12;
const FRAMES_PER_S: usize = 25;
/// A clip in real time, and twice as long again on a machine that is busy.
const PLAY_S: u64 = SECONDS as u64 * 3;

/// A stream to publish: how it is made, and what HLS says of it.
struct Case {
    name: &'static str,
    video: &'static [&'static str],
    audio: &'static [&'static str],
    /// Audio packets in ten seconds.
    packets_in_10_s: usize,
    codecs: &'static str,
    tracks: [&'static str; 2],
}

const X264: &[&str] = &[
    "libx264",
    "-preset",
    "veryfast",
    "-bf",
    "2",
    "-profile:v",
    "high",
];
const X265: &[&str] = &[
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "log-level=error:bframes=2:scenecut=0:open-gop=0",
];
const AAC: &[&str] = &["aac", "-ar", "44100"];
const MP3: &[&str] = &["libmp3lame", "-ar", "44100"];
const AC3: &[&str] = &["ac3", "-ar", "48000"];
const EAC3: &[&str] = &["eac3", "-ar", "48000"];

const CARRIED: [Case; 4] = [
    Case {
        name: "hevc-aac",
        video: X265,
        audio: AAC,
        packets_in_10_s: 430,
        codecs: "CODECS=\"hvc1.1.6.L63.90,mp4a.40.2\"",
        tracks: ["hevc", "aac"],
    },
    Case {
        name: "hevc-mp3",
        video: X265,
        audio: MP3,
        packets_in_10_s: 382,
        codecs: "CODECS=\"hvc1.1.6.L63.90,mp4a.40.34\"",
        tracks: ["hevc", "mp3"],
    },
    Case {
        name: "avc-ac3",
        video: X264,
        audio: AC3,
        packets_in_10_s: 312,
        codecs: "CODECS=\"avc1.64001E,ac-3\"",
        tracks: ["h264", "ac3"],
    },
    Case {
        name: "avc-eac3",
        video: X264,
        audio: EAC3,
        packets_in_10_s: 312,
        codecs: "CODECS=\"avc1.64001E,ec-3\"",
        tracks: ["h264", "eac3"],
    },
];

#[test]
fn what_mpeg_ts_carries_comes_back() {
    // Players end with the hold, so a short one ends the test soon.
    let node = NodeOptions::default().set("hub.hold_s", 1).start();
    thread::scope(|scope| {
        for case in &CARRIED {
            let node = &node;
            scope.spawn(move || comes_back(node, case));
        }
    });
    node.stop();
}

fn comes_back(node: &Node, case: &Case) {
    let name = case.name;
    let (_, sent, mut publisher) = publish(node, name, case.video, case.audio);
    let playlist = format!("/hls/{name}/index.m3u8");
    node.wait_for_status(&playlist, 200, 15);
    let master = node.get(&format!("/hls/{name}/master.m3u8")).text();
    assert!(master.contains(case.codecs), "{name}: {master}");
    first_segment_is_accepted(node, case);
    thread::scope(|scope| {
        for ffmpeg in [Ffmpeg::debian(), Ffmpeg::newest()] {
            let (sent, url) = (&sent, node.http_url(&playlist));
            scope.spawn(move || {
                let got = node.file(&format!("{name}-{}.mkv", ffmpeg.name().replace(' ', "-")));
                let file = got.to_string_lossy();
                // From the first segment; a player would begin three from the end.
                let record = [
                    "-live_start_index",
                    "0",
                    "-i",
                    &url,
                    "-c",
                    "copy",
                    "-y",
                    &file,
                ];
                let output = ffmpeg.run(record);
                assert_eq!(output.code, Some(0), "{name}: {}", output.err);
                let what = format!("{name} to {}", ffmpeg.name());
                let (pictures, sounds) = (hashes::video_frames, hashes::audio_packets);
                let (frames, packets) = (10 * FRAMES_PER_S, case.packets_in_10_s);
                hashes::assert_one_run(&what, &pictures(&got), &pictures(sent), frames);
                // Matroska says of the last packet how much of it is padding.
                let (mut got, sent) = (sounds(&got), sounds(sent));
                got.pop();
                hashes::assert_one_run(&what, &got, &sent, packets);
            });
        }
    });
    publisher.wait_for_success(PLAY_S);
}

/// Debian's ffprobe finds both tracks, a key frame first, and nothing to complain of.
fn first_segment_is_accepted(node: &Node, case: &Case) {
    let name = case.name;
    let text = node.get(&format!("/hls/{name}/index.m3u8")).text();
    let segments = playlist::parse(&text).segments;
    let segment = node.get(&format!("/hls/{name}/{}", segments[0].uri));
    let file = node.file(&format!("{name}.ts"));
    std::fs::write(&file, &segment.body).expect("the folder can be written");
    let mut probe = Command::new(tool("ffprobe"));
    let entries = "stream=codec_name:packet=codec_type,flags";
    probe.args(["-v", "error", "-show_entries", entries, "-of", "json"]);
    let probe = run(probe.arg(&file));
    assert_eq!((probe.code, probe.err.as_str()), (Some(0), ""), "{name}");
    let probe: serde_json::Value = serde_json::from_str(&probe.out).expect("JSON");
    let list = |key: &str| probe[key].as_array().expect("a list").clone();
    let mut tracks: Vec<_> = list("streams")
        .into_iter()
        .map(|it| it["codec_name"].clone())
        .collect();
    tracks.sort_by_key(|codec| codec != case.tracks[0]);
    assert_eq!(tracks, case.tracks, "{name}");
    let packets = list("packets");
    let first = packets
        .iter()
        .find(|packet| packet["codec_type"] == "video");
    let flags = first
        .and_then(|packet| packet["flags"].as_str())
        .unwrap_or_default();
    assert!(flags.starts_with('K'), "{name} begins with {flags}");
}

#[test]
fn what_it_does_not_carry_is_told_at_once() {
    const SVT_AV1: &[&str] = &["libsvtav1", "-preset", "12"];
    const VP9: &[&str] = &["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"];
    let node = Node::start();
    for (name, video, audio, codec) in [
        ("av1", SVT_AV1, AAC, "AV1"),
        ("vp9", VP9, AAC, "VP9"),
        ("opus", X264, &["libopus", "-ar", "48000"][..], "Opus"),
        ("flac", X264, &["flac", "-ar", "44100"], "FLAC"),
    ] {
        let (room, _, _publisher) = publish(&node, name, video, audio);
        node.wait_for_live(&room);
        let asked_at = Instant::now();
        let answer = node.get(&format!("/hls/{name}/index.m3u8"));
        let waited = asked_at.elapsed();
        assert_eq!(answer.status, 404, "{}", answer.text());
        assert_eq!(answer.error_code(), "codec_not_in_hls");
        let says = answer.text();
        assert!(says.contains(codec) && says.contains("FLV"), "{says}");
        // The first segment would have been waited for, two seconds and more.
        assert!(waited < Duration::from_secs(1), "{name}: after {waited:?}");
        let live = node.get(&format!("/api/v1/live/{name}")).json();
        assert!(live["urls"]["hls"].is_null(), "{live}");
        assert!(live["urls"]["flv"].is_string(), "{live}");
    }
    node.stop();
}

/// Makes a clip and publishes it once, by Enhanced RTMP.
fn publish(node: &Node, name: &str, video: &[&str], audio: &[&str]) -> (Room, PathBuf, Process) {
    let clip = node.file(&format!("{name}-sent.mkv"));
    encode(&clip, SECONDS, video, audio);
    let room = node.public_room(name);
    let log = node.file(&format!("{name}-publish.log"));
    let publisher = Ffmpeg::newest().publish(&clip, &node.publish_url(&room), &log);
    (room, clip, publisher)
}
