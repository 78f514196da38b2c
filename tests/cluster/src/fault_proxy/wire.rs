//! HTTP/1.1 as far as one request on a connection needs it (RFC 9112).

use std::io::{Error, Result};
use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::TcpStream;

const HEAD_BYTES_MAX: usize = 64 << 10;
/// What the API server takes at most is 3 MiB.
const BODY_BYTES_MAX: usize = 4 << 20;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    /// As it goes to the server.
    bytes: Vec<u8>,
}

impl Request {
    pub(super) async fn read(client: &mut TcpStream) -> Result<Self> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == END_OF_HEAD) {
                break at + END_OF_HEAD.len();
            }
            if bytes.len() > HEAD_BYTES_MAX || client.read_buf(&mut bytes).await? == 0 {
                return Err(Error::other("no head of a request"));
            }
        };
        let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
        let (first, headers) = text.split_once("\r\n").unwrap_or_default();
        let mut body = 0;
        for line in headers.lines() {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                body = value.trim().parse().map_err(Error::other)?;
            }
            if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(Error::other("a request in chunks"));
            }
        }
        if body > BODY_BYTES_MAX {
            return Err(Error::other("a request that no API server takes"));
        }
        while bytes.len() < head + body {
            if client.read_buf(&mut bytes).await? == 0 {
                return Err(Error::other("no whole request"));
            }
        }
        let mut words = first.split(' ').map(str::to_owned);
        let (method, target) = (words.next(), words.next());
        bytes.splice(first.len()..first.len(), *b"\r\nConnection: close");
        Ok(Self {
            method: method.unwrap_or_default(),
            target: target.unwrap_or_default(),
            bytes,
        })
    }
}

/// Passes the answer on until either side ends.
pub(super) async fn pass(
    server: SocketAddr,
    request: &Request,
    client: &mut TcpStream,
) -> Result<()> {
    let mut server = send(server, request).await?;
    let (mut from_client, mut to_client) = client.split();
    tokio::select! {
        copied = copy(&mut server, &mut to_client) => copied?,
        // Nothing more is asked on this connection: this is its end.
        read = from_client.read_u8() => u64::from(read?),
    };
    client.shutdown().await
}

/// The whole answer.
pub(super) async fn ask(server: SocketAddr, request: &Request) -> Result<Vec<u8>> {
    let (mut server, mut answer) = (send(server, request).await?, Vec::new());
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}

async fn send(server: SocketAddr, request: &Request) -> Result<TcpStream> {
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    server.write_all(&request.bytes).await?;
    Ok(server)
}

pub(super) async fn tell(client: &mut TcpStream, answer: &[u8]) -> Result<()> {
    client.write_all(answer).await?;
    client.shutdown().await
}

/// Answers as the API server does where it refuses.
pub(super) async fn refuse(client: &mut TcpStream, code: u16, reason: &str) -> Result<()> {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "a fault that a test has put here", "reason": reason, "code": code,
    })
    .to_string();
    let later = if code == 429 {
        "Retry-After: 1\r\n"
    } else {
        ""
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {code} {reason}\r\nContent-Type: application/json\r\n{later}\
         Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    tell(client, answer.as_bytes()).await
}

/// Until the client gives up.
pub(super) async fn until_closed(client: &mut TcpStream) {
    let mut rest = [0; 64];
    while client.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}
