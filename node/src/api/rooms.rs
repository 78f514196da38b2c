//! Rooms and their keys, for whoever has the API token. Shapes: [`super::wire`].

use std::future::Future;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use isocast_media::UnixMs;

use isocast_access::Action;

use super::auth::{Authorized, RoomsRead, RoomsWrite};
use super::body::{Body, asked, read, unreadable_query};
use super::wire;
use crate::app::App;
use crate::clock::unix_now;
use crate::error::Refusal;
use crate::rooms::{self, LIST_MAX, Put, RoomId};

pub(super) async fn create(
    caller: Authorized<RoomsWrite>,
    State(app): State<Arc<App>>,
    body: Body<wire::CreateRoom>,
) -> Result<(StatusCode, Json<wire::CreatedRoom>), Refusal> {
    let asked = asked(body)?;
    // Whoever has certain rooms only makes one of them.
    let is_theirs = match &asked.id {
        Some(id) => caller.covers(id),
        None => !caller.is_limited(),
    };
    if !is_theirs {
        tracing::debug!(
            reason = "its `rooms` lacks the one to be made",
            "token refused"
        );
        return Err(Refusal::Forbidden(Action::RoomsWrite.scope()));
    }
    let created = to_the_end(app, move |app| async move {
        let asked = asked.at(unix_now());
        let (room, stream_key) = app.rooms.create(asked).await.map_err(refusal)?;
        app.known_rooms.forget(&room.id);
        tracing::info!(room = %room.id, "room made");
        Ok(wire::CreatedRoom {
            room: room.into(),
            stream_key,
        })
    });
    Ok((StatusCode::CREATED, Json(created.await?)))
}

pub(super) async fn list(
    caller: Authorized<RoomsRead>,
    State(app): State<Arc<App>>,
    query: Result<Query<wire::ListRooms>, QueryRejection>,
) -> Result<Json<wire::RoomList>, Refusal> {
    let Query(asked) = query.map_err(unreadable_query)?;
    let limit = asked.limit.unwrap_or(LIST_MAX).clamp(1, LIST_MAX);
    let rooms = app
        .rooms
        .list(asked.after.as_ref(), limit)
        .await
        .map_err(refusal)?;
    let next = rooms
        .last()
        .filter(|_| rooms.len() == limit)
        .map(|room| room.id.clone());
    // A page may be empty for whoever has certain rooms only, and not the last.
    let theirs = rooms.into_iter().filter(|room| caller.covers(&room.id));
    let rooms = theirs.map(wire::Room::from).collect();
    Ok(Json(wire::RoomList { rooms, next }))
}

pub(super) async fn get(
    _: Authorized<RoomsRead>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<wire::RoomNow>, Refusal> {
    let id = room_id(&id)?;
    let room = app
        .rooms
        .get(&id)
        .await
        .map_err(refusal)?
        .ok_or(Refusal::NoRoom)?;
    let claim = app.ownership.publisher(&id).await.map_err(|error| {
        tracing::warn!(%error, "the registry does not answer");
        Refusal::Unavailable("the registry")
    })?;
    Ok(Json(wire::RoomNow {
        room: room.into(),
        publisher: claim.map(wire::Publisher::from),
    }))
}

/// Limits hold for the present publisher too, and viewers of a room that is closed to them are sent
/// away. More viewers than it now takes stay.
pub(super) async fn change(
    _: Authorized<RoomsWrite>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Body<wire::ChangeRoom>,
) -> Result<Json<wire::Room>, Refusal> {
    let id = room_id(&id)?;
    let asked = asked(body)?;
    let put = to_the_end(app, move |app| async move {
        let put = app.rooms.change(&id, asked.into()).await.map_err(refusal)?;
        apply(&app, &put);
        Ok(put)
    });
    Ok(Json(put.await?.room.into()))
}

/// What is live already follows what was stored.
pub(super) fn apply(app: &App, put: &Put) {
    if !put.has_changed() {
        return;
    }
    let id = &put.room.id;
    app.known_rooms.forget(id);
    if let Some(stream) = app.hub.stream(id) {
        stream.set_room_limits(app.config.limits.of_room(&put.room.limits));
        if put.has_new_key() {
            stream.give_way();
        }
        if put.is_closed_to_viewers() {
            stream.dismiss_viewers();
        }
    }
    let generation = put.room.key_generation;
    match put.before {
        Some(_) => tracing::info!(room = %id, generation, "room changed"),
        None => tracing::info!(room = %id, "room made"),
    }
}

/// Its publisher and viewers are sent away at once.
pub(super) async fn delete(
    _: Authorized<RoomsWrite>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    remove(app, room_id(&id)?).await
}

pub(super) async fn remove(app: Arc<App>, id: RoomId) -> Result<StatusCode, Refusal> {
    let removed = to_the_end(app, move |app| async move {
        app.rooms.delete(&id).await.map_err(refusal)?;
        app.known_rooms.forget(&id);
        app.hub.remove(&id);
        app.bans.forget(&id);
        tracing::info!(room = %id, "room deleted");
        Ok(StatusCode::NO_CONTENT)
    });
    removed.await
}

/// The longest overlap: a week to tell everyone.
pub(crate) const OVERLAP_S_MAX: u64 = 7 * 86_400;

/// The old key opens nothing any more, or from the end of the overlap on. A publisher that began
/// with it goes on until somebody comes with the new one, so that a key is replaced without a gap.
pub(super) async fn rotate_key(
    _: Authorized<RoomsWrite>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<wire::RotatedKey>, Refusal> {
    let id = room_id(&id)?;
    let asked = match body.is_empty() {
        true => wire::RotateKey::default(),
        false => read(&body)?,
    };
    if asked.overlap_s > OVERLAP_S_MAX {
        let text = format!("overlap_s is a whole number from 0 to {OVERLAP_S_MAX}");
        return Err(Refusal::BadRequest(text));
    }
    let overlap_ms = i64::try_from(asked.overlap_s * 1000).unwrap_or(i64::MAX);
    let until = Some(UnixMs(unix_now().0 + overlap_ms)).filter(|_| overlap_ms > 0);
    let rotated = to_the_end(app, move |app| async move {
        let stream_key = app.rooms.rotate_key(&id, until).await.map_err(refusal)?;
        app.known_rooms.forget(&id);
        // While both keys are good, neither makes its holder the better publisher.
        if let (Some(stream), None) = (app.hub.stream(&id), until) {
            stream.give_way();
        }
        tracing::info!(room = %id, overlap_s = asked.overlap_s, "publish key replaced");
        Ok(wire::RotatedKey { stream_key })
    });
    rotated.await.map(Json)
}

/// Every key there was opens nothing any more, and who publishes is sent away at once.
pub(super) async fn revoke_keys(
    _: Authorized<RoomsWrite>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<wire::RotatedKey>, Refusal> {
    let id = room_id(&id)?;
    let rotated = to_the_end(app, move |app| async move {
        let stream_key = app.rooms.rotate_key(&id, None).await.map_err(refusal)?;
        app.known_rooms.forget(&id);
        if let Some(stream) = app.hub.stream(&id) {
            stream.dismiss_publisher();
        }
        tracing::info!(room = %id, "publish keys revoked");
        Ok(wire::RotatedKey { stream_key })
    });
    rotated.await.map(Json)
}

/// A change and what follows from it. Whoever asked for it may go at any moment, which ends the
/// request, and what is live would not hear of what was stored.
pub(super) async fn to_the_end<T, F>(
    app: Arc<App>,
    change: impl FnOnce(Arc<App>) -> F,
) -> Result<T, Refusal>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    let tasks = app.tasks.clone();
    let changed = tasks.spawn(change(app)).await;
    changed.unwrap_or(Err(Refusal::Unavailable("this server")))
}

/// Why there is no stream of this room, for those who may know whether the room exists.
pub(super) async fn without_stream(app: &App, id: &RoomId) -> Refusal {
    match app.rooms.get(id).await {
        Ok(Some(_)) => Refusal::NotLive,
        Ok(None) => Refusal::NoRoom,
        Err(error) => refusal(error),
    }
}

/// What is no id names no room.
pub(super) fn room_id(text: &str) -> Result<RoomId, Refusal> {
    RoomId::parse(text).map_err(|_| Refusal::NoRoom)
}

pub(super) fn refusal(error: rooms::Error) -> Refusal {
    match error {
        rooms::Error::AlreadyExists(id) => Refusal::AlreadyExists(id.to_string()),
        rooms::Error::NotFound(_) => Refusal::NoRoom,
        rooms::Error::Unavailable(error) => {
            tracing::warn!(%error, "the room store does not answer");
            Refusal::Unavailable("the room store")
        }
    }
}
