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
    bytes_out: Counter,
    connected: Connected,
}

impl Socket {
    pub(crate) fn new(
        tcp: TcpStream,
        connected: Connected,
        stall_max: Duration,
        bytes_in: Counter,
        bytes_out: Counter,
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
        if let Poll::Ready(Ok(written)) = poll {
            self.bytes_out.inc_by(written as u64);
        }
        self.watch_stall(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.tcp).poll_write_vectored(cx, pieces);
        if let Poll::Ready(Ok(written)) = poll {
            self.bytes_out.inc_by(written as u64);
        }
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
