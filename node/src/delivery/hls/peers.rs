//! What other nodes get of a room that this one owns. They have checked who watches, and fetch once for all of
//! theirs. Nothing here is fetched from a third node.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use isocast_claims::Pair;
use isocast_media::hls::SegmentName;
use tokio::time::timeout;

use super::{Here, PLAYLIST, PlaylistPath, SEGMENT, SegmentPath, Which, here, room_id};
use crate::app::App;
use crate::error::Refusal;
use crate::fetch::wire;
use crate::packager::Channel;

/// A call is held back for so long at most.
const WAIT_MAX: Duration = Duration::from_secs(4);

/// `GET /peer/hls/room_<id>/index.m3u8` and `…/master.m3u8`; see [`wire`].
pub(crate) async fn playlist(
    State(app): State<Arc<App>>,
    Path(PlaylistPath { room, file }): Path<PlaylistPath>,
    request: HeaderMap,
) -> Response {
    let playlist = async {
        let (which, room) = (Which::named(&file)?, room_id(&room)?);
        match here(&app, &room) {
            Here::Owned(channel) => newer(&channel, which, &request).await,
            Here::Left(_) | Here::Nothing => Err(Refusal::NotLive),
        }
    };
    playlist.await.unwrap_or_else(absent)
}

/// `GET /peer/hls/room_<id>/<claim>/<msn>.ts`
pub(crate) async fn segment(
    State(app): State<Arc<App>>,
    Path(SegmentPath {
        room,
        claim,
        segment: file,
    }): Path<SegmentPath>,
) -> Response {
    let segment = || {
        let name = SegmentName::parse(&claim, &file).ok_or(Refusal::NoSegment)?;
        match here(&app, &room_id(&room)?) {
            Here::Owned(channel) | Here::Left(channel) => {
                let bytes = channel.segment(name).ok_or(Refusal::NoSegment)?;
                let pair = channel.stream().pair().ok_or(Refusal::NotLive)?;
                Ok(found(&pair, SEGMENT, bytes))
            }
            Here::Nothing => Err(Refusal::NotLive),
        }
    };
    segment().unwrap_or_else(absent)
}

/// The playlist, once it is another than the asker has; else that it is the same still, or that there is none yet.
async fn newer(channel: &Channel, which: Which, request: &HeaderMap) -> Result<Response, Refusal> {
    let known = request.get(header::IF_NONE_MATCH);
    let wait = wire::asked_wait(request, WAIT_MAX);
    let newer = timeout(wait, channel.playlists_after(known)).await;
    // Read last: it may have been published anew meanwhile.
    let pair = channel.stream().pair().ok_or(Refusal::NotLive)?;
    match newer {
        Ok(Ok(playlists)) => {
            let mut response = found(&pair, PLAYLIST, which.of(&playlists).clone());
            let headers = response.headers_mut();
            headers.insert(header::ETAG, playlists.etag.clone());
            Ok(response)
        }
        Ok(Err(codec)) => Err(Refusal::CodecNotInHls(codec.name())),
        Err(_) => {
            let mut headers = HeaderMap::new();
            wire::tell_claim(&mut headers, &pair);
            let status = match channel.playlists() {
                Some(_) => StatusCode::NOT_MODIFIED,
                None => StatusCode::NO_CONTENT,
            };
            Ok((status, headers).into_response())
        }
    }
}

fn found(pair: &Pair, content_type: &'static str, body: Bytes) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    wire::tell_claim(&mut headers, pair);
    (headers, body).into_response()
}

fn absent(refusal: Refusal) -> Response {
    let mut headers = HeaderMap::new();
    wire::tell_absent(&mut headers, &refusal);
    (headers, refusal).into_response()
}
