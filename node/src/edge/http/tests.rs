use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use isocast_media::{Codec, Frame, Kind, MediaMs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::version::HTTP2_PREFACE;
use crate::api::tests::{Node, publish};
use crate::config::Config;
use crate::rooms::memory::Memory;

/// A node that waits a second for a request's head.
async fn impatient() -> Node {
    let mut config = Config::default();
    config.http.header_timeout_s = 1;
    Node::with(config, Arc::new(Memory::new())).await
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let node = impatient().await;
    for start in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n\r\nSM",
        "GET / HTTP/1.1\r\nhost: a\r\n",
    ] {
        let started = Instant::now();
        let answer = node.raw(start.as_bytes()).await;
        assert!(!answer.contains("200"), "{answer}");
        assert!(started.elapsed() < Duration::from_secs(3), "{start:?}");
    }
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused_and_counted() {
    let many: String = (0..1000).map(|n| format!("h{n}: v\r\n")).collect();
    let long = format!("h: {}\r\n", "v".repeat(64 << 10));
    for (request, status, reason) in [
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"),
            "431",
            "header_too_large",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\n{long}\r\n"),
            "431",
            "header_too_large",
        ),
        ("hello\r\n\r\n".into(), "400", "bad_request"),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".into(),
            "400",
            "bad_request",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: evil\r\n\r\n".into(),
            "400",
            "bad_request",
        ),
        (
            "CONNECT evil.example:25 HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            "404",
            "not_found",
        ),
    ] {
        let node = impatient().await;
        let answer = node.raw(request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{request:.50}: {answer:.100}"
        );
        assert!(!answer.contains("evil"), "{answer}");
        assert_eq!(refusals(&node).await, [format!("{reason} 1")]);
    }
}

#[tokio::test]
async fn half_a_head_is_a_refusal_and_a_connection_that_rests_is_none() {
    let node = impatient().await;
    node.raw(b"GET /api/v1/live HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    node.raw(b"GET / HTTP/1.1\r\n").await;
    assert_eq!(refusals(&node).await, ["header_timeout 1"]);
}

#[tokio::test]
async fn who_breaks_the_rules_of_http2_is_counted() {
    for (frames, reason) in [
        // A frame of 1 MiB (RFC 9113 §4.2), and DATA of no stream (§6.1).
        (vec![0x10, 0, 0, 0, 0, 0, 0, 0, 1], "bad_request"),
        (vec![0, 0, 1, 0, 0, 0, 0, 0, 7, 0], "bad_request"),
        (resets(u8::MAX), "too_many"),
    ] {
        let node = impatient().await;
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        node.raw(&[&HTTP2_PREFACE[..], &settings, &frames].concat())
            .await;
        assert_eq!(refusals(&node).await, [format!("{reason} 1")]);
    }
}

/// Requests for `/`, each taken back at once (RFC 9113 §6.4).
fn resets(count: u8) -> Vec<u8> {
    let reset = |stream: u8| {
        let request = [0, 0, 3, 1, 5, 0, 0, 0, stream, 0x82, 0x86, 0x84];
        let reset = [0, 0, 4, 3, 0, 0, 0, 0, stream, 0, 0, 0, 8];
        request.into_iter().chain(reset)
    };
    (1..=count).step_by(2).flat_map(reset).collect()
}

/// What was refused, once anything was: it is counted a moment after the connection is closed.
async fn refusals(node: &Node) -> Vec<String> {
    let seen = async {
        loop {
            let metrics = node.app.metrics.render("");
            let reason = |line: &str| {
                let (_, reason) = line
                    .strip_prefix("isocast_refusals_total{")?
                    .split_once("reason=\"")?;
                Some(reason.replace("\"}", ""))
            };
            let reasons: Vec<_> = metrics.lines().filter_map(reason).collect();
            if !reasons.is_empty() {
                return reasons;
            }
            tokio::task::yield_now().await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(10), seen);
    seen.await.expect("a refusal is counted")
}

#[tokio::test]
async fn http2_is_spoken_with_prior_knowledge() {
    let node = impatient().await;
    let mut tcp = node.connect().await;
    // The preface and empty SETTINGS (RFC 9113 §3.4, §6.5).
    tcp.write_all(HTTP2_PREFACE).await.unwrap();
    tcp.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut header = [0; 9];
    tcp.read_exact(&mut header).await.unwrap();
    assert_eq!(header[3], 4, "the answer begins with SETTINGS");
}

#[tokio::test]
async fn a_viewer_that_takes_nothing_goes_and_the_others_of_its_connection_stay() {
    let node = Node::start().await;
    let (publisher, stream) = publish(&node);
    let io = TokioIo::new(node.connect().await);
    let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    // One that closes leaves room for the other.
    let client = client
        .initial_connection_window_size(64 << 20)
        .initial_stream_window_size(64 << 10);
    let (mut requests, connection) = client.handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut ask = async || {
        let request = Request::get(format!("http://{}/flv/room_open.flv", node.address));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        requests.send_request(request).await.unwrap()
    };
    let (closed, mut open) = (ask().await, ask().await);
    assert!(closed.status().is_success() && open.status().is_success());
    let read = async |body: &mut Incoming, bytes_min: usize| {
        let mut read = 0;
        while read < bytes_min {
            let frame = body.frame().await.expect("it goes on").unwrap();
            read += frame.into_data().map(|data| data.len()).unwrap_or_default();
        }
    };
    const FRAME_BYTES: usize = 64 << 10;
    let mut sent = 0;
    let mut send = |frames: usize| {
        for _ in 0..frames {
            sent += 1;
            publisher
                .push(sound(sent, FRAME_BYTES), std::time::Instant::now())
                .unwrap();
        }
    };
    send(16);
    read(open.body_mut(), 16 * FRAME_BYTES).await;
    assert_eq!(stream.viewers().total(), 2);
    // As if a minute had passed in which only one of them came for more.
    let later = std::time::Instant::now() + Duration::from_secs(60);
    let gone = node
        .app
        .hub
        .send_away_stalled(later, Duration::from_secs(30));
    assert_eq!(gone, 1);
    send(8);
    read(open.body_mut(), 8 * FRAME_BYTES).await;
    while stream.viewers().total() > 1 {
        tokio::task::yield_now().await;
    }
    assert!(!connection.is_finished());
    drop(closed);
}

#[tokio::test]
async fn a_node_that_goes_ends_what_viewers_might_ask_again_by() {
    let mut config = Config::default();
    config.node.drain_spread_s = 0;
    let node = Node::with(config, Arc::new(Memory::new())).await;
    let (_publisher, stream) = publish(&node);
    let io = TokioIo::new(node.connect().await);
    let client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut requests, connection) = client.handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get(format!("http://{}/flv/room_open.flv", node.address));
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let by_http2 = requests.send_request(request).await.unwrap();
    let by_http1 = node.raw(b"GET /flv/room_open.flv HTTP/1.1\r\nhost: a\r\n\r\n");
    let goes = async {
        while stream.viewers().total() < 2 {
            tokio::task::yield_now().await;
        }
        node.app.stop.part().await;
    };
    let (by_http1, ()) = tokio::join!(by_http1, goes);
    assert!(
        by_http1.ends_with("0\r\n\r\n"),
        "a whole answer: {by_http1}"
    );
    assert!(by_http2.into_body().collect().await.is_ok());
    assert!(connection.await.unwrap().is_ok(), "without an error");
}

fn sound(number: i64, bytes: usize) -> Frame {
    Frame {
        codec: Codec::Aac,
        track_id: 0,
        kind: Kind::Media { key: true },
        dts: MediaMs(number * 20),
        pts_offset_ms: 0,
        data: Bytes::from(vec![0; bytes]),
    }
}

#[tokio::test]
async fn an_idle_connection_ends_and_its_place_comes_back() {
    let mut config = Config::default();
    config.http.header_timeout_s = 1;
    config.http.connections_per_ip_max = 1;
    let node = Node::with(config, Arc::new(Memory::new())).await;
    let mut tcp = node.connect().await;
    tcp.write_all(b"GET /api/v1/live HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut seen = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), tcp.read_to_end(&mut seen));
    assert!(read.await.is_ok(), "it is closed after a while");
    assert!(seen.starts_with(b"HTTP/1.1 200"));
    let again = async {
        let request = b"GET /api/v1/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        // The place is free a moment after the connection is closed.
        while !node.raw(request).await.starts_with("HTTP/1.1 200") {}
    };
    let again = tokio::time::timeout(Duration::from_secs(5), again);
    assert!(again.await.is_ok());
}
