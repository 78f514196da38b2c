//! One TCP connection that does what no decent client does, and forgets nothing that it is told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use socket2::{Domain, SockRef, Socket, Type};

use super::bytes::{Variables, expand};
use super::item::{Expect, Step};

/// For connecting and writing.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two bytes of what is sent slowly.
const SLOWLY: Duration = Duration::from_secs(1);

pub(crate) struct Link {
    socket: TcpStream,
    heard: Receiver<Vec<u8>>,
    /// What was received and not yet read.
    pub(crate) input: BytesMut,
    /// All that was received.
    pub(crate) all: Vec<u8>,
    closed: bool,
}

impl Link {
    /// Each item calls from an address of its own, so that none uses up what another may open.
    pub(crate) fn connect(to: SocketAddr, from: Ipv4Addr) -> Result<Self, String> {
        let connect = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&SocketAddr::from((from, 0)).into())?;
            socket.connect_timeout(&to.into(), PATIENCE)?;
            socket.set_tcp_nodelay(true)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            let socket = TcpStream::from(socket);
            Ok((socket.try_clone()?, socket))
        };
        let connected: std::io::Result<(TcpStream, TcpStream)> = connect();
        let (mut ears, socket) = connected.map_err(|error| format!("connecting: {error}"))?;
        let (told, heard) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            while let Ok(count @ 1..) = ears.read(&mut buffer) {
                if told.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            socket,
            heard,
            input: BytesMut::new(),
            all: Vec::new(),
            closed: false,
        })
    }

    /// Does the step if it is one of bytes and connections.
    pub(crate) fn step(
        &mut self,
        step: &Step,
        variables: &Variables,
    ) -> Option<Result<(), String>> {
        match step {
            Step::Send(pieces) => self.send(&expand(pieces, variables)),
            Step::SendSlowly(pieces) => {
                for byte in expand(pieces, variables) {
                    self.send(&[byte]);
                    self.listen(Instant::now() + SLOWLY);
                    if self.closed {
                        break;
                    }
                }
            }
            Step::HangUp => drop(self.socket.shutdown(Shutdown::Write)),
            Step::Reset => {
                let linger = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
                linger.expect("a connected socket takes options");
                // Both descriptors have to go before the kernel sends it; reading ends with this.
                let _ = self.socket.shutdown(Shutdown::Read);
            }
            Step::Skip(count) => return Some(self.take(*count).map(drop)),
            Step::Expect(Expect::Bytes(pieces)) => {
                let expected = expand(pieces, variables);
                let found = self.take(expected.len());
                return Some(found.and_then(|found| match found == expected {
                    true => Ok(()),
                    false => Err(format!("other bytes came; {}", self.told())),
                }));
            }
            Step::Expect(Expect::Closed { silently, within }) => {
                return Some(self.expect_close(*silently, *within));
            }
            _ => return None,
        }
        Some(Ok(()))
    }

    /// A write that fails has met a connection that is closed: what is expected next tells whether
    /// that is right.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    /// Waits for more bytes; false once the other side is gone, or the time is over.
    pub(crate) fn hear(&mut self, until: Instant) -> bool {
        if self.closed {
            return false;
        }
        let left = until.saturating_duration_since(Instant::now());
        match self.heard.recv_timeout(left) {
            Ok(bytes) => {
                self.input.extend_from_slice(&bytes);
                self.all.extend_from_slice(&bytes);
                true
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                self.closed = true;
                false
            }
        }
    }

    /// Takes what comes until then, or until it is closed.
    pub(crate) fn listen(&mut self, until: Instant) {
        while self.hear(until) {}
        if self.closed {
            return;
        }
        // A full queue must not turn the pause into none.
        while Instant::now() < until {
            self.hear(until);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    fn take(&mut self, count: usize) -> Result<BytesMut, String> {
        let give_up = Instant::now() + PATIENCE;
        while self.input.len() < count {
            if !self.hear(give_up) {
                return Err(format!("fewer than {count} bytes came; {}", self.told()));
            }
        }
        Ok(self.input.split_to(count))
    }

    fn expect_close(&mut self, silently: bool, within: Duration) -> Result<(), String> {
        let began = Instant::now();
        while self.hear(began + within) {}
        if !self.closed {
            return Err(format!(
                "not closed within {} s; {}",
                within.as_secs(),
                self.told()
            ));
        }
        if silently && !self.all.is_empty() {
            return Err(format!("closed, and not silently: {}", self.told()));
        }
        Ok(())
    }

    /// The last of what was received, for people.
    pub(crate) fn told(&self) -> String {
        let tail = &self.all[self.all.len().saturating_sub(160)..];
        format!(
            "{} bytes came, at last \"{}\"",
            self.all.len(),
            tail.escape_ascii()
        )
    }
}

/// The listening half of the socket does not keep it open.
impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
