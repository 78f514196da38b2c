//! HTTP connections: HTTP/1.1 and HTTP/2 on one port, with a deadline for every request head.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Connected, Socket};
use crate::app::App;

const PROTOCOL: &str = "http";
/// The first bytes of HTTP/2 with prior knowledge (RFC 9113 §3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// All header fields of a request, in bytes.
const HEADER_BYTES_MAX: u32 = 16 << 10;
const HEADERS_MAX: usize = 100;
const HTTP2_STREAMS_MAX: u32 = 100;
/// Streams a peer may reset before it has its answer; more ends the connection.
const HTTP2_PENDING_RESETS_MAX: usize = 20;
const HTTP2_PING_EVERY: Duration = Duration::from_secs(30);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that takes nothing, yet answers pings, may keep what it was about to get in memory for
/// no longer than this.
const HTTP2_AGE_MAX: Duration = Duration::from_secs(3600);
/// Once asked to close, a connection may finish what it sends within this time.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    Http1,
    Http2,
}

/// Serves one connection to its end.
pub(crate) async fn serve(app: Arc<App>, tcp: TcpStream, router: Router, connected: Connected) {
    let deadline = Instant::now() + Duration::from_secs(app.config.http.header_timeout_s);
    match timeout_at(deadline, version(&tcp)).await {
        Ok(Some(version)) => {
            if let Ok(socket) = app.socket(tcp, PROTOCOL, connected) {
                converse(&app, socket, router, version).await;
            }
        }
        Ok(None) => {}
        Err(_) => {
            app.metrics.refused(PROTOCOL, "header_timeout");
        }
    }
}

/// Which HTTP the first bytes speak; `None` where the other side hangs up first.
async fn version(tcp: &TcpStream) -> Option<Version> {
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

async fn converse(app: &App, socket: Socket, router: Router, version: Version) {
    let io = TokioIo::new(socket);
    let service = TowerToHyperService::new(router);
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
                _ = connection.as_mut() => return,
                () = app.stop.closing() => connection.as_mut().graceful_shutdown(),
            }
            let _ = tokio::time::timeout(FAREWELL, connection).await;
        }
        Version::Http2 => {
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(HTTP2_STREAMS_MAX)
                .max_header_list_size(HEADER_BYTES_MAX)
                .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS_MAX)
                .keep_alive_interval(HTTP2_PING_EVERY)
                .keep_alive_timeout(HTTP2_PING_TIMEOUT)
                .serve_connection(io, service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = app.stop.closing() => connection.as_mut().graceful_shutdown(),
                () = sleep(HTTP2_AGE_MAX) => connection.as_mut().graceful_shutdown(),
            }
            let _ = tokio::time::timeout(FAREWELL, connection).await;
        }
    }
}
