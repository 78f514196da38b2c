//! The publisher: one RTMP connection that sends the stream on time.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use isocast_media::rtmp::{Call, Caller, CallerEvent};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::calling;
use crate::clock::Clock;
use crate::stream::Stream;
use crate::window::Window;

const READ_BYTES: usize = 4096;

/// A connection that may send.
#[derive(Debug)]
pub(crate) struct Publisher {
    socket: TcpStream,
    caller: Caller,
}

impl Publisher {
    pub(crate) async fn connect(to: SocketAddr, call: Call) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(to).await.context("no RTMP connection")?;
        socket.set_nodelay(true)?;
        let mut caller = Caller::new(call, 1);
        calling::start(&socket, &mut caller, |_| Ok(())).await?;
        Ok(Self { socket, caller })
    }

    /// Sends the stream until it is dropped or the connection breaks, and counts in `window` what
    /// it sent.
    pub(crate) async fn send(
        mut self,
        stream: Stream,
        clock: Clock,
        window: Arc<Window>,
    ) -> anyhow::Result<()> {
        Stream::configs()
            .iter()
            .for_each(|config| self.caller.send(config));
        self.flush().await?;
        let start_ns = clock.now_ns();
        for due in Stream::schedule() {
            let due_at = clock.at(start_ns) + due.at;
            if due_at > Instant::now() {
                tokio::time::sleep_until(due_at.into()).await;
            }
            let sent_ns = clock.now_ns();
            self.caller.send(&stream.message(&due, sent_ns));
            window.count_sent(sent_ns);
            self.flush().await?;
            self.hear()?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        let output = self.caller.take_output();
        self.socket
            .write_all(&output)
            .await
            .context("the server does not take the stream")
    }

    /// Takes in acknowledgements and answers pings, without waiting.
    fn hear(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; READ_BYTES];
        match self.socket.try_read(&mut buffer) {
            Ok(0) => bail!("the server hung up on the publisher"),
            Ok(read) => self.caller.receive(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("the publisher's connection broke"),
        }
        while let Some(event) = self.caller.next_event(Instant::now())? {
            if let CallerEvent::Refused { code, description } = event {
                bail!("the server sent the publisher away: {code}: {description}");
            }
        }
        Ok(())
    }
}
