use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::Connected;

/// What the kernel may hold for one connection that does not read, in bytes. It doubles this for
/// its own bookkeeping; 40 Mbit/s over 100 ms of delay still fit.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// A TCP connection that counts its bytes and fails when the other side takes none for too long.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    stall_max: Duration,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
    bytes_in: Counter,
    /// Of its protocol, and of the node.
    bytes_out: [Counter; 2],
    connected: Connected,
}

impl Socket {
    pub(crate) fn new(
        tcp: TcpStream,
        connected: Connected,
        stall_max: Duration,
        bytes_in: Counter,
        bytes_out: [Counter; 2],
    ) -> io::Result<Self> {
        // Without it a small frame waits for the acknowledgement of the one before.
        tcp.set_nodelay(true)?;
        socket2::SockRef::from(&tcp).set_send_buffer_size(SEND_BUFFER_BYTES)?;
        Ok(Self {
            tcp,
            stall_max,
            stall: None,
            bytes_in,
            bytes_out,
            connected,
        })
    }

    /// It has shown what it is for: its address may open others.
    pub(crate) fn leave_ip(&mut self) {
        self.connected.permit.leave_ip();
    }

    /// Writes all of `pieces` in as few calls as the kernel allows.
    pub(crate) async fn write_all_vectored(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0); // leaves out empty pieces at the front
        while !rest.is_empty() {
            let written = self.write_vectored(rest).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut rest, written);
        }
        Ok(())
    }

    fn count_out(&self, poll: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(written)) = poll {
            for counter in &self.bytes_out {
                counter.inc_by(*written as u64);
            }
        }
    }

    fn watch_stall<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stall = None;
            return poll;
        }
        let stall_max = self.stall_max;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(stall_max)));
        match stall.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                // Asked again, it fails again.
                stall.as_mut().reset(Instant::now());
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the other side takes no bytes",
                )))
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.tcp).poll_read(cx, buffer);
        self.bytes_in
            .inc_by((buffer.filled().len() - before) as u64);
        poll
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.count_out(&poll);
        self.watch_stall(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.tcp).poll_write_vectored(cx, pieces);
        self.count_out(&poll);
        self.watch_stall(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::edge::Caps;
    use crate::metrics::Metrics;

    const STALL_MAX: Duration = Duration::from_millis(100);

    /// A socket of ours and the other side's end.
    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = TcpStream::connect(address).await.unwrap();
        let (tcp, from) = listener.accept().await.unwrap();
        let permit = Caps::new(1, 1).admit(from.ip()).unwrap();
        let connected = Connected::new(&Metrics::new(), "test", permit, TaskTracker::new().token());
        let (bytes_in, bytes_out) = (Counter::default(), Default::default());
        let socket = Socket::new(tcp, connected, STALL_MAX, bytes_in, bytes_out).unwrap();
        (socket, peer)
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (mut socket, _peer) = pair().await;
        let piece = Bytes::from(vec![0; 64 << 20]);
        let started = Instant::now();
        let error = socket.write_all_vectored(&[piece]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= STALL_MAX);
        let again = socket.write_all(b"more").await.unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_slow_peer_is_waited_for_as_long_as_it_takes_something() {
        const SENT: usize = 8 << 20;
        let (mut socket, mut peer) = pair().await;
        let reads = tokio::spawn(async move {
            let mut buffer = vec![0; 512 << 10];
            let mut read = 0;
            while read < SENT {
                read += peer.read(&mut buffer).await.unwrap();
                tokio::time::sleep(STALL_MAX / 5).await;
            }
            read
        });
        let started = Instant::now();
        let piece = Bytes::from(vec![0; SENT]);
        socket.write_all_vectored(&[piece]).await.unwrap();
        assert!(
            started.elapsed() > STALL_MAX,
            "longer in all than one stall may last"
        );
        assert_eq!(reads.await.unwrap(), SENT);
        for counter in &socket.bytes_out {
            assert_eq!(counter.get(), SENT as u64);
        }
    }

    #[tokio::test]
    async fn pieces_arrive_in_order_and_empty_ones_do_no_harm() {
        let (mut socket, mut peer) = pair().await;
        for (pieces, expected) in [
            (&[][..], &b""[..]),
            (&["", ""], b""),
            (&["", "a", "", "bc", ""], b"abc"),
        ] {
            let pieces: Vec<_> = pieces
                .iter()
                .map(|text| Bytes::from_static(text.as_bytes()))
                .collect();
            socket.write_all_vectored(&pieces).await.unwrap();
            let mut got = vec![0; expected.len()];
            peer.read_exact(&mut got).await.unwrap();
            assert_eq!(got, expected);
        }
        // More pieces than the kernel takes in one call (IOV_MAX, 1024).
        let many: Vec<_> = (0..5000u32)
            .map(|n| Bytes::copy_from_slice(&n.to_be_bytes()))
            .collect();
        socket.write_all_vectored(&many).await.unwrap();
        let mut got = vec![0; 20_000];
        peer.read_exact(&mut got).await.unwrap();
        assert_eq!(got, many.concat());
    }
}
