//! Frames as FLV, over HTTP and over WebSocket, the same bytes for every viewer.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderName, Version, header};
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt, stream};
use isocast_media::{Frame, Kind, Track, flv};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Credential, Outflow, joinable};
use crate::app::{App, Hangup};
use crate::error::Refusal;
use crate::hub::{Delivery, Item, Protocol, Stream, Subscriber, Tracks, Wire};
use crate::rooms::RoomId;
use crate::stop::Departure;

const CONTENT_TYPE: &str = "video/x-flv";
/// The node that has the publisher.
const X_PUBLISHER_NODE: HeaderName = HeaderName::from_static("x-publisher-node");
/// On an answer with what another node sends: it is pulled for as long as somebody watches.
const X_PULL_MODE: HeaderName = HeaderName::from_static("x-pull-mode");

/// The part of a path that is ours, whatever stands before it.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    file: String,
}

/// What a viewer may ask for behind the `?`.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    /// `all`: every track of the stream, those beside the default ones in the multitrack tags of
    /// Enhanced RTMP, which few players read.
    tracks: Option<String>,
}

type MaybeAsked = Result<Query<Asked>, QueryRejection>;

impl Asked {
    fn tracks(asked: MaybeAsked) -> Result<Tracks, Refusal> {
        let Query(asked) = asked.map_err(|error| Refusal::BadRequest(error.body_text()))?;
        match asked.tracks.as_deref() {
            None | Some("default") => Ok(Tracks::Default),
            Some("all") => Ok(Tracks::All),
            Some(_) => Err(Refusal::BadRequest("tracks is default or all".into())),
        }
    }
}

/// `GET /flv/room_<id>.flv`
pub(crate) async fn over_http(
    State(app): State<Arc<App>>,
    Extension(hangup): Extension<Hangup>,
    credential: Credential,
    Path(File { file }): Path<File>,
    asked: MaybeAsked,
    version: Version,
) -> Result<Response, Refusal> {
    let tracks = Asked::tracks(asked)?;
    let stream = named(&app, &file, &credential).await?;
    let origin = Origin::of(&app, &stream);
    let subscriber = stream.subscribe_from(Protocol::HttpFlv, hangup.0);
    let viewing = Viewing::start(&app, Protocol::HttpFlv, subscriber.with(tracks));
    let body = match version {
        Version::HTTP_2 => beside_others(viewing),
        _ => alone(viewing),
    };
    let headers = [
        (header::CONTENT_TYPE, CONTENT_TYPE.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
    ];
    Ok((headers, origin, body).into_response())
}

/// Where a stream comes from, as headers.
struct Origin {
    publisher: String,
    is_pulled: bool,
}

impl Origin {
    fn of(app: &App, stream: &Stream) -> Self {
        let upstream = stream.upstream();
        let publisher = upstream.as_ref().map(|it| it.pair.owner.node.to_string());
        Self {
            publisher: publisher.unwrap_or_else(|| app.node_id.clone()),
            is_pulled: upstream.is_some(),
        }
    }
}

impl IntoResponseParts for Origin {
    type Error = Response;

    fn into_response_parts(self, parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let pull_mode = self.is_pulled.then_some([(X_PULL_MODE, "lazy-load")]);
        ([(X_PUBLISHER_NODE, self.publisher)], pull_mode).into_response_parts(parts)
    }
}

/// Has the connection to itself: who takes nothing loses it.
fn alone(viewing: Viewing) -> Body {
    Body::from_stream(stream::unfold(viewing, |mut viewing| async {
        let piece = viewing.next_piece().await?;
        Some((Ok::<_, Infallible>(piece), viewing))
    }))
}

/// Shares the connection with others, who stay when this viewer is sent away. Whatever waits for
/// its window to open is not asked then, so the viewer is not part of it; what stays are two
/// pieces.
fn beside_others(viewing: Viewing) -> Body {
    const PIECES_MAX: usize = 2;
    let (to, pieces) = mpsc::channel(PIECES_MAX);
    let tasks = viewing.app.tasks.clone();
    tasks.spawn(send_pieces(viewing, to));
    Body::from_stream(stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        Some((Ok::<_, Infallible>(piece), pieces))
    }))
}

async fn send_pieces(mut viewing: Viewing, to: mpsc::Sender<Bytes>) {
    let hangup = viewing.subscriber.hangup();
    loop {
        let piece = tokio::select! {
            piece = viewing.next_piece() => piece,
            () = to.closed() => return,
        };
        let Some(piece) = piece else { return };
        tokio::select! {
            sent = to.send(piece) => if sent.is_err() {
                return;
            },
            () = hangup.cancelled() => return,
        }
    }
}

/// `GET /ws/room_<id>.flv`, upgraded to a WebSocket: FLV in binary messages.
pub(crate) async fn over_websocket(
    State(app): State<Arc<App>>,
    Extension(hangup): Extension<Hangup>,
    credential: Credential,
    Path(File { file }): Path<File>,
    asked: MaybeAsked,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    /// A viewer has nothing to say but pings and a close.
    const MESSAGE_BYTES_MAX: usize = 4096;
    let tracks = Asked::tracks(asked)?;
    let stream = named(&app, &file, &credential).await?;
    let upgrade = upgrade
        .map_err(|_| Refusal::BadRequest("connect to this address with a WebSocket".into()))?;
    let origin = Origin::of(&app, &stream);
    let subscriber = stream.subscribe_from(Protocol::WebSocketFlv, hangup.0);
    let viewing = Viewing::start(&app, Protocol::WebSocketFlv, subscriber.with(tracks));
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX);
    let upgraded = upgrade.on_upgrade(move |socket| send_messages(viewing, socket));
    Ok((origin, upgraded).into_response())
}

async fn send_messages(mut viewing: Viewing, socket: WebSocket) {
    let (mut sink, mut heard) = socket.split();
    loop {
        let piece = tokio::select! {
            piece = viewing.next_piece() => piece,
            message = heard.next() => match message {
                Some(Ok(message)) if !matches!(message, Message::Close(_)) => continue,
                _ => return,
            },
        };
        let Some(piece) = piece else { break };
        let hangup = viewing.subscriber.hangup();
        let has_more = viewing.has_more();
        let send = async {
            match has_more {
                true => sink.feed(Message::Binary(piece)).await,
                false => sink.send(Message::Binary(piece)).await,
            }
        };
        tokio::select! {
            sent = send => if sent.is_err() {
                return;
            },
            () = hangup.cancelled() => return,
        }
    }
    let _ = sink.close().await;
}

/// One viewer's FLV, piece by piece.
struct Viewing {
    app: Arc<App>,
    protocol: Protocol,
    subscriber: Subscriber,
    outflow: Outflow,
    pieces: VecDeque<Bytes>,
    begun: bool,
    skips_counted: u64,
    departure: Departure,
    /// A node that goes waits for it.
    _session: TaskTrackerToken,
}

impl Viewing {
    fn start(app: &Arc<App>, protocol: Protocol, subscriber: Subscriber) -> Self {
        Self {
            app: Arc::clone(app),
            protocol,
            outflow: Outflow::new(app, subscriber.stream(), protocol),
            subscriber,
            pieces: VecDeque::new(),
            begun: false,
            skips_counted: 0,
            departure: Departure::new(&app.stop, app.config.node.drain_spread()),
            _session: app.stop.session(),
        }
    }

    fn has_more(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// The next bytes to send; `None` when the stream is over for this viewer.
    async fn next_piece(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                self.outflow.count(piece.len());
                return Some(piece);
            }
            let delivery = tokio::select! {
                delivery = self.subscriber.next() => delivery,
                () = self.departure.due() => {
                    // Who asks again by the same connection would come back here.
                    self.subscriber.hangup().cancel();
                    return None;
                }
                () = self.app.stop.closing() => return None,
            };
            match delivery {
                Delivery::Items(items) => self.keep(&items),
                Delivery::Interrupted => {}
                Delivery::Ended | Delivery::Gone | Delivery::SentAway => return None,
                Delivery::TooSlow => {
                    self.app.metrics.refused("http", "slow_viewer");
                    return None;
                }
            }
        }
    }

    fn keep(&mut self, items: &[Item]) {
        let tracks = self.subscriber.tracks();
        for item in items {
            if let (Item::Join(gop), false) = (item, self.begun) {
                self.begun = true;
                let header = flv::file_header(gop.has_video(), gop.has_audio());
                self.pieces.push_back(Bytes::copy_from_slice(&header));
            }
            if is_sent(item, tracks) {
                self.pieces.push_back(bytes(item, tracks));
            }
        }
        self.skips_counted =
            self.app
                .count_skips(self.protocol, &self.subscriber, self.skips_counted);
    }
}

fn is_sent(item: &Item, tracks: Tracks) -> bool {
    match item {
        Item::Frame(slot) => is_for(&slot.frame, tracks),
        Item::Join(_) => true,
    }
}

/// Colours and the order of channels have tags of their own in Enhanced RTMP. mpegts.js, which most
/// pages play FLV with, gives up at them, and decoders find the same in pictures and
/// configurations: only who asks for everything gets them.
fn is_for(frame: &Frame, tracks: Tracks) -> bool {
    let describes_a_track = frame.kind == Kind::Metadata && frame.track() != Track::Data;
    tracks == Tracks::All || !describes_a_track
}

fn bytes(item: &Item, tracks: Tracks) -> Bytes {
    match item {
        Item::Frame(slot) => {
            slot.serialised(Wire::Flv, |frame| tags(std::iter::once(frame.clone())))
        }
        Item::Join(gop) => gop.serialised(Wire::Flv, tracks, |gop| {
            let frames = gop.header_frames(tracks);
            tags(frames.filter(|frame| is_for(frame, tracks)))
        }),
    }
}

fn tags(frames: impl Iterator<Item = Frame>) -> Bytes {
    let mut out = BytesMut::new();
    frames.for_each(|frame| flv::write_tag(&frame, &mut out));
    out.freeze()
}

/// The stream that `room_<id>.flv` names.
async fn named(app: &App, file: &str, credential: &Credential) -> Result<Arc<Stream>, Refusal> {
    let name = file.strip_suffix(".flv").ok_or(Refusal::NoRoute)?;
    let room = RoomId::from_stream_name(name).map_err(|_| Refusal::NoRoute)?;
    if !app.config.flv.enabled {
        return Err(Refusal::ProtocolOff("FLV"));
    }
    joinable(app, &room, credential).await
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::*;
    use crate::api::tests::{Node, publish};

    #[tokio::test(start_paused = true)]
    async fn viewers_leave_a_node_that_goes_one_after_the_other() {
        let node = Node::start().await;
        let (_publisher, stream) = publish(&node);
        let watch = |protocol| {
            let mut viewing = Viewing::start(&node.app, protocol, stream.subscribe(protocol));
            tokio::spawn(async move {
                while viewing.next_piece().await.is_some() {}
                Instant::now()
            })
        };
        let viewers = [Protocol::HttpFlv, Protocol::WebSocketFlv].repeat(10);
        let viewers: Vec<_> = viewers.into_iter().map(watch).collect();
        let began = Instant::now();
        node.app.stop.part().await;
        assert_eq!(stream.viewers().total(), 0, "they are waited for");
        assert!(began.elapsed() <= node.app.config.node.drain_spread());
        let left = join_all(viewers).await.into_iter();
        let seconds: HashSet<_> = left
            .map(|left| left.unwrap().duration_since(began).as_secs())
            .collect();
        assert!(seconds.len() > 1, "not all in the same second");
    }
}
