//! A node's admin API for tests: the watch as the test tells it, rooms as they were put.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use bytes::Bytes;
use isocast_admin::{PATH_WATCH, PutRoom, RoomId, RoomIs, Secret};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::NodeAddress;

pub(crate) struct FakeNode {
    socket: SocketAddr,
    connections: mpsc::Receiver<Connection>,
    said: Said,
}

/// One watch stream; it ends when this is dropped.
pub(crate) struct Connection(mpsc::Sender<Bytes>);

#[derive(Clone, Default)]
struct Said(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    tokens: Vec<String>,
    /// `PUT a <fingerprint>` and `DELETE a`.
    rooms: Vec<String>,
    /// What all requests for rooms are refused with.
    refusal: Option<(u16, &'static str)>,
}

impl FakeNode {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let socket = listener.local_addr().expect("an address");
        // Time that is turned does not wait for the kernel to put small writes together.
        let listener = listener.tap_io(|io| io.set_nodelay(true).expect("a TCP socket"));
        let (connected, connections) = mpsc::channel(16);
        let said = Said::default();
        let watches = said.clone();
        let watch = async move |headers: HeaderMap| {
            let token = headers["authorization"].to_str().expect("text").to_owned();
            watches.0.lock().expect("no panic").tokens.push(token);
            let (lines, told) = mpsc::channel(256);
            connected
                .send(Connection(lines))
                .await
                .expect("the test listens");
            Body::from_stream(futures_util::stream::unfold(told, async |mut told| {
                let line: Bytes = told.recv().await?;
                Some((Ok::<_, std::io::Error>(line), told))
            }))
        };
        let router = Router::new()
            .route(PATH_WATCH, get(watch))
            .route("/admin/v1/rooms/{id}", put(put_room).delete(delete_room))
            .with_state(said.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            socket,
            connections,
            said,
        }
    }

    pub(crate) fn address(&self, pod: &str, token: &str) -> NodeAddress {
        NodeAddress {
            pod: pod.into(),
            ip: self.socket.ip(),
            port: self.socket.port(),
            token: Secret::new(token.into()),
        }
    }

    /// The next watch stream that somebody opens.
    pub(crate) async fn connection(&mut self) -> Connection {
        let limit = Duration::from_secs(60);
        let connection = timeout(limit, self.connections.recv()).await;
        connection.expect("within 60 s").expect("the node runs")
    }

    /// What came with each watch.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.said.0.lock().expect("no panic").tokens.clone()
    }

    /// What was asked about rooms since this was called last.
    pub(crate) fn rooms(&self) -> Vec<String> {
        std::mem::take(&mut self.said.0.lock().expect("no panic").rooms)
    }

    pub(crate) fn refuse(&self, refusal: Option<(u16, &'static str)>) {
        self.said.0.lock().expect("no panic").refusal = refusal;
    }
}

impl Connection {
    pub(crate) async fn tell(&self, line: &str) {
        let line = Bytes::from(format!("{line}\n"));
        // An end that has closed it hears no more; tests see that by what they wait for.
        let _ = self.0.send(line).await;
    }

    /// Until the other end has closed it.
    pub(crate) async fn closed(&self) {
        let limit = Duration::from_secs(60);
        timeout(limit, self.0.closed()).await.expect("within 60 s");
    }
}

async fn put_room(
    State(said): State<Said>,
    Path(id): Path<RoomId>,
    Json(room): Json<PutRoom>,
) -> Response {
    let mut notes = said.0.lock().expect("no panic");
    let key_fingerprint = room.stream_key.fingerprint();
    notes.rooms.push(format!("PUT {id} {key_fingerprint}"));
    match notes.refusal {
        Some(refusal) => refused(refusal),
        None => Json(RoomIs {
            id,
            playback: room.playback,
            on_conflict: room.on_conflict,
            limits: room.limits,
            key_generation: 1,
            key_fingerprint,
            changed: true,
        })
        .into_response(),
    }
}

async fn delete_room(State(said): State<Said>, Path(id): Path<RoomId>) -> Response {
    let mut notes = said.0.lock().expect("no panic");
    notes.rooms.push(format!("DELETE {id}"));
    match notes.refusal {
        Some(refusal) => refused(refusal),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

fn refused((status, code): (u16, &'static str)) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let body = json!({"error": {"code": code, "message": "the node's words"}});
    (status, Json(body)).into_response()
}
