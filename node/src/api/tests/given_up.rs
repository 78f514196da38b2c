//! Requests whose client goes while they are under way.

use axum::body::Body;
use axum::http::Request;
use futures_util::poll;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::*;

/// What was stored holds for what is live, though nobody waits for the answer.
#[tokio::test]
async fn a_change_that_was_stored_is_followed_through() {
    let store = Arc::new(Memory::new());
    let node = Node::with(Config::default(), store.clone()).await;
    let id = RoomId::parse("open").unwrap();
    let put = r#"{"playback": "public", "on_conflict": "refuse", "stream_key": "room_open_key_first0123456789abcde"}"#;
    for (line, body) in [
        ("PATCH /api/v1/rooms/open", r#"{"playback": "private"}"#),
        ("POST /api/v1/rooms/open/rotate-key", ""),
        ("POST /api/v1/rooms/open/revoke-keys", ""),
        ("PUT /admin/v1/rooms/open", put),
        ("DELETE /api/v1/rooms/open", ""),
        ("POST /api/v1/rooms", r#"{"id": "open"}"#),
        ("DELETE /admin/v1/rooms/open", ""),
    ] {
        let now = std::time::Instant::now();
        let before = node.app.known_rooms.get(&id, now).await.unwrap();
        let silence = store.silence().await;
        {
            let mut asked = std::pin::pin!(asked(&node, line, body));
            let stored = async {
                while store.stored(&id) == before {
                    assert!(poll!(&mut asked).is_pending(), "{line}");
                    tokio::task::yield_now().await;
                }
            };
            in_time(stored).await;
        }
        drop(silence);
        let followed = async {
            while node.app.known_rooms.get(&id, now).await.unwrap() == before {
                tokio::task::yield_now().await;
            }
        };
        in_time(followed).await;
    }
}

async fn in_time(waited_for: impl Future<Output = ()>) {
    let came = tokio::time::timeout(Duration::from_secs(10), waited_for).await;
    came.expect("it comes at once");
}

async fn asked(node: &Node, line: &str, body: &str) {
    let (method, path) = line.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(path);
    let request = request.header("host", "a").header(JSON.0, JSON.1);
    let token = match path.starts_with("/admin/") {
        true => ADMIN_TOKEN,
        false => TOKEN,
    };
    let request = request.header("authorization", format!("Bearer {token}"));
    let mut request = request.body(Body::from(body.to_owned())).unwrap();
    let peer = crate::app::Peer([192, 0, 2, 1].into());
    request.extensions_mut().insert(peer);
    let service = TowerToHyperService::new(internal(Arc::clone(&node.app)));
    service.call(request).await.unwrap();
}
