//! The demo: a picture from one command, a room that can be taken over, and a clean end.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use isocast_harness::{
    Clip, Ffmpeg, Process, Scratch, Signal, http, node_binary, repository, wait,
};

fn demo(scratch: &Scratch, rtmp: &str) -> Process {
    let mut command = Command::new(repository().join("demo/run"));
    command
        .arg(Clip::AudioVideo.path())
        .env("ISOCAST_NODE", node_binary());
    // Only what keeps it apart from other nodes on this machine, and the test short.
    command.env("ISOCAST__DATA_DIR", scratch.file("data"));
    command.env("ISOCAST__LISTEN__RTMP", rtmp);
    for name in ["HTTP", "INTERNAL"] {
        command.env(format!("ISOCAST__LISTEN__{name}"), "127.0.0.1:0");
    }
    command
        .env("ISOCAST__HUB__HOLD_S", "1")
        .env("ISOCAST__NODE__DRAIN_DELAY_S", "0");
    Process::start("demo/run", &mut command, &scratch.file("demo.log"))
}

#[test]
fn the_demo_shows_a_picture_gives_way_and_ends_cleanly() {
    let scratch = Scratch::new("demo");
    let mut process = demo(&scratch, "127.0.0.1:0");
    let room = Printed::wait(&mut process);
    room.wait_for_state("live");
    let page = http::get(room.http, "/watch/demo");
    assert_eq!(page.status, 200);

    let url = format!("{}/{}", room.server, room.key);
    let clip = Clip::VideoOnly.path();
    let log = scratch.file("publisher.log");
    let mut publisher = Ffmpeg::debian().publish_forever(&clip, &url, &log);
    wait::until("the newcomer's picture", 10, || {
        // Only the test picture has sound.
        let live = room.live()?;
        (live["audio"].is_null() && live["video"].is_object()).then_some(())
    });
    assert!(publisher.is_running());
    publisher.signal(Signal::INT);
    publisher.wait(10);
    wait::until("the test picture again", 15, || {
        let live = room.live()?;
        (live["state"] == "live" && live["audio"].is_object()).then_some(())
    });

    assert!(
        processes_of(scratch.path()) >= 3,
        "the script, the node and ffmpeg"
    );
    process.signal(Signal::INT);
    let status = process.wait(10);
    assert_eq!(status.code(), Some(130), "{}", process.log());
    wait::until("nothing to be left", 2, || {
        (processes_of(scratch.path()) == 0).then_some(())
    });

    // The room is there already the next time, and gets a new key.
    let mut process = demo(&scratch, "127.0.0.1:0");
    let again = Printed::wait(&mut process);
    assert_ne!(again.key, room.key);
    again.wait_for_state("live");
    process.signal(Signal::TERM);
    process.wait(10);
    wait::until("nothing to be left", 2, || {
        (processes_of(scratch.path()) == 0).then_some(())
    });
}

#[test]
fn the_demo_says_which_port_is_taken() {
    let scratch = Scratch::new("demo-port");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken
        .local_addr()
        .expect("a bound socket has an address")
        .to_string();
    let mut process = demo(&scratch, &address);
    let status = process.wait(10);
    assert_eq!(status.code(), Some(1), "{}", process.log());
    assert!(process.log().contains(&address), "{}", process.log());
    assert_eq!(processes_of(scratch.path()), 0);
}

/// What the demo tells its reader.
#[derive(Debug)]
struct Printed {
    http: SocketAddr,
    server: String,
    key: String,
}

impl Printed {
    fn wait(process: &mut Process) -> Self {
        wait::until("the demo's words", 20, || {
            assert!(
                process.is_running(),
                "the demo has ended: {}",
                process.log()
            );
            let log = process.log();
            let after = |label: &str| {
                let line = log
                    .lines()
                    .find_map(|line| line.trim().strip_prefix(label))?;
                Some(line.trim().to_owned())
            };
            log.contains("Ctrl-C ends it").then_some(())?;
            let page = after("Watch ")?;
            let host = page.strip_prefix("http://")?.strip_suffix("/watch/demo")?;
            let http = host.replace("localhost", "127.0.0.1").parse().ok()?;
            let (server, key) = (after("server ")?, after("stream key ")?);
            Some(Self { http, server, key })
        })
    }

    fn live(&self) -> Option<serde_json::Value> {
        let answer = http::get(self.http, "/api/v1/live/demo");
        (answer.status == 200).then(|| answer.json())
    }

    fn wait_for_state(&self, state: &str) {
        wait::until(state, 15, || (self.live()?["state"] == state).then_some(()));
    }
}

/// Processes whose environment names this folder.
fn processes_of(folder: &Path) -> usize {
    let folder = folder.to_str().expect("test folders are text").as_bytes();
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let environments =
        processes.filter_map(|entry| std::fs::read(entry.path().join("environ")).ok());
    environments
        .filter(|bytes| bytes.windows(folder.len()).any(|part| part == folder))
        .count()
}
