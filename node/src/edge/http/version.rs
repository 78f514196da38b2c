use std::time::Duration;

use tokio::time::sleep;

use crate::edge::{Socket, Tcp};

/// The first bytes of HTTP/2 with prior knowledge (RFC 9113 §3.4).
pub(super) const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// Which HTTP the other side speaks; `None` where it hangs up first.
pub(super) async fn version(socket: &Socket) -> Option<Version> {
    match socket.is_http2() {
        Some(true) => Some(Version::Http2),
        Some(false) => Some(Version::Http1),
        None => version_of_first_bytes(socket.tcp()).await,
    }
}

async fn version_of_first_bytes(tcp: &Tcp) -> Option<Version> {
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::edge::{Caps, tests};

    #[tokio::test]
    async fn the_first_bytes_tell_the_version_however_slowly_they_come() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (http1, http2) = (Some(Version::Http1), Some(Version::Http2));
        for (pieces, expected) in [
            (&["GET / HTTP/1.1\r\n"][..], http1),
            (&["G"], http1),
            (&["PR", "OPFIND"], http1),
            (&["P", "OST"], http1),
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], http2),
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n and more"], http2),
            (&["P", "RI * HTT", "P/2.0\r\n\r", "\nSM\r\n\r", "\n"], http2),
            (&["PRI * HTTP/2.0\r\n\r\nsm"], http1),
            (&["\u{16}\u{3}\u{1}"], http1),
            (&[], None),
        ] {
            let mut peer = TcpStream::connect(address).await.unwrap();
            let (tcp, _) = listener.accept().await.unwrap();
            let tcp = tests::tcp(tcp, Caps::new(1, 1).admit().unwrap());
            let detect = tokio::spawn(async move { version_of_first_bytes(&tcp).await });
            for piece in pieces {
                peer.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            if pieces.is_empty() {
                drop(peer);
            }
            assert_eq!(detect.await.unwrap(), expected, "{pieces:?}");
        }
    }
}
