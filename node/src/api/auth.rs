//! Who asks, and whether they may.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header;
use axum::http::request::Parts;
use isocast_access::{Action, Grant};

use super::rates;
use crate::app::{App, Local};
use crate::error::Refusal;
use crate::rooms::RoomId;

/// Proof that the caller may do what `N` needs, with the room that the path names.
pub(super) struct Authorized<N> {
    grant: Grant,
    needs: PhantomData<N>,
}

/// What a handler does.
pub(super) trait Needs: Send + Sync {
    const ACTION: Action;
}

/// To look at rooms.
pub(super) struct RoomsRead;
/// To make, change and delete rooms, and to replace their keys.
pub(super) struct RoomsWrite;
/// To have publish keys minted.
pub(super) struct RoomsPublish;
/// To look at statistics.
pub(super) struct StatsRead;

impl Needs for RoomsRead {
    const ACTION: Action = Action::RoomsRead;
}
impl Needs for RoomsWrite {
    const ACTION: Action = Action::RoomsWrite;
}
impl Needs for RoomsPublish {
    const ACTION: Action = Action::RoomsPublish;
}
impl Needs for StatsRead {
    const ACTION: Action = Action::StatsRead;
}

impl<N> Authorized<N> {
    /// Whether this room is one of the caller's; for handlers whose path names none.
    pub(super) fn covers(&self, room: &RoomId) -> bool {
        self.grant.covers(room)
    }

    /// Whether the caller has certain rooms only.
    pub(super) fn is_limited(&self) -> bool {
        self.grant.is_limited()
    }
}

impl<N: Needs> FromRequestParts<Arc<App>> for Authorized<N> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let checked = authenticate(parts, app).await;
        let grant = rates::counted(parts, app, checked)?;
        if !grant.allows(N::ACTION) {
            tracing::debug!(
                needed = N::ACTION.scope(),
                reason = "its `scope` lacks this",
                "token refused"
            );
            return Err(Refusal::Forbidden(N::ACTION.scope()));
        }
        // What is no room's id names no room, which the handler says.
        if let Some(room) = room(parts, app).await
            && !grant.covers(&room)
        {
            tracing::debug!(%room, reason = "its `rooms` lacks this one", "token refused");
            return Err(Refusal::NoRoom);
        }
        Ok(Self {
            grant,
            needs: PhantomData,
        })
    }
}

/// Proof that a request carried the admin token, on the internal port.
pub(super) struct Admin;

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        match app.admin_token.is(bearer(parts)?).await {
            true => Ok(Self),
            false => Err(Refusal::Unauthorized),
        }
    }
}

/// Proof that a request came from another node of the cluster, on the internal port.
pub(super) struct Member;

impl FromRequestParts<Arc<App>> for Member {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let credential = app.peers.credential().ok_or(Refusal::NoRoute)?;
        let local = parts.extensions.get::<Local>();
        let has_certificate = local.is_some_and(|local| local.is_peer);
        match credential.admits(bearer(parts).ok(), has_certificate).await {
            true => Ok(Self),
            false => Err(Refusal::Unauthorized),
        }
    }
}

/// What the token of a request allows: everything, if it is the node's own.
async fn authenticate(parts: &Parts, app: &App) -> Result<Grant, Refusal> {
    let presented = bearer(parts)?;
    if app.api_token.is(presented).await {
        return Ok(Grant::all());
    }
    let issuer = app.issuer.as_ref().ok_or(Refusal::Unauthorized)?;
    issuer.verify(presented).await
}

fn bearer(parts: &Parts) -> Result<&str, Refusal> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    // Of two, a proxy may have looked at the other one.
    let value = values.next().filter(|_| values.next().is_none());
    let value = value.and_then(|value| value.to_str().ok());
    let bearer = value
        .and_then(|value| value.split_once(' '))
        // The scheme's case does not matter (RFC 9110 §11.1).
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
    bearer
        .map(|(_, token)| token.trim())
        .ok_or(Refusal::Unauthorized)
}

/// The room that the path names.
async fn room(parts: &mut Parts, app: &Arc<App>) -> Option<RoomId> {
    let params = RawPathParams::from_request_parts(parts, app).await.ok()?;
    let (_, id) = params.iter().find(|(name, _)| *name == "room")?;
    RoomId::parse(id).ok()
}
