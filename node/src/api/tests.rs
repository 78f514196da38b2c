//! The HTTP surface over real connections, as a stranger sees it.

use std::net::SocketAddr;
use std::time::Duration;

use isocast_access::Keyring;
use isocast_media::UnixMs;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::Config;
use crate::data::scratch::Scratch;
use crate::data::{Folder, NodeFile, Reread, Secret, Token};
use crate::edge::{Caps, Port, Speaks};
use crate::metrics::Metrics;
use crate::peers::Credential;
use crate::relay::Holders;
use crate::rooms::failing::Failing;
use crate::rooms::memory::Memory;
use crate::rooms::{NewRoom, OnConflict, Playback, PublishKey, RoomId, RoomLimits, Rooms};
use crate::run::assemble::{Parts, assemble, dialler};
use crate::run::opened::Secrets;

mod admin;
mod given_up;
mod limits;
mod play;
mod rates;

fn play_keys() -> Keyring {
    Keyring::parse("k1 0123456789abcdefghijklmnopqrstuv").unwrap()
}

const TOKEN: &str = "isocast_test";
pub(crate) const ADMIN_TOKEN: &str = "isocast_admin_test";

/// A node's HTTP side on ports of its own, with a public room `open` and a private one `shut`.
pub(crate) struct Node {
    pub(crate) app: Arc<App>,
    pub(crate) address: SocketAddr,
    pub(crate) internal: SocketAddr,
    /// Where other nodes pull from it, if it knows of any.
    pub(crate) relay: Option<SocketAddr>,
    scratch: Scratch,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(Config::default(), Arc::new(Memory::new())).await
    }

    pub(crate) async fn with(config: Config, rooms: Arc<dyn Rooms>) -> Self {
        Self::among(config, rooms, None).await
    }

    /// One among others, where it is configured so.
    pub(crate) async fn among(
        mut config: Config,
        rooms: Arc<dyn Rooms>,
        holders: Option<Arc<dyn Holders>>,
    ) -> Self {
        for (id, playback) in [("open", Playback::Public), ("shut", Playback::Private)] {
            let room = NewRoom {
                id: RoomId::parse(id).unwrap(),
                playback,
                on_conflict: OnConflict::Refuse,
                limits: RoomLimits::default(),
                created_at: UnixMs(1),
            };
            // The store that always fails is welcome too.
            let _ = rooms.create(room).await;
        }
        let scratch = Scratch::new();
        let folder = Folder::open(scratch.path()).unwrap();
        let token = |name, token: &str| {
            let file = folder.api_token(&scratch.path().join(name));
            Token::new(file, Secret::new(token.into()))
        };
        let has_peers = config.peers.has_credential();
        let relay_listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let relay = has_peers.then(|| relay_listener.local_addr().unwrap());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let internal_listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = NodeFile {
            pid: std::process::id(),
            rtmp: "0.0.0.0:1935".parse().unwrap(),
            http: listener.local_addr().unwrap(),
            internal: internal_listener.local_addr().unwrap(),
            rtmps: None,
            https: None,
            relay,
        };
        let secrets = Secrets {
            api_token: token("api", TOKEN),
            admin_token: token("admin", ADMIN_TOKEN),
            play_keys: Reread::open(|| Ok::<_, crate::data::Error>(play_keys())).unwrap(),
            publish_keys: Reread::open(|| Ok::<_, crate::data::Error>(play_keys())).unwrap(),
            key_set: None,
            webhooks: None,
            peers: Credential::read(&config.peers).unwrap(),
        };
        if config.node.id.is_empty() {
            config.node.id = "node-1".into();
        }
        let metrics = Metrics::new();
        let parts = Parts {
            secrets,
            rooms,
            redis: None,
            dialler: dialler(&config, &metrics).unwrap(),
            metrics,
            config,
            holders,
        };
        let app = assemble(parts, &at);
        let serve = |listener: TcpListener, router, is_public: bool| {
            let http = &app.config.http;
            let caps = Caps::new(http.connections_max, http.connections_per_ip_max);
            let port = Port {
                speaks: Speaks::Http(router),
                caps,
                is_public,
                tls: None,
                mutual: app.peers.mutual().filter(|_| !is_public),
            };
            port.open(&app, listener);
        };
        serve(listener, public(Arc::clone(&app)), true);
        serve(internal_listener, internal(Arc::clone(&app)), false);
        if has_peers {
            let port = Port {
                speaks: Speaks::Relay,
                caps: Caps::new(100, 100),
                is_public: false,
                tls: None,
                mutual: app.peers.mutual(),
            };
            port.open(&app, relay_listener);
        }
        Self {
            app,
            address: at.http,
            internal: at.internal,
            relay,
            scratch,
        }
    }

    /// Puts a room in place that is not there yet.
    async fn room(&self, id: &str, playback: Playback) -> PublishKey {
        let room = NewRoom {
            id: RoomId::parse(id).unwrap(),
            playback,
            on_conflict: OnConflict::Refuse,
            limits: RoomLimits::default(),
            created_at: UnixMs(1),
        };
        self.app.rooms.create(room).await.unwrap().1
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends these bytes, then reads until the node closes the connection.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        raw(self.address, request).await
    }

    /// The same at the internal port.
    pub(crate) async fn raw_internal(&self, request: &[u8]) -> String {
        raw(self.internal, request).await
    }

    pub(crate) async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        ask(self.address, line, headers, body).await
    }

    pub(crate) async fn internal(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        ask(self.internal, line, headers, body).await
    }
}

async fn raw(to: SocketAddr, request: &[u8]) -> String {
    let mut tcp = TcpStream::connect(to).await.unwrap();
    tcp.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = tcp.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), read).await;
    read.expect("the node closes the connection").ok();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn ask(to: SocketAddr, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    Answer::parse(&raw(to, request.as_bytes()).await)
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head: head.to_lowercase(),
            body: body.into(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let of_name = |line: &'_ str| -> bool { line.split(':').next() == Some(name) };
        let line = self.head.lines().find(|line| of_name(line))?;
        Some(line[name.len() + 1..].trim())
    }

    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        self.header("retry-after")?.parse().ok()
    }

    /// The code of an error in the one shape that errors have.
    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        assert!(
            body["error"]["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{self:?}"
        );
        body["error"]["code"]
            .as_str()
            .expect("errors have a code")
            .to_owned()
    }
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const AUTHORIZED: (&str, &str) = ("authorization", "Bearer isocast_test");
pub(crate) const ADMIN: (&str, &str) = ("authorization", "Bearer isocast_admin_test");

#[tokio::test]
async fn every_refusal_has_its_status_and_one_shape() {
    let node = Node::start().await;
    let long_path = format!("GET /hls/{}/index.m3u8", "a".repeat(8192));
    let long_query = format!("GET /?{}", "a".repeat(8192));
    let large_body = format!("{{\"id\":\"{}\"}}", "a".repeat(20_000));
    let operator: &[_] = &[JSON, AUTHORIZED];
    for (line, headers, body, status, code) in [
        ("GET /api/v1/rooms", &[][..], "", 401, "unauthorized"),
        (
            "GET /api/v1/rooms",
            &[("authorization", "Bearer wrong")],
            "",
            401,
            "unauthorized",
        ),
        (
            "GET /api/v1/rooms",
            &[("authorization", "Basic aXNvY2FzdF90ZXN0")],
            "",
            401,
            "unauthorized",
        ),
        ("POST /api/v1/rooms", &[JSON], "{}", 401, "unauthorized"),
        ("DELETE /api/v1/rooms/open", &[], "", 401, "unauthorized"),
        (
            "POST /api/v1/rooms",
            operator,
            "{\"id\":\"open\"}",
            409,
            "already_exists",
        ),
        (
            "POST /api/v1/rooms",
            operator,
            "{\"id\":",
            400,
            "bad_request",
        ),
        (
            "POST /api/v1/rooms",
            operator,
            "{\"id\":\"room_a\"}",
            400,
            "bad_request",
        ),
        (
            "POST /api/v1/rooms",
            operator,
            "{\"unknown\":1}",
            400,
            "bad_request",
        ),
        (
            "POST /api/v1/rooms",
            &[AUTHORIZED],
            "{}",
            400,
            "bad_request",
        ),
        (
            "POST /api/v1/rooms",
            operator,
            &large_body,
            413,
            "body_too_large",
        ),
        (
            "GET /api/v1/rooms?limit=x",
            operator,
            "",
            400,
            "bad_request",
        ),
        ("GET /api/v1/rooms/nobody", operator, "", 404, "no_room"),
        ("GET /api/v1/rooms/..%2f", operator, "", 404, "no_room"),
        ("DELETE /api/v1/rooms/nobody", operator, "", 404, "no_room"),
        ("PUT /api/v1/rooms", operator, "", 405, "method_not_allowed"),
        ("TRACE /", &[], "", 405, "method_not_allowed"),
        (
            "POST /hls/room_open/index.m3u8",
            &[],
            "",
            405,
            "method_not_allowed",
        ),
        ("GET /nowhere", &[], "", 404, "not_found"),
        ("GET //evil.example/", &[], "", 404, "not_found"),
        (
            "GET /hls/room_shut/index.m3u8",
            &[],
            "",
            403,
            "playback_denied",
        ),
        (
            "GET /hls/room_nobody/index.m3u8",
            &[],
            "",
            403,
            "playback_denied",
        ),
        ("GET /hls/room_open/index.m3u8", &[], "", 404, "not_live"),
        ("GET /hls/room_open/other.m3u8", &[], "", 404, "not_found"),
        (
            "GET /hls/room_open/1-00c0ffee/1.ts",
            &[],
            "",
            404,
            "not_live",
        ),
        ("GET /hls/room_open/x/1.ts", &[], "", 404, "not_found"),
        ("GET /hls/%ff/index.m3u8", &[], "", 400, "bad_request"),
        (
            "GET /hls/room_open%00/index.m3u8",
            &[],
            "",
            404,
            "not_found",
        ),
        ("GET /flv/room_open.flv", &[], "", 404, "not_live"),
        ("GET /flv/room_shut.flv", &[], "", 403, "playback_denied"),
        ("GET /flv/open.flv", &[], "", 404, "not_found"),
        ("GET /flv/..%2froom_open.flv", &[], "", 404, "not_found"),
        ("GET /flv/..\\room_open.flv", &[], "", 404, "not_found"),
        ("GET /x.flv", &[], "", 404, "not_found"),
        ("GET /flv/.flv", &[], "", 404, "not_found"),
        ("GET /flv/.flv?token=a", &[], "", 404, "not_found"),
        ("GET /flv/a/b.flv", &[], "", 404, "not_found"),
        ("GET /ws/room_open.flv", &[], "", 404, "not_live"),
        ("GET /api/v1/live/open", &[], "", 404, "not_live"),
        ("GET /api/v1/live/shut", &[], "", 403, "playback_denied"),
        (&long_path, &[], "", 414, "address_too_long"),
        (&long_query, &[], "", 414, "address_too_long"),
    ] {
        let answer = node.ask(line, headers, body).await;
        let shown = &line[..line.len().min(60)];
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{shown}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{shown}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{shown}");
        assert!(answer.header("x-request-id").is_some(), "{shown}");
        assert!(!format!("{answer:?}").contains("evil"), "{answer:?}");
        let (_, asked) = line.split_once(' ').unwrap();
        assert!(
            asked.len() < 2 || !answer.body.contains(asked),
            "{answer:?}"
        );
        assert_eq!(
            answer.header("allow").is_some(),
            status == 405,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn where_nothing_is_people_get_a_page_and_programs_the_error() {
    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let node = Node::start().await;
    for (line, accept, kind) in [
        ("GET /nowhere", BROWSER, "text/"),
        ("GET /watch/open/", BROWSER, "text/"),
        ("GET /nowhere", "*/*", "application/json"),
        (
            "GET /nowhere",
            "application/json, text/html",
            "application/json",
        ),
        ("GET /favicon.ico", "image/avif,image/*", "application/json"),
        ("GET /api/v1/nowhere", BROWSER, "application/json"),
    ] {
        let answer = node.ask(line, &[("accept", accept)], "").await;
        assert_eq!(answer.status, 404, "{line}");
        let is = answer.header("content-type").unwrap_or_default();
        assert!(is.starts_with(kind), "{line} {accept}: {is}");
    }
    let exposition = node.app.metrics.render("");
    let counted = r#"isocast_refusals_total{surface="http",reason="not_found"} 6"#;
    assert!(exposition.contains(counted), "{exposition}");
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    let node = Node::start().await;
    for request in [
        "GET /api/v1/live HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET /api/v1/live HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n",
    ] {
        let answer = Answer::parse(&node.raw(request.as_bytes()).await);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_request"),
            "{request}"
        );
    }
    let old = node.raw(b"GET /api/v1/live HTTP/1.0\r\n\r\n").await;
    assert_eq!(Answer::parse(&old).status, 200, "{old}");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_not_waited_for() {
    let node = Node::start().await;
    let mut tcp = node.connect().await;
    let head = "POST /api/v1/rooms HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
        authorization: Bearer isocast_test\r\ncontent-length: 9000\r\n\r\n{";
    tcp.write_all(head.as_bytes()).await.unwrap();
    // Until the node has the head, its deadlines are another matter.
    while node
        .app
        .metrics
        .render("")
        .matches("direction=\"in\"} 0")
        .count()
        == 1
        || !node.app.metrics.render("").contains("direction=\"in\"")
    {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.unwrap_or_default();
    let answer = Answer::parse(&String::from_utf8_lossy(&answer));
    assert_eq!((answer.status, answer.code().as_str()), (408, "too_slow"));
}

#[tokio::test]
async fn a_room_is_made_listed_given_a_new_key_and_deleted() {
    let node = Node::start().await;
    let body = "{\"id\":\"new\",\"playback\":\"public\"}";
    let made = node
        .ask("POST /api/v1/rooms", &[JSON, AUTHORIZED], body)
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let key = serde_json::from_str::<Value>(&made.body).unwrap()["stream_key"].clone();
    assert!(key.as_str().is_some_and(|key| key.len() > 40), "{made:?}");

    let list = node.ask("GET /api/v1/rooms", &[AUTHORIZED], "").await;
    assert!(
        list.status == 200 && list.body.contains("\"new\""),
        "{list:?}"
    );
    assert!(!list.body.contains("key\""), "{list:?}");
    let live = node.ask("GET /hls/new/index.m3u8", &[], "").await;
    assert_eq!(live.code(), "not_live", "at once, and the room is public");

    let rotated = node
        .ask("POST /api/v1/rooms/new/rotate-key", &[AUTHORIZED], "")
        .await;
    assert_eq!(rotated.status, 200);
    assert_ne!(
        serde_json::from_str::<Value>(&rotated.body).unwrap()["stream_key"],
        key
    );
    let deleted = node
        .ask("DELETE /api/v1/rooms/new", &[AUTHORIZED], "")
        .await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    let live = node.ask("GET /hls/new/index.m3u8", &[], "").await;
    assert_eq!(live.code(), "playback_denied", "at once");
}

#[tokio::test]
async fn a_request_keeps_a_plain_id_and_gets_one_otherwise() {
    let node = Node::start().await;
    let longest = "a".repeat(64);
    for id in ["a", "A-1_b.c", &longest] {
        let answer = node
            .ask("GET /api/v1/live", &[("x-request-id", id)], "")
            .await;
        assert_eq!(
            answer.header("x-request-id"),
            Some(id.to_lowercase().as_str())
        );
    }
    let too_long = "a".repeat(65);
    for id in ["", "a b", "<script>", "a\u{e9}", &too_long] {
        let answer = node
            .ask("GET /api/v1/live", &[("x-request-id", id)], "")
            .await;
        let given = answer.header("x-request-id").unwrap();
        assert!(
            given.len() == 16 && given.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}: {given}"
        );
    }
}

#[tokio::test]
async fn requests_and_refusals_are_counted_under_routes_never_under_the_callers_words() {
    let node = Node::start().await;
    node.ask("GET /hls/room_secret1/index.m3u8", &[], "").await;
    node.ask("GET /hls/room_secret2/index.m3u8", &[], "").await;
    node.ask("BREW /secret3", &[], "").await;
    let metrics = node.app.metrics.render("");
    for line in [
        "isocast_http_requests_total{method=\"GET\",route=\"/hls/{room}/{file}\",status=\"403\"} 2",
        "isocast_http_requests_total{method=\"other\",route=\"none\",status=\"404\"} 1",
        "isocast_refusals_total{surface=\"http\",reason=\"playback_denied\"} 2",
        "isocast_connections_total{protocol=\"http\"} 3",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("secret"), "{metrics}");
}

#[tokio::test]
async fn without_its_store_the_node_asks_for_patience() {
    let node = Node::with(Config::default(), Arc::new(Failing)).await;
    for line in [
        "GET /hls/room_open/index.m3u8",
        "GET /flv/room_open.flv",
        "GET /api/v1/rooms",
    ] {
        let answer = node.ask(line, &[AUTHORIZED], "").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (503, "unavailable"),
            "{line}"
        );
        assert_eq!(answer.header("retry-after"), Some("2"), "{line}");
    }
}

#[tokio::test]
async fn a_viewer_gets_flv_until_the_end_and_counts_meanwhile() {
    let node = Node::start().await;
    let (publisher, _stream) = publish(&node);
    let mut viewer = node.connect().await;
    viewer
        .write_all(b"GET /flv/room_open.flv HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut seen = Vec::new();
    while !seen.windows(4).any(|it| it == b"FLV\x01") {
        assert_ne!(viewer.read_buf(&mut seen).await.unwrap(), 0);
    }
    assert_eq!(node.app.hub.viewers(), 1);
    drop(publisher);
    node.app.hub.remove(&RoomId::parse("open").unwrap());
    viewer.read_to_end(&mut seen).await.unwrap_or_default();
    assert!(seen.ends_with(b"0\r\n\r\n"), "the body ends in order");
    assert_eq!(node.app.hub.viewers(), 0);
}

#[tokio::test]
async fn a_websocket_counts_as_a_connection_until_it_closes_and_a_shutdown_waits_for_it() {
    let mut config = Config::default();
    config.http.connections_per_ip_max = 1;
    let node = Node::with(config, Arc::new(Memory::new())).await;
    let (_publisher, _stream) = publish(&node);
    let mut viewer = node.connect().await;
    let request = "GET /ws/room_open.flv HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n\
        upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    viewer.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(4).any(|it| it == b"FLV\x01") {
        assert_ne!(viewer.read_buf(&mut seen).await.unwrap(), 0);
    }
    assert_eq!(
        node.raw(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await,
        "",
        "its address has no further place"
    );
    node.app.stop.close();
    node.app.stop.close_listeners();
    node.app.tasks.close();
    let mut waits = std::pin::pin!(node.app.tasks.wait());
    assert!(futures_util::poll!(&mut waits).is_pending());
    viewer.read_to_end(&mut seen).await.unwrap_or_default();
    assert!(
        seen.windows(2).any(|it| it[0] == 0x88),
        "a close frame comes"
    );
    drop(viewer);
    tokio::time::timeout(Duration::from_secs(10), waits)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_switched_off_is_refused_and_not_offered() {
    let mut config = Config::default();
    config.flv.enabled = false;
    config.hls.enabled = false;
    let node = Node::with(config, Arc::new(Memory::new())).await;
    let (_publisher, _stream) = publish(&node);
    for line in [
        "GET /flv/room_open.flv",
        "GET /ws/room_open.flv",
        "GET /hls/room_open/index.m3u8",
        "GET /hls/room_open/1-00c0ffee/1.ts",
    ] {
        let answer = node.ask(line, &[], "").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "protocol_off"),
            "{line}"
        );
    }
    let live = node.ask("GET /api/v1/live/open", &[], "").await;
    let live: Value = serde_json::from_str(&live.body).unwrap();
    let nothing = serde_json::json!({"flv": null, "ws_flv": null, "hls": null});
    assert_eq!(live["urls"], nothing);
}

/// The public room goes live with one audio frame.
pub(crate) fn publish(node: &Node) -> (crate::hub::Publisher, Arc<crate::hub::Stream>) {
    let claim = crate::registry::Claim::of(RoomId::parse("open").unwrap(), 1);
    let now = std::time::Instant::now();
    let (publisher, stream) = node
        .app
        .hub
        .publish(claim, crate::hub::Source::anyone(), now)
        .unwrap();
    send_audio(&publisher);
    (publisher, stream)
}

fn send_audio(publisher: &crate::hub::Publisher) {
    use isocast_media::{Codec, Frame, Kind, MediaMs};
    for (kind, data) in [
        (Kind::Config, &b"\x12\x10"[..]),
        (Kind::Media { key: true }, b"\x21\x10\x04"),
    ] {
        let frame = Frame {
            codec: Codec::Aac,
            track_id: 0,
            kind,
            dts: MediaMs(0),
            pts_offset_ms: 0,
            data: bytes::Bytes::from_static(data),
        };
        publisher.push(frame, std::time::Instant::now()).unwrap();
    }
}
