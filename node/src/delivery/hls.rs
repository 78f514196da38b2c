//! HLS over HTTP: playlists that change, segments that never do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use isocast_media::hls::SegmentName;
use serde::Deserialize;
use tokio::time::timeout;

use super::{Credential, Outflow, check_place, check_playback, viewable};
use crate::app::{App, Peer};
use crate::error::Refusal;
use crate::hub::Protocol;
use crate::packager::{Channel, Playlists};
use crate::rooms::RoomId;

const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
const X_PUBLISHER_NODE: HeaderName = HeaderName::from_static("x-publisher-node");

/// A stream that has just begun has no segment yet. Players give up on an error, so its playlist
/// is waited for: the longest first segment lasts 6 s.
const FIRST_PLAYLIST_WAIT: Duration = Duration::from_secs(8);
/// A segment's address always has the same bytes; this is how long they are of use.
const SEGMENT_FRESH_S: u64 = 600;

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

/// `GET /hls/room_<id>/index.m3u8` and `…/master.m3u8`; the bare id names the same room.
pub(crate) async fn playlist(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    credential: Credential,
    Path(PlaylistPath { room, file }): Path<PlaylistPath>,
    request: HeaderMap,
) -> Result<Response, Refusal> {
    let choose: fn(&Playlists) -> &Bytes = match file.as_str() {
        "index.m3u8" => |playlists| &playlists.media,
        "master.m3u8" => |playlists| &playlists.multivariant,
        _ => return Err(Refusal::NoRoute),
    };
    let room = room_id(&room)?;
    let channel = channel(&app, &room, &credential).await?;
    let user_agent = request.get(header::USER_AGENT);
    let user_agent = user_agent.map_or(&b""[..], HeaderValue::as_bytes);
    let place = check_place(&app, channel.stream());
    if !channel.note_viewer(peer.network(), user_agent, place.is_ok(), Instant::now()) {
        place?;
    }
    let playlists = match channel.playlists() {
        Some(playlists) if channel.not_carried().is_none() => playlists,
        _ => {
            // Only a stream that is live, or may come back, is worth waiting for.
            viewable(&app, &room, &credential).await?;
            let first = timeout(FIRST_PLAYLIST_WAIT, channel.first_playlists());
            let first = first.await.map_err(|_| Refusal::NotReady)?;
            first.map_err(|codec| Refusal::CodecNotInHls(codec.name()))?
        }
    };
    let mut headers = media_headers(&app, "application/vnd.apple.mpegurl");
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=1"),
    );
    let body = choose(&playlists).clone();
    Outflow::new(&app, channel.stream(), Protocol::Hls).count(body.len());
    Ok((headers, body).into_response())
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
    let channel = channel(&app, &room_id(&room)?, &credential).await?;
    let bytes = channel.segment(name).ok_or(Refusal::NoSegment)?;

    let mut headers = media_headers(&app, "video/mp2t");
    let etag = HeaderValue::from_str(&format!("\"{name}\"")).expect("a name is a header value");
    let known = request.get(header::IF_NONE_MATCH) == Some(&etag);
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
    if known {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Outflow::new(&app, channel.stream(), Protocol::Hls).count(bytes.len());
    Ok((headers, bytes).into_response())
}

async fn channel(
    app: &App,
    room: &RoomId,
    credential: &Credential,
) -> Result<Arc<Channel>, Refusal> {
    if !app.config.hls.enabled {
        return Err(Refusal::ProtocolOff("HLS"));
    }
    check_playback(app, room, credential).await?;
    let stream = app.hub.stream(room).ok_or(Refusal::NotLive)?;
    stream.touch(Instant::now());
    app.packager.follow(&stream).ok_or(Refusal::NotLive)
}

fn media_headers(app: &App, content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(X_CACHE, HeaderValue::from_static("LOCAL"));
    if let Ok(node) = HeaderValue::from_str(&app.node_id) {
        headers.insert(X_PUBLISHER_NODE, node);
    }
    headers
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
