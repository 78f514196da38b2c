//! GStreamer, whose RTMP and HLS share no code with ffmpeg's or ours, publishes and plays.

use std::path::{Path, PathBuf};
use std::process::Command;

use isocast_harness::clip::{AUDIO_PACKETS_IN_10_S, SECONDS, VIDEO_FRAMES_IN_10_S};
use isocast_harness::{Clip, Ffmpeg, NodeOptions, Process, hashes, tool};

/// A clip in real time, and twice as long again on a machine that is busy.
const PATIENCE_S: u64 = SECONDS as u64 * 3;

#[test]
fn gstreamer_gets_back_what_it_sent() {
    // Players end with the hold, so a short one ends the test soon.
    let node = NodeOptions::default().set("hub.hold_s", 1).start();
    let room = node.public_room("gst");
    let clip = Clip::AudioVideo.path();
    let source = format!("filesrc location={} ! flvdemux name=d", clip.display());
    let sink = format!(
        "flvmux name=m streamable=true ! rtmp2sink location={}",
        node.publish_url(&room)
    );
    let publish = format!(
        "{source} d.video ! queue ! h264parse ! identity sync=true ! queue ! m. \
         d.audio ! queue ! aacparse ! identity sync=true ! queue ! m. {sink}"
    );
    let mut publisher = pipeline("publishing", &publish, &node.file("publish.log"));
    node.wait_for_live(&room);

    let file = |name: &str| node.file(name);
    let play = |what: &str, elements: &str, name: &str| {
        let pipe = format!("{elements} ! filesink location={}", file(name).display());
        pipeline(what, &pipe, &file(&format!("{name}.log")))
    };
    let rtmp = format!("rtmp2src location={}", node.rtmp_url(&room));
    let rtmp = play("playing RTMP", &rtmp, "rtmp.flv");
    let flv = node.http_url("/flv/room_gst.flv");
    let flv = format!("souphttpsrc is-live=true location={flv}");
    let flv = play("playing FLV", &flv, "http.flv");
    let playlist = "/hls/room_gst/index.m3u8";
    node.wait_for_status(playlist, 200, 15);
    let hls = format!(
        "souphttpsrc location={} ! hlsdemux",
        node.http_url(playlist)
    );
    let hls = play("playing HLS", &hls, "hls.ts");

    publisher.wait_for_success(PATIENCE_S);
    for (mut player, name) in [(rtmp, "rtmp.flv"), (flv, "http.flv"), (hls, "hls.ts")] {
        player.wait_for_success(PATIENCE_S);
        is_what_was_sent(name, &as_flv(&file(name)), &clip);
    }
    node.stop();
}

/// Sounds stand in TS with ADTS headers, in FLV without, as they were sent.
fn as_flv(file: &Path) -> PathBuf {
    if file.extension().is_some_and(|it| it == "flv") {
        return file.to_owned();
    }
    let flv = file.with_extension("flv");
    let (from, to) = (file.to_string_lossy(), flv.to_string_lossy());
    let output = Ffmpeg::debian().run(["-i", &from, "-c", "copy", &to]);
    assert_eq!(output.code, Some(0), "{}", output.err);
    flv
}

fn is_what_was_sent(name: &str, got: &Path, sent: &Path) {
    hashes::assert_one_run(
        &format!("{name}, pictures"),
        &hashes::video_frames(got),
        &hashes::video_frames(sent),
        VIDEO_FRAMES_IN_10_S,
    );
    hashes::assert_one_run(
        &format!("{name}, sounds"),
        &hashes::audio_packets(got),
        &hashes::audio_packets(sent),
        AUDIO_PACKETS_IN_10_S,
    );
}

fn pipeline(what: &str, elements: &str, log: &Path) -> Process {
    let mut command = Command::new(tool("gst-launch-1.0"));
    command.arg("-q").args(elements.split_whitespace());
    Process::start(&format!("GStreamer {what}"), &mut command, log)
}
