use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::error::Refusal;
use crate::hub::{Hub, Publisher, Stream, unix_now};
use crate::registry::Registry;
use crate::rooms::{OnConflict, PublishKey, Rooms};

/// A present publisher that sent nothing for this long has lost its room to a newcomer.
const SILENCE: Duration = Duration::from_secs(1);

/// What admission needs to know.
pub(crate) struct Admission<'a> {
    pub node_id: &'a str,
    pub rooms: &'a dyn Rooms,
    pub registry: &'a dyn Registry,
    pub hub: &'a Hub,
}

/// Checks the key and makes its holder the publisher of the room, or says why not.
///
/// The holder of the key who sends is the rightful publisher: a newcomer wins where the present
/// one has been silent for a second (its connection is dead, its encoder restarted), or where the
/// room says that newcomers win.
pub(crate) async fn admit(
    admission: Admission<'_>,
    key: &str,
) -> Result<(Publisher, Arc<Stream>), Refusal> {
    let Admission {
        node_id,
        rooms,
        registry,
        hub,
    } = admission;
    let key = PublishKey::parse(key).map_err(|_| Refusal::KeyRefused)?;
    let room = rooms.authenticate(&key).await.map_err(|error| {
        tracing::warn!(%error, "publish keys cannot be checked");
        Refusal::Unavailable("the room store")
    })?;
    let room = room.ok_or(Refusal::KeyRefused)?;
    tracing::debug!(room = %room.id, key = key.fingerprint(), "the key is right");
    if let Some(stream) = hub.stream(&room.id)
        && room.on_conflict == OnConflict::Refuse
    {
        outlast(&stream).await?;
    }
    let claim = registry.claim(&room.id, node_id, unix_now()).await;
    let claim = claim.map_err(|error| {
        tracing::warn!(%error, room = %room.id, "the room cannot be claimed");
        Refusal::Unavailable("the registry")
    })?;
    hub.publish(claim, Instant::now())
        .map_err(|_| Refusal::Full)
}

/// Waits until the present publisher has been silent long enough; its next frame refuses us.
async fn outlast(stream: &Stream) -> Result<(), Refusal> {
    let Some(first_seen) = stream.last_frame() else {
        return Ok(());
    };
    loop {
        match stream.last_frame() {
            None => return Ok(()),
            Some(last) if last > first_seen => return Err(Refusal::AlreadyLive),
            Some(last) if last.elapsed() >= SILENCE => return Ok(()),
            Some(last) => {
                tokio::select! {
                    () = stream.changed() => {}
                    () = sleep_until((last + SILENCE).into()) => {}
                }
            }
        }
    }
}
