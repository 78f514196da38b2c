//! HTTP connections: HTTP/1.1 and HTTP/2 on one port, with a deadline for every request head.

mod ends;
mod http1;
mod http2;
mod requests;
mod version;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::time::{Instant, timeout_at};

use super::Socket;
use super::forwarded::Client;
use crate::app::App;
use ends::Ends;
use requests::Requests;
use version::{Version, version};

const PROTOCOL: &str = "http";
/// All header fields of a request, in bytes.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Once asked to close, a connection may finish what it sends within this time.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves one connection to its end.
pub(crate) async fn serve(
    app: Arc<App>,
    socket: Socket,
    client: Client,
    router: Router,
    accepted: Instant,
) {
    let deadline = accepted + Duration::from_secs(app.config.http.header_timeout_s);
    let Ok(version) = timeout_at(deadline, version(&socket)).await else {
        app.metrics.refused(PROTOCOL, "header_timeout");
        return;
    };
    let (Some(version), Ok(local)) = (version, socket.local()) else {
        return; // it has hung up
    };
    let requests = Requests::new(&app, client, local, router);
    match version {
        Version::Http1 => http1::converse(&app, socket, requests).await,
        Version::Http2 => http2::converse(&app, socket, requests).await,
    }
}
