use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::seat::{Seat, Seats};

/// How a viewer receives a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    Rtmp,
    HttpFlv,
    WebSocketFlv,
    /// Of segments that the packager cut; it reads the hub for all of them.
    Hls,
    /// Not a viewer: the packager of this node. It is not counted.
    Packager,
    /// Nor is what is pushed to another server.
    Restream,
    /// Nor another node, which has viewers of its own.
    Relay,
}

impl Protocol {
    pub(super) const COUNT: usize = 4;
    pub(crate) const VIEWERS: [Self; Self::COUNT] =
        [Self::Rtmp, Self::HttpFlv, Self::WebSocketFlv, Self::Hls];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::HttpFlv => "http-flv",
            Self::WebSocketFlv => "ws-flv",
            Self::Hls => "hls",
            Self::Packager => "packager",
            Self::Restream => "restream",
            Self::Relay => "relay",
        }
    }

    /// Whether it is for the node that has the publisher: others would do the same again.
    pub(super) fn is_of_owner(self) -> bool {
        matches!(self, Self::Packager | Self::Restream)
    }

    pub(super) fn is_viewer(self) -> bool {
        Self::VIEWERS.contains(&self)
    }
}

/// The viewers of a stream: how many there are by protocol, and where each of them is.
#[derive(Debug, Default)]
pub(crate) struct Viewers {
    counts: [AtomicUsize; Protocol::COUNT],
    seats: Seats,
}

impl Viewers {
    pub(crate) fn total(&self) -> usize {
        let counts = self.counts.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn by(&self, protocol: Protocol) -> usize {
        self.counts[protocol as usize].load(Ordering::Relaxed)
    }

    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }
}

/// Counts one viewer of a stream while it lives.
#[derive(Debug)]
pub(super) struct Viewer {
    viewers: Arc<Viewers>,
    protocol: Protocol,
    seat: Arc<Seat>,
    /// Of its seat among the stream's, if it is one of its viewers.
    number: Option<u64>,
}

impl Viewer {
    /// Its connection ends when `hangup` is cancelled.
    pub(super) fn new(
        viewers: &Arc<Viewers>,
        protocol: Protocol,
        hangup: CancellationToken,
    ) -> Self {
        let seat = Arc::new(Seat::new(hangup));
        let number = protocol.is_viewer().then(|| {
            viewers.counts[protocol as usize].fetch_add(1, Ordering::Relaxed);
            viewers.seats.take(&seat)
        });
        Self {
            viewers: Arc::clone(viewers),
            protocol,
            seat,
            number,
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.viewers.counts[self.protocol as usize].fetch_sub(1, Ordering::Relaxed);
            self.viewers.seats.leave(number);
        }
    }
}
