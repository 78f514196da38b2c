//! How a node begins and ends.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use isocast_harness::{
    Clip, Ffmpeg, NodeOptions, Output, Peer, Process, Reply, Scratch, Signal, http, node_binary,
    run, wait,
};
use isocast_media::Track;
use isocast_media::rtmp::{CallerEvent, Media};

/// Runs a node that should not start.
fn node(scratch: &Scratch, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new("timeout");
    command
        .arg("20")
        .arg(node_binary())
        .current_dir(scratch.path());
    command.args(arguments).args(["--data-dir", "data"]);
    run(command.envs(environment.iter().copied()))
}

#[test]
fn a_mistake_in_the_configuration_is_one_line_before_anything_starts() {
    let scratch = Scratch::new("configuration");
    for (file, line) in [
        (
            "[hls]\ntarget_ms = 2000\nwindow = 6\n",
            "config/local.toml:3",
        ),
        ("[hls]\ntarget_ms = \"2 s\"\n", "config/local.toml:2"),
        ("[hls]\ntarget_ms = 1000000000\n", "config/local.toml:2"),
        ("[hub]\nhold_s = -1\n", "config/local.toml:2"),
        ("[listen]\nrtmp = \"nowhere\"\n", "config/local.toml:2"),
        ("[hls]\n[hls]\n", "config/local.toml:2"),
        ("[hls\n", "config/local.toml:1"),
        ("colour = 1\n", "config/local.toml:1"),
    ] {
        std::fs::create_dir_all(scratch.file("config")).expect("a folder");
        std::fs::write(scratch.file("config/local.toml"), file).expect("a file");
        let began = Instant::now();
        let output = node(&scratch, &[], &[]);
        assert!(began.elapsed() < Duration::from_secs(5), "{file}");
        is_one_line(&output, line, &scratch);
    }
    std::fs::remove_dir_all(scratch.file("config")).expect("our own folder");
    for (arguments, words) in [
        (["--set", "hls.window=6"], "hls.window"),
        (["--set", "hls.target_ms=fast"], "hls.target_ms"),
        (["--set", "rtmp"], "rtmp"),
        (["--colour", "red"], "--colour"),
    ] {
        is_one_line(&node(&scratch, &arguments, &[]), words, &scratch);
    }
    for (name, value) in [
        ("ISOCAST__HLS__WINDOW", "6"),
        ("ISOCAST__LISTEN__HTTP", "80"),
    ] {
        is_one_line(&node(&scratch, &[], &[(name, value)]), name, &scratch);
    }
}

fn is_one_line(output: &Output, words: &str, scratch: &Scratch) {
    assert_eq!(output.code, Some(2), "{words}: {}", output.err);
    assert_eq!(output.err.lines().count(), 1, "{words}: {}", output.err);
    assert!(output.err.contains(words), "{words} in {}", output.err);
    assert_eq!(output.out, "");
    assert!(!scratch.file("data").exists(), "nothing was begun");
}

#[test]
fn a_port_that_is_taken_is_one_line() {
    let scratch = Scratch::new("ports");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken
        .local_addr()
        .expect("a bound socket has an address")
        .to_string();
    for key in ["rtmp", "http", "internal"] {
        let mut arguments = Vec::new();
        for name in ["rtmp", "http", "internal"] {
            let value = if name == key { &address } else { "127.0.0.1:0" };
            arguments.extend(["--set".to_owned(), format!("listen.{name}={value}")]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = node(&scratch, &arguments, &[]);
        assert_eq!(output.code, Some(1), "{}", output.err);
        let errors: Vec<_> = output
            .err
            .lines()
            .filter(|line| line.contains("error"))
            .collect();
        assert_eq!(errors.len(), 1, "{}", output.err);
        assert!(errors[0].contains(&address), "{}", output.err);
    }
}

#[test]
fn a_second_node_does_not_take_the_same_folder() {
    let first = NodeOptions::default().start();
    let output = first.command(&["run", "--set", "listen.rtmp=127.0.0.1:0"]);
    assert_eq!(output.code, Some(1), "{}", output.err);
    assert_eq!(output.err.lines().count(), 1, "{}", output.err);
    first.stop();
}

#[test]
fn told_to_stop_it_drains_and_ends_well() {
    let options = NodeOptions::default().set("node.drain_delay_s", 3);
    let mut node = options.start();
    let room = node.public_room("drain");
    let idle = node.public_room("idle");
    let log = node.file("publisher.log");
    let clip = Clip::AudioVideo.path();
    let ffmpeg = Ffmpeg::debian();
    let mut publisher = ffmpeg.publish_forever(&clip, &node.publish_url(&room), &log);
    node.wait_for_status("/hls/drain/index.m3u8", 200, 15);
    let url = node.http_url("/flv/room_drain.flv");
    let mut viewer = ffmpeg.record(&[], &url, &node.file("viewer.flv"));

    let began = Instant::now();
    node.signal(Signal::TERM);
    wait::until("readiness to end", 2, || {
        (http::get(node.internal, "/readyz").status == 503).then_some(())
    });
    assert_eq!(
        http::get(node.internal, "/livez").status,
        200,
        "a node that drains is alive"
    );
    assert_eq!(
        node.get("/hls/drain/index.m3u8").status,
        200,
        "viewers are still served"
    );
    assert!(publisher.is_running(), "and so is who publishes");
    // Load balancers may still send newcomers here: they are taken until connections end.
    let mut newcomer = Peer::publish(node.rtmp, &idle.key);
    newcomer.expect_start();
    newcomer.expect_close(10);

    publisher.wait(15);
    viewer.wait(15);
    node.wait_for_end(15);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(3),
        "not before the delay: {took:?}"
    );
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn who_publishes_or_plays_is_asked_to_connect_elsewhere_before_the_end() {
    let mut node = NodeOptions::default().set("node.drain_spread_s", 6).start();
    let room = node.public_room("asked");
    let mut publisher = Peer::publish(node.rtmp, &room.key);
    publisher.expect_start();
    let sound = |timestamp| Media {
        track: Track::Audio,
        timestamp,
        body: Bytes::from_static(&[0x2F, 0xFF, 0xFB, 0x90, 0x64]),
    };
    assert!(publisher.send(&sound(0)));
    node.wait_for_live(&room);
    let mut player = Peer::play(node.rtmp, "room_asked");
    assert!(player.has_media(10));
    let other = node.public_room("other");
    let log = node.file("publisher.log");
    let clip = Clip::AudioVideo.path();
    let mut unknowing = Ffmpeg::debian().publish_forever(&clip, &node.publish_url(&other), &log);
    node.wait_for_live(&other);

    let began = Instant::now();
    node.signal(Signal::TERM);
    expect_request(&mut publisher);
    expect_request(&mut player);
    // Until they leave they are served.
    assert!(publisher.send(&sound(20)));
    assert!(player.has_media(10));
    unknowing.wait(10);
    let said = unknowing.log();
    assert!(
        said.contains("this server is going away: connect again"),
        "{said}"
    );
    publisher.close();
    player.close();
    node.wait_for_end(10);
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(6),
        "nobody is waited for: {took:?}"
    );
}

fn expect_request(peer: &mut Peer) {
    loop {
        match peer.next(10) {
            Reply::Event(CallerEvent::Reconnect { tc_url: None, .. }) => return,
            Reply::Event(CallerEvent::Media(_)) => {}
            other => panic!("not asked to reconnect: {other:?}"),
        }
    }
}

#[test]
fn rooms_and_token_outlive_the_node() {
    let scratch = Scratch::new("restart");
    let data = scratch.file("data");
    let (first, room) = {
        let process = start(&scratch, &data);
        let key = create_room(&data);
        (stop(process, &data), key)
    };
    let process = start(&scratch, &data);
    assert_eq!(token(&data), first);
    let mut publisher = Peer::publish(rtmp(&data), &room);
    publisher.expect_start();
    publisher.close();
    stop(process, &data);
}

fn start(scratch: &Scratch, data: &Path) -> Process {
    let mut command = Command::new(node_binary());
    command
        .current_dir(scratch.path())
        .arg("--data-dir")
        .arg(data);
    for name in ["rtmp", "http", "internal"] {
        command.args(["--set", &format!("listen.{name}=127.0.0.1:0")]);
    }
    command.args(["--set", "node.drain_delay_s=0"]);
    let process = Process::start("isocast-node", &mut command, &scratch.file("node.log"));
    wait::until("a ready node", 20, || {
        let json = node_file(data)?;
        let internal = json["internal"].as_str()?.parse().ok()?;
        (json["pid"] == process.id() && http::get(internal, "/readyz").status == 200).then_some(())
    });
    process
}

fn create_room(data: &Path) -> String {
    let mut command = Command::new(node_binary());
    let output = run(command
        .args(["room", "create", "kept", "--json", "--data-dir"])
        .arg(data));
    let json: serde_json::Value = serde_json::from_str(&output.out).expect("JSON");
    json["stream_key"].as_str().expect("a key").to_owned()
}

/// Ends the node by Ctrl-C's signal; the token it had.
fn stop(mut process: Process, data: &Path) -> String {
    process.signal(Signal::INT);
    process.wait_for_success(15);
    token(data)
}

fn token(data: &Path) -> String {
    std::fs::read_to_string(data.join("api-token")).expect("the first start makes a token")
}

fn rtmp(data: &Path) -> std::net::SocketAddr {
    let json = node_file(data).expect("the node runs");
    json["rtmp"]
        .as_str()
        .expect("an address")
        .parse()
        .expect("an address")
}

fn node_file(data: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&std::fs::read(data.join("node.json")).ok()?).ok()
}
