//! The same streams by TLS: what is published comes back, and certificates come and go under running streams.

use std::process::Command;

use isocast_harness::clip::{AUDIO_PACKETS_IN_10_S, SECONDS, VIDEO_FRAMES_IN_10_S};
use isocast_harness::{
    Certificate, Clip, Ffmpeg, Node, NodeOptions, Output, Process, Scratch, Signal, hashes,
    node_binary, run, tool, wait,
};

/// A clip in real time, and twice as long again on a machine that is busy.
const PLAY_S: u64 = SECONDS as u64 * 3;
/// A node looks at its files every 3 s.
const RELOAD_S: u64 = 15;

fn node() -> Node {
    // Players end with the hold, so a short one ends the test soon.
    NodeOptions::default().tls().set("hub.hold_s", 1).start()
}

#[test]
fn debians_ffmpeg_gets_back_what_it_sent_by_tls() {
    comes_back(&Ffmpeg::debian());
}

#[test]
fn the_newest_ffmpeg_gets_back_what_it_sent_by_tls() {
    comes_back(&Ffmpeg::newest());
}

/// Publishes by RTMPS, and plays by RTMPS, HTTP-FLV and HLS over TLS at the same time, to the end.
fn comes_back(ffmpeg: &Ffmpeg) {
    let node = node();
    let secure = node.secure();
    let ffmpeg = &ffmpeg.clone().trusting(&secure.certificate.cert_file);
    let room = node.public_room("secure");
    let clip = Clip::AudioVideo;
    let ca_file = secure.certificate.cert_file.display().to_string();
    let verified = ["-tls_verify", "1", "-ca_file", &ca_file];
    let mut publisher = ffmpeg.publish_with(
        &verified,
        &clip.path(),
        &format!("rtmps://{}/live/{}", secure.rtmps, room.key),
        &node.file("publish.log"),
    );
    node.wait_for_live(&room);
    let file = |protocol: &str| node.file(&format!("{protocol}.flv"));
    let record = |protocol: &str, options: &[&str], url: String| {
        let options = [&verified[..], options].concat();
        ffmpeg.record(&options, &url, &file(protocol))
    };
    let rtmps = format!("rtmps://{}/live/room_secure", secure.rtmps);
    let rtmps = record("rtmps", &["-rtmp_live", "live"], rtmps);
    let https = |path: &str| format!("https://{}{path}", secure.https);
    let flv = record("flv", &[], https("/flv/room_secure.flv"));
    let playlist = "/hls/room_secure/index.m3u8";
    node.wait_for_status(playlist, 200, 15);
    let hls = record("hls", &["-live_start_index", "0"], https(playlist));

    publisher.wait_for_success(PLAY_S);
    for (protocol, mut player) in [("rtmps", rtmps), ("flv", flv), ("hls", hls)] {
        player.wait_for_success(PLAY_S);
        let what = format!("{} over {protocol}", ffmpeg.name());
        let file = file(protocol);
        let (got, sent) = (
            hashes::video_frames(&file),
            hashes::video_frames(&clip.path()),
        );
        hashes::assert_one_run(&what, &got, &sent, VIDEO_FRAMES_IN_10_S);
        let (got, sent) = (
            hashes::audio_packets(&file),
            hashes::audio_packets(&clip.path()),
        );
        hashes::assert_one_run(&what, &got, &sent, AUDIO_PACKETS_IN_10_S);
    }
    assert!(node.metric("isocast_bandwidth_bytes_total{protocol=\"rtmps\"") > 0.0);
    node.stop();
}

#[test]
fn https_serves_http1_http2_and_websockets() {
    let node = node();
    let room = node.public_room("many");
    let log = node.file("publish.log");
    let _publisher =
        Ffmpeg::debian().publish_forever(&Clip::AudioVideo.path(), &node.publish_url(&room), &log);
    node.wait_for_live(&room);
    for (version, told) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let answer = curl(
            &node,
            &[version, "-w", "%{http_version}", "-o", "/dev/null"],
            "/api/v1/live",
        );
        assert_eq!(
            (answer.code, answer.out.as_str()),
            (Some(0), told),
            "{}",
            answer.err
        );
        let file = node.file(&format!("{told}.flv")).display().to_string();
        // The stream goes on, so curl ends with its time (28).
        let answer = curl(
            &node,
            &[version, "--max-time", "3", "-o", &file],
            "/flv/room_many.flv",
        );
        assert_eq!(answer.code, Some(28), "{}", answer.err);
        let tags = isocast_harness::flv::read(file.as_ref());
        assert!(tags.len() > 100, "{version}: {} tags", tags.len());
    }
    let upgrade = [
        "--http1.1",
        "--max-time",
        "3",
        "-i",
        "-H",
        "Connection: Upgrade",
        "-H",
        "Upgrade: websocket",
        "-H",
        "Sec-WebSocket-Version: 13",
        "-H",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "-o",
    ];
    let file = node.file("ws").display().to_string();
    curl(
        &node,
        &[&upgrade[..], &[&file]].concat(),
        "/ws/room_many.flv",
    );
    let answer = std::fs::read(&file).expect("curl wrote what came");
    assert!(
        answer.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(answer.windows(4).any(|it| it == b"FLV\x01"));

    for (port, of_http) in [(node.secure().rtmps, false), (node.secure().https, true)] {
        for (option, is_spoken) in [("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
            let output = s_client(&node, port, &[option, "-alpn", "h2"]);
            assert_eq!(
                output.out.contains("BEGIN CERTIFICATE"),
                is_spoken,
                "{option}"
            );
            let is_agreed = output.out.contains("ALPN protocol: h2");
            assert_eq!(is_agreed, of_http && is_spoken, "{option} {port}");
        }
    }
    node.stop();
}

#[test]
fn a_new_certificate_serves_newcomers_and_a_broken_one_nobody() {
    let node = node();
    let secure = node.secure().clone();
    let room = node.public_room("swap");
    let log = node.file("publish.log");
    let url = format!("rtmps://{}/live/{}", secure.rtmps, room.key);
    let ca_file = node.file("first.pem");
    std::fs::copy(&secure.certificate.cert_file, &ca_file).expect("a copy");
    let ca_file = ca_file.display().to_string();
    let verified = ["-tls_verify", "1", "-ca_file", &ca_file];
    let clip = Clip::AudioVideo.path();
    let mut publisher = Ffmpeg::newest().publish_with(&verified, &clip, &url, &log);
    node.wait_for_live(&room);

    let first = secure.certificate.pem();
    let presents = |pem: &str| {
        [secure.rtmps, secure.https]
            .iter()
            .all(|port| s_client(&node, *port, &[]).out.contains(pem.trim()))
    };
    assert!(presents(&first));
    let folder = secure.certificate.cert_file.parent().expect("a folder");
    let second = Certificate::issue(folder).pem();
    wait::until("the second certificate", RELOAD_S, || {
        presents(&second).then_some(())
    });
    assert!(publisher.is_running(), "{}", publisher.log());

    std::fs::write(&secure.certificate.key_file, "no key").expect("a file");
    let failed = "isocast_tls_reloads_total{result=\"failed\"";
    wait::until("a refused pair", RELOAD_S, || {
        (node.metric(failed) >= 1.0).then_some(())
    });
    assert!(presents(&second), "it stays");
    publisher.wait_for_success(PLAY_S);
    assert!(node.metric("isocast_tls_certificate_expiry_timestamp_seconds") > 1.7e9);
    let log = node.stop();
    let said = log
        .lines()
        .filter(|line| line.contains("tls.key_file"))
        .count();
    assert_eq!(said, 1, "once: {log}");
    assert!(
        !log.contains("no key"),
        "and nothing of what is in the file"
    );
}

#[test]
fn told_to_stop_it_says_goodbye_by_tls() {
    let mut node = node();
    let room = node.public_room("bye");
    let log = node.file("publish.log");
    let clip = Clip::AudioVideo.path();
    let _publisher = Ffmpeg::debian().publish_forever(&clip, &node.publish_url(&room), &log);
    node.wait_for_live(&room);
    let https = node.secure().https;
    let ca_file = node.secure().certificate.cert_file.display().to_string();
    let mut players: Vec<_> = ["--http1.1", "--http2"]
        .map(|version| {
            let mut command = Command::new(tool("curl"));
            command.args(["-sS", version, "--cacert", &ca_file, "-o", "/dev/null"]);
            command.arg(format!("https://{https}/flv/room_bye.flv"));
            Process::start(
                &format!("curl {version}"),
                &mut command,
                &node.file(version),
            )
        })
        .into();
    wait::until("both watching", 15, || {
        (node.metric("isocast_viewers") >= 2.0).then_some(())
    });
    node.signal(Signal::TERM);
    // A connection that is cut without close_notify is an error for curl.
    for player in &mut players {
        player.wait_for_success(15);
    }
    node.wait_for_end(15);
}

#[test]
fn files_that_cannot_be_served_are_named_before_anything_starts() {
    let scratch = Scratch::new("tls");
    let good = Certificate::issue(scratch.path());
    let other = scratch.file("other");
    std::fs::create_dir(&other).expect("a folder");
    let other = Certificate::issue(&other);
    let node = |cert: &str, key: &str| {
        let mut command = Command::new("timeout");
        command
            .arg("20")
            .arg(node_binary())
            .current_dir(scratch.path());
        command.args(["run", "--set", cert, "--set", key, "--data-dir", "data"]);
        run(&mut command)
    };
    let cert = format!("tls.cert_file={}", good.cert_file.display());
    for (key, words) in [
        (
            "tls.key_file=none.pem".to_owned(),
            "tls.key_file: none.pem: No such file",
        ),
        (
            format!("tls.key_file={}", other.key_file.display()),
            "does not belong to the first certificate",
        ),
        ("tls.key_file=".to_owned(), "need each other"),
    ] {
        let output = node(&cert, &key);
        assert_eq!(output.code, Some(2), "{}", output.err);
        assert_eq!(output.err.lines().count(), 1, "{}", output.err);
        assert!(output.err.contains(words), "{words} in {}", output.err);
        assert!(!scratch.file("data").exists(), "nothing was begun");
    }
}

fn curl(node: &Node, options: &[&str], path: &str) -> Output {
    let mut command = Command::new(tool("curl"));
    command
        .args(["-sS", "--cacert"])
        .arg(&node.secure().certificate.cert_file);
    command
        .args(options)
        .arg(format!("https://{}{path}", node.secure().https));
    run(&mut command)
}

/// What `openssl s_client` tells about a connection, and the certificate that it was shown.
fn s_client(node: &Node, to: std::net::SocketAddr, options: &[&str]) -> Output {
    let mut command = Command::new(tool("openssl"));
    command.args(["s_client", "-connect", &to.to_string(), "-CAfile"]);
    command
        .arg(&node.secure().certificate.cert_file)
        .args(options);
    command.stdin(std::process::Stdio::null());
    run(&mut command)
}
