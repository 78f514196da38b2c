use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{sleep, timeout};

use super::{Ends, FAREWELL, HEADER_BYTES_MAX, Requests};
use crate::app::App;
use crate::edge::Socket;
use crate::stop::Stop;

const STREAMS_MAX: u32 = 100;
/// What a peer may send before it is read, and what is kept of an answer that it does not take, by
/// stream: a request's body is 16 KiB at most.
const WINDOW_BYTES: u32 = 64 << 10;
/// Streams a peer may reset before it has its answer; more ends the connection.
const PENDING_RESETS_MAX: usize = 20;
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// After so long a connection takes no more requests.
const AGE_MAX: Duration = Duration::from_secs(3600);

/// Many requests at once, until the connection is old, the node goes, or it is asked to end.
pub(super) async fn converse(app: &App, socket: Socket, requests: Requests) {
    let ends = Ends::of(app, &requests);
    let connection = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buf_size(WINDOW_BYTES as usize)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(socket), requests);
    let mut connection = pin!(connection);
    tokio::select! {
        end = connection.as_mut() => return ends.count(end),
        () = sleep(AGE_MAX) => {}
        () = parting_comes(&app.stop) => {}
        () = app.stop.closing() => {}
    }
    // What has begun goes on: it may be a viewer's video.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        end = connection.as_mut() => return ends.count(end),
        () = app.stop.closing() => {}
    }
    if let Ok(end) = timeout(FAREWELL, connection).await {
        ends.count(end);
    }
}

/// Whose video ends on a node that goes is to ask elsewhere, not here by the same connection. One that
/// was opened since then has found no other node.
async fn parting_comes(stop: &Stop) {
    match stop.is_parting() {
        true => std::future::pending().await,
        false => stop.parting().await,
    }
}
