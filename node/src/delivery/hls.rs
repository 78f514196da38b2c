//! HLS over HTTP: playlists that change, segments that never do. Of a room that this node owns it gives its own,
//! of another's what it fetches.

mod elsewhere;
mod own;
pub(crate) mod peers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use isocast_media::hls::SegmentName;
use serde::Deserialize;

use super::{Credential, Outflow, check_playback};
use crate::app::{App, Peer};
use crate::error::Refusal;
use crate::hub::Protocol;
use crate::packager::{Channel, Playlists};
use crate::rooms::RoomId;

const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
const X_PUBLISHER_NODE: HeaderName = HeaderName::from_static("x-publisher-node");

/// A segment's address always has the same bytes; this is how long they are of use.
const SEGMENT_FRESH_S: u64 = 600;

const PLAYLIST: &str = "application/vnd.apple.mpegurl";
const SEGMENT: &str = "video/mp2t";

/// The parts of a path that are ours, whatever stands before them.
#[derive(Debug, Deserialize)]
pub(crate) struct PlaylistPath {
    room: String,
    file: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SegmentPath {
    room: String,
    claim: String,
    segment: String,
}

/// Which of a room's playlists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Media,
    Multivariant,
}

/// Who asks for a playlist.
#[derive(Clone, Copy, Debug)]
struct Viewer<'a> {
    network: IpAddr,
    user_agent: &'a [u8],
}

/// What a viewer is given.
#[derive(Debug)]
struct Given {
    body: Bytes,
    cache: Cache,
    publisher: String,
}

/// Where it was, as `X-Cache` says it.
#[derive(Clone, Copy, Debug)]
enum Cache {
    /// This node has cut it.
    Local,
    /// Fetched for this request, or one at the same time.
    Proxy,
    /// Fetched before.
    Hit,
}

/// What this node has of a room itself.
enum Here {
    Owned(Arc<Channel>),
    /// It had the publisher, and somebody else may have it now.
    Left(Arc<Channel>),
    Nothing,
}

/// `GET /hls/room_<id>/index.m3u8` and `…/master.m3u8`; the bare id names the same room.
pub(crate) async fn playlist(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    credential: Credential,
    Path(PlaylistPath { room, file }): Path<PlaylistPath>,
    request: HeaderMap,
) -> Result<Response, Refusal> {
    let which = Which::named(&file)?;
    let room = room_id(&room)?;
    check(&app, &room, &credential).await?;
    let user_agent = request.get(header::USER_AGENT);
    let viewer = Viewer {
        network: peer.network(),
        user_agent: user_agent.map_or(&b""[..], HeaderValue::as_bytes),
    };
    let given = match here(&app, &room) {
        Here::Owned(channel) => own::playlist(&app, &channel, which, viewer, &credential).await?,
        Here::Left(channel) => {
            let left = Some(&*channel);
            match elsewhere::playlist(&app, &room, which, viewer, left).await {
                // Nobody took it over: what is left is what there is.
                Err(Refusal::NotLive) => {
                    own::playlist(&app, &channel, which, viewer, &credential).await?
                }
                elsewhere => elsewhere?,
            }
        }
        Here::Nothing => elsewhere::playlist(&app, &room, which, viewer, None).await?,
    };
    let mut headers = given.headers(PLAYLIST);
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=1"),
    );
    Ok((headers, given.body).into_response())
}

/// `GET /hls/room_<id>/<claim>/<msn>.ts`
pub(crate) async fn segment(
    State(app): State<Arc<App>>,
    credential: Credential,
    Path(SegmentPath {
        room,
        claim,
        segment: file,
    }): Path<SegmentPath>,
    request: HeaderMap,
) -> Result<Response, Refusal> {
    let name = SegmentName::parse(&claim, &file).ok_or(Refusal::NoRoute)?;
    let room = room_id(&room)?;
    check(&app, &room, &credential).await?;
    let etag = HeaderValue::from_str(&format!("\"{name}\"")).expect("a name is a header value");
    let is_known = request.get(header::IF_NONE_MATCH) == Some(&etag);
    let given = match here(&app, &room) {
        Here::Owned(channel) => own::segment(&app, &channel, name, is_known)?,
        Here::Left(channel) => match own::segment(&app, &channel, name, is_known) {
            Ok(given) => given,
            Err(none) => match elsewhere::segment(&app, &room, name, is_known).await {
                Err(Refusal::NotLive) => return Err(none),
                elsewhere => elsewhere?,
            },
        },
        Here::Nothing => elsewhere::segment(&app, &room, name, is_known).await?,
    };
    let mut headers = given.headers(SEGMENT);
    headers.insert(header::ETAG, etag);
    // A cache gives out no segment for longer than its address is good.
    let fresh_s = credential.seconds_left().unwrap_or(SEGMENT_FRESH_S);
    let fresh = format!(
        "public, max-age={}, immutable",
        fresh_s.min(SEGMENT_FRESH_S)
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_str(&fresh).expect("words and digits are a header value"),
    );
    match is_known {
        true => Ok((StatusCode::NOT_MODIFIED, headers).into_response()),
        false => Ok((headers, given.body).into_response()),
    }
}

async fn check(app: &App, room: &RoomId, credential: &Credential) -> Result<(), Refusal> {
    if !app.config.hls.enabled {
        return Err(Refusal::ProtocolOff("HLS"));
    }
    check_playback(app, room, credential).await
}

fn here(app: &App, room: &RoomId) -> Here {
    let Some(stream) = app.hub.stream(room) else {
        return Here::Nothing;
    };
    let Some(channel) = app.packager.follow(&stream) else {
        return Here::Nothing;
    };
    stream.touch(Instant::now());
    let is_owned = stream.live_since().is_some() || app.ownership.owns(room).is_some();
    match is_owned {
        true => Here::Owned(channel),
        false => Here::Left(channel),
    }
}

impl Which {
    fn named(file: &str) -> Result<Self, Refusal> {
        match file {
            "index.m3u8" => Ok(Self::Media),
            "master.m3u8" => Ok(Self::Multivariant),
            _ => Err(Refusal::NoRoute),
        }
    }

    fn of(self, playlists: &Playlists) -> &Bytes {
        match self {
            Self::Media => &playlists.media,
            Self::Multivariant => &playlists.multivariant,
        }
    }
}

impl Given {
    /// What this node has cut.
    fn local(app: &App, channel: &Channel, body: Bytes, is_known: bool) -> Self {
        if !is_known {
            Outflow::new(app, channel.stream(), Protocol::Hls).count(body.len());
        }
        Self {
            body,
            cache: Cache::Local,
            publisher: app.node_id.clone(),
        }
    }

    fn headers(&self, content_type: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        let cache = match self.cache {
            Cache::Local => "LOCAL",
            Cache::Proxy => "PROXY",
            Cache::Hit => "HIT",
        };
        headers.insert(X_CACHE, HeaderValue::from_static(cache));
        if let Ok(node) = HeaderValue::from_str(&self.publisher) {
            headers.insert(X_PUBLISHER_NODE, node);
        }
        headers
    }
}

/// `room_<id>` or `<id>`.
fn room_id(text: &str) -> Result<RoomId, Refusal> {
    let id = RoomId::from_stream_name(text).or_else(|_| RoomId::parse(text));
    id.map_err(|_| Refusal::NoRoute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_named_with_its_prefix_or_without() {
        for (text, expected) in [
            ("room_a", Some("a")),
            ("a", Some("a")),
            ("room_room_a", None),
            ("room_", None),
            ("", None),
            ("..", None),
            ("a/b", None),
            ("a%2fb", None),
            ("\u{1F600}", None),
        ] {
            let got = room_id(text).ok().map(|id| id.to_string());
            assert_eq!(got.as_deref(), expected, "{text:?}");
        }
    }
}
