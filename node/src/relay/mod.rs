//! Live frames between nodes: who watches a room whose publisher another node has, watches this node's stream of
//! it, which is pulled from there once for all of them.
//!
//! A pull begins with the first who asks and ends a while after the last viewer. It goes from node to node by RTMP,
//! over a port of its own, and is bound to one claim of the room: where another claim takes its place, the pull is
//! made anew, and viewers stay.

mod holders;
mod import;
mod owners;
mod place;
mod pull;
mod refused;
mod task;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub(crate) use holders::Holders;
pub(crate) use owners::Owners;
pub(crate) use place::{Counts, Place};
pub(crate) use pull::told;
pub(crate) use refused::Refused;

use crate::error::Refusal;
use crate::hub::{Hub, State, Stream};
use crate::rooms::RoomId;
use crate::sync::Mutex;

/// Connections between nodes by which a stream may come to a viewer's.
pub(crate) const HOPS_MAX: u8 = 2;
/// Who sends says so often where the stream has come to, whether frames come or not.
pub(crate) const MARK_EVERY: Duration = Duration::from_secs(1);
/// Who asks for a room waits so long for its first pull.
const BEGIN: Duration = Duration::from_secs(3);

/// All rooms that are pulled from other nodes; none where this node knows of no others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relays(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    place: Arc<Place>,
    pulls: Mutex<HashMap<RoomId, watch::Receiver<Progress>>>,
    tasks: TaskTracker,
}

/// How far a room's pull is.
#[derive(Clone, Debug)]
enum Progress {
    Asking,
    Begun(Arc<Stream>),
    /// It never began, or is over.
    Over(Refusal),
}

impl Relays {
    pub(crate) fn new(place: Place, tasks: TaskTracker) -> Self {
        Self(Some(Arc::new(Inner {
            place: Arc::new(place),
            pulls: Mutex::default(),
            tasks,
        })))
    }

    /// The stream of a room that another node has, once it comes here.
    pub(crate) async fn ensure(&self, room: &RoomId) -> Result<Arc<Stream>, Refusal> {
        const LATE: Refusal = Refusal::Unavailable("the node that has this room");
        let inner = self.0.as_ref().ok_or(Refusal::NotLive)?;
        let mut progress = inner.pull(room);
        let settled = progress.wait_for(|progress| !matches!(progress, Progress::Asking));
        let settled = timeout(BEGIN, settled).await.map_err(|_| LATE)?;
        match settled.as_deref() {
            Ok(Progress::Begun(stream)) => Ok(Arc::clone(stream)),
            Ok(Progress::Over(refusal)) => Err(refusal.clone()),
            Ok(Progress::Asking) | Err(_) => Err(LATE),
        }
    }

    /// Looks for streams whose publisher has gone and may be with another node by now. Call it about twice a
    /// second.
    pub(crate) fn look(&self, hub: &Hub) {
        let Some(inner) = &self.0 else { return };
        for stream in hub.streams() {
            if stream.state() == State::Interrupted && stream.viewers().total() > 0 {
                inner.pull(stream.room());
            }
        }
    }
}

impl Inner {
    /// The room's pull, begun where there is none.
    fn pull(self: &Arc<Self>, room: &RoomId) -> watch::Receiver<Progress> {
        let mut pulls = self.pulls.lock();
        let known = pulls.get(room);
        // Its task is gone without a word.
        let known = known.filter(|progress| progress.has_changed().is_ok());
        if let Some(progress) = known {
            return progress.clone();
        }
        let (progress, seen) = watch::channel(Progress::Asking);
        pulls.insert(room.clone(), seen.clone());
        drop(pulls);
        let (inner, room) = (Arc::clone(self), room.clone());
        self.tasks.spawn(async move {
            let over = task::run(&inner.place, &room, &progress).await;
            // Whoever comes from now on begins anew.
            inner.pulls.lock().remove(&room);
            progress.send_replace(Progress::Over(over));
        });
        seen
    }
}

#[cfg(test)]
mod tests;
