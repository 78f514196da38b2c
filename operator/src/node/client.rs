//! A client of one node's admin API: HTTP/1.1 to the pod, with its admin token.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, InvalidHeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use isocast_admin::{ErrorBody, PATH_ROOMS, PATH_WATCH, PutRoom, RoomId, RoomIs, Secret};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// One call, from connecting to the last byte of the answer.
pub(crate) const CALL: Duration = Duration::from_secs(2);
/// The largest answer is an error with a sentence.
const BODY_BYTES_MAX: usize = 64 << 10;
/// As much of a node's words as a condition and an event have room for.
const WORDS_CHARS_MAX: usize = 400;
/// Shorter than a node keeps an idle connection, so that it is not used while the node closes it.
const IDLE: Duration = Duration::from_secs(15);

/// Why a node did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// Asking again later may help.
    #[error("{node} does not answer: {cause}")]
    Unreachable { node: SocketAddr, cause: String },
    /// The node has another admin token, as it has for moments after a change of it.
    #[error("{node} does not take the admin token")]
    Unauthorized { node: SocketAddr },
    /// In the node's own words.
    #[error("{message} ({code})")]
    Refused { code: String, message: String },
    /// What answers is no node, or one of another release.
    #[error("{node} gives an answer that makes no sense: {cause}")]
    Malformed { node: SocketAddr, cause: String },
}

/// Calls one node. Connections are kept for the next call, and end with the last clone of this.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    node: SocketAddr,
    /// `Bearer <token>`, marked sensitive: its `Debug` shows nothing.
    authorization: HeaderValue,
}

impl Client {
    /// Refuses a token that no header can carry.
    pub(crate) fn new(
        node: SocketAddr,
        token: &Secret<String>,
    ) -> Result<Self, InvalidHeaderValue> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))?;
        authorization.set_sensitive(true);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CALL));
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(2)
            .build(connector);
        Ok(Self {
            http,
            node,
            authorization,
        })
    }

    /// Makes the room, or makes it so.
    pub(crate) async fn put_room(&self, id: &RoomId, room: &PutRoom) -> Result<RoomIs, Error> {
        let body = serde_json::to_vec(room).expect("a room is JSON");
        self.json(Method::PUT, format!("{PATH_ROOMS}/{id}"), body.into())
            .await
    }

    /// Whether there was such a room.
    pub(crate) async fn delete_room(&self, id: &RoomId) -> Result<bool, Error> {
        let path = format!("{PATH_ROOMS}/{id}");
        let (status, body) = self.call(Method::DELETE, path, Bytes::new()).await?;
        match status {
            StatusCode::NO_CONTENT => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(self.refusal(status, &body)),
        }
    }

    /// The watch's lines, from their beginning; who reads them has to mind the time.
    pub(crate) async fn watch(&self) -> Result<Incoming, Error> {
        let sent = self.send(Method::GET, PATH_WATCH.to_owned(), Bytes::new());
        let answer = self.in_time(sent).await?;
        if answer.status() == StatusCode::OK {
            return Ok(answer.into_body());
        }
        let (status, body) = self.in_time(self.whole(answer)).await?;
        Err(self.refusal(status, &body))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        body: Bytes,
    ) -> Result<T, Error> {
        let (status, body) = self.call(method, path, body).await?;
        if status != StatusCode::OK {
            return Err(self.refusal(status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| self.malformed(error))
    }

    async fn call(
        &self,
        method: Method,
        path: String,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Error> {
        let call = async {
            let answer = self.send(method, path, body).await?;
            self.whole(answer).await
        };
        self.in_time(call).await
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let late = || self.unreachable(format!("nothing within {} s", CALL.as_secs()));
        timeout(CALL, call).await.map_err(|_| late())?
    }

    async fn send(
        &self,
        method: Method,
        path: String,
        body: Bytes,
    ) -> Result<Response<Incoming>, Error> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.node))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("an address and an id make a URL");
        let sent = self.http.request(request).await;
        sent.map_err(|error| self.unreachable(causes(&error)))
    }

    async fn whole(&self, answer: Response<Incoming>) -> Result<(StatusCode, Bytes), Error> {
        let status = answer.status();
        let body = Limited::new(answer.into_body(), BODY_BYTES_MAX);
        match body.collect().await {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(self.malformed(format!("more than {BODY_BYTES_MAX} bytes")))
            }
            Err(error) => Err(self.unreachable(causes(error.as_ref()))),
        }
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> Error {
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Error::Unauthorized { node: self.node };
        }
        match serde_json::from_slice(body) {
            Ok(ErrorBody { error }) => Error::Refused {
                code: words(&error.code),
                message: words(&error.message),
            },
            Err(_) => self.malformed(format!("status {}", status.as_u16())),
        }
    }

    fn unreachable(&self, cause: String) -> Error {
        Error::Unreachable {
            node: self.node,
            cause,
        }
    }

    fn malformed(&self, cause: impl ToString) -> Error {
        Error::Malformed {
            node: self.node,
            cause: cause.to_string(),
        }
    }
}

/// The last cause says most: `Connection refused` rather than `client error (Connect)`.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// A peer's words, fit to be shown in one line.
fn words(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(WORDS_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::extract::{ConnectInfo, Path, Request as Asked};
    use axum::response::{IntoResponse, Redirect};
    use axum::routing::put;
    use isocast_admin::{OnConflict, Playback, PublishKey, RoomLimits};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    async fn serve(router: Router) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let node = listener.local_addr().expect("an address");
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Client::new(node, &Secret::new("t0ken".into())).expect("a header")
    }

    fn id(text: &str) -> RoomId {
        RoomId::parse(text).expect("an id")
    }

    fn room() -> PutRoom {
        PutRoom {
            playback: Playback::Public,
            on_conflict: OnConflict::Refuse,
            limits: RoomLimits::default(),
            stream_key: PublishKey::parse("room_a_key_x").expect("a key"),
        }
    }

    #[tokio::test]
    async fn rooms_are_put_and_deleted_with_the_token_and_on_one_connection() {
        let put_one = async |ConnectInfo(peer): ConnectInfo<SocketAddr>, asked: Asked| {
            let token = asked.headers()["authorization"].clone();
            let path = asked.uri().path().to_owned();
            let body = asked
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes();
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(
                (token.to_str().expect("text"), &*path),
                ("Bearer t0ken", "/admin/v1/rooms/a")
            );
            assert_eq!(body["stream_key"], "room_a_key_x");
            axum::Json(json!({
                "id": "a", "playback": "public", "on_conflict": "refuse", "key_generation": 3,
                // The connection, so that the test can tell whether it was the same.
                "key_fingerprint": peer.to_string(), "changed": true, "newer": 1,
            }))
        };
        let delete_one = async |Path(id): Path<String>| match &*id {
            "a" => StatusCode::NO_CONTENT,
            _ => StatusCode::NOT_FOUND,
        };
        let router = Router::new().route("/admin/v1/rooms/{id}", put(put_one).delete(delete_one));
        let client = serve(router).await;
        let first = client.put_room(&id("a"), &room()).await.expect("put");
        let second = client.put_room(&id("a"), &room()).await.expect("put again");
        assert_eq!((first.key_generation, first.changed), (3, true));
        assert_eq!(
            first.key_fingerprint, second.key_fingerprint,
            "one connection"
        );
        assert_eq!(client.delete_room(&id("a")).await, Ok(true));
        assert_eq!(client.delete_room(&id("b")).await, Ok(false));
        assert!(!format!("{client:?}").contains("t0ken"), "{client:?}");
    }

    #[tokio::test]
    async fn refusals_are_the_nodes_own_words() {
        let answer = |path: String| {
            let words = |code: &str| {
                let message = format!("in words\n{}", "x".repeat(1000));
                axum::Json(json!({"error": {"code": code, "message": message}}))
            };
            match &*path {
                "unauthorized" => (StatusCode::UNAUTHORIZED, words("unauthorized")).into_response(),
                "refused" => (StatusCode::CONFLICT, words("draining")).into_response(),
                "busy" => (StatusCode::SERVICE_UNAVAILABLE, words("store")).into_response(),
                "wordless" => StatusCode::NOT_FOUND.into_response(),
                "elsewhere" => Redirect::temporary("/admin/v1/rooms/a").into_response(),
                "strange" => "hello".into_response(),
                "endless" => "x".repeat(BODY_BYTES_MAX + 1).into_response(),
                path => panic!("{path}"),
            }
        };
        let router = Router::new().route(
            "/admin/v1/rooms/{id}",
            put(async move |Path(path): Path<String>| answer(path)),
        );
        let client = serve(router).await;
        for (path, expected) in [
            ("unauthorized", "does not take the admin token"),
            ("refused", "xxx (draining)"),
            ("busy", "xxx (store)"),
            ("wordless", "status 404"),
            ("elsewhere", "status 307"),
            ("strange", "no sense: expected value"),
            ("endless", "no sense: more than 65536 bytes"),
        ] {
            let error = client.put_room(&id(path), &room()).await.expect_err(path);
            let text = error.to_string();
            assert!(text.contains(expected), "{path}: {text}");
            assert!(
                text.chars().count() < 500 && !text.contains('\n'),
                "{path}: {text}"
            );
        }
    }

    #[tokio::test]
    async fn a_node_that_is_not_there_or_never_answers_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let node = listener.local_addr().expect("an address");
        let client = Client::new(node, &Secret::new("t".into())).expect("a header");
        // The kernel takes the connection; nobody reads.
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        let error = client.delete_room(&id("a")).await.expect_err("no answer");
        assert!(matches!(&error, Error::Unreachable { .. }), "{error:?}");
        let elapsed = began.elapsed();
        assert!((CALL..CALL * 2).contains(&elapsed), "{elapsed:?}");
        tokio::time::resume();
        drop(listener);
        let error = client
            .delete_room(&id("a"))
            .await
            .expect_err("nobody there");
        assert!(matches!(&error, Error::Unreachable { .. }), "{error:?}");
    }

    #[test]
    fn a_token_that_no_header_carries_is_refused() {
        let node = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(Client::new(node, &Secret::new("a\nb".into())).is_err());
    }
}
