//! What viewers get: a frame's bytes for RTMP and FLV, HLS answers, pages.

mod credential;
pub(crate) mod flv;
pub(crate) mod hls;
mod outflow;
pub(crate) mod page;
pub(crate) mod rtmp;
pub(crate) mod thumbnail;

use std::sync::Arc;
use std::time::Instant;

pub(crate) use credential::{Credential, PASS};
pub(crate) use outflow::Outflow;

use crate::app::App;
use crate::error::Refusal;
use crate::hub::{State, Stream};
use crate::rooms::{Playback, RoomId};

/// Whether this room may be watched by whoever shows this. A room that is not for everyone and an
/// unknown one get the same answer.
pub(crate) async fn check_playback(
    app: &App,
    room: &RoomId,
    credential: &Credential,
) -> Result<(), Refusal> {
    let signed = credential.check(app, room).await;
    let known = app
        .known_rooms
        .get(room, Instant::now())
        .await
        .map_err(|error| {
            tracing::warn!(%error, %room, "a room cannot be looked up");
            Refusal::Unavailable("the room store")
        })?;
    match known.map(|room| room.playback) {
        Some(Playback::Public) => Ok(()),
        Some(Playback::Signed) => signed,
        Some(Playback::Private) | None => Err(Refusal::PlaybackDenied),
    }
}

/// The stream of a room that may be watched and has its publisher here, or had it a moment ago.
pub(crate) async fn viewable(
    app: &App,
    room: &RoomId,
    credential: &Credential,
) -> Result<Arc<Stream>, Refusal> {
    check_playback(app, room, credential).await?;
    let stream = watchable(app, room)?;
    match stream.upstream() {
        None => Ok(stream),
        Some(_) => Err(Refusal::NotLive),
    }
}

/// The stream of a room that is live here, or on hold.
fn watchable(app: &App, room: &RoomId) -> Result<Arc<Stream>, Refusal> {
    let stream = app.hub.stream(room).ok_or(Refusal::NotLive)?;
    match stream.state() {
        State::Live | State::Interrupted => Ok(stream),
        State::Ended => Err(Refusal::Ended),
        State::Gone => Err(Refusal::NotLive),
    }
}

/// The stream for who comes to watch, wherever its publisher is: there has to be a place for one more.
pub(crate) async fn joinable(
    app: &App,
    room: &RoomId,
    credential: &Credential,
) -> Result<Arc<Stream>, Refusal> {
    check_playback(app, room, credential).await?;
    let stream = match watchable(app, room) {
        Err(here) => match app.relays.ensure(room).await {
            // Who watched it here is told what has become of it.
            Err(Refusal::NotLive) => return Err(here),
            there => there?,
        },
        Ok(stream) => stream,
    };
    check_place(app, &stream)?;
    Ok(stream)
}

/// Whether the node and the room take one more viewer.
pub(crate) fn check_place(app: &App, stream: &Stream) -> Result<(), Refusal> {
    app.check_viewer_place()?;
    let Some(max) = stream.viewers_max() else {
        return Ok(());
    };
    let viewers = stream.viewers().total() + app.packager.viewers(stream.room());
    if viewers < max {
        Ok(())
    } else {
        Err(Refusal::RoomFull)
    }
}
