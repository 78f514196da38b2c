//! Where the network begins: accepting connections, their caps and deadlines, and the loop that
//! each kind of connection runs.

mod buckets;
mod caps;
mod connected;
mod forwarded;
mod http;
mod port;
mod proxy;
mod rtmp;
mod socket;
mod tcp;

#[cfg(test)]
mod tests;

pub(crate) use buckets::Buckets;
pub(crate) use caps::{Caps, network};
pub(crate) use connected::Connected;
pub(crate) use port::{Port, Speaks};
pub(crate) use socket::Socket;
pub(crate) use tcp::Tcp;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// After a failed accept (out of file descriptors, mostly), nothing is gained by asking at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Such failures come in crowds; one line in this time says enough.
const FAILURE_LOG_EVERY: Duration = Duration::from_secs(1);

/// A listener for both families tells of IPv4 clients as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2), and so do some proxies.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Hands every accepted connection to `serve`, until `stop`.
async fn accept(
    listener: TcpListener,
    stop: CancellationToken,
    mut serve: impl FnMut(TcpStream, SocketAddr),
) {
    let mut logged: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((socket, peer)) => serve(socket, canonical(peer)),
            Err(error) => {
                if logged.is_none_or(|at| at.elapsed() >= FAILURE_LOG_EVERY) {
                    logged = Some(Instant::now());
                    tracing::warn!(%error, "connections cannot be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
