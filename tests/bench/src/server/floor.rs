//! The floor: a thread that writes the stream's bytes, ready made, to every viewer's socket, one
//! vectored write a message. It does nothing else that a server does.

use std::io::{ErrorKind, IoSlice, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::BytesMut;
use isocast_media::rtmp::Media;

use super::{Running, Server};
use crate::clock::Clock;
use crate::cores;
use crate::proc::Subject;
use crate::scenario::Case;
use crate::stream::Stream;
use crate::viewer::Play;
use crate::window::Window;

/// Basic and message header of a message's first chunk (RTMP 1.0 §5.3.1).
const HEADER_BYTES: usize = 12;
/// A viewer that takes nothing for so long is given up, or the thread would never end.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The thread; it is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Floor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

pub(super) fn start(case: &Case, clock: Clock, window: &Arc<Window>) -> anyhow::Result<Server> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    listener.set_nonblocking(true)?;
    let play_at = listener.local_addr()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (tell_thread, told_thread) = mpsc::sync_channel(1);
    let writer = Writer {
        stream: Stream::new(case.scenario.bits_per_second),
        viewers: case.scenario.viewers,
        clock,
        window: Arc::clone(window),
        stop: Arc::clone(&stop),
    };
    let body = move || {
        let _ = tell_thread.send(cores::this_thread());
        writer.run(&listener);
    };
    let handle = thread::Builder::new().name("floor".into()).spawn(body)?;
    let floor = Floor {
        stop,
        thread: Some(handle),
    };
    let thread = told_thread.recv().context("the floor did not start")??;
    cores::keep_thread_on(cores::SERVER, thread)?;
    Ok(Server {
        subject: Subject::Thread(thread),
        publish: None,
        play_at,
        play: Play::Chunks,
        _running: Running::Floor { _floor: floor },
    })
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    stream: Stream,
    viewers: usize,
    clock: Clock,
    window: Arc<Window>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    fn run(self, listener: &TcpListener) {
        let mut sockets = self.accept_all(listener);
        for config in Stream::configs() {
            write_to_all(&config, &mut sockets);
        }
        let start = Instant::now();
        for due in Stream::schedule() {
            while let Some(wait) = (start + due.at).checked_duration_since(Instant::now()) {
                thread::park_timeout(wait);
            }
            if self.stop.load(Relaxed) {
                return;
            }
            let sent_ns = self.clock.now_ns();
            let message = self.stream.message(&due, sent_ns);
            self.window.count_sent(sent_ns);
            write_to_all(&message, &mut sockets);
        }
    }

    /// Waits for the whole audience: the stream begins when all are here.
    fn accept_all(&self, listener: &TcpListener) -> Vec<TcpStream> {
        let mut sockets = Vec::new();
        while sockets.len() < self.viewers && !self.stop.load(Relaxed) {
            match listener.accept() {
                Ok((socket, _)) => sockets.extend(prepare(socket).ok()),
                Err(_) => thread::park_timeout(Duration::from_millis(1)),
            }
        }
        sockets
    }
}

fn prepare(socket: TcpStream) -> std::io::Result<TcpStream> {
    socket.set_nonblocking(false)?;
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
    Ok(socket)
}

fn write_to_all(message: &Media, sockets: &mut Vec<TcpStream>) {
    let mut bytes = BytesMut::new();
    message.write(&mut bytes);
    sockets.retain_mut(|socket| write_message(socket, &bytes).is_ok());
}

fn write_message(socket: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let (header, body) = bytes.split_at(HEADER_BYTES.min(bytes.len()));
    let slices = [IoSlice::new(header), IoSlice::new(body)];
    let written = match socket.write_vectored(&slices) {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::Interrupted => 0,
        Err(error) => return Err(error),
    };
    socket.write_all(bytes.get(written..).unwrap_or_default())
}
