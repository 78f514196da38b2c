//! A real browser plays the embedded page, by every protocol.

use std::process::Command;

use isocast_harness::clip::encode;
use isocast_harness::{Clip, Ffmpeg, Node, Process, repository, target_folder, tool, wait};

/// Four checks of 10 s, or six of 5 s, and the time to start a browser for each.
const DEADLINE_S: u64 = 180;

#[test]
fn chromium_watches_a_live_room() {
    let node = node_with_a_page();
    let room = node.public_room("demo");
    let log = node.file("publisher.log");
    let clip = Clip::AudioVideo.path();
    let _publisher = Ffmpeg::debian().publish_forever(&clip, &node.publish_url(&room), &log);
    node.wait_for_status("/hls/demo/index.m3u8", 200, 15);

    let (base, pictures) = (node.http_url(""), pictures());
    drive(&node, "watch.mjs", &[&base, "demo", &pictures]);
    // Each page told what it saw before it was closed.
    for protocol in ["http-flv", "ws-flv", "hls"] {
        let series = format!("isocast_viewer_first_frame_seconds_count{{protocol=\"{protocol}\"");
        wait::until(&series, 10, || (node.metric(&series) >= 1.0).then_some(()));
    }
    node.stop();
}

#[test]
fn chromium_plays_what_it_decodes_and_names_what_it_does_not() {
    const AV1: &[&str] = &["libsvtav1", "-preset", "12"];
    const HEVC: &[&str] = &[
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=error",
    ];
    const VP9: &[&str] = &["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"];
    const H264: &[&str] = &["libx264", "-preset", "veryfast"];
    let node = node_with_a_page();
    let mut publishers = Vec::new();
    let mut arguments = vec![node.http_url(""), pictures()];
    for (room, video, audio, expected) in [
        ("av1", AV1, "aac", "playing"),
        ("opus", H264, "libopus", "playing"),
        ("mp3", H264, "libmp3lame", "playing"),
        ("hevc", HEVC, "aac", "This browser cannot play HEVC video"),
        ("vp9", VP9, "aac", "This page cannot play VP9 video"),
        ("ac3", H264, "ac3", "This page cannot play AC-3 sound"),
    ] {
        let clip = node.file(&format!("{room}.mkv"));
        encode(&clip, 4, video, &[audio, "-ar", "48000"]);
        let to = node.public_room(room);
        let log = node.file(&format!("{room}.log"));
        let url = node.publish_url(&to);
        publishers.push(Ffmpeg::newest().publish_forever(&clip, &url, &log));
        node.wait_for_live(&to);
        arguments.push(format!("{room}={expected}"));
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    drive(&node, "codecs.mjs", &arguments);
    node.stop();
}

fn node_with_a_page() -> Node {
    assert!(
        repository()
            .join("tests/browser/node_modules/playwright-core")
            .is_dir(),
        "the browser's driver is not installed: run `make tools`"
    );
    let _ = tool("chromium");
    let node = Node::start();
    let page = node.get("/watch/demo").text();
    assert!(
        page.contains("<script"),
        "this node was built without its page: run `make build`"
    );
    node
}

/// Runs a script of `tests/browser` to its good end.
fn drive(node: &Node, script: &str, arguments: &[&str]) {
    let mut command = Command::new(tool("node"));
    command.current_dir(repository().join("tests/browser"));
    command.arg(script).args(arguments);
    let mut driver = Process::start(script, &mut command, &node.file("browser.log"));
    driver.wait_for_success(DEADLINE_S);
    println!("{}", driver.log());
}

fn pictures() -> String {
    let folder = target_folder().join("screenshots");
    folder.to_string_lossy().into_owned()
}
