//! A real browser plays the embedded page, by every protocol.

use std::process::Command;

use isocast_harness::{Clip, Ffmpeg, Node, Process, repository, target_folder, tool, wait};

/// Four checks of 10 s, and the time to start a browser four times.
const DEADLINE_S: u64 = 180;

#[test]
fn chromium_watches_a_live_room() {
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
    let room = node.public_room("demo");
    let log = node.file("publisher.log");
    let clip = Clip::AudioVideo.path();
    let _publisher = Ffmpeg::debian().publish_forever(&clip, &node.publish_url(&room), &log);
    node.wait_for_status("/hls/demo/index.m3u8", 200, 15);

    let pictures = target_folder().join("screenshots");
    let mut watch = Command::new(tool("node"));
    watch
        .current_dir(repository().join("tests/browser"))
        .arg("watch.mjs");
    watch.args([&node.http_url(""), "demo"]).arg(&pictures);
    let mut watch = Process::start("watch.mjs", &mut watch, &node.file("watch.log"));
    watch.wait_for_success(DEADLINE_S);
    println!("{}", watch.log());
    // Each page told what it saw before it was closed.
    for protocol in ["http-flv", "ws-flv", "hls"] {
        let series = format!("isocast_viewer_first_frame_seconds_count{{protocol=\"{protocol}\"");
        wait::until(&series, 10, || (node.metric(&series) >= 1.0).then_some(()));
    }
    node.stop();
}
