//! Sockets and ports over real connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use super::caps::Permit;
use super::*;
use crate::api;
use crate::api::tests::Node;
use crate::config::Config;
use crate::data::scratch::Scratch;
use crate::metrics::Metrics;
use crate::rooms::memory::Memory;
use crate::tls::Reloader;
use crate::tls::tests::{Issued, connector};

const STALL_MAX: Duration = Duration::from_millis(100);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A counted connection as the edge makes it.
pub(super) fn tcp(stream: TcpStream, permit: Permit) -> Tcp {
    let connected = Connected::new(&Metrics::new(), "test", permit, TaskTracker::new().token());
    Tcp::new(
        stream,
        connected,
        STALL_MAX,
        Counter::default(),
        Default::default(),
    )
    .unwrap()
}

/// A socket of ours and the other side's end, in the clear or by TLS.
async fn pair(by_tls: bool) -> (Socket, Box<dyn Stream>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap());
    let (peer, accepted) = tokio::join!(peer, listener.accept());
    let tcp = tcp(accepted.unwrap().0, Caps::new(1, 1).admit().unwrap());
    if !by_tls {
        return (Socket::Plain(tcp), Box::new(peer.unwrap()));
    }
    let (scratch, issued) = (Scratch::new(), Issued::new());
    let reloader = Reloader::start(issued.write(scratch.path()), &Metrics::new()).unwrap();
    let acceptor = reloader.acceptors().borrow().rtmps.clone();
    let connector = connector(&issued, &[]);
    let peer = connector.connect(localhost(), peer.unwrap());
    let (peer, ours) = tokio::join!(peer, acceptor.accept(tcp));
    (
        Socket::Tls(Box::new(ours.unwrap())),
        Box::new(peer.unwrap()),
    )
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_given_up() {
    for by_tls in [false, true] {
        let (mut socket, _peer) = pair(by_tls).await;
        let piece = Bytes::from(vec![0; 64 << 20]);
        let started = Instant::now();
        let error = socket.write_all_vectored(&[piece]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= STALL_MAX);
        let again = socket.write_all(b"more").await.unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::TimedOut);
    }
}

#[tokio::test]
async fn a_slow_peer_is_waited_for_as_long_as_it_takes_something() {
    const SENT: usize = 8 << 20;
    for by_tls in [false, true] {
        let (mut socket, mut peer) = pair(by_tls).await;
        let reads = tokio::spawn(async move {
            let mut buffer = vec![0; 512 << 10];
            let mut read = 0;
            let mut pause_at = 0;
            while read < SENT {
                if read >= pause_at {
                    pause_at += buffer.len();
                    tokio::time::sleep(STALL_MAX / 5).await;
                }
                read += peer.read(&mut buffer).await.unwrap();
            }
            read
        });
        let started = Instant::now();
        let piece = Bytes::from(vec![0; SENT]);
        socket.write_all_vectored(&[piece]).await.unwrap();
        assert!(
            started.elapsed() > STALL_MAX,
            "longer in all than one stall may last"
        );
        assert_eq!(reads.await.unwrap(), SENT);
        assert!(socket.tcp().bytes_out() >= SENT as u64);
    }
}

#[tokio::test]
async fn pieces_arrive_in_order_and_empty_ones_do_no_harm() {
    for by_tls in [false, true] {
        let (mut socket, mut peer) = pair(by_tls).await;
        for (pieces, expected) in [
            (&[][..], &b""[..]),
            (&["", ""], b""),
            (&["", "a", "", "bc", ""], b"abc"),
        ] {
            let pieces: Vec<_> = pieces
                .iter()
                .map(|text| Bytes::from_static(text.as_bytes()))
                .collect();
            socket.write_all_vectored(&pieces).await.unwrap();
            let mut got = vec![0; expected.len()];
            peer.read_exact(&mut got).await.unwrap();
            assert_eq!(got, expected);
        }
        // More pieces than the kernel takes in one call (IOV_MAX, 1024).
        let many: Vec<_> = (0..5000u32)
            .map(|n| Bytes::copy_from_slice(&n.to_be_bytes()))
            .collect();
        let before = socket.tcp().bytes_out();
        socket.write_all_vectored(&many).await.unwrap();
        let mut got = vec![0; 20_000];
        peer.read_exact(&mut got).await.unwrap();
        assert_eq!(got, many.concat());
        // A record takes up to 16 KiB and adds some 20 bytes (RFC 8446 §5.1).
        assert!(socket.tcp().bytes_out() - before < 20_000 + 200);
    }
}

#[tokio::test]
async fn both_ends_know_that_the_end_is_one() {
    for by_tls in [false, true] {
        let (mut socket, mut peer) = pair(by_tls).await;
        socket.shutdown().await.unwrap();
        let read = peer.read(&mut [0; 1]).await;
        assert_eq!(read.unwrap(), 0, "and no connection that was cut");
    }
}

/// A node with an HTTPS port, which waits a second for a handshake.
struct Secured {
    node: Node,
    address: SocketAddr,
    issued: Issued,
    _scratch: Scratch,
}

impl Secured {
    async fn start() -> Self {
        let mut config = Config::default();
        config.http.header_timeout_s = 1;
        let node = Node::with(config, Arc::new(Memory::new())).await;
        let (scratch, issued) = (Scratch::new(), Issued::new());
        let files = issued.write(scratch.path());
        let reloader = Reloader::start(files, &node.app.metrics).unwrap();
        let port = Port {
            speaks: Speaks::Http(api::public(Arc::clone(&node.app))),
            caps: Caps::new(10, 10),
            is_public: true,
            tls: Some(reloader.acceptors()),
            mutual: None,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        port.open(&node.app, listener);
        Self {
            node,
            address,
            issued,
            _scratch: scratch,
        }
    }

    async fn connect(&self, connector: TlsConnector) -> io::Result<impl Stream + use<>> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        connector.connect(localhost(), tcp).await
    }

    /// What a peer that sends only this gets until the node closes.
    async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(Duration::from_secs(10), tcp.read_to_end(&mut answer));
        read.await.expect("the node closes the connection").ok();
        answer
    }

    async fn wait_for_metric(&self, line: &str) {
        let counted = async {
            while !self.node.app.metrics.render("").contains(line) {
                tokio::task::yield_now().await;
            }
        };
        let counted = timeout(Duration::from_secs(5), counted).await;
        assert!(
            counted.is_ok(),
            "{line}\n{}",
            self.node.app.metrics.render("")
        );
    }
}

#[tokio::test]
async fn https_is_http1_or_http2_as_agreed() {
    let secured = Secured::start().await;
    for protocols in [&[][..], &["http/1.1"]] {
        let mut tls = secured
            .connect(connector(&secured.issued, protocols))
            .await
            .unwrap();
        tls.write_all(b"GET /api/v1/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        tls.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let mut tls = secured
        .connect(connector(&secured.issued, &["h2", "http/1.1"]))
        .await
        .unwrap();
    // The preface and empty SETTINGS (RFC 9113 §3.4, §6.5).
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut header = [0; 9];
    tls.read_exact(&mut header).await.unwrap();
    assert_eq!(header[3], 4, "the answer begins with SETTINGS");
    secured
        .wait_for_metric("isocast_connections_total{protocol=\"https\"} 3")
        .await;
}

#[tokio::test]
async fn what_is_no_tls_is_refused_and_counted() {
    let secured = Secured::start().await;
    let alert_of_level_fatal = [21, 3];
    let answer = secured.raw(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(
        answer.is_empty() || answer.starts_with(&alert_of_level_fatal),
        "{answer:?}"
    );
    secured
        .wait_for_metric("isocast_refusals_total{surface=\"https\",reason=\"not_tls\"} 1")
        .await;

    let started = Instant::now();
    assert!(secured.raw(b"\x16\x03\x01\x02\0").await.is_empty());
    assert!(started.elapsed() < Duration::from_secs(3));
    secured
        .wait_for_metric("isocast_refusals_total{surface=\"https\",reason=\"tls_timeout\"} 1")
        .await;

    let stranger = connector(&Issued::new(), &[]);
    assert!(secured.connect(stranger).await.is_err());
    secured
        .wait_for_metric("isocast_refusals_total{surface=\"https\",reason=\"tls_handshake\"} 1")
        .await;
}

#[tokio::test]
async fn a_half_handshake_ends_when_the_node_does() {
    let secured = Secured::start().await;
    let mut tcp = TcpStream::connect(secured.address).await.unwrap();
    tcp.write_all(b"\x16\x03\x01").await.unwrap();
    secured
        .wait_for_metric("isocast_connections{protocol=\"https\"} 1")
        .await;
    let (app, tasks) = (&secured.node.app, &secured.node.app.tasks);
    app.stop.close();
    app.stop.close_listeners();
    tasks.close();
    let ended = timeout(Duration::from_millis(500), tasks.wait()).await;
    assert!(ended.is_ok());
}

/// A node whose only trusted proxy is 127.0.0.2, with one connection for each client.
async fn behind_a_proxy(protocol_v2: bool) -> Node {
    let mut config = Config::default();
    config.http.header_timeout_s = 1;
    config.http.connections_per_ip_max = 1;
    config.proxies.trusted = vec!["127.0.0.2".parse().unwrap()];
    config.proxies.protocol_v2 = protocol_v2;
    Node::with(config, Arc::new(Memory::new())).await
}

async fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

const PROXY: [u8; 4] = [127, 0, 0, 2];
const STRANGER: [u8; 4] = [127, 0, 0, 3];
const REQUEST: &[u8] = b"GET /api/v1/live HTTP/1.1\r\nhost: a\r\n\r\n";

/// `PROXY` for a client of this address (proxy-protocol.txt §2.2).
fn header_for(client: [u8; 4]) -> Vec<u8> {
    let fixed = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    [&fixed[..], &client, &[127, 0, 0, 1, 1, 0, 0, 80]].concat()
}

/// Sends these bytes from there; the connection, and the first line of the answer.
async fn asked(node: &Node, from: [u8; 4], bytes: &[u8]) -> (TcpStream, String) {
    let mut tcp = connect_from(from, node.address).await;
    tcp.write_all(bytes).await.unwrap();
    let mut seen = Vec::new();
    let line =
        async { while !seen.contains(&b'\n') && tcp.read_buf(&mut seen).await.unwrap_or(0) > 0 {} };
    timeout(Duration::from_secs(5), line)
        .await
        .expect("an answer or the end");
    let text = String::from_utf8_lossy(&seen).into_owned();
    (tcp, text.lines().next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn only_a_trusted_proxy_tells_who_the_client_is() {
    let node = behind_a_proxy(true).await;
    let (first, second) = (header_for([192, 0, 2, 1]), header_for([192, 0, 2, 2]));
    let ok = "HTTP/1.1 200 OK";
    let (held, line) = asked(&node, PROXY, &[&first, REQUEST].concat()).await;
    assert_eq!(line, ok);
    let (_, line) = asked(&node, PROXY, &[&first, REQUEST].concat()).await;
    assert_eq!(line, "", "this client has a connection already");
    let (_, line) = asked(&node, PROXY, &[&second, REQUEST].concat()).await;
    assert_eq!(line, ok, "and this one has none");
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    let (_kept, line) = asked(&node, PROXY, &[local, REQUEST].concat()).await;
    assert_eq!(line, ok);
    let (_, line) = asked(&node, PROXY, &[local, REQUEST].concat()).await;
    assert_eq!(line, ok, "the proxy itself may have as many as it needs");
    drop(held);

    let refused =
        |reason| format!("isocast_refusals_total{{surface=\"http\",reason=\"{reason}\"}} 1\n");
    for (from, bytes, reason) in [
        (STRANGER, [&first, REQUEST].concat(), "proxy_untrusted"),
        (PROXY, [REQUEST, REQUEST].concat(), "proxy_header_missing"),
        (
            PROXY,
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
            "proxy_header_version_1",
        ),
        (PROXY, first[..20].to_vec(), "proxy_timeout"),
    ] {
        let (_, line) = asked(&node, from, &bytes).await;
        assert_eq!(line, "", "{reason}");
        let metrics = node.app.metrics.render("");
        assert!(metrics.contains(&refused(reason)), "{reason}\n{metrics}");
    }
    assert!(
        node.raw_internal(REQUEST).await.starts_with("HTTP/1.1 404"),
        "it is not public"
    );
}

#[tokio::test]
async fn each_request_of_a_proxy_has_a_client_of_its_own() {
    let node = behind_a_proxy(false).await;
    let request = |client: &str| {
        let request = "GET /hls/room_open/index.m3u8 HTTP/1.1\r\nhost: a\r\n";
        format!("{request}x-forwarded-for: {client}\r\n\r\n")
    };
    for _ in 0..3 {
        let (_, line) = asked(&node, PROXY, request("192.0.2.1").as_bytes()).await;
        assert_eq!(line, "HTTP/1.1 404 Not Found");
    }
    let malformed = "isocast_refusals_total{surface=\"http\",reason=\"forwarded_for\"}";
    asked(&node, STRANGER, request("nonsense").as_bytes()).await;
    assert!(
        !node.app.metrics.render("").contains(malformed),
        "it is not looked at"
    );
    asked(&node, PROXY, request("nonsense").as_bytes()).await;
    assert!(node.app.metrics.render("").contains(malformed));
}

#[tokio::test]
async fn an_ipv4_client_of_a_listener_for_both_is_known_by_its_ipv4_address() {
    let listener = TcpListener::bind("[::]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, mut addresses) = tokio::sync::mpsc::channel(1);
    let stop = CancellationToken::new();
    let accepting = tokio::spawn(accept(listener, stop.clone(), move |_, from| {
        told.try_send(from.ip()).unwrap();
    }));
    let _peer = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let address = timeout(Duration::from_secs(10), addresses.recv()).await;
    let expected = std::net::IpAddr::from([127, 0, 0, 1]);
    assert_eq!(address.unwrap(), Some(expected));
    stop.cancel();
    accepting.await.unwrap();
}
