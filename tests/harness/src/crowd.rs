use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

/// Connections that do nothing more, each address of 127.0.0.0/8 having a few of them.
#[derive(Debug)]
pub struct Crowd {
    sockets: Vec<TcpStream>,
}

impl Crowd {
    /// Connects `count` times, `per_address` times from each address, and sends `hello` each time.
    /// Who is not let in counts as gone.
    ///
    /// # Panics
    /// If this process may not open so many files.
    #[must_use]
    pub fn connect(to: SocketAddr, count: usize, per_address: usize, hello: &[u8]) -> Self {
        let mut sockets = Vec::with_capacity(count);
        for number in 0..count {
            let Some(mut socket) = connect_from(address(number / per_address), to) else {
                continue;
            };
            if socket.write_all(hello).is_ok() {
                socket.set_nonblocking(true).expect("an option");
                sockets.push(socket);
            }
        }
        Self { sockets }
    }

    /// How many the other side has not closed. What it sent is read.
    pub fn open(&mut self) -> usize {
        self.sockets.retain_mut(|socket| {
            let mut buffer = [0; 4096];
            loop {
                match socket.read(&mut buffer) {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(error) => return error.kind() == ErrorKind::WouldBlock,
                }
            }
        });
        self.sockets.len()
    }

    /// How many got in.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }
}

/// 127.1.0.1 and up: the first of them is not where other clients of a test come from.
fn address(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).expect("there are 2^24 of them");
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number)
}

fn connect_from(from: Ipv4Addr, to: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a file is free");
    // Whoever does not read is to stand still soon.
    socket.set_recv_buffer_size(4096).expect("an option");
    socket
        .bind(&SocketAddr::from((from, 0)).into())
        .expect("a port is free");
    socket.connect(&to.into()).ok()?;
    Some(socket.into())
}
