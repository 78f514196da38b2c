//! Rooms as somebody else keeps them, for whoever has the admin token. Shapes: [`isocast_admin`].

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use isocast_admin::{NodeIs, PutRoom, RoomIs, SECRET_CHARS_MIN};

use super::auth::Admin;
use super::body::{Body, asked};
use super::rooms::{apply, refusal, remove, room_id, to_the_end};
use crate::app::App;
use crate::clock::unix_now;
use crate::error::Refusal;
use crate::rooms::{NewRoom, RoomId};

/// `GET /admin/v1/node`
pub(super) async fn node(_: Admin, State(app): State<Arc<App>>) -> Result<Json<NodeIs>, Refusal> {
    Ok(Json(node_is(&app).await?))
}

pub(super) async fn node_is(app: &App) -> Result<NodeIs, Refusal> {
    Ok(NodeIs {
        node_id: app.node_id.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        store_id: app.rooms.store_id().await.map_err(refusal)?,
    })
}

/// `PUT /admin/v1/rooms/<id>`: a publisher whose key is replaced goes on until somebody comes with
/// the new one; viewers of a room that is closed to them are sent away.
pub(super) async fn put_room(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Body<PutRoom>,
) -> Result<Json<RoomIs>, Refusal> {
    let id = RoomId::parse(&id).map_err(|error| Refusal::BadRequest(error.to_string()))?;
    let PutRoom {
        playback,
        on_conflict,
        limits,
        stream_key,
    } = asked(body)?;
    if stream_key.room() != &id {
        let text = "the stream key is another room's: it starts with `room_<id>_key_`";
        return Err(Refusal::BadRequest(text.into()));
    }
    if stream_key.is_too_short() {
        let text = format!(
            "the stream key could be guessed: what follows `_key_` has at least {SECRET_CHARS_MIN} letters and digits"
        );
        return Err(Refusal::BadRequest(text));
    }
    let room = NewRoom {
        id,
        playback,
        on_conflict,
        limits,
        created_at: unix_now(),
    };
    let key_fingerprint = stream_key.fingerprint();
    let put = to_the_end(app, move |app| async move {
        let put = app.rooms.put(room, &stream_key).await.map_err(refusal)?;
        apply(&app, &put);
        Ok(put)
    });
    let put = put.await?;
    let changed = put.has_changed();
    let room = put.room;
    Ok(Json(RoomIs {
        id: room.id,
        playback: room.playback,
        on_conflict: room.on_conflict,
        limits: room.limits,
        key_generation: room.key_generation,
        key_fingerprint,
        changed,
    }))
}

/// `DELETE /admin/v1/rooms/<id>`
pub(super) async fn delete_room(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    remove(app, room_id(&id)?).await
}
