//! Where the network begins: accepting connections, their caps and deadlines, and the loop that
//! each kind of connection runs.

mod caps;
pub(crate) mod http;
pub(crate) mod rtmp;
mod socket;

pub(crate) use caps::Caps;
pub(crate) use socket::Socket;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// After a failed accept (out of file descriptors, mostly), nothing is gained by asking at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Hands every accepted connection to `serve`, until `stop`.
pub(crate) async fn accept(
    listener: TcpListener,
    stop: CancellationToken,
    mut serve: impl FnMut(TcpStream, SocketAddr),
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((socket, peer)) => serve(socket, peer),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
