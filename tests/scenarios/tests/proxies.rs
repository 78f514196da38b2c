//! A node behind a real proxy: who a client is, and whom the node believes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use isocast_harness::clip::{SECONDS, VIDEO_FRAMES_IN_10_S};
use isocast_harness::{Clip, Ffmpeg, Node, NodeOptions, Process, hashes, run, tool, wait};

/// The proxies' address; strangers are at 127.0.0.1.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const PLAY_S: u64 = SECONDS as u64 * 3;

/// HAProxy in front of a node, with a port of its own for each of the node's.
struct HaProxy {
    rtmp: SocketAddr,
    rtmps: SocketAddr,
    http: SocketAddr,
    https: SocketAddr,
    _process: Process,
}

impl HaProxy {
    /// `send` is how it tells the client's address.
    fn start(node: &Node, send: &str) -> Self {
        let secure = node.secure();
        let fronts = [node.rtmp, secure.rtmps, node.http, secure.https].map(|to| (free_port(), to));
        let mut config =
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
                .to_owned();
        for (number, (front, to)) in fronts.iter().enumerate() {
            config +=
                &format!("listen l{number}\n bind {front}\n server s {to} source {PROXY} {send}\n");
        }
        let file = node.file("haproxy.cfg");
        std::fs::write(&file, config).expect("a file");
        let mut command = Command::new(tool("haproxy"));
        command.args(["-db", "-f"]).arg(&file);
        let process = Process::start("haproxy", &mut command, &node.file("haproxy.log"));
        for (front, _) in fronts {
            wait::until("haproxy", 10, || TcpStream::connect(front).ok());
        }
        let [rtmp, rtmps, http, https] = fronts.map(|(front, _)| front);
        Self {
            rtmp,
            rtmps,
            http,
            https,
            _process: process,
        }
    }
}

fn free_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
}

fn node() -> NodeOptions {
    NodeOptions::default()
        .tls()
        .set("hub.hold_s", 1)
        .set("proxies.trusted", PROXY)
        .set("proxies.protocol_v2", true)
}

/// A public room and its key, by the command line: the public ports take only the proxy.
fn room(node: &Node, id: &str) -> String {
    let output = node.command(&["room", "create", id, "--playback", "public", "--json"]);
    assert_eq!(output.code, Some(0), "{}", output.err);
    let json: serde_json::Value = serde_json::from_str(&output.out).expect("JSON");
    json["stream_key"].as_str().expect("a key").to_owned()
}

fn wait_for_streams(node: &Node, streams: f64) {
    wait::until("the streams", 15, || {
        (node.metric("isocast_streams_active") >= streams).then_some(())
    });
}

#[test]
fn haproxy_tells_who_publishes_and_who_watches_on_all_ports() {
    let node = node().start();
    let proxy = HaProxy::start(&node, "send-proxy-v2");
    let clip = Clip::AudioVideo.path();
    let cert_file = &node.secure().certificate.cert_file;
    let ffmpeg = Ffmpeg::newest().trusting(cert_file);
    let ca_file = cert_file.display().to_string();
    let verified = ["-tls_verify", "1", "-ca_file", &ca_file];
    let (plain, secure) = (room(&node, "plain"), room(&node, "secure"));
    let mut publishers = [
        (
            &[][..],
            format!("rtmp://{}/live/{plain}", proxy.rtmp),
            "plain",
        ),
        (
            &verified[..],
            format!("rtmps://{}/live/{secure}", proxy.rtmps),
            "secure",
        ),
    ]
    .map(|(options, url, name)| ffmpeg.publish_with(options, &clip, &url, &node.file(name)));
    wait_for_streams(&node, 2.0);

    let file = |name: &str| node.file(&format!("{name}.flv"));
    let players = [
        (
            "rtmp",
            &["-rtmp_live", "live"][..],
            format!("rtmp://{}/live/room_secure", proxy.rtmp),
        ),
        (
            "rtmps",
            &["-rtmp_live", "live"],
            format!("rtmps://{}/live/room_plain", proxy.rtmps),
        ),
        (
            "http",
            &[],
            format!("http://{}/flv/room_secure.flv", proxy.http),
        ),
        (
            "https",
            &[],
            format!("https://{}/flv/room_plain.flv", proxy.https),
        ),
    ]
    .map(|(name, options, url)| {
        let options = match name.ends_with('s') {
            true => [&verified[..], options].concat(),
            false => options.to_vec(),
        };
        (name, ffmpeg.record(&options, &url, &file(name)))
    });
    for publisher in &mut publishers {
        publisher.wait_for_success(PLAY_S);
    }
    for (name, mut player) in players {
        player.wait_for_success(PLAY_S);
        let (got, sent) = (
            hashes::video_frames(&file(name)),
            hashes::video_frames(&clip),
        );
        hashes::assert_one_run(name, &got, &sent, VIDEO_FRAMES_IN_10_S);
    }
    let log = node.stop();
    let began: Vec<_> = log
        .lines()
        .filter(|line| line.contains("publishing began"))
        .collect();
    assert_eq!(began.len(), 2, "{log}");
    for line in began {
        assert!(
            line.contains("\"peer\":\"127.0.0.1:"),
            "the client, and not {PROXY}: {line}"
        );
    }
}

#[test]
fn strangers_who_send_the_header_themselves_are_refused_on_all_ports() {
    let node = node().start();
    let _key = room(&node, "shut");
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\x7f\0\0\x01\x10\0\x07\x8f";
    let secure = node.secure();
    for (port, name) in [
        (node.rtmp, "rtmp"),
        (secure.rtmps, "rtmps"),
        (node.http, "http"),
        (secure.https, "https"),
    ] {
        for bytes in [
            &header[..],
            b"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            assert!(answer(port, bytes).is_empty(), "{name}");
        }
        let counted =
            format!("isocast_refusals_total{{surface=\"{name}\",reason=\"proxy_untrusted\"");
        wait::until("three refusals", 5, || {
            (node.metric(&counted) >= 3.0).then_some(())
        });
    }
    let log = node.stop();
    assert!(
        !log.contains("192.0.2.1"),
        "nothing of it is believed: {log}"
    );
}

#[test]
fn a_proxy_that_sends_version_1_is_refused_by_its_own_reason() {
    let node = node().start();
    let proxy = HaProxy::start(&node, "send-proxy");
    assert!(answer(proxy.http, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_empty());
    let counted = "isocast_refusals_total{surface=\"http\",reason=\"proxy_header_version_1\"";
    wait::until("a refusal", 5, || {
        (node.metric(counted) >= 1.0).then_some(())
    });
    node.stop();
}

/// Each client of the proxy has its own places, and one cannot take those of another.
#[test]
fn the_cap_of_an_address_is_the_clients() {
    let node = node()
        .set("rtmp.pre_auth_per_ip_max", 2)
        .set("rtmp.handshake_timeout_s", 60)
        .set("rtmp.publish_timeout_s", 60)
        .start();
    let proxy = HaProxy::start(&node, "send-proxy-v2");
    let capped = "isocast_refusals_total{surface=\"rtmp\",reason=\"connections_per_ip_max\"";
    let connections = "isocast_connections{protocol=\"rtmp\"";
    wait::until("the end of the probe that found haproxy", 5, || {
        let came = node.metric("isocast_connections_total{protocol=\"rtmp\"") >= 1.0;
        (came && node.metric(connections) == 0.0).then_some(())
    });
    let held: Vec<_> = (0..2)
        .map(|_| idle(proxy.rtmp, Ipv4Addr::LOCALHOST))
        .collect();
    wait::until("both", 5, || {
        (node.metric(connections) >= 2.0).then_some(())
    });
    let _third = idle(proxy.rtmp, Ipv4Addr::LOCALHOST);
    wait::until("a refusal", 5, || {
        (node.metric(capped) >= 1.0).then_some(())
    });
    let _other = idle(proxy.rtmp, Ipv4Addr::new(127, 0, 0, 9));
    wait::until("a third", 5, || {
        (node.metric(connections) >= 3.0).then_some(())
    });
    drop(held);
    node.stop();
}

#[test]
fn nginx_tells_whose_request_it_is_and_clients_do_not() {
    let node = NodeOptions::default().set("proxies.trusted", PROXY).start();
    let room = node.public_room("audience");
    let log = node.file("publish.log");
    let clip = Clip::AudioVideo.path();
    let _publisher = Ffmpeg::debian().publish_forever(&clip, &node.publish_url(&room), &log);
    let playlist = "/hls/room_audience/index.m3u8";
    node.wait_for_status(playlist, 200, 15);
    let (front, _nginx) = nginx(&node);
    let ask = |from: &str, to: SocketAddr, forged: &str| {
        let mut command = Command::new(tool("curl"));
        command.args(["-sS", "-i", "--interface", from, "-H", forged]);
        command.args([
            "-H",
            "X-Forwarded-Host: evil.example",
            "-H",
            "X-Forwarded-Proto: gopher",
        ]);
        let answer = run(command.arg(format!("http://{to}{playlist}")));
        assert!(
            answer.out.starts_with("HTTP/1.1 200"),
            "{}{}",
            answer.out,
            answer.err
        );
        assert!(!answer.out.contains("evil") && !answer.out.contains("gopher"));
    };
    let viewers = || node.metric("isocast_viewers{protocol=\"hls\"");
    // Viewers of HLS are told apart by their addresses and the name of their player, which is curl's for all of these.
    for (from, forged) in [
        ("127.0.0.11", "X-Forwarded-For: 198.51.100.1"),
        ("127.0.0.11", "X-Forwarded-For: 198.51.100.2"),
        ("127.0.0.12", "Forwarded: for=198.51.100.3"),
        ("127.0.0.12", "Forwarded: for=198.51.100.4"),
    ] {
        ask(from, front, forged);
        ask(from, node.http, forged);
    }
    wait::until("two viewers", 10, || (viewers() >= 2.0).then_some(()));
    // The test itself may still count as one.
    assert!(viewers() <= 3.0, "{} viewers", viewers());
    node.stop();
}

/// nginx in front of the node's HTTP port, from the proxies' address.
fn nginx(node: &Node) -> (SocketAddr, Process) {
    let front = free_port();
    let folder = node.file("nginx");
    std::fs::create_dir(&folder).expect("a folder");
    let config = format!(
        "daemon off; pid {0}/pid; error_log stderr; events {{}}
        http {{ access_log off; client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0};
            uwsgi_temp_path {0}; scgi_temp_path {0};
            server {{ listen {front}; location / {{ proxy_pass http://{1}; proxy_bind {PROXY};
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}",
        folder.display(),
        node.http,
    );
    let file = node.file("nginx.conf");
    std::fs::write(&file, config).expect("a file");
    let mut command = Command::new(tool("nginx"));
    command.arg("-e").arg("stderr").arg("-c").arg(&file);
    let process = Process::start("nginx", &mut command, &node.file("nginx.log"));
    wait::until("nginx", 10, || TcpStream::connect(front).ok());
    (front, process)
}

/// A connection from this address that says nothing.
fn idle(to: SocketAddr, from: Ipv4Addr) -> socket2::Socket {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from = SocketAddr::from((from, 0));
    socket
        .bind(&from.into())
        .expect("all of 127.0.0.0/8 is here");
    socket.connect(&to.into()).expect("it listens");
    socket
}

/// What a port says to these bytes, until it closes.
fn answer(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(to).expect("it listens");
    tcp.set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time");
    // It may have closed already.
    let _ = tcp.write_all(bytes);
    let mut answer = Vec::new();
    let end = tcp.read_to_end(&mut answer);
    let is_late = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!is_late, "it closes soon");
    answer
}
