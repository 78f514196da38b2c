//! One push, from connecting to its end.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use isocast_media::rtmp::session::Role;
use isocast_media::rtmp::{self, Call, Caller, CallerEvent, Media};
use isocast_media::{Frame, Kind, MediaMs, Track, flv};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Place;
use super::status::{Cell, State};
use crate::data::random;
use crate::hub::{Delivery, Item, Protocol, Stream, Tracks};
use crate::outbound::{self, Connection};
use crate::rooms::Target;
use std::sync::Arc;

/// From the question for an address to the end of TLS's handshake.
const CONNECT: Duration = Duration::from_secs(10);
/// From there until publishing has begun.
const BEGIN: Duration = Duration::from_secs(15);
/// The other side takes nothing for so long.
const STALL: Duration = Duration::from_secs(10);
/// For the last words.
const FAREWELL: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 4 << 10;

/// The stream is over, or need not be sent there any more.
#[derive(Debug)]
pub(super) struct Done;

/// Why a push broke off. Nothing of what the other side said is in it but a code: it may say the
/// key again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the server's restream.allow_hosts does not list this host")]
    NotAllowed,
    #[error(transparent)]
    Outbound(#[from] outbound::Error),
    #[error("refused: {code}")]
    Refused { code: String },
    #[error("what answers speaks no RTMP: {0}")]
    Protocol(rtmp::Error),
    #[error("the connection was closed")]
    HungUp,
    #[error("publishing did not begin within {} s", BEGIN.as_secs())]
    Late,
    #[error("it takes less than the stream has")]
    Slow,
    #[error("the server there is going away and asked to connect anew")]
    ReconnectRequested,
}

/// Fails with how long it was live.
pub(super) async fn run(
    place: &Place,
    stream: &Arc<Stream>,
    target: &Target,
    status: &Cell,
    ending: &CancellationToken,
) -> Result<Done, (Duration, Failure)> {
    let failed = |failure| (Duration::ZERO, failure);
    if !place.allowed.has(&target.url) {
        return Err(failed(Failure::NotAllowed));
    }
    let begin = async {
        let url = &target.url;
        let connected = place
            .dialler
            .rtmp(&url.host, url.port, url.with_tls, CONNECT);
        let connected = connected.await;
        place.dialler.count("restream", &connected);
        let mut push = Push {
            place,
            status,
            connection: connected?,
            caller: Caller::new(call(target), u64::from_ne_bytes(random::bytes())),
            clock: Clock::default(),
            buffer: Box::new([0; READ_BYTES]),
        };
        let begun = timeout(BEGIN, push.begin(target)).await;
        begun.map_err(|_| Failure::Late)??;
        Ok(push)
    };
    let begun = tokio::select! {
        begun = begin => begun,
        () = ending.cancelled() => return Ok(Done),
        () = place.stop.closing() => return Ok(Done),
    };
    let mut push = begun.map_err(failed)?;
    status.enter(State::Live);
    tracing::info!(room = %stream.room(), target = %target.name, "sent on");
    let live_since = Instant::now();
    let sent = push.send_all(stream, target, ending).await;
    if matches!(sent, Ok(Done) | Err(Failure::ReconnectRequested)) {
        push.caller.close();
        let _ = timeout(FAREWELL, async {
            push.flush().await?;
            push.connection
                .shutdown()
                .await
                .map_err(|_| Failure::HungUp)
        })
        .await;
    }
    sent.map_err(|failure| (live_since.elapsed(), failure))
}

fn call(target: &Target) -> Call {
    Call {
        tc_url: target.url.as_str().to_owned(),
        app: target.url.app.clone(),
        name: target.stream_key.reveal().clone(),
        role: Role::Publish,
    }
}

struct Push<'a> {
    place: &'a Place,
    status: &'a Cell,
    connection: Box<dyn Connection>,
    caller: Caller,
    clock: Clock,
    buffer: Box<[u8; READ_BYTES]>,
}

/// The room's time to the push's, which begins at 0.
#[derive(Debug, Default)]
struct Clock {
    /// The room's time at which this push has its 0.
    base: Option<MediaMs>,
    last_sent: MediaMs,
}

impl Clock {
    fn start_at(&mut self, base: MediaMs) {
        self.base.get_or_insert(base);
    }

    fn time(&mut self, frame: &Frame) -> MediaMs {
        let base = *self.base.get_or_insert(frame.dts);
        // What belongs to a moment before the first picture is sent with it.
        let mut time = MediaMs((frame.dts - base).max(0));
        // And a description or configuration sent anew after a skip, with what comes next.
        if !frame.is_media() {
            time = time.max(self.last_sent);
        }
        self.last_sent = self.last_sent.max(time);
        time
    }
}

impl Push<'_> {
    /// Talks until publishing has begun.
    async fn begin(&mut self, target: &Target) -> Result<(), Failure> {
        loop {
            while let Some(event) = self.next_event()? {
                match event {
                    CallerEvent::Started => return self.flush().await,
                    other => refuse(other, target)?,
                }
            }
            self.flush().await?;
            let read = self.connection.read(&mut self.buffer[..]).await;
            self.receive(read)?;
        }
    }

    async fn send_all(
        &mut self,
        stream: &Arc<Stream>,
        target: &Target,
        ending: &CancellationToken,
    ) -> Result<Done, Failure> {
        let mut subscriber = stream.subscribe(Protocol::Restream);
        loop {
            tokio::select! {
                delivery = subscriber.next() => match delivery {
                    Delivery::Items(items) => {
                        items.iter().for_each(|item| self.take(item));
                        self.flush().await?;
                    }
                    Delivery::Interrupted => {}
                    Delivery::Ended | Delivery::Gone => return Ok(Done),
                    Delivery::TooSlow | Delivery::SentAway => return Err(Failure::Slow),
                },
                read = self.connection.read(&mut self.buffer[..]) => {
                    self.receive(read)?;
                    while let Some(event) = self.next_event()? {
                        refuse(event, target)?;
                    }
                    self.flush().await?;
                }
                () = ending.cancelled() => return Ok(Done),
                () = self.place.stop.closing() => return Ok(Done),
            }
        }
    }

    fn take(&mut self, item: &Item) {
        match item {
            Item::Join(gop) => {
                self.clock.start_at(gop.start());
                for frame in gop.header_frames(Tracks::Default) {
                    self.send(&frame);
                }
            }
            Item::Frame(slot) => self.send(&slot.frame),
        }
    }

    fn send(&mut self, frame: &Frame) {
        let media = Media {
            track: frame.track(),
            timestamp: self.clock.time(frame).wrapped(),
            body: body(frame),
        };
        self.caller.send(&media);
    }

    fn next_event(&mut self) -> Result<Option<CallerEvent>, Failure> {
        let event = self.caller.next_event(std::time::Instant::now());
        event.map_err(Failure::Protocol)
    }

    fn receive(&mut self, read: std::io::Result<usize>) -> Result<(), Failure> {
        match read {
            Ok(0) | Err(_) => Err(Failure::HungUp),
            Ok(count) => {
                self.caller.receive(&self.buffer[..count]);
                Ok(())
            }
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        let output = self.caller.take_output();
        if output.is_empty() {
            return Ok(());
        }
        let write = async {
            self.connection.write_all(&output).await?;
            self.connection.flush().await
        };
        let written = timeout(STALL, write).await.map_err(|_| Failure::Slow)?;
        written.map_err(|_| Failure::HungUp)?;
        self.status.sent(output.len());
        for counter in &self.place.bytes_out {
            counter.inc_by(output.len() as u64);
        }
        Ok(())
    }
}

/// What a publisher is told that is not good.
fn refuse(event: CallerEvent, target: &Target) -> Result<(), Failure> {
    match event {
        CallerEvent::Refused { code, .. } => Err(Failure::Refused {
            code: shown(&code, target.stream_key.reveal()),
        }),
        CallerEvent::Ended => Err(Failure::HungUp),
        // It is called where the target's owner said, whatever place it names.
        CallerEvent::Reconnect { .. } => Err(Failure::ReconnectRequested),
        _ => Ok(()),
    }
}

/// A status code as RTMP has them, `NetStream.Publish.BadName`; anything else may be the key.
fn shown(code: &str, key: &str) -> String {
    const CHARS_MAX: usize = 64;
    let is_code = (1..=CHARS_MAX).contains(&code.len())
        && code.starts_with("Net")
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'.')
        && !code.contains(key);
    match is_code {
        true => code.to_owned(),
        false => "for a reason that it does not give".to_owned(),
    }
}

/// A frame as publishers send it: a description is a command to the server to keep it
/// (`@setDataFrame`, as encoders do).
fn body(frame: &Frame) -> Bytes {
    const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame"; // an AMF0 string (AMF0 §2.4)
    let mut body = BytesMut::with_capacity(flv::body_len(frame) + SET_DATA_FRAME.len());
    if frame.kind == Kind::Metadata && frame.track() == Track::Data {
        body.put_slice(SET_DATA_FRAME);
    }
    flv::write_body(frame, &mut body);
    body.freeze()
}

#[cfg(test)]
mod tests {
    use isocast_media::Codec;

    use super::*;

    #[test]
    fn headers_sent_anew_do_not_go_back_in_time() {
        use Codec::{Aac, Avc, Script};
        let mut clock = Clock::default();
        clock.start_at(MediaMs(7000));
        let media = Kind::Media { key: true };
        for (codec, kind, dts, expected) in [
            (Script, Kind::Metadata, 0, 0),
            (Avc, Kind::Config, 6900, 0),
            (Avc, media, 7000, 0),
            (Avc, media, 7040, 40),
            (Aac, media, 7020, 20), // tracks need not agree
            (Script, Kind::Metadata, 0, 40),
            (Avc, Kind::Config, 6900, 40),
            (Avc, media, 9000, 2000),
        ] {
            let frame = Frame {
                codec,
                track_id: 0,
                kind,
                dts: MediaMs(dts),
                pts_offset_ms: 0,
                data: Bytes::from_static(b"x"),
            };
            assert_eq!(clock.time(&frame), MediaMs(expected), "{codec:?} at {dts}");
        }
    }

    #[test]
    fn of_a_refusal_only_a_code_is_shown() {
        for (code, expected) in [
            ("NetStream.Publish.BadName", "NetStream.Publish.BadName"),
            (
                "NetConnection.Connect.Rejected",
                "NetConnection.Connect.Rejected",
            ),
            ("", "for a reason that it does not give"),
            ("live_key", "for a reason that it does not give"),
            ("Net\x1b[31m", "for a reason that it does not give"),
            ("NetStream.live", "for a reason that it does not give"),
        ] {
            assert_eq!(shown(code, "live"), expected, "{code:?}");
        }
        let long = format!("Net{}", "x".repeat(100));
        assert!(!shown(&long, "live").contains('x'));
    }
}
