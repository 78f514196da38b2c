//! RTMP connections: a publisher's messages go to ingest, a player gets what delivery serialised.

mod play;
mod publish;
mod relay;

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use isocast_media::rtmp::{Error, Event, Limits, Session};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::{sleep_until, timeout};

use super::Socket;
use crate::app::App;
use crate::error::Refusal;
use crate::relay::Refused;
use crate::stop::Departure;

const PROTOCOL: &str = "rtmp";
const READ_BYTES: usize = 16 << 10;
/// A refused peer gets this long to take the reason, and to hang up.
const FAREWELL: Duration = Duration::from_secs(1);

/// The application part of every RTMP URL: `rtmp://HOST/live`.
const APPLICATION: &str = "live";

/// Whom a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// Publishers and players.
    Public,
    /// Other nodes, which play what their viewers watch.
    Nodes,
}

/// Why a connection is over.
enum End {
    /// The other side hung up, or the network did.
    Hangup,
    /// It broke the protocol or a limit; it is told nothing.
    Broken(Error),
    /// It was told why.
    Told,
    /// This node is stopping.
    Stopped,
}

impl End {
    fn reason(&self) -> &'static str {
        match self {
            Self::Hangup => "hung_up",
            Self::Broken(error) => error.reason(),
            Self::Told => "refused",
            Self::Stopped => "draining",
        }
    }
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        Self::Hangup
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(
    app: Arc<App>,
    socket: Socket,
    peer: SocketAddr,
    accepted: tokio::time::Instant,
    served: Served,
) {
    let mut connection = Connection::new(&app, socket, peer, accepted.into_std(), served);
    let end = connection.run().await;
    connection.finish(end).await;
}

struct Connection {
    app: Arc<App>,
    departure: Departure,
    socket: Socket,
    session: Session,
    peer: SocketAddr,
    served: Served,
    has_shaken_hands: bool,
    /// It hung up: it takes nothing any more, but what it said before may not be read yet.
    has_hung_up: bool,
}

impl Connection {
    fn new(
        app: &Arc<App>,
        socket: Socket,
        peer: SocketAddr,
        accepted: Instant,
        served: Served,
    ) -> Self {
        let settings = &app.config.rtmp;
        let limits = Limits {
            handshake: Duration::from_secs(settings.handshake_timeout_s),
            command: Duration::from_secs(settings.publish_timeout_s),
            first_media: Duration::from_secs(settings.first_media_timeout_s),
            ..Limits::default()
        };
        let seed = u64::from_ne_bytes(crate::data::random::bytes());
        Self {
            socket,
            session: Session::new(limits, seed, accepted),
            departure: Departure::new(&app.stop, app.config.node.drain_spread()),
            app: Arc::clone(app),
            peer,
            served,
            has_shaken_hands: false,
            has_hung_up: false,
        }
    }

    async fn run(&mut self) -> End {
        loop {
            let event = match self.event().await {
                Ok(event) => event,
                Err(end) => return end,
            };
            let done = match event {
                // It would not hear the answer.
                Event::Publish { .. } | Event::Play { .. } if self.has_hung_up => Err(End::Hangup),
                Event::Publish { app, name } => match self.served {
                    Served::Public => self.publish(&app, &name).await,
                    Served::Nodes => self.refuse_relay(Refused::NoRelay),
                },
                Event::Play { app, name } => match self.served {
                    Served::Public => self.play(&app, &name).await,
                    Served::Nodes => self.relay(&name).await,
                },
                Event::Media(_) | Event::Unpublish | Event::Stop => Ok(()),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Sends what is to be sent and waits for the next event, within the session's deadlines.
    async fn event(&mut self) -> Result<Event, End> {
        loop {
            let event = self
                .session
                .next_event(Instant::now())
                .map_err(End::Broken)?;
            let deadline = self.session.deadline();
            tokio::select! {
                biased;
                flushed = self.flush() => flushed?,
                // It asks, and does not take the answers.
                () = wait_until(deadline) => {
                    self.session.check_deadline(Instant::now()).map_err(End::Broken)?;
                    return Err(End::Hangup);
                }
            }
            if let Some(event) = event {
                return Ok(event);
            }
            if !self.has_shaken_hands && self.session.has_shaken_hands() {
                self.has_shaken_hands = true;
                self.socket.step_up();
            }
            tokio::select! {
                read = receive(&mut self.socket, &mut self.session) => read?,
                () = wait_until(deadline) => {
                    self.session.check_deadline(Instant::now()).map_err(End::Broken)?;
                    continue;
                }
                () = self.departure.due() => {
                    self.send_away()?;
                    continue;
                }
                () = self.app.stop.closing() => return Err(End::Stopped),
            }
        }
    }

    /// Asks a publisher or player to connect anew, which it does when it is ready to. One that does
    /// not know of that notices that it is refused or the connection closed, and does it too.
    fn send_away(&mut self) -> Result<(), End> {
        let why = "This server is being stopped: connect again.";
        match self.session.request_reconnect(None, why) {
            true => Ok(()),
            false => Err(End::Stopped),
        }
    }

    /// To a peer that has hung up nothing is sent: reading what came before that ends by itself, and
    /// may show that it was done.
    async fn flush(&mut self) -> Result<(), End> {
        let output = self.session.take_output();
        if output.is_empty() || self.has_hung_up {
            return Ok(());
        }
        let written = async {
            self.socket.write_all(&output).await?;
            self.socket.flush().await
        };
        match written.await {
            Err(error) if is_hangup(&error) => self.has_hung_up = true,
            written => written?,
        }
        Ok(())
    }

    fn check_application(&self, application: &str) -> Result<(), Refusal> {
        if application == APPLICATION {
            Ok(())
        } else {
            Err(Refusal::NoApplication)
        }
    }

    fn refuse(&mut self, refusal: &Refusal, code: &'static str) -> Result<(), End> {
        if self.app.metrics.refused(PROTOCOL, refusal.code()) {
            tracing::info!(peer = %self.peer, code = refusal.code(), "refused: {refusal}");
        }
        self.session.refuse(code, &refusal.to_string());
        Err(End::Told)
    }

    /// As metrics call what it came by.
    fn surface(&self) -> &'static str {
        match self.served {
            Served::Public => PROTOCOL,
            Served::Nodes => relay::PORT,
        }
    }

    async fn finish(&mut self, end: End) {
        match end {
            End::Hangup => {}
            End::Stopped => {
                let _ = timeout(FAREWELL, self.socket.shutdown()).await;
            }
            End::Broken(error) => {
                if self.app.metrics.refused(self.surface(), error.reason()) {
                    tracing::info!(peer = %self.peer, reason = error.reason(), "closed: {error}");
                }
                self.say_farewell().await;
            }
            End::Told => self.say_farewell().await,
        }
    }

    /// Sends the reason, if there is one. Closing with unread bytes would reset the connection and
    /// could take the reason away from the peer, so what it still sends is read and dropped.
    async fn say_farewell(&mut self) {
        let farewell = async {
            let output = self.session.take_output();
            if output.is_empty() || self.socket.write_all(&output).await.is_err() {
                return;
            }
            self.socket.shutdown().await.ok();
            // After the end of its conversation the session throws away what it is given.
            while receive(&mut self.socket, &mut self.session).await.is_ok() {}
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}

/// Gives the session what has come. The bytes pass through the stack: a connection that says nothing
/// holds no buffer.
async fn receive(socket: &mut Socket, session: &mut Session) -> Result<(), End> {
    let count = poll_fn(|cx| {
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut *socket).poll_read(cx, &mut buffer))?;
        session.receive(buffer.filled());
        Poll::Ready(io::Result::Ok(buffer.filled().len()))
    });
    match count.await? {
        0 => Err(End::Hangup),
        _ => Ok(()),
    }
}

fn is_hangup(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset
    )
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
