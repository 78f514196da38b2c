use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use isocast_media::rtmp::session::Role;
use isocast_media::rtmp::{Call, Caller, CallerEvent, Media};

/// For connecting and writing.
const PATIENCE: Duration = Duration::from_secs(10);

/// The command `_checkbw` with transaction 6, as one chunk on a chunk stream that [`Caller`] does not
/// use. It asks for an answer and nothing else.
const CHECK_BANDWIDTH: &[u8] =
    b"\x07\0\0\0\0\0\x15\x14\0\0\0\0\x02\0\x08_checkbw\0\x40\x18\0\0\0\0\0\0\x05";

/// The command `FCUnpublish` with transaction 6 for a stream `a`, on the same chunk stream.
const FC_UNPUBLISH: &[u8] =
    b"\x07\0\0\0\0\0\x1c\x14\0\0\0\0\x02\0\x0bFCUnpublish\0\x40\x18\0\0\0\0\0\0\x05\x02\0\x01a";

/// What a node said to a publisher or player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Event(CallerEvent),
    /// The connection is closed.
    Closed,
}

/// A publisher or player that does only what it is told, one call at a time.
#[derive(Debug)]
pub struct Peer {
    socket: TcpStream,
    caller: Caller,
}

impl Peer {
    /// Connects to publish with a key.
    ///
    /// # Panics
    /// If nothing listens there.
    #[must_use]
    pub fn publish(to: SocketAddr, key: &str) -> Self {
        Self::call(to, key, Role::Publish)
    }

    /// Connects to play a stream, `room_<id>`.
    ///
    /// # Panics
    /// If nothing listens there.
    #[must_use]
    pub fn play(to: SocketAddr, name: &str) -> Self {
        Self::call(to, name, Role::Play)
    }

    fn call(to: SocketAddr, name: &str, role: Role) -> Self {
        let socket = TcpStream::connect_timeout(&to, PATIENCE).expect("the node listens");
        socket
            .set_nodelay(true)
            .expect("a connected socket takes options");
        socket
            .set_write_timeout(Some(PATIENCE))
            .expect("a connected socket takes options");
        let call = Call {
            tc_url: format!("rtmp://{to}/live"),
            app: "live".into(),
            name: name.into(),
            role,
        };
        Self {
            socket,
            caller: Caller::new(call, 1),
        }
    }

    /// The next thing the node says.
    ///
    /// # Panics
    /// If it says nothing for `seconds`, or no RTMP.
    pub fn next(&mut self, seconds: u64) -> Reply {
        let give_up = Instant::now() + Duration::from_secs(seconds);
        let mut buffer = [0; 16 << 10];
        loop {
            let event = self
                .caller
                .next_event(Instant::now())
                .expect("the node speaks RTMP");
            let output = self.caller.take_output();
            if !output.is_empty() && self.socket.write_all(&output).is_err() {
                return Reply::Closed;
            }
            if let Some(event) = event {
                return Reply::Event(event);
            }
            let left = give_up.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the node said nothing for {seconds} s");
            self.socket
                .set_read_timeout(Some(left))
                .expect("a connected socket takes options");
            match self.socket.read(&mut buffer) {
                Ok(0) => return Reply::Closed,
                Ok(count) => self.caller.receive(&buffer[..count]),
                Err(error) if is_timeout(error.kind()) => {}
                Err(_) => return Reply::Closed,
            }
        }
    }

    /// Waits until publishing or playing has begun.
    ///
    /// # Panics
    /// If anything else is said.
    pub fn expect_start(&mut self) {
        let reply = self.next(10);
        assert_eq!(reply, Reply::Event(CallerEvent::Started));
    }

    /// Waits until it is refused: code and description.
    ///
    /// # Panics
    /// If it is not.
    pub fn expect_refusal(&mut self, seconds: u64) -> (String, String) {
        loop {
            match self.next(seconds) {
                Reply::Event(CallerEvent::Refused { code, description }) => {
                    return (code, description);
                }
                Reply::Event(CallerEvent::Media(_)) => {}
                other => panic!("not refused: {other:?}"),
            }
        }
    }

    /// Waits until the connection is closed; what still comes is dropped.
    ///
    /// # Panics
    /// If it is not within `seconds`.
    pub fn expect_close(&mut self, seconds: u64) {
        let give_up = Instant::now() + Duration::from_secs(seconds);
        while self.next(seconds) != Reply::Closed {
            assert!(Instant::now() < give_up, "not closed within {seconds} s");
        }
    }

    /// Plays until a picture or sound comes; false if the stream ends before.
    pub fn has_media(&mut self, seconds: u64) -> bool {
        loop {
            match self.next(seconds) {
                Reply::Event(CallerEvent::Media(_)) => return true,
                Reply::Event(CallerEvent::Started) => {}
                _ => return false,
            }
        }
    }

    /// Publishes one message; false if the connection is gone.
    pub fn send(&mut self, media: &Media) -> bool {
        self.caller.send(media);
        self.flush()
    }

    /// Says that it is over.
    pub fn close(mut self) {
        self.caller.close();
        self.flush();
    }

    /// Says that it is over as ffmpeg does when an answer that it has not read makes its system
    /// reset the connection: `deleteStream`, which should follow, is lost.
    ///
    /// # Panics
    /// If the node does not answer.
    pub fn close_unread(mut self) {
        self.socket
            .write_all(CHECK_BANDWIDTH)
            .expect("the node is there");
        self.socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a connected socket takes options");
        let unread = self.socket.peek(&mut [0]).expect("the node answers");
        assert_eq!(unread, 1, "the node has closed");
        self.socket
            .write_all(&[CHECK_BANDWIDTH, FC_UNPUBLISH].concat())
            .expect("the node is there");
    }

    fn flush(&mut self) -> bool {
        let output = self.caller.take_output();
        self.socket.write_all(&output).is_ok()
    }
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
