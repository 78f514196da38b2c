//! Codecs and tracks of Enhanced RTMP, from the newest ffmpeg through a node and back.

use std::path::{Path, PathBuf};
use std::thread;

use isocast_harness::clip::{self, SECONDS};
use isocast_harness::{Ffmpeg, Node, NodeOptions, hashes};

/// A clip in real time, and twice as long again on a machine that is busy.
const PLAY_S: u64 = SECONDS as u64 * 3;
/// What ffmpeg says in `connect` that it has.
const FOUR_CCS: &str = "hvc1,av01,vp09,Opus,fLaC,ac-3,ec-3";
/// 25 frames a second.
const VIDEO_FRAMES_IN_10_S: usize = 250;
/// The longest packets are AC-3's: 1,536 samples at 48 kHz.
const AUDIO_PACKETS_IN_10_S: usize = 312;

const H264: (&str, &str) = ("h264", "libx264 -preset ultrafast -g 25");
const HEVC: (&str, &str) = (
    "hevc",
    "libx265 -preset ultrafast -x265-params log-level=none:info=0:bframes=2:keyint=25:min-keyint=25",
);
const AV1: (&str, &str) = ("av1", "libsvtav1 -preset 12 -g 25");
const VP9: (&str, &str) = (
    "vp9",
    "libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -b:v 200k",
);
const AAC: (&str, &str) = ("aac", "aac -b:a 64k");
const OPUS: (&str, &str) = ("opus", "libopus -b:a 64k");
const FLAC: (&str, &str) = ("flac", "flac");
const AC3: (&str, &str) = ("ac3", "ac3 -b:a 64k");
const EAC3: (&str, &str) = ("eac3", "eac3 -b:a 64k");
const MP3: (&str, &str) = ("mp3", "libmp3lame -b:a 64k");

/// A stream's tracks: name and encoder of each.
struct Tracks {
    video: &'static [(&'static str, &'static str)],
    audio: &'static [(&'static str, &'static str)],
}

impl Tracks {
    fn names(&self) -> Vec<&'static str> {
        let all = self.video.iter().chain(self.audio);
        all.map(|(name, _)| *name).collect()
    }

    /// The clip as an FLV file, made once.
    fn clip(&self) -> PathBuf {
        let name = self.names().join("-");
        clip::made(&Ffmpeg::newest(), &name, &self.recipe())
    }

    fn recipe(&self) -> Vec<String> {
        let mut words = Vec::new();
        for at in 0..self.video.len() {
            // Each track shows something else.
            words.push(format!(
                "-f lavfi -i testsrc2=s=160x90:r=25:d={SECONDS},hue=h={}",
                at * 90
            ));
        }
        for at in 0..self.audio.len() {
            // A rising tone, so that no packet is like another.
            let tone = format!("0.3*sin(2*PI*({}*t+30*t*t))", 200 + 50 * at);
            words.push(format!(
                "-f lavfi -i aevalsrc={tone}:sample_rate=48000:duration={SECONDS}"
            ));
        }
        for input in 0..self.video.len() + self.audio.len() {
            words.push(format!("-map {input}"));
        }
        for (kind, tracks) in [("v", self.video), ("a", self.audio)] {
            for (at, (_, encoder)) in tracks.iter().enumerate() {
                let encoder = encoder.replace("-b:v", &format!("-b:v:{at}"));
                let encoder = encoder.replace("-b:a", &format!("-b:a:{at}"));
                let encoder = encoder.replace("-preset", &format!("-preset:{kind}:{at}"));
                words.push(format!("-c:{kind}:{at} {encoder}"));
            }
        }
        let words = words.iter().flat_map(|words| words.split(' '));
        words.map(str::to_owned).collect()
    }
}

#[test]
fn every_codec_comes_back_as_it_was_sent() {
    const STREAMS: [Tracks; 6] = [
        Tracks {
            video: &[HEVC],
            audio: &[OPUS],
        },
        Tracks {
            video: &[HEVC],
            audio: &[AAC],
        },
        Tracks {
            video: &[AV1],
            audio: &[FLAC],
        },
        Tracks {
            video: &[AV1],
            audio: &[MP3],
        },
        Tracks {
            video: &[VP9],
            audio: &[AC3],
        },
        Tracks {
            video: &[VP9],
            audio: &[EAC3],
        },
    ];
    // Players end with the hold, so a short one ends the test soon.
    let node = NodeOptions::default().set("hub.hold_s", 1).start();
    thread::scope(|scope| {
        for tracks in &STREAMS {
            let node = &node;
            scope.spawn(move || {
                let room = tracks.names().join("-");
                let (newest, flv) = (Ffmpeg::newest(), format!("/flv/room_{room}.flv"));
                let played = play(
                    node,
                    &room,
                    tracks,
                    &[(&newest, None), (&newest, Some(&flv))],
                );
                for (what, file) in played {
                    is_what_was_sent(&what, tracks, tracks, &file);
                }
            });
        }
    });
    node.stop();
}

/// Debian's ffmpeg knows nothing of Enhanced RTMP.
#[test]
fn of_many_tracks_plain_players_get_the_default_ones_and_who_asks_gets_all() {
    const ALL: Tracks = Tracks {
        video: &[H264, HEVC, VP9],
        audio: &[AAC, OPUS],
    };
    const DEFAULT: Tracks = Tracks {
        video: &[H264],
        audio: &[AAC],
    };
    let node = NodeOptions::default().set("hub.hold_s", 1).start();
    let (debian, newest) = (Ffmpeg::debian(), Ffmpeg::newest());
    let (flv, all) = ("/flv/room_many.flv", "/flv/room_many.flv?tracks=all");
    let players = [
        (&debian, None, &DEFAULT),
        (&debian, Some(flv), &DEFAULT),
        (&newest, None, &DEFAULT),
        (&newest, Some(flv), &DEFAULT),
        (&newest, Some(all), &ALL),
    ];
    let asked = players.map(|(ffmpeg, path, _)| (ffmpeg, path));
    let played = play(&node, "many", &ALL, &asked);
    for ((what, file), (_, _, expected)) in played.iter().zip(players) {
        is_what_was_sent(what, &ALL, expected, file);
    }
    let odd = node.get("/flv/room_many.flv?tracks=some");
    assert_eq!(odd.status, 400);
    node.stop();
}

/// Publishes a clip once while it is played, over RTMP or from a path, to the end: for each player
/// its name and the file it made.
fn play(
    node: &Node,
    room: &str,
    tracks: &Tracks,
    players: &[(&Ffmpeg, Option<&str>)],
) -> Vec<(String, PathBuf)> {
    let clip = tracks.clip();
    let room = &node.public_room(room);
    let log = node.file(&format!("{}-publish.log", tracks.names().join("-")));
    let options = ["-map", "0", "-rtmp_enhanced_codecs", FOUR_CCS];
    let newest = Ffmpeg::newest();
    let mut publisher = newest.publish_with(&options, &clip, &node.publish_url(room), &log);
    node.wait_for_live(room);
    let start = |(at, (ffmpeg, path)): (usize, &(&Ffmpeg, Option<&str>))| {
        let file = node.file(&format!("{}-{at}.flv", tracks.names().join("-")));
        let (options, url) = match path {
            None => (&["-rtmp_live", "live"][..], node.rtmp_url(room)),
            Some(path) => (&[][..], node.http_url(path)),
        };
        let what = format!("{} {url}", ffmpeg.name());
        (what, ffmpeg.record_all(options, &url, &file), file)
    };
    let playing: Vec<_> = players.iter().enumerate().map(start).collect();
    publisher.wait_for_success(PLAY_S);
    let finish = |(what, mut player, file): (_, isocast_harness::Process, _)| {
        player.wait_for_success(PLAY_S);
        (what, file)
    };
    playing.into_iter().map(finish).collect()
}

/// The file has these tracks of those sent and no other, each in one piece.
fn is_what_was_sent(what: &str, sent: &Tracks, expected: &Tracks, file: &Path) {
    let newest = &Ffmpeg::newest();
    let (got, sent) = (
        hashes::tracks(newest, file),
        hashes::tracks(newest, &sent.clip()),
    );
    let mut names = expected.names();
    names.sort_unstable();
    let found: Vec<_> = got.keys().collect();
    assert_eq!(found, names, "{what}");
    for (least, tracks) in [
        (VIDEO_FRAMES_IN_10_S, expected.video),
        (AUDIO_PACKETS_IN_10_S, expected.audio),
    ] {
        for (name, _) in tracks {
            let what = format!("{what}, {name}");
            hashes::assert_one_run(&what, &got[*name], &sent[*name], least);
        }
    }
}
