use std::io::ErrorKind;
use std::time::Instant;

use anyhow::{Context, bail};
use isocast_media::rtmp::{Caller, CallerEvent};
use tokio::net::TcpStream;

const READ_BYTES: usize = 16 << 10;

/// Handshake and commands, up to the server's word that publishing or playing has begun. Media may
/// come on its heels: `heard` is given all bytes that arrive.
pub(crate) async fn start(
    socket: &TcpStream,
    caller: &mut Caller,
    mut heard: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    loop {
        let event = caller.next_event(Instant::now())?;
        write_all(socket, &caller.take_output()).await?;
        match event {
            Some(CallerEvent::Started) => return Ok(()),
            Some(CallerEvent::Media(_) | CallerEvent::Reconnect { .. }) => continue,
            Some(CallerEvent::Ended) => bail!("the stream has ended"),
            Some(CallerEvent::Refused { code, description }) => {
                bail!("the server refused: {code}: {description}");
            }
            None => {}
        }
        socket.readable().await?;
        let mut buffer = [0; READ_BYTES];
        match socket.try_read(&mut buffer) {
            Ok(0) => bail!("the server hung up before the stream began"),
            Ok(read) => {
                heard(&buffer[..read])?;
                caller.receive(&buffer[..read]);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("the connection broke"),
        }
    }
}

/// Like `AsyncWriteExt::write_all`, on a socket that is shared.
pub(crate) async fn write_all(socket: &TcpStream, mut bytes: &[u8]) -> anyhow::Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("the server does not read"),
        }
    }
    Ok(())
}
