//! RTMP connections: a publisher's messages go to ingest, a player gets what delivery serialised.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use isocast_media::rtmp::session::status;
use isocast_media::rtmp::{Error, Event, Limits, Session};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::{sleep_until, timeout};

use super::Socket;
use crate::app::App;
use crate::delivery::{self, Credential, Outflow};
use crate::error::Refusal;
use crate::hub::{Delivery, Protocol, Revocation, Subscriber, Tracks};
use crate::ingest::{self, Admission, Admitted, Import, Importer};
use crate::metrics::TrafficLabels;
use crate::rooms::{PublishKey, RoomId};
use crate::stop::Departure;
use crate::webhooks::Reason;

const PROTOCOL: &str = "rtmp";
const READ_BYTES: usize = 16 << 10;
/// A refused peer gets this long to take the reason, and to hang up.
const FAREWELL: Duration = Duration::from_secs(1);

/// The application part of every RTMP URL: `rtmp://HOST/live`.
const APPLICATION: &str = "live";

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
) {
    let mut connection = Connection::new(&app, socket, peer, accepted.into_std());
    let end = connection.run().await;
    connection.finish(end).await;
}

struct Connection {
    app: Arc<App>,
    departure: Departure,
    socket: Socket,
    session: Session,
    peer: SocketAddr,
    has_shaken_hands: bool,
}

impl Connection {
    fn new(app: &Arc<App>, socket: Socket, peer: SocketAddr, accepted: Instant) -> Self {
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
            has_shaken_hands: false,
        }
    }

    async fn run(&mut self) -> End {
        loop {
            let event = match self.event().await {
                Ok(event) => event,
                Err(end) => return end,
            };
            let done = match event {
                Event::Publish { app, name } => self.publish(&app, &name).await,
                Event::Play { app, name } => self.play(&app, &name).await,
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
    /// not know of that notices that the connection is closed, and does it too.
    fn send_away(&mut self) -> Result<(), End> {
        let why = "This server is being stopped: connect again.";
        match self.session.request_reconnect(None, why) {
            true => Ok(()),
            false => Err(End::Stopped),
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        let output = self.session.take_output();
        if !output.is_empty() {
            self.socket.write_all(&output).await?;
            self.socket.flush().await?;
        }
        Ok(())
    }

    async fn publish(&mut self, application: &str, key: &str) -> Result<(), End> {
        let admitted = self.admit(application, key).await;
        let Admitted {
            publisher,
            stream,
            held,
        } = match admitted {
            Ok(admitted) => admitted,
            Err(Refusal::CrowdedOut) => return Err(End::Hangup), // the port counts it
            Err(refusal) => {
                if refusal == Refusal::KeyRefused {
                    let now = Instant::now();
                    self.app.key_attempts.add(self.peer.ip(), now);
                }
                let code = refusal.publish_status();
                return self.refuse(&refusal, code);
            }
        };
        // From here on either the hub's end ends this stream too, or it was over before.
        if self.app.stop.is_parting() {
            return self.refuse(&Refusal::Draining, Refusal::Draining.publish_status());
        }
        self.app.packager.follow(&stream);
        self.app.restreams.follow(&stream);
        let claim = publisher.claim().clone();
        let revoked = publisher.revocation();
        tracing::info!(room = %claim.room, epoch = claim.epoch, peer = %self.peer, "publishing began");
        let told = self.app.webhooks.publishing(&claim, fingerprint(key));
        let _session = self.app.stop.session();
        self.session.accept_publish(Instant::now());
        let end = self.import(Importer::new(publisher)).await;
        drop(held);
        told.ended(self.reason(&end, &revoked));
        let reason = end.as_ref().err().map_or("unpublished", End::reason);
        tracing::info!(room = %claim.room, epoch = claim.epoch, peer = %self.peer, reason, "publishing ended");
        end
    }

    /// Why a publisher is gone, in webhooks' words.
    fn reason(&self, end: &Result<(), End>, revoked: &Revocation) -> Reason {
        match end {
            Ok(()) => Reason::Ended,
            Err(End::Hangup) => Reason::HungUp,
            Err(_) if revoked.is_by_operator() => Reason::Kicked,
            _ if self.app.stop.is_parting() => Reason::Stopped,
            Err(_) if revoked.has_come() => Reason::Revoked,
            Err(End::Broken(_) | End::Told | End::Stopped) => Reason::Error,
        }
    }

    async fn admit(&mut self, application: &str, key: &str) -> Result<Admitted, Refusal> {
        self.check_application(application)?;
        if self.app.stop.is_parting() {
            return Err(Refusal::Draining);
        }
        self.app.load.check_new_publisher()?;
        let publish_keys = self.app.publish_keys.now().await;
        let admission = Admission {
            node_id: &self.app.node_id,
            rooms: &*self.app.rooms,
            known_rooms: &self.app.known_rooms,
            publish_keys: &publish_keys,
            registry: &self.app.registry,
            hub: &self.app.hub,
            limits: &self.app.config.limits,
            bans: &self.app.bans,
            address: self.peer.ip(),
            keep_place: &mut || self.socket.leave_ip(),
            awaited: self.app.stop.session(),
        };
        // The key may come with a query, as some encoders append one.
        let key = key.split('?').next().unwrap_or_default();
        ingest::admit(admission, key).await
    }

    /// Takes media until the publisher is done or has to go.
    async fn import(&mut self, mut importer: Importer) -> Result<(), End> {
        let revoked = importer.publisher().revocation();
        let bytes_in = self
            .app
            .metrics
            .media_bytes
            .get_or_create_owned(&TrafficLabels {
                protocol: PROTOCOL,
                direction: "in",
            });
        loop {
            let event = tokio::select! {
                event = self.event() => event?,
                () = revoked.comes() => return self.say_revoked(&revoked),
            };
            let Event::Media(media) = event else {
                return Ok(()); // Unpublish: the same connection may publish again
            };
            bytes_in.inc_by(media.body.len() as u64);
            let now = Instant::now();
            let import = importer.take(media, now);
            self.app
                .metrics
                .packet_processing
                .observe(now.elapsed().as_secs_f64());
            match import {
                Ok(Import::Sent | Import::Empty) => {}
                Ok(Import::Malformed) => {
                    if self.app.metrics.refused("ingest", "malformed_media") {
                        tracing::debug!(peer = %self.peer, "a media message is malformed and left out");
                    }
                }
                Ok(Import::TooManyTracks) => {
                    self.app.metrics.refused("ingest", "too_many_tracks");
                }
                Ok(Import::Revoked) => return self.say_revoked(&revoked),
                Err(refusal) => return self.refuse(&refusal, refusal.publish_status()),
            }
        }
    }

    fn say_revoked(&mut self, revoked: &Revocation) -> Result<(), End> {
        if revoked.is_by_operator() {
            return self.refuse(&Refusal::Kicked, Refusal::Kicked.publish_status());
        }
        if self.app.stop.is_parting() {
            return self.refuse(&Refusal::Draining, Refusal::Draining.publish_status());
        }
        self.session.refuse(
            status::PUBLISH_BAD_NAME,
            "Another encoder has taken the room over, its keys were revoked, or it was deleted.",
        );
        Err(End::Told)
    }

    async fn play(&mut self, application: &str, name: &str) -> Result<(), End> {
        let subscriber = match self.subscribe(application, name).await {
            Ok(subscriber) => subscriber,
            Err(refusal) => {
                let code = refusal.play_status();
                return self.refuse(&refusal, code);
            }
        };
        if !self.socket.leave_ip() {
            return Err(End::Hangup); // the port counts it
        }
        let _session = self.app.stop.session();
        self.session.accept_play();
        self.flush().await?;
        self.deliver(subscriber).await
    }

    async fn subscribe(&self, application: &str, name: &str) -> Result<Subscriber, Refusal> {
        self.check_application(application)?;
        if !self.app.config.rtmp.play {
            return Err(Refusal::ProtocolOff("playing over RTMP"));
        }
        let (name, query) = name.split_once('?').unwrap_or((name, ""));
        let room = RoomId::from_stream_name(name).map_err(|_| Refusal::PlaybackDenied)?;
        let credential = Credential::from_query(query)?;
        let stream = delivery::joinable(&self.app, &room, &credential).await?;
        // Whatever codecs it lists, it gets the stream: many players list none and play it.
        let tracks = match self.session.peer().multitrack {
            true => Tracks::All,
            false => Tracks::Default,
        };
        Ok(stream.subscribe(Protocol::Rtmp).with(tracks))
    }

    async fn deliver(&mut self, mut subscriber: Subscriber) -> Result<(), End> {
        let outflow = Outflow::new(&self.app, subscriber.stream(), Protocol::Rtmp);
        let mut skips_counted = 0;
        let hangup = subscriber.hangup();
        loop {
            let delivery = tokio::select! {
                delivery = subscriber.next() => delivery,
                read = receive(&mut self.socket, &mut self.session) => {
                    read?;
                    match self.session.next_event(Instant::now()).map_err(End::Broken)? {
                        Some(Event::Stop) => return Ok(()),
                        _ => {
                            self.flush().await?;
                            continue;
                        }
                    }
                }
                () = self.departure.due() => {
                    self.send_away()?;
                    self.flush().await?;
                    continue;
                }
                () = self.app.stop.closing() => return Err(End::Stopped),
            };
            match delivery {
                Delivery::Items(items) => {
                    let tracks = subscriber.tracks();
                    let bytes = |item| delivery::rtmp::bytes(item, tracks);
                    let pieces: Vec<_> = items.iter().map(bytes).collect();
                    tokio::select! {
                        written = self.socket.write_all_vectored(&pieces) => written?,
                        () = self.app.stop.closing() => return Err(End::Stopped),
                        () = hangup.cancelled() => return Err(End::Hangup),
                    }
                    outflow.count(pieces.iter().map(|piece| piece.len()).sum());
                    skips_counted =
                        self.app
                            .count_skips(Protocol::Rtmp, &subscriber, skips_counted);
                }
                Delivery::Interrupted => {}
                Delivery::Ended | Delivery::Gone => {
                    self.session.end_play();
                    return Err(End::Told);
                }
                Delivery::SentAway => {
                    let refusal = Refusal::Overloaded;
                    self.session
                        .refuse(refusal.play_status(), &refusal.to_string());
                    return Err(End::Told);
                }
                Delivery::TooSlow => {
                    self.app.metrics.refused(PROTOCOL, "slow_viewer");
                    return Err(End::Hangup);
                }
            }
        }
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

    async fn finish(&mut self, end: End) {
        match end {
            End::Hangup => {}
            End::Stopped => {
                let _ = timeout(FAREWELL, self.socket.shutdown()).await;
            }
            End::Broken(error) => {
                if self.app.metrics.refused(PROTOCOL, error.reason()) {
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

/// What logs and webhooks show of a publish key, which may come with a query.
fn fingerprint(key: &str) -> Option<String> {
    let key = PublishKey::parse(key.split('?').next()?).ok()?;
    Some(key.fingerprint())
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

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
