use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use isocast_claims::{Incarnation, NodeId, Owner, Pair};
use isocast_media::MediaMs;
use isocast_media::rtmp::session::relay::{self, Bond, Mark};
use tokio::time::{MissedTickBehavior, interval};

use super::super::Socket;
use super::{Connection, End, receive};
use crate::clock::unix_now;
use crate::delivery;
use crate::hub::{Delivery, Item, Protocol, State, Stream, Tracks, Upstream};
use crate::relay::{HOPS_MAX, MARK_EVERY, Refused, told};
use crate::rooms::RoomId;

/// As metrics and logs call this port.
pub(super) const PORT: &str = "relay";

/// A stream as it is sent to another node: under one claim, by one path.
struct Bound {
    stream: Arc<Stream>,
    upstream: Option<Arc<Upstream>>,
    pair: Pair,
    path: Vec<NodeId>,
    since: Option<MediaMs>,
}

impl Connection {
    /// Sends another node what viewers there watch, until one of them is done or the room changes hands.
    pub(super) async fn relay(&mut self, name: &str) -> Result<(), End> {
        let bound = match self.bind(name).await {
            Ok(bound) => bound,
            Err(refused) => return self.refuse_relay(refused),
        };
        if !self.socket.leave_ip() {
            return Err(End::Hangup); // the port counts it
        }
        self.session.accept_relay(&Bond {
            pair: told(&bound.pair),
            path: bound.path.iter().map(NodeId::to_string).collect(),
        });
        self.flush().await?;
        self.send_on(bound).await
    }

    pub(super) fn refuse_relay(&mut self, refused: Refused) -> Result<(), End> {
        if self.app.metrics.refused(PORT, refused.reason()) {
            tracing::info!(peer = %self.peer, reason = refused.reason(), "a relay is refused: {refused}");
        }
        self.session.refuse(refused.status(), &refused.to_string());
        Err(End::Told)
    }

    async fn bind(&self, name: &str) -> Result<Bound, Refused> {
        let asker = self.session.asker().ok_or(Refused::NoRelay)?;
        let credential = self.app.peers.credential().ok_or(Refused::Credential)?;
        let token = asker.token.as_ref().map(|token| token.0.as_str());
        let has_certificate = matches!(self.socket, Socket::Tls(_));
        if !credential.admits(token, has_certificate).await {
            return Err(Refused::Credential);
        }
        if asker.hops > HOPS_MAX {
            return Err(Refused::Hops);
        }
        let room = RoomId::from_stream_name(name).map_err(|_| Refused::NoRoom)?;
        let expects = asker.expects.as_ref().and_then(read);
        if let Some(expects) = &expects {
            // Who owns the room here by a lower claim learns of it; what else there is to say, is said below.
            let _ = self.app.ownership.admit(&room, expects);
        }
        let stream = self.app.hub.stream(&room).ok_or(Refused::NoRoom)?;
        if !matches!(stream.state(), State::Live | State::Interrupted) {
            return Err(Refused::NoRoom);
        }
        let pair = stream.pair().ok_or(Refused::NoRoom)?;
        if expects.is_some_and(|expects| expects > pair) {
            return Err(Refused::StalePair);
        }
        let upstream = stream.upstream();
        let path = upstream.as_ref().map(|upstream| upstream.path.clone());
        let mut path = path.unwrap_or_default();
        path.extend(NodeId::parse(&self.app.node_id));
        if path.iter().any(|node| node.as_str() == asker.node) {
            return Err(Refused::Loop);
        }
        if path.len() > usize::from(HOPS_MAX) {
            return Err(Refused::Hops);
        }
        Ok(Bound {
            stream,
            upstream,
            pair,
            path,
            since: asker.since,
        })
    }

    async fn send_on(&mut self, bound: Bound) -> Result<(), End> {
        let subscriber = bound.stream.subscribe(Protocol::Relay);
        let mut subscriber = subscriber.with(Tracks::All).since(bound.since);
        let mut writer = Writer::new(bound.pair.clone());
        let mut marks = interval(MARK_EVERY);
        marks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let delivery = tokio::select! {
                delivery = subscriber.next() => delivery,
                read = receive(&mut self.socket, &mut self.session) => {
                    read?;
                    if self.has_stopped().await? {
                        return Ok(());
                    }
                    continue;
                }
                _ = marks.tick() => {
                    if bound.stream.upstream() != bound.upstream {
                        return self.refuse_relay(Refused::Replaced);
                    }
                    // Who watches by way of another node watches this one's stream.
                    bound.stream.touch(Instant::now());
                    writer.mark(bound.stream.state() == State::Interrupted, false);
                    self.send_pieces(&writer.taken(), &subscriber).await?;
                    continue;
                }
                () = self.app.stop.closing() => return Err(End::Stopped),
            };
            match delivery {
                Delivery::Items(items) => {
                    let is_bound = writer.take(&items);
                    self.send_pieces(&writer.taken(), &subscriber).await?;
                    if !is_bound {
                        return self.refuse_relay(Refused::Replaced);
                    }
                }
                Delivery::Interrupted => {
                    writer.mark(true, false);
                    self.send_pieces(&writer.taken(), &subscriber).await?;
                }
                // Not the stream ends but this node: viewers elsewhere are held.
                Delivery::Ended | Delivery::Gone if self.app.stop.is_closing() => {
                    return Err(End::Stopped);
                }
                Delivery::Ended | Delivery::Gone => {
                    self.session.end_play();
                    return Err(End::Told);
                }
                Delivery::SentAway => return Err(End::Hangup),
                Delivery::TooSlow => {
                    self.app.metrics.refused(PORT, "slow_viewer");
                    return Err(End::Hangup);
                }
            }
        }
    }
}

/// A claim as another node tells it; `None` where its node has no name.
fn read(pair: &relay::Pair) -> Option<Pair> {
    let owner = Owner {
        node: NodeId::parse(&pair.node).ok()?,
        incarnation: Incarnation(pair.incarnation),
    };
    let epoch = pair.epoch;
    Some(Pair { epoch, owner })
}

/// Makes what a relay is sent: the bytes that players with all tracks get too, with marks between.
struct Writer {
    pair: Pair,
    /// Where the stream has come to.
    time: MediaMs,
    /// The other end knows the room time of what follows.
    is_marked: bool,
    pieces: Vec<Bytes>,
}

impl Writer {
    fn new(pair: Pair) -> Self {
        Self {
            pair,
            time: MediaMs(0),
            is_marked: false,
            pieces: Vec::new(),
        }
    }

    /// What is to be sent now.
    fn taken(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.pieces)
    }

    fn mark(&mut self, is_held: bool, discontinuity: bool) {
        let mark = Mark {
            time: self.time,
            sent_at: unix_now(),
            is_held,
            discontinuity,
        };
        let mut out = BytesMut::new();
        mark.message().write(&mut out);
        self.pieces.push(out.freeze());
    }

    /// False where a frame of a higher claim has come, after which nothing is sent.
    fn take(&mut self, items: &[Item]) -> bool {
        for (at, item) in items.iter().enumerate() {
            let claim = items[at..].iter().find_map(|item| match item {
                Item::Frame(slot) => Some(slot.pair.cmp(&self.pair)),
                Item::Join(_) => None,
            });
            // Of an older claim nothing is sent: what is before the first frame of this one is no part of it.
            match claim {
                Some(Ordering::Greater) => return false,
                Some(Ordering::Equal) => self.write(item),
                Some(Ordering::Less) | None => {}
            }
        }
        true
    }

    fn write(&mut self, item: &Item) {
        match item {
            Item::Join(gop) => {
                self.time = gop.start();
                self.is_marked = true;
                self.mark(false, false);
            }
            Item::Frame(slot) => {
                self.time = slot.frame.dts;
                if slot.discontinuity || !self.is_marked {
                    self.is_marked = true;
                    self.mark(false, slot.discontinuity);
                }
            }
        }
        self.pieces.push(delivery::rtmp::bytes(item, Tracks::All));
    }
}
