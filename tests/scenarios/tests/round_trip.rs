//! What is published comes back: every picture and every sound, unchanged and in order.

use std::process::Command;
use std::thread;

use isocast_harness::clip::{AUDIO_PACKETS_IN_10_S, SECONDS, VIDEO_FRAMES_IN_10_S};
use isocast_harness::{Clip, Ffmpeg, Node, NodeOptions, Process, hashes, run, tool};

/// A clip in real time, and twice as long again on a machine that is busy.
const PLAY_S: u64 = SECONDS as u64 * 3;

#[test]
fn debians_ffmpeg_gets_back_what_it_sent() {
    all_clips_come_back(&Ffmpeg::debian());
}

#[test]
fn the_newest_ffmpeg_gets_back_what_it_sent() {
    all_clips_come_back(&Ffmpeg::newest());
}

fn all_clips_come_back(ffmpeg: &Ffmpeg) {
    // Players end with the hold, so a short one ends the test soon.
    let node = NodeOptions::default().set("hub.hold_s", 1).start();
    thread::scope(|scope| {
        for clip in Clip::ALL {
            let node = &node;
            scope.spawn(move || comes_back(node, ffmpeg, clip));
        }
    });
    node.stop();
}

/// Publishes a clip once and plays it by every protocol at the same time, to the end.
fn comes_back(node: &Node, ffmpeg: &Ffmpeg, clip: Clip) {
    let name = clip.name();
    let room = node.public_room(name);
    let log = node.file(&format!("{name}-publish.log"));
    let mut publisher = ffmpeg.publish(&clip.path(), &node.publish_url(&room), &log);
    node.wait_for_live(&room);
    let file = |protocol: &str| node.file(&format!("{name}-{protocol}.flv"));
    let rtmp = ffmpeg.record(
        &["-rtmp_live", "live"],
        &node.rtmp_url(&room),
        &file("rtmp"),
    );
    let flv = ffmpeg.record(
        &[],
        &node.http_url(&format!("/flv/room_{name}.flv")),
        &file("flv"),
    );
    let playlist = format!("/hls/room_{name}/index.m3u8");
    node.wait_for_status(&playlist, 200, 15);
    // From the first segment; a player would begin three from the end.
    let hls = ffmpeg.record(
        &["-live_start_index", "0"],
        &node.http_url(&playlist),
        &file("hls"),
    );

    publisher.wait_for_success(PLAY_S);
    for (protocol, mut player) in [("rtmp", rtmp), ("flv", flv), ("hls", hls)] {
        player.wait_for_success(PLAY_S);
        let what = format!("{} {name} over {protocol}", ffmpeg.name());
        is_what_was_sent(&what, clip, &file(protocol));
    }
}

fn is_what_was_sent(what: &str, clip: Clip, file: &std::path::Path) {
    if clip.has_video() {
        let (got, sent) = (
            hashes::video_frames(file),
            hashes::video_frames(&clip.path()),
        );
        hashes::assert_one_run(
            &format!("{what}, pictures"),
            &got,
            &sent,
            VIDEO_FRAMES_IN_10_S,
        );
    }
    if clip.has_audio() {
        let (got, sent) = (
            hashes::audio_packets(file),
            hashes::audio_packets(&clip.path()),
        );
        hashes::assert_one_run(
            &format!("{what}, sounds"),
            &got,
            &sent,
            AUDIO_PACKETS_IN_10_S,
        );
    }
}

#[test]
fn rtmpdump_plays() {
    let node = NodeOptions::default().set("hub.hold_s", 1).start();
    let room = node.public_room("dump");
    let log = node.file("publish.log");
    let clip = Clip::AudioVideo.path();
    let mut publisher = Ffmpeg::debian().publish(&clip, &node.publish_url(&room), &log);
    node.wait_for_live(&room);

    let file = node.file("dump.flv");
    let mut command = Command::new(tool("rtmpdump"));
    command
        .args(["--live", "--rtmp", &node.rtmp_url(&room), "--flv"])
        .arg(&file);
    let mut player = Process::start("rtmpdump", &mut command, &node.file("rtmpdump.log"));
    publisher.wait_for_success(PLAY_S);
    player.wait(PLAY_S);

    let (got, sent) = (hashes::video_frames(&file), hashes::video_frames(&clip));
    hashes::assert_one_run("rtmpdump, pictures", &got, &sent, VIDEO_FRAMES_IN_10_S);
    let mut probe = Command::new(tool("ffprobe"));
    probe.args([
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name",
        "-of",
        "csv=p=0",
    ]);
    let probe = run(probe.arg(&file));
    assert_eq!(probe.err, "");
    let tracks: Vec<_> = probe.out.lines().collect();
    assert_eq!(tracks, ["h264", "aac"]);
    node.stop();
}
