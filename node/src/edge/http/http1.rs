use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;

use super::{Ends, FAREWELL, HEADER_BYTES_MAX, Requests};
use crate::app::{App, Hangup};
use crate::edge::Socket;

const HEADERS_MAX: usize = 100;

/// One request after the other, until the connection rests for too long or is asked to end.
pub(super) async fn converse(app: &App, socket: Socket, requests: Requests) {
    let hangup = Hangup::default();
    let requests = requests.hung_up_by(hangup.clone());
    let ends = Ends::of(app, &requests);
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(app.config.http.header_timeout_s))
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX as usize)
        .serve_connection(TokioIo::new(socket), requests)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        end = connection.as_mut() => return ends.count(end),
        () = app.stop.closing() => {}
        () = hangup.0.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(end) = timeout(FAREWELL, connection).await {
        ends.count(end);
    }
}
