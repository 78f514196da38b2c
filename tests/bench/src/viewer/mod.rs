//! Viewers: connections that read a stream and look at no more of it than message headers and
//! stamps, so that hundreds of them fit on one core.

mod chunks;
mod http;
mod prefix;
mod replies;
mod tags;

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use isocast_media::rtmp::session::CHUNK_SIZE;
use isocast_media::rtmp::{Call, Caller};
use tokio::net::{TcpSocket, TcpStream};

use self::chunks::Chunks;
use self::prefix::Seen;
use self::replies::Replies;
use self::tags::Tags;
use crate::calling;
use crate::clock::Clock;
use crate::stamp::Stamp;
use crate::stream::{AUDIO_STAMP_AT, VIDEO_STAMP_AT};
use crate::window::Window;

/// FLV tag types (FLV 10.1 §E.4.1), and the RTMP message types that carry the same bodies.
pub(crate) const FLV_AUDIO: u8 = 8;
pub(crate) const FLV_VIDEO: u8 = 9;

/// Larger than what comes in one go, so that one system call reads it.
const READ_BYTES: usize = 128 << 10;

thread_local! {
    /// All viewers read into the same memory: nothing stays in it between two reads.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// How to get the stream.
#[derive(Clone, Debug)]
pub(crate) enum Play {
    Rtmp(Call),
    HttpFlv {
        path: String,
    },
    /// RTMP chunks from the first byte on.
    Chunks,
}

/// What one viewer saw.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// From the start of connecting to the end of the first video frame.
    pub(crate) first_frame_us: Option<u32>,
    /// Of each measured message, from before its sending to its last byte's reading.
    pub(crate) latencies_us: Vec<u32>,
    /// Why it stopped watching.
    pub(crate) ended: Option<String>,
    last_sequence: Option<u32>,
}

/// One place in the audience.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    clock: Clock,
    window: Arc<Window>,
    record: Arc<Mutex<Record>>,
    joined_ns: u64,
}

impl Viewer {
    pub(crate) fn new(clock: Clock, window: Arc<Window>) -> Self {
        Self {
            joined_ns: clock.now_ns(),
            clock,
            window,
            record: Arc::default(),
        }
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches until it is dropped or cannot.
    pub(crate) async fn watch(self, index: usize, at: SocketAddr, play: Play) {
        if let Err(error) = self.read_stream(index, at, play).await {
            self.record().ended = Some(format!("{error:#}"));
        }
    }

    async fn read_stream(&self, index: usize, at: SocketAddr, play: Play) -> anyhow::Result<()> {
        let socket = connect(index, at).await?;
        let mut reader = Reader::new(&play);
        match play {
            Play::Rtmp(call) => {
                let mut caller = Caller::new(call, index as u64);
                let heard = |bytes: &[u8]| self.take(&mut reader, bytes);
                calling::start(&socket, &mut caller, heard).await?;
            }
            Play::HttpFlv { path } => {
                calling::write_all(&socket, http::request(&path, at).as_bytes()).await?;
            }
            Play::Chunks => {}
        }
        loop {
            socket.readable().await?;
            SCRATCH.with_borrow_mut(|scratch| self.read_once(&socket, &mut reader, scratch))?;
            let replies = reader.take_replies();
            if !replies.is_empty() {
                calling::write_all(&socket, &replies).await?;
            }
        }
    }

    fn read_once(
        &self,
        socket: &TcpStream,
        reader: &mut Reader,
        scratch: &mut [u8],
    ) -> anyhow::Result<()> {
        match socket.try_read(scratch) {
            Ok(0) => bail!("the server hung up"),
            Ok(read) => self.take(reader, scratch.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error).context("the connection broke"),
        }
    }

    fn take(&self, reader: &mut Reader, bytes: &[u8]) -> anyhow::Result<()> {
        let now_ns = self.clock.now_ns();
        self.window.count_read(bytes.len());
        let mut record = self.record();
        reader.read(bytes, &mut |seen| self.note(&mut record, seen, now_ns))
    }

    fn note(&self, record: &mut Record, seen: Seen<'_>, now_ns: u64) {
        let Some(stamp) = stamp_in(seen.type_id, seen.prefix) else {
            return;
        };
        if seen.type_id == FLV_VIDEO && record.first_frame_us.is_none() {
            record.first_frame_us = Some(us(now_ns.saturating_sub(self.joined_ns)));
        }
        let is_new = record
            .last_sequence
            .is_none_or(|last| last < stamp.sequence);
        if is_new && self.window.holds(stamp.sent_ns) {
            record.last_sequence = Some(stamp.sequence);
            record
                .latencies_us
                .push(us(now_ns.saturating_sub(stamp.sent_ns)));
        }
    }
}

/// The stamp of a media message, given its body's first bytes. Descriptions and configurations
/// have none.
pub(crate) fn stamp_in(type_id: u8, prefix: &[u8]) -> Option<Stamp> {
    let at = match type_id {
        FLV_AUDIO => AUDIO_STAMP_AT,
        FLV_VIDEO => VIDEO_STAMP_AT,
        _ => return None,
    };
    Stamp::read(prefix.get(at..)?)
}

fn us(ns: u64) -> u32 {
    u32::try_from(ns / 1000).unwrap_or(u32::MAX)
}

/// Each viewer has an address of its own, as viewers have; all of 127.0.0.0/8 is this machine.
async fn connect(index: usize, to: SocketAddr) -> anyhow::Result<TcpStream> {
    let [_, _, high, low] = (index as u32 + 1).to_be_bytes();
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 1, high, low), 0)))?;
    let socket = socket.connect(to).await.context("no connection")?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// What turns bytes into messages, by protocol.
#[derive(Debug)]
enum Reader {
    Rtmp {
        chunks: Chunks,
        replies: Replies,
    },
    HttpFlv {
        response: http::Response,
        tags: Tags,
    },
}

impl Reader {
    fn new(play: &Play) -> Self {
        let chunks = match play {
            Play::HttpFlv { .. } => {
                return Self::HttpFlv {
                    response: http::Response::default(),
                    tags: Tags::default(),
                };
            }
            Play::Rtmp(_) => Chunks::after_handshake(),
            Play::Chunks => Chunks::of_size(CHUNK_SIZE),
        };
        Self::Rtmp {
            chunks,
            replies: Replies::default(),
        }
    }

    fn read(&mut self, bytes: &[u8], see: &mut impl FnMut(Seen<'_>)) -> anyhow::Result<()> {
        match self {
            Self::Rtmp { chunks, replies } => {
                replies.count_read(bytes.len());
                chunks.read(bytes, &mut |seen| {
                    replies.hear(&seen);
                    see(seen);
                })
            }
            Self::HttpFlv { response, tags } => {
                response.read(bytes, &mut |body| tags.read(body, see))
            }
        }
    }

    /// What the protocol wants to be said.
    fn take_replies(&mut self) -> Vec<u8> {
        match self {
            Self::Rtmp { replies, .. } => replies.take(),
            Self::HttpFlv { .. } => Vec::new(),
        }
    }
}
