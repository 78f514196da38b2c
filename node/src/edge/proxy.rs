//! Reads the header that a trusted proxy sends before all else.

use std::net::SocketAddr;

use isocast_access::proxy::{REST_BYTES_MAX, START_BYTES, start};
use tokio::io::AsyncReadExt;

use super::port::Refused;
use super::{Tcp, canonical};

/// The client's address, if the header tells one. Nothing behind the header is read.
pub(super) async fn client(tcp: &mut Tcp) -> Result<Option<SocketAddr>, Refused> {
    let mut first = [0; START_BYTES];
    tcp.read_exact(&mut first).await.map_err(|_| None)?;
    let start = start(&first).map_err(|malformed| Some(malformed.reason()))?;
    let mut rest = vec![0; start.rest_bytes().min(REST_BYTES_MAX)];
    tcp.read_exact(&mut rest).await.map_err(|_| None)?;
    let client = start.client(&rest);
    let client = client.map_err(|malformed| Some(malformed.reason()))?;
    Ok(client.map(canonical))
}
