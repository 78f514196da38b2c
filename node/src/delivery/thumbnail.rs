//! A picture of what is live, for lists of rooms.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{Credential, viewable};
use crate::app::App;
use crate::error::Refusal;
use crate::rooms::RoomId;
use crate::thumbnail::FRESH;

#[derive(Debug, Deserialize)]
pub(crate) struct File {
    file: String,
}

/// `GET /thumbnail/room_<id>.jpg`
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    credential: Credential,
    Path(File { file }): Path<File>,
) -> Result<Response, Refusal> {
    let name = file.strip_suffix(".jpg").ok_or(Refusal::NoRoute)?;
    let room = RoomId::from_stream_name(name).map_err(|_| Refusal::NoRoute)?;
    let stream = viewable(&app, &room, &credential).await?;
    let picture = app.thumbnails.of(&stream, app.load.now().level).await;
    let picture = picture.ok_or(Refusal::NoThumbnail)?;
    let fresh_s = FRESH.as_secs();
    let fresh_s = credential
        .seconds_left()
        .map_or(fresh_s, |left| left.min(fresh_s));
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg".to_owned()),
        (header::CACHE_CONTROL, format!("public, max-age={fresh_s}")),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
    ];
    Ok((headers, picture).into_response())
}
