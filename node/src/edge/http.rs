//! HTTP connections: HTTP/1.1 and HTTP/2 on one port, with a deadline for every request head.

mod fault;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::forwarded::Client;
use super::{Socket, Tcp};
use crate::app::{App, Hangup, Local, Peer};

const PROTOCOL: &str = "http";
/// The first bytes of HTTP/2 with prior knowledge (RFC 9113 §3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// All header fields of a request, in bytes.
const HEADER_BYTES_MAX: u32 = 16 << 10;
const HEADERS_MAX: usize = 100;
const HTTP2_STREAMS_MAX: u32 = 100;
/// What a peer may send before it is read, and what is kept of an answer that it does not take, by
/// stream: a request's body is 16 KiB at most.
const HTTP2_WINDOW_BYTES: u32 = 64 << 10;
/// Streams a peer may reset before it has its answer; more ends the connection.
const HTTP2_PENDING_RESETS_MAX: usize = 20;
const HTTP2_PING_EVERY: Duration = Duration::from_secs(30);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// After so long a connection takes no more requests.
const HTTP2_AGE_MAX: Duration = Duration::from_secs(3600);
/// Once asked to close, a connection may finish what it sends within this time.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    Http1,
    Http2,
}

/// Serves one connection to its end.
pub(crate) async fn serve(
    app: Arc<App>,
    socket: Socket,
    client: Client,
    router: Router,
    accepted: Instant,
) {
    let deadline = accepted + Duration::from_secs(app.config.http.header_timeout_s);
    match timeout_at(deadline, version(&socket)).await {
        Ok(Some(version)) => {
            let Ok(local) = socket.local() else { return };
            let ends = (client, local);
            converse(&app, socket, ends, router, version).await;
        }
        Ok(None) => {}
        Err(_) => {
            app.metrics.refused(PROTOCOL, "header_timeout");
        }
    }
}

/// Which HTTP the other side speaks; `None` where it hangs up first.
async fn version(socket: &Socket) -> Option<Version> {
    match socket.is_http2() {
        Some(true) => Some(Version::Http2),
        Some(false) => Some(Version::Http1),
        None => version_of_first_bytes(socket.tcp()).await,
    }
}

async fn version_of_first_bytes(tcp: &Tcp) -> Option<Version> {
    let mut first = [0; HTTP2_PREFACE.len()];
    let mut seen = 0;
    loop {
        let count = tcp.peek(&mut first).await.ok()?;
        if count == 0 {
            return None;
        }
        if first[..count] != HTTP2_PREFACE[..count] {
            return Some(Version::Http1);
        }
        if count == HTTP2_PREFACE.len() {
            return Some(Version::Http2);
        }
        if count == seen {
            // Peeking does not consume, so readiness says nothing about further bytes.
            sleep(Duration::from_millis(20)).await;
        }
        seen = count;
    }
}

async fn converse(
    app: &Arc<App>,
    socket: Socket,
    (client, local): (Client, Local),
    router: Router,
    version: Version,
) {
    let io = TokioIo::new(socket);
    let router = TowerToHyperService::new(router);
    let hangup = Hangup::default();
    let of_connection = (version == Version::Http1).then(|| hangup.clone());
    let asked = Arc::clone(app);
    let ends = Ends::of(app);
    let has_asked = Arc::clone(&ends.has_asked);
    let service = service_fn(move |mut request: Request<Incoming>| {
        has_asked.store(true, Ordering::Relaxed);
        // A connection of a proxy has a client for each request.
        let peer = client.of_request(request.headers(), |ip| asked.config.proxies.trusts(ip));
        let peer = peer.unwrap_or_else(|_| {
            asked.metrics.refused(PROTOCOL, "forwarded_for");
            client.address
        });
        request.extensions_mut().insert(Peer(peer));
        request
            .extensions_mut()
            .insert(of_connection.clone().unwrap_or_default());
        request.extensions_mut().insert(local);
        router.call(request)
    });
    match version {
        Version::Http1 => {
            let header_timeout = Duration::from_secs(app.config.http.header_timeout_s);
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(header_timeout)
                .max_headers(HEADERS_MAX)
                .max_buf_size(HEADER_BYTES_MAX as usize)
                .serve_connection(io, service)
                .with_upgrades();
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                end = connection.as_mut() => return ends.count(end),
                () = app.stop.closing() => connection.as_mut().graceful_shutdown(),
                () = hangup.0.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            if let Ok(end) = timeout(FAREWELL, connection).await {
                ends.count(end);
            }
        }
        Version::Http2 => {
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(HTTP2_STREAMS_MAX)
                .max_header_list_size(HEADER_BYTES_MAX)
                .initial_stream_window_size(HTTP2_WINDOW_BYTES)
                .initial_connection_window_size(HTTP2_WINDOW_BYTES)
                .max_send_buf_size(HTTP2_WINDOW_BYTES as usize)
                .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS_MAX)
                .keep_alive_interval(HTTP2_PING_EVERY)
                .keep_alive_timeout(HTTP2_PING_TIMEOUT)
                .serve_connection(io, service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                end = connection.as_mut() => return ends.count(end),
                () = app.stop.closing() => {}
                () = sleep(HTTP2_AGE_MAX) => {
                    // What has begun goes on: it may be a viewer's video.
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        end = connection.as_mut() => return ends.count(end),
                        () = app.stop.closing() => {}
                    }
                }
            }
            connection.as_mut().graceful_shutdown();
            if let Ok(end) = timeout(FAREWELL, connection).await {
                ends.count(end);
            }
        }
    }
}

/// Counts connections that end because of what their peers sent.
struct Ends<'a> {
    app: &'a App,
    /// A request's head has come.
    has_asked: Arc<AtomicBool>,
}

impl<'a> Ends<'a> {
    fn of(app: &'a App) -> Self {
        Self {
            app,
            has_asked: Arc::default(),
        }
    }

    fn count(&self, end: hyper::Result<()>) {
        let Err(error) = end else { return };
        // After a request, a timeout is how a connection ends that nobody needs any more.
        if error.is_timeout() && self.has_asked.load(Ordering::Relaxed) {
            return;
        }
        if let Some(reason) = fault::reason(&error) {
            self.app.metrics.refused(PROTOCOL, reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use isocast_media::{Codec, Frame, Kind, MediaMs};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::{Caps, tests};
    use super::*;
    use crate::api::tests::{Node, publish};
    use crate::config::Config;
    use crate::rooms::memory::Memory;

    #[tokio::test]
    async fn the_first_bytes_tell_the_version_however_slowly_they_come() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (http1, http2) = (Some(Version::Http1), Some(Version::Http2));
        for (pieces, expected) in [
            (&["GET / HTTP/1.1\r\n"][..], http1),
            (&["G"], http1),
            (&["PR", "OPFIND"], http1),
            (&["P", "OST"], http1),
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], http2),
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n and more"], http2),
            (&["P", "RI * HTT", "P/2.0\r\n\r", "\nSM\r\n\r", "\n"], http2),
            (&["PRI * HTTP/2.0\r\n\r\nsm"], http1),
            (&["\u{16}\u{3}\u{1}"], http1),
            (&[], None),
        ] {
            let mut peer = TcpStream::connect(address).await.unwrap();
            let (tcp, _) = listener.accept().await.unwrap();
            let tcp = tests::tcp(tcp, Caps::new(1, 1).admit().unwrap());
            let detect = tokio::spawn(async move { version_of_first_bytes(&tcp).await });
            for piece in pieces {
                peer.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            if pieces.is_empty() {
                drop(peer);
            }
            assert_eq!(detect.await.unwrap(), expected, "{pieces:?}");
        }
    }

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
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"
                    .into(),
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
            let request = request.body(http_body_util::Empty::<Bytes>::new()).unwrap();
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
}
