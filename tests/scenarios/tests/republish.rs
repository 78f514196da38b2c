//! An encoder that stops and comes back keeps its viewers.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use isocast_harness::playlist::{Playlist, Segment};
use isocast_harness::{
    Clip, Ffmpeg, Node, NodeOptions, Process, Room, Signal, flv, playlist, run, tool, wait,
};
use isocast_media::rtmp::Media;

/// The hold after which viewers are told that it is over: 15 s by default.
const HOLD_S: u64 = 4;

#[test]
fn viewers_stay_when_an_encoder_comes_back() {
    let node = NodeOptions::default().set("hub.hold_s", HOLD_S).start();
    let room = node.public_room("again");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (node, room, done) = (&node, &room, &done);
        let mut first = publish(node, room, "first.log");
        node.wait_for_live(room);
        let mut viewers = Viewers::start(node, room);
        node.wait_for_status("/hls/again/index.m3u8", 200, 15);
        let seen = scope.spawn(move || follow(node, done));
        viewers.wait_for_growth(300_000);

        first.signal(Signal::INT);
        first.wait(10);
        wait::until("the interruption", 5, || {
            (node.get("/api/v1/live/again").json()["state"] == "interrupted").then_some(())
        });
        let mut second = publish(node, room, "second.log");
        node.wait_for_live(room);
        viewers.wait_for_growth(300_000);
        assert!(viewers.are_there(), "every viewer kept its connection");

        second.signal(Signal::INT);
        second.wait(10);
        viewers.end_well();
        wait::until("ENDLIST", HOLD_S + 5, || {
            let text = node.get("/hls/again/index.m3u8").text();
            playlist::parse(&text).has_ended.then_some(())
        });
        done.store(true, Ordering::Relaxed);
        continues(&seen.join().expect("the playlists were in order"));
    });
    node.stop();
}

fn publish(node: &Node, room: &Room, log: &str) -> Process {
    let clip = Clip::AudioVideo.path();
    Ffmpeg::debian().publish_forever(&clip, &node.publish_url(room), &node.file(log))
}

/// Viewers that write down what they get as it comes, and one that plays like a player.
struct Viewers {
    files: [std::path::PathBuf; 3],
    players: [Process; 3],
}

impl Viewers {
    fn start(node: &Node, room: &Room) -> Self {
        let files = ["curl.flv", "rtmpdump.flv", "ffmpeg.flv"].map(|name| node.file(name));
        let mut curl = Command::new(tool("curl"));
        curl.args(["--silent", "--show-error", "--no-buffer"]);
        curl.arg(node.http_url("/flv/room_again.flv"))
            .arg("--output")
            .arg(&files[0]);
        let mut rtmpdump = Command::new(tool("rtmpdump"));
        rtmpdump
            .args(["--live", "--rtmp", &node.rtmp_url(room), "--flv"])
            .arg(&files[1]);
        let players = [
            Process::start("curl", &mut curl, &node.file("curl.log")),
            Process::start("rtmpdump", &mut rtmpdump, &node.file("rtmpdump.log")),
            Ffmpeg::debian().record(&["-rtmp_live", "live"], &node.rtmp_url(room), &files[2]),
        ];
        Self { files, players }
    }

    /// Waits until each has this many bytes more.
    fn wait_for_growth(&mut self, bytes: u64) {
        let size = |path| std::fs::metadata(path).map_or(0, |file| file.len());
        let before = self.files.each_ref().map(size);
        wait::until("more for every viewer", 15, || {
            let now = self.files.each_ref().map(size);
            now.iter()
                .zip(before)
                .all(|(now, before)| *now >= before + bytes)
                .then_some(())
        });
    }

    fn are_there(&mut self) -> bool {
        self.players.iter_mut().all(Process::is_running)
    }

    /// All end by themselves with the hold, with times that never went back.
    fn end_well(&mut self) {
        for player in &mut self.players {
            player.wait(HOLD_S + 10);
        }
        let [curl, _, ffmpeg] = &mut self.players;
        curl.wait_for_success(1);
        assert!(
            !ffmpeg.log().to_lowercase().contains("monoton"),
            "{}",
            ffmpeg.log()
        );
        for file in &self.files {
            never_go_back(&file.display().to_string(), &flv::read(file));
        }
        // A decoder is the judge of whether the joint is one.
        let [file, ..] = &self.files;
        let mut decode = Command::new(tool("ffmpeg"));
        decode
            .args(["-v", "error", "-nostdin", "-xerror", "-i"])
            .arg(file)
            .args(["-f", "null", "-"]);
        let decoded = run(&mut decode);
        assert_eq!((decoded.code, decoded.err.as_str()), (Some(0), ""));
    }
}

/// One timeline a room: within a track, and between neighbours of any track, time goes on.
fn never_go_back(what: &str, tags: &[Media]) {
    let mut last = BTreeMap::new();
    for Media {
        track, timestamp, ..
    } in tags
    {
        let before = last.insert(*track, *timestamp).unwrap_or(0);
        assert!(
            *timestamp >= before,
            "{what}: {track:?} goes from {before} to {timestamp} ms"
        );
        let gap = timestamp - before;
        assert!(
            before == 0 || gap < 5000,
            "{what}: {track:?} leaps from {before} to {timestamp} ms"
        );
    }
}

/// Looks at every playlist until told otherwise; all segments by their number.
fn follow(node: &Node, done: &AtomicBool) -> BTreeMap<u64, Segment> {
    let mut segments: BTreeMap<u64, Segment> = BTreeMap::new();
    let mut last = Playlist::default();
    wait::until("the end of the scenario", 120, || {
        let answer = node.get("/hls/again/index.m3u8");
        assert_eq!(
            answer.status,
            200,
            "a playlist at any time: {}",
            answer.text()
        );
        let now = playlist::parse(&answer.text());
        assert!(
            now.media_sequence >= last.media_sequence,
            "{last:?} {now:?}"
        );
        assert!(
            last.target_s == 0 || now.target_s == last.target_s,
            "{last:?} {now:?}"
        );
        for segment in &now.segments {
            let known = segments
                .entry(segment.msn)
                .or_insert_with(|| segment.clone());
            assert_eq!(known, segment, "a number never means another segment");
        }
        last = now;
        (done.load(Ordering::Relaxed) && last.has_ended).then_some(())
    });
    segments
}

/// Numbers rise by one, and there is one joint.
fn continues(segments: &BTreeMap<u64, Segment>) {
    let numbers: Vec<_> = segments.keys().copied().collect();
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    assert_eq!(numbers, (first..=last).collect::<Vec<_>>());
    let joints = segments
        .values()
        .filter(|segment| segment.after_discontinuity)
        .count();
    assert_eq!(joints, 1, "{segments:?}");
    let epochs: std::collections::BTreeSet<_> = segments
        .values()
        .filter_map(|segment| segment.uri.split('/').next())
        .collect();
    assert_eq!(epochs.len(), 2, "each publisher has its epoch: {epochs:?}");
}

#[test]
fn without_an_encoder_it_ends_after_the_hold() {
    let node = NodeOptions::default().set("hub.hold_s", 2).start();
    let room = node.public_room("end");
    let mut publisher = publish(&node, &room, "publisher.log");
    node.wait_for_status("/hls/end/index.m3u8", 200, 15);
    publisher.signal(Signal::KILL);
    publisher.wait(5);
    let held = node.get("/hls/end/index.m3u8");
    assert_eq!(held.status, 200);
    assert!(
        !playlist::parse(&held.text()).has_ended,
        "not before the hold is over"
    );
    node.wait_for_status("/api/v1/live/end", 404, 10);
    let code = node.get("/flv/room_end.flv").error_code();
    assert!(["ended", "not_live"].contains(&code.as_str()), "{code}");
    let last = node.get("/hls/end/index.m3u8");
    assert!(playlist::parse(&last.text()).has_ended, "{}", last.text());
    node.stop();
}
