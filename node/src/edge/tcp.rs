use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::Connected;

/// What the kernel may hold for one connection that does not read, in bytes. It doubles this for
/// its own bookkeeping; 40 Mbit/s over 100 ms of delay still fit.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// A TCP connection that counts its bytes and fails when the other side takes none for too long.
#[derive(Debug)]
pub(crate) struct Tcp {
    tcp: TcpStream,
    stall_max: Duration,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
    bytes_in: Counter,
    /// Of its protocol, and of the node.
    bytes_out: [Counter; 2],
    connected: Connected,
}

impl Tcp {
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

    /// Counts it under this address, or tells why there is no place.
    pub(super) fn enter_ip(&mut self, ip: IpAddr) -> Result<(), &'static str> {
        self.connected.permit.enter_ip(ip)
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Looks at what comes next and leaves it there.
    pub(super) async fn peek(&self, first: &mut [u8]) -> io::Result<usize> {
        self.tcp.peek(first).await
    }

    pub(super) fn step_up(&mut self) {
        self.connected.permit.step_up();
    }

    pub(super) fn leave_ip(&mut self) -> bool {
        self.connected.permit.leave_ip()
    }

    #[cfg(test)]
    pub(super) fn bytes_out(&self) -> u64 {
        let [of_protocol, of_node] = &self.bytes_out;
        assert_eq!(of_protocol.get(), of_node.get());
        of_node.get()
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

impl AsyncRead for Tcp {
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

impl AsyncWrite for Tcp {
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
