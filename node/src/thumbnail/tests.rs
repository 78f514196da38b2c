use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use isocast_media::{Codec, Frame, Kind, MediaMs};

use super::*;
use crate::data::scratch::Scratch;
use crate::hub::{Hub, Publisher, Source};
use crate::registry::Claim;
use crate::run::assemble::hub_limits;

/// A hub with a live room, and a program that is run in ffmpeg's place.
struct Stage {
    _hub: Hub,
    publisher: Publisher,
    stream: Arc<Stream>,
    scratch: Scratch,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Stage {
    fn new() -> Self {
        let hub = Hub::new(hub_limits(&config::Config::default()));
        let claim = Claim::of(RoomId::parse("a").unwrap(), 1);
        let (publisher, stream) = hub
            .publish(claim, Source::anyone(), Instant::now())
            .unwrap();
        let stage = Self {
            _hub: hub,
            publisher,
            stream,
            scratch: Scratch::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        stage.send(Kind::Config, AVC_4096X2304);
        stage.send(Kind::Media { key: true }, b"\0\0\0\x09key frame");
        stage
    }

    fn send(&self, kind: Kind, data: &'static [u8]) {
        let frame = Frame {
            codec: Codec::Avc,
            track_id: 0,
            kind,
            dts: MediaMs(0),
            pts_offset_ms: 0,
            data: Bytes::from_static(data),
        };
        self.publisher.push(frame, Instant::now()).unwrap();
    }

    /// A shell script that stands for ffmpeg.
    fn program(&self, script: &str) -> PathBuf {
        let path = self.scratch.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        let executable = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&path, executable).unwrap();
        path
    }

    fn thumbnails(&self, ffmpeg: &Path) -> Thumbnails {
        let settings = config::Thumbnail {
            enabled: true,
            ffmpeg: ffmpeg.into(),
        };
        Thumbnails::new(settings, self.tasks.clone(), self.stop.clone())
    }

    fn lines(&self, file: &str) -> usize {
        let text = std::fs::read_to_string(self.scratch.path().join(file));
        text.unwrap_or_default().lines().count()
    }
}

/// The least that counts as a JPEG, written by a shell.
const JPEG: &str = r"printf '\377\330picture\377\331'";
const PICTURE: &[u8] = b"\xff\xd8picture\xff\xd9";

#[tokio::test]
async fn a_picture_is_made_once_for_all_who_ask() {
    let stage = Stage::new();
    let seen = stage.scratch.path().join("seen");
    let runs = stage.scratch.path().join("runs");
    let (seen_at, runs_at) = (seen.display(), runs.display());
    let script = format!("cat > {seen_at}; echo run >> {runs_at}; {JPEG}");
    let thumbnails = stage.thumbnails(&stage.program(&script));
    let all = (0..20).map(|_| thumbnails.of(&stage.stream, Level::Open));
    let all = futures_util::future::join_all(all).await;
    assert!(all.iter().all(|it| it.as_deref() == Some(PICTURE)));
    assert_eq!(
        thumbnails.of(&stage.stream, Level::Open).await.as_deref(),
        Some(PICTURE)
    );
    assert_eq!(stage.lines("runs"), 1);
    let file = std::fs::read(seen).unwrap();
    let start_code = b"\0\0\0\x01";
    assert!(file.starts_with(&[start_code, &AVC_4096X2304[8..12]].concat()));
    assert!(file.ends_with(b"\0\0\0\x01key frame"));
}

#[tokio::test]
async fn whoever_leaves_starts_no_second_one() {
    let stage = Stage::new();
    let runs = stage.scratch.path().join("runs");
    let script = format!("echo run >> {}; cat > /dev/null; {JPEG}", runs.display());
    let thumbnails = stage.thumbnails(&stage.program(&script));
    for _ in 0..5 {
        let left = thumbnails.of(&stage.stream, Level::Open);
        assert!(futures_util::poll!(std::pin::pin!(left)).is_pending());
    }
    assert_eq!(
        thumbnails.of(&stage.stream, Level::Open).await.as_deref(),
        Some(PICTURE)
    );
    assert_eq!(stage.lines("runs"), 1);
}

#[tokio::test]
async fn a_program_that_does_not_do_its_work_gives_no_picture() {
    for (name, script) in [
        ("fails", "cat > /dev/null; exit 1"),
        ("crashes", "kill -SEGV $$"),
        ("says nothing", "cat > /dev/null"),
        ("is no JPEG", "echo picture"),
        ("fails after a picture", &format!("{JPEG}; exit 1")),
        ("says too much", "cat /dev/zero"),
    ] {
        let stage = Stage::new();
        let thumbnails = stage.thumbnails(&stage.program(script));
        let started = Instant::now();
        assert_eq!(
            thumbnails.of(&stage.stream, Level::Open).await,
            None,
            "{name}"
        );
        assert!(started.elapsed() < DEADLINE, "{name}");
    }
    let stage = Stage::new();
    for no_program in ["/no/such/program", "no-such-program", ""] {
        let none = stage.thumbnails(Path::new(no_program));
        assert!(!none.are_made(), "{no_program}");
        assert_eq!(none.of(&stage.stream, Level::Open).await, None);
    }
}

#[tokio::test]
async fn what_hangs_is_killed_with_all_that_it_started() {
    for by_stop in [false, true] {
        let stage = Stage::new();
        let pid = stage.scratch.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
        let thumbnails = stage.thumbnails(&stage.program(&script));
        let asked = tokio::spawn({
            let (thumbnails, stream) = (thumbnails.clone(), Arc::clone(&stage.stream));
            async move { thumbnails.of(&stream, Level::Open).await }
        });
        while stage.lines("pid") == 0 {
            tokio::task::yield_now().await;
        }
        if by_stop {
            stage.stop.cancel();
        }
        assert_eq!(asked.await.unwrap(), None);
        stage.tasks.close();
        stage.tasks.wait().await;
        let pid = std::fs::read_to_string(&pid).unwrap();
        let gone = async {
            // Whoever is left over belongs to init, which may take a moment to look after it.
            while is_running(pid.trim()) {
                tokio::task::yield_now().await;
            }
        };
        let gone = tokio::time::timeout(Duration::from_secs(10), gone).await;
        assert!(gone.is_ok(), "by stop: {by_stop}");
    }
}

/// A process that is there and is no zombie.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

#[tokio::test]
async fn without_video_or_where_it_is_switched_off_there_is_none() {
    let stage = Stage::new();
    let program = stage.program(JPEG);
    let settings = config::Thumbnail {
        enabled: false,
        ffmpeg: program.clone(),
    };
    let off = Thumbnails::new(settings, stage.tasks.clone(), stage.stop.clone());
    assert_eq!(off.of(&stage.stream, Level::Open).await, None);

    let claim = Claim::of(RoomId::parse("b").unwrap(), 1);
    let (_publisher, silent) = stage
        ._hub
        .publish(claim, Source::anyone(), Instant::now())
        .unwrap();
    assert_eq!(
        stage.thumbnails(&program).of(&silent, Level::Open).await,
        None
    );
}

/// What x264 says of one picture of this size.
const AVC_4096X2304: &[u8] = b"\x01\x42\xc0\x33\xff\xe1\x00\x18\x67\x42\xc0\x33\xda\x00\x40\x00\x48\x6c\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0c\x83\xc6\x0c\xa8\x01\x00\x04\x68\xce\x0f\xc8";
const AVC_8192X4320: &[u8] = b"\x01\x42\xc0\x3c\xff\xe1\x00\x1a\x67\x42\xc0\x3c\xda\x00\x20\x00\x08\x76\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xc8\x3c\x20\x10\xa8\x01\x00\x04\x68\xce\x0f\xc8";

#[tokio::test]
async fn what_is_too_large_reaches_no_decoder() {
    for (config, picture, runs) in [(AVC_4096X2304, Some(PICTURE), 1), (AVC_8192X4320, None, 0)] {
        let stage = Stage::new();
        stage.send(Kind::Config, config);
        stage.send(Kind::Media { key: true }, b"key frame");
        let seen = stage.scratch.path().join("runs");
        let script = format!("echo run >> {}; cat > /dev/null; {JPEG}", seen.display());
        let thumbnails = stage.thumbnails(&stage.program(&script));
        let made = thumbnails.of(&stage.stream, Level::Open).await;
        assert_eq!(made.as_deref(), picture);
        assert_eq!(stage.lines("runs"), runs);
    }
}

#[tokio::test]
async fn a_node_short_of_room_makes_none_and_gives_what_it_has() {
    let stage = Stage::new();
    let program = stage.program(&format!("cat > /dev/null; {JPEG}"));
    let thumbnails = stage.thumbnails(&program);
    for (level, expected) in [
        (Level::NoNewViewers, None),
        (Level::Open, Some(PICTURE)),
        (Level::NoNewPublishers, Some(PICTURE)),
    ] {
        let picture = thumbnails.of(&stage.stream, level).await;
        assert_eq!(picture.as_deref(), expected, "{level:?}");
    }
}

#[tokio::test]
async fn it_is_restrained_before_it_has_all_of_its_picture() {
    let stage = Stage::new();
    let seen = stage.scratch.path().join("seen");
    let script = format!(
        "cat > /dev/null; cat /proc/$$/oom_score_adj > {0}; ulimit -d >> {0}; {JPEG}",
        seen.display()
    );
    let thumbnails = stage.thumbnails(&stage.program(&script));
    let made = thumbnails.of(&stage.stream, Level::Open).await;
    assert_eq!(made.as_deref(), Some(PICTURE));
    assert_eq!(std::fs::read_to_string(seen).unwrap(), "1000\n196608\n");
}
