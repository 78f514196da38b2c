//! The admin API on the internal port.

use isocast_admin::{NodeIs, PublishKey, RoomIs, WatchLine};
use serde_json::json;

use super::*;
use crate::error::Refusal;
use crate::ingest::{self, Admitted};

const FIRST: &str = "room_new_key_first0123456789abcde";
const SECOND: &str = "room_new_key_second0123456789abcd";

impl Node {
    async fn admin(&self, line: &str, body: &str) -> Answer {
        self.internal(line, &[JSON, ADMIN], body).await
    }

    async fn put(&self, room: &str, playback: &str, key: &str) -> RoomIs {
        let line = format!("PUT /admin/v1/rooms/{room}");
        let answer = self.admin(&line, &wanted(playback, key)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Publishes as an encoder with this key would.
    pub(super) async fn publish(&self, key: &str) -> Result<Admitted, Refusal> {
        let publish_keys = self.app.publish_keys.now().await;
        let mut keep_place = || true;
        let address = [192, 0, 2, 1].into();
        let admission = self.app.admission(&publish_keys, address, &mut keep_place);
        ingest::admit(admission, key).await
    }
}

fn wanted(playback: &str, key: &str) -> String {
    json!({"playback": playback, "on_conflict": "refuse", "stream_key": key}).to_string()
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_and_named() {
    let node = Node::start().await;
    let good = wanted("public", FIRST);
    let no_token: &[_] = &[JSON];
    let api_token: &[_] = &[JSON, AUTHORIZED];
    let token: &[_] = &[JSON, ADMIN];
    for (line, headers, body, status, code) in [
        ("GET /admin/v1/node", no_token, "", 401, "unauthorized"),
        ("GET /admin/v1/node", api_token, "", 401, "unauthorized"),
        ("GET /admin/v1/watch", no_token, "", 401, "unauthorized"),
        ("GET /admin/v1/watch", api_token, "", 401, "unauthorized"),
        (
            "PUT /admin/v1/rooms/new",
            no_token,
            &good,
            401,
            "unauthorized",
        ),
        (
            "PUT /admin/v1/rooms/new",
            api_token,
            &good,
            401,
            "unauthorized",
        ),
        (
            "DELETE /admin/v1/rooms/open",
            no_token,
            "",
            401,
            "unauthorized",
        ),
        (
            "DELETE /admin/v1/rooms/open",
            api_token,
            "",
            401,
            "unauthorized",
        ),
        ("DELETE /admin/v1/rooms/nobody", token, "", 404, "no_room"),
        ("DELETE /admin/v1/rooms/..%2f", token, "", 404, "no_room"),
        (
            "PUT /admin/v1/rooms/other",
            token,
            &good,
            400,
            "bad_request",
        ),
        (
            "PUT /admin/v1/rooms/room_new",
            token,
            &good,
            400,
            "bad_request",
        ),
        ("PUT /admin/v1/rooms/new", token, "{}", 400, "bad_request"),
        (
            "PUT /admin/v1/rooms/new",
            token,
            &good[1..],
            400,
            "bad_request",
        ),
        (
            "PUT /admin/v1/rooms/new",
            token,
            &good.replace("key_first", "first"),
            400,
            "bad_request",
        ),
        (
            "PUT /admin/v1/rooms/new",
            token,
            // A character less than its secret needs.
            &good.replace("abcde", "abcd"),
            400,
            "bad_request",
        ),
        (
            "PUT /admin/v1/rooms/new",
            token,
            &good.replace('{', "{\"unknown\":1,"),
            400,
            "bad_request",
        ),
        (
            "PUT /admin/v1/rooms/new",
            token,
            &"a".repeat(20_000),
            413,
            "body_too_large",
        ),
        (
            "POST /admin/v1/rooms/new",
            token,
            &good,
            405,
            "method_not_allowed",
        ),
        ("GET /admin/v1/rooms", token, "", 404, "not_found"),
    ] {
        let answer = ask(node.internal, line, headers, body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{line} {body:.40}"
        );
        assert!(!answer.body.contains(FIRST), "{answer:?}");
    }
    let metrics = node.app.metrics.render("");
    let counted = "isocast_refusals_total{surface=\"http\",reason=\"unauthorized\"} 8";
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");

    for line in ["GET /livez", "GET /readyz", "GET /metrics"] {
        assert_eq!(
            ask(node.internal, line, &[], "").await.status,
            200,
            "{line}"
        );
    }
    let public = node.ask("GET /admin/v1/node", &[ADMIN], "").await;
    assert_eq!(public.code(), "not_found", "the internal port alone has it");
}

#[tokio::test]
async fn a_node_says_what_it_is() {
    let node = Node::start().await;
    let answer = node.admin("GET /admin/v1/node", "").await;
    let is: NodeIs = serde_json::from_str(&answer.body).unwrap();
    let expected = NodeIs {
        node_id: "node-1".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        store_id: node.app.rooms.store_id().await.unwrap(),
    };
    assert_eq!(is, expected);

    let node = Node::with(Config::default(), Arc::new(Failing)).await;
    for line in [
        "GET /admin/v1/node",
        "GET /admin/v1/watch",
        "DELETE /admin/v1/rooms/open",
    ] {
        assert_eq!(node.admin(line, "").await.code(), "unavailable", "{line}");
    }
    let put = node
        .admin("PUT /admin/v1/rooms/new", &wanted("public", FIRST))
        .await;
    assert_eq!((put.status, put.code().as_str()), (503, "unavailable"));
}

#[tokio::test]
async fn a_put_room_is_there_at_once_and_again_changes_nothing() {
    let node = Node::start().await;
    let hls = "GET /hls/new/index.m3u8";
    assert_eq!(node.ask(hls, &[], "").await.code(), "playback_denied");

    let made = node.put("new", "public", FIRST).await;
    let expected = RoomIs {
        id: RoomId::parse("new").unwrap(),
        playback: Playback::Public,
        on_conflict: OnConflict::Refuse,
        limits: RoomLimits::default(),
        key_generation: 1,
        key_fingerprint: PublishKey::parse(FIRST).unwrap().fingerprint(),
        changed: true,
    };
    assert_eq!(made, expected);
    assert_eq!(node.ask(hls, &[], "").await.code(), "not_live", "at once");
    let again = node.put("new", "public", FIRST).await;
    assert_eq!(
        again,
        RoomIs {
            changed: false,
            ..expected
        }
    );

    let deleted = node.admin("DELETE /admin/v1/rooms/new", "").await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    let again = node.admin("DELETE /admin/v1/rooms/new", "").await;
    assert_eq!((again.status, again.code().as_str()), (404, "no_room"));
    assert_eq!(node.publish(FIRST).await.err(), Some(Refusal::KeyRefused));
    assert_eq!(node.ask(hls, &[], "").await.code(), "playback_denied");
}

#[tokio::test]
async fn a_new_key_opens_the_room_and_its_publisher_gives_way() {
    let node = Node::start().await;
    node.put("new", "public", FIRST).await;
    let old = node.publish(FIRST).await.unwrap();
    assert!(!node.put("new", "public", FIRST).await.changed);
    let stream = node.app.hub.stream(&RoomId::parse("new").unwrap()).unwrap();
    let stays = || {
        let sent = stream.sent(&old.claim().pair);
        sent.is_some_and(|sent| sent.last.is_some())
    };
    assert!(stays(), "nothing has changed for it");

    let changed = node.put("new", "public", SECOND).await;
    assert_eq!((changed.key_generation, changed.changed), (2, true));
    assert!(
        !old.revocation().has_come(),
        "it goes on until somebody comes"
    );
    assert_eq!(node.publish(FIRST).await.err(), Some(Refusal::KeyRefused));
    let _new = node.publish(SECOND).await.unwrap();
    assert!(old.revocation().has_come());
}

#[tokio::test]
async fn viewers_of_a_room_that_is_closed_are_sent_away() {
    let node = Node::start().await;
    node.put("new", "public", FIRST).await;
    let publisher = node.publish(FIRST).await.unwrap();
    send_audio(&publisher);
    let mut viewer = node.connect().await;
    viewer
        .write_all(b"GET /flv/room_new.flv HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut seen = Vec::new();
    while !seen.windows(4).any(|it| it == b"FLV\x01") {
        assert_ne!(viewer.read_buf(&mut seen).await.unwrap(), 0);
    }
    node.put("new", "signed", FIRST).await;
    let ended = tokio::time::timeout(Duration::from_secs(5), viewer.read_to_end(&mut seen));
    ended.await.expect("it is sent away").unwrap();
    assert!(seen.ends_with(b"0\r\n\r\n"), "in good order");
    assert!(!publisher.revocation().has_come());
    let again = node.ask("GET /flv/room_new.flv", &[], "").await;
    assert_eq!(again.code(), "playback_denied");
}

/// The lines of a watch, as they come.
struct Watcher {
    tcp: TcpStream,
    seen: Vec<u8>,
    /// Bytes of `seen` that were read as lines.
    read: usize,
}

impl Watcher {
    async fn open(node: &Node) -> Self {
        let mut tcp = TcpStream::connect(node.internal).await.unwrap();
        // HTTP/1.0 has no chunks: the body is the lines and nothing else.
        let request = format!(
            "GET /admin/v1/watch HTTP/1.0\r\n{}: {}\r\n\r\n",
            ADMIN.0, ADMIN.1
        );
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut watcher = Self {
            tcp,
            seen: Vec::new(),
            read: 0,
        };
        assert_eq!(watcher.text().await.unwrap(), "HTTP/1.0 200 OK");
        while watcher.text().await.unwrap() != "" {}
        watcher
    }

    async fn line(&mut self) -> WatchLine {
        let text = self.text().await.expect("the watch goes on");
        serde_json::from_str(&text).unwrap()
    }

    /// The next line; `None` at the end.
    async fn text(&mut self) -> Option<String> {
        loop {
            let rest = &self.seen[self.read..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&rest[..end]).trim_end().to_owned();
                self.read += end + 1;
                return Some(line);
            }
            if self.tcp.read_buf(&mut self.seen).await.unwrap() == 0 {
                return None;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_what_is_live_and_then_what_changes() {
    let node = Node::start().await;
    let id = RoomId::parse("open").unwrap();
    let (publisher, stream) = publish(&node);
    let live = || WatchLine::Live {
        room: id.clone(),
        since_ms: stream.started_at().0,
    };
    let mut watcher = Watcher::open(&node).await;
    assert!(matches!(watcher.line().await, WatchLine::Hello(is) if is.node_id == "node-1"));
    assert_eq!(watcher.line().await, live());
    assert_eq!(watcher.line().await, WatchLine::Synced);
    assert_eq!(
        watcher.line().await,
        WatchLine::Beat,
        "nothing changes for 5 s"
    );

    let started = tokio::time::Instant::now();
    drop(publisher);
    assert_eq!(watcher.line().await, WatchLine::Ended { room: id.clone() });
    assert!(started.elapsed() < Duration::from_secs(1));
    let (_publisher, _) = publish(&node);
    assert_eq!(watcher.line().await, live());

    node.app.stop.close();
    assert_eq!(watcher.text().await, None, "it ends with the node");
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_an_empty_node_is_in_step_at_once() {
    let node = Node::start().await;
    let mut watcher = Watcher::open(&node).await;
    assert!(matches!(watcher.line().await, WatchLine::Hello(_)));
    assert_eq!(watcher.line().await, WatchLine::Synced);
    node.app.hub.tick(std::time::Instant::now());
    let before = tokio::time::Instant::now();
    assert_eq!(watcher.line().await, WatchLine::Beat);
    assert_eq!(watcher.line().await, WatchLine::Beat);
    assert!(
        before.elapsed() >= Duration::from_secs(9),
        "{:?}",
        before.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_replaced_needs_no_restart() {
    let node = Node::start().await;
    let status = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        ask(node.internal, "GET /admin/v1/node", &headers, "")
            .await
            .status
    };
    node.scratch.write("admin", b"another-admin-token\n");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(status("another-admin-token").await, 200);
    assert_eq!(status(ADMIN_TOKEN).await, 401);
}
