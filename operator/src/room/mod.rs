//! A LiveRoom is made true: observe → validate → desired → apply → status.

mod apply;
mod desired;
mod leave;
mod observe;
mod status;
mod validate;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

use isocast_admin::{RoomId, RoomIs, random};
use isocast_crds::{LiveCluster, LiveRoom};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt};

use crate::apply::Error;
use crate::backoff::Backoff;
use crate::conditions;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::node::Watches;
use crate::secrets::{Poller, Who};
use validate::{Key, Problem};

pub(crate) use apply::Puts;

/// What every reconciliation of a LiveRoom has at hand.
pub(crate) struct Ctx {
    pub client: Client,
    pub rooms: Store<LiveRoom>,
    pub clusters: Store<LiveCluster>,
    pub watches: Arc<Watches>,
    pub poller: Arc<Poller>,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub backoff: Backoff<LiveRoom>,
    pub puts: Puts,
}

/// What came of one reconciliation.
struct Outcome {
    /// `None` where the LiveRoom's name is no room's.
    id: Option<RoomId>,
    cluster: Result<Arc<LiveCluster>, Problem>,
    key: Result<Key, Problem>,
    live: crate::node::Live,
    node: Node,
}

/// What the node has made of the room.
enum Node {
    /// Nothing: there is nothing to tell it yet.
    NotAsked,
    Serves(RoomIs),
    /// It did not answer this time.
    Unreachable(String),
    /// There is none; its coming is told.
    Away(String),
    /// In the node's own words.
    Refused(String),
}

/// The node is told again what it was told so long ago.
const RESYNC: Duration = Duration::from_secs(300);

pub(crate) async fn reconcile(room: Arc<LiveRoom>, ctx: Arc<Ctx>) -> Result<Action, Error> {
    let timer = ctx.metrics.reconciling("LiveRoom");
    let done = if room.metadata.deletion_timestamp.is_some() {
        leave::leave(&room, &ctx).await
    } else if room.spec.suspend == Some(true) {
        ctx.poller.forget(&Who::Room(ObjectRef::from_obj(&room)));
        Ok(Action::await_change())
    } else {
        make(&room, &ctx).await
    };
    timer.done();
    done
}

async fn make(room: &LiveRoom, ctx: &Ctx) -> Result<Action, Error> {
    let observed = observe::observe(room, ctx).await?;
    let checked = validate::check(room, &observed);
    // What the status says already is not taken back for a node that has not been heard yet.
    let within = ctx.watches.first_word_within(&observe::cluster_of(room));
    if !within.is_zero() && checked.cluster.is_ok() && is_told(room) {
        return Ok(Action::requeue(within));
    }
    let wanted = desired::desired(room, &checked);
    let outcome = apply::apply(room, ctx, observed, checked, wanted).await?;
    let status = status::status(room, &outcome, Timestamp::now());
    apply::tell(room, ctx, &outcome, status).await?;
    Ok(match outcome.node {
        Node::Refused(_) | Node::Unreachable(_) => ctx.backoff.failed(room),
        Node::NotAsked | Node::Away(_) | Node::Serves(_) => {
            ctx.backoff.forget(&ObjectRef::from_obj(room));
            Action::requeue(resync())
        }
    })
}

/// Whether the status speaks of the spec as it is.
fn is_told(room: &LiveRoom) -> bool {
    let observed = room
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    conditions::is_told(observed, &room.metadata)
}

/// Another try, later and later while it goes on failing.
pub(crate) fn again(room: Arc<LiveRoom>, error: &Error, ctx: Arc<Ctx>) -> Action {
    let (namespace, liveroom) = (room.namespace(), room.name_any());
    match error {
        // What was read had not caught up with what was written: nobody has to look.
        Error::Conflict { .. } => tracing::debug!(namespace, liveroom, %error, "trying again"),
        error => tracing::warn!(namespace, liveroom, %error, "trying again"),
    }
    ctx.backoff.failed(&room)
}

/// The LiveRoom is there no more.
pub(crate) fn gone(key: &ObjectRef<LiveRoom>, ctx: &Ctx) {
    ctx.backoff.forget(key);
    ctx.puts.forget(key);
    ctx.poller.forget(&Who::Room(key.clone()));
}

/// When everything is looked at again: later than [`RESYNC`] by up to a quarter, so that rooms that
/// began together do not stay together.
fn resync() -> Duration {
    RESYNC + RESYNC.mul_f64(f64::from(random::bytes::<1>()[0]) / 256.0 / 4.0)
}
