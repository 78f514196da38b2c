//! What is live: public rooms for everyone, a room with signed play for whoever has an address.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use isocast_media::{Track, codec};
use serde::{Deserialize, Serialize};

use super::rates::PublicRead;
use super::urls::Paths;
use crate::app::App;
use crate::delivery::{Credential, check_playback, viewable};
use crate::error::Refusal;
use crate::hub::{self, Described, Stream};
use crate::packager;
use crate::rooms::RoomId;

/// Rooms listed at most: the page is for people.
const LIST_MAX: usize = 200;

#[derive(Debug, Serialize)]
pub(super) struct LiveList {
    rooms: Vec<Live>,
}

#[derive(Debug, Serialize)]
pub(super) struct Live {
    id: RoomId,
    /// `live`, or `interrupted` while its publisher may come back.
    state: &'static str,
    started_at_ms: i64,
    viewers: usize,
    video: Option<Video>,
    audio: Option<Audio>,
    /// A picture, a few seconds old; none without video, or without ffmpeg on this server.
    thumbnail: Option<String>,
    urls: Paths,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Video {
    pub codec: String,
    /// `None` where the encoder does not say.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub frame_rate: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Audio {
    pub codec: String,
    pub sample_rate_hz: u32,
    pub channels: u8,
}

/// `GET /api/v1/live`
pub(super) async fn list(
    _: PublicRead,
    State(app): State<Arc<App>>,
) -> Result<Json<LiveList>, Refusal> {
    let mut rooms = Vec::new();
    let nothing = Credential::default();
    for stream in app.hub.streams() {
        if stream.live_since().is_none() {
            continue;
        }
        match check_playback(&app, stream.room(), &nothing).await {
            Ok(()) => rooms.push(Live::of(&app, &stream, &nothing)),
            Err(Refusal::PlaybackDenied) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    rooms.sort_by(|a, b| b.viewers.cmp(&a.viewers).then_with(|| a.id.cmp(&b.id)));
    rooms.truncate(LIST_MAX);
    Ok(Json(LiveList { rooms }))
}

/// The part of a path that is ours, whatever stands before it.
#[derive(Debug, Deserialize)]
pub(super) struct RoomPath {
    room: String,
}

/// `GET /api/v1/live/<id>`, and the same below `/v/<exp>.<sig>` for a room with signed play.
pub(super) async fn get(
    _: PublicRead,
    State(app): State<Arc<App>>,
    credential: Credential,
    Path(RoomPath { room }): Path<RoomPath>,
) -> Result<Json<Live>, Refusal> {
    let stream = viewable(&app, &room_id(&room)?, &credential).await?;
    Ok(Json(Live::of(&app, &stream, &credential)))
}

impl Live {
    fn of(app: &App, stream: &Stream, credential: &Credential) -> Self {
        let by_hls = app.packager.viewers(stream.room());
        let state = match stream.state() {
            hub::State::Live => "live",
            _ => "interrupted",
        };
        let Described { video, audio } = stream.headers().described();
        Self {
            id: stream.room().clone(),
            state,
            started_at_ms: stream.started_at().0,
            viewers: stream.viewers().total() + by_hls,
            video: video.map(Video::from),
            audio: audio.map(Audio::from),
            thumbnail: thumbnail(app, stream, &credential.prefix()),
            urls: paths(app, stream, &credential.prefix()),
        }
    }
}

impl From<codec::Video> for Video {
    fn from(video: codec::Video) -> Self {
        let (width, height) = video.size.unzip();
        Self {
            codec: video.codec_string,
            width,
            height,
            frame_rate: video.frame_rate.map(codec::FrameRate::per_second),
        }
    }
}

impl From<codec::Audio> for Audio {
    fn from(audio: codec::Audio) -> Self {
        Self {
            codec: audio.codec_string,
            sample_rate_hz: audio.sample_rate_hz,
            channels: audio.channels,
        }
    }
}

/// None for what cannot carry the stream.
fn paths(app: &App, stream: &Stream, prefix: &str) -> Paths {
    let paths = Paths::of(&app.config, stream.room(), prefix);
    let in_hls = packager::not_in_hls(stream).is_none();
    Paths {
        hls: paths.hls.filter(|_| in_hls),
        ..paths
    }
}

fn thumbnail(app: &App, stream: &Stream, prefix: &str) -> Option<String> {
    let has_video = stream.headers().codec(Track::Video).is_some();
    let is_made = has_video && app.thumbnails.are_made();
    is_made.then(|| format!("{prefix}/thumbnail/{}.jpg", stream.room().stream_name()))
}

/// What is no id is no room that anyone may watch.
fn room_id(text: &str) -> Result<RoomId, Refusal> {
    RoomId::parse(text).map_err(|_| Refusal::PlaybackDenied)
}
