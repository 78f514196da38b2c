//! Other nodes as tests have them: what each does is set at any time, and every call is written down.

use std::collections::HashMap;
use std::future::pending;
use std::time::Duration;

use axum::http::HeaderValue;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use isocast_claims::{Floor, Incarnation, NodeId, Owner, Pair, Rejected};
use isocast_media::hls::{ClaimName, SegmentName};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::error::Refusal;
use crate::fetch::peer::{Ask, Call, Failure, Found, Holder, Holders, Reply};
use crate::fetch::wire::Object;
use crate::outbound::HostPort;
use crate::rooms::RoomId;
use crate::sync::Mutex;

pub(super) fn pair(epoch: u64, node: &str) -> Pair {
    Pair {
        epoch,
        owner: Owner {
            node: NodeId::parse(node).unwrap(),
            incarnation: Incarnation(1),
        },
    }
}

pub(super) fn claim(pair: &Pair) -> ClaimName {
    ClaimName::parse(&pair.name()).unwrap()
}

pub(super) fn name(pair: &Pair, msn: u64) -> SegmentName {
    SegmentName {
        claim: claim(pair),
        msn,
    }
}

/// A playlist of this claim with three segments, this the first of them.
pub(super) fn playlist(pair: &Pair, first_msn: u64) -> String {
    let claim = claim(pair);
    let mut text = format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:{first_msn}\n");
    for msn in first_msn..first_msn + 3 {
        text += &format!("#EXTINF:2.000,\n{claim}/{msn}.ts\n");
    }
    text
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Does {
    /// Serves its playlist, and a segment of this many bytes for any name.
    Serve(usize),
    /// The same, this much later.
    Late(Duration),
    /// Says that there is nothing.
    Deny(Refusal),
    Fail(Failure),
    Hang,
}

#[derive(Debug)]
struct Node {
    does: Does,
    pair: Pair,
    playlist: watch::Sender<Option<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Double {
    nodes: Mutex<HashMap<NodeId, Node>>,
    holders: Mutex<Vec<Holder>>,
    floor: Mutex<Floor>,
    called: Mutex<Vec<(NodeId, Object, Instant)>>,
}

impl Double {
    /// A node that serves, and has the room after those that were there before.
    pub(super) fn node(&self, pair: &Pair, playlist: Option<String>) {
        let id = pair.owner.node.clone();
        let node = Node {
            does: Does::Serve(100),
            pair: pair.clone(),
            playlist: watch::Sender::new(playlist),
        };
        self.holders.lock().push(holder(&id));
        self.nodes.lock().insert(id, node);
    }

    pub(super) fn does(&self, node: &str, does: Does) {
        let id = NodeId::parse(node).unwrap();
        self.nodes.lock().get_mut(&id).unwrap().does = does;
    }

    pub(super) fn tells(&self, node: &str, playlist: String) {
        let id = NodeId::parse(node).unwrap();
        self.nodes.lock()[&id].playlist.send_replace(Some(playlist));
    }

    pub(super) fn no_holders(&self) {
        self.holders.lock().clear();
    }

    pub(super) fn calls(&self) -> Vec<(NodeId, Object, Instant)> {
        self.called.lock().clone()
    }

    pub(super) fn calls_to(&self, node: &str) -> usize {
        let calls = self.calls();
        calls.iter().filter(|it| it.0.as_str() == node).count()
    }

    pub(super) fn calls_for(&self, object: Object) -> usize {
        self.calls().iter().filter(|it| it.1 == object).count()
    }

    async fn serve(&self, holder: &Holder, ask: &Ask) -> Result<Reply, Failure> {
        let called = (holder.node.clone(), ask.object, Instant::now());
        self.called.lock().push(called);
        let (does, pair, mut playlist) = {
            let nodes = self.nodes.lock();
            let node = &nodes[&holder.node];
            let playlist = node.playlist.subscribe();
            (node.does.clone(), node.pair.clone(), playlist)
        };
        let bytes = match does {
            Does::Serve(bytes) => bytes,
            Does::Late(by) => {
                sleep(by).await;
                100
            }
            Does::Deny(refusal) => return Ok(Reply::Absent(refusal)),
            Does::Fail(failure) => return Err(failure),
            Does::Hang => pending().await,
        };
        let body = match ask.object {
            Object::Segment(name) => Bytes::from(vec![name.msn as u8; bytes]),
            Object::Multivariant => Bytes::from_static(b"#EXTM3U\n"),
            Object::Playlist => {
                let (known, wait) = ask.after.clone().unwrap();
                let has_none = playlist.borrow().is_none();
                let is_news = |text: &Option<String>| {
                    text.as_ref().is_some_and(|text| Some(hash(text)) != known)
                };
                match timeout(wait, playlist.wait_for(is_news)).await {
                    Ok(text) => text.unwrap().clone().unwrap().into(),
                    Err(_) if has_none => return Ok(Reply::NotYet(pair)),
                    Err(_) => return Ok(Reply::Unchanged(pair)),
                }
            }
        };
        let text = std::str::from_utf8(&body).unwrap_or_default();
        let etag = Some(hash(text));
        Ok(Reply::Found(Found { pair, etag, body }))
    }
}

fn holder(node: &NodeId) -> Holder {
    Holder {
        node: node.clone(),
        at: HostPort {
            host: node.to_string(),
            port: 8081,
        },
    }
}

fn hash(text: &str) -> HeaderValue {
    let sum = text.bytes().fold(7_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    HeaderValue::from_str(&format!("\"{sum:x}\"")).unwrap()
}

impl Holders for Double {
    fn of<'a>(&'a self, _: &'a RoomId) -> BoxFuture<'a, Vec<Holder>> {
        Box::pin(async { self.holders.lock().clone() })
    }

    fn node(&self, node: &NodeId) -> Option<Holder> {
        let known = self.nodes.lock().contains_key(node);
        known.then(|| holder(node))
    }

    fn admit(&self, _: &RoomId, pair: &Pair) -> Result<(), Rejected> {
        self.floor.lock().admit(pair, 1 << 40)
    }
}

impl Call for Double {
    fn call<'a>(
        &'a self,
        holder: &'a Holder,
        ask: &'a Ask,
    ) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(self.serve(holder, ask))
    }
}
