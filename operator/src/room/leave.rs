//! A LiveRoom is deleted: its room goes from the node, then the finalizer from the LiveRoom.

use std::time::Duration;

use isocast_admin::RoomId;
use isocast_crds::{DeletionPolicy, LiveCluster, LiveRoom};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;

use super::Ctx;
use super::apply::{FINALIZER, let_go};
use super::observe::{cluster_of, rivals};
use super::validate::{holder, id_of};
use crate::apply::Error;

/// How long a node may take before its room is left behind.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(2);

pub(super) async fn leave(room: &LiveRoom, ctx: &Ctx) -> Result<Action, Error> {
    if !room
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
    {
        return Ok(Action::await_change());
    }
    let cluster = cluster_of(room);
    let has_id = holder(room, &rivals(room, ctx)).name_any() == room.name_any();
    if let Some(id) = to_delete(room, ctx.clusters.get(&cluster).as_deref(), has_id) {
        let done = match ctx.watches.client(&cluster) {
            Some(client) => client
                .delete_room(&id)
                .await
                .map_err(|error| error.to_string()),
            None => Err(format!("no node of LiveCluster {} answers", cluster.name)),
        };
        match done {
            Ok(found) => tracing::info!(liveroom = room.name_any(), room = %id, found, "deleted"),
            Err(cause) => {
                let left = patience(room, Timestamp::now());
                if !left.is_zero() {
                    tracing::info!(liveroom = room.name_any(), room = %id, cause, "not deleted yet");
                    return Ok(Action::requeue(left.min(RETRY)));
                }
                let note = format!(
                    "room {id} stays in LiveCluster {}, with its key: delete it there with isocast-node room delete {id} ({cause})",
                    cluster.name
                );
                ctx.events.warning(room, "RoomLeftBehind", &note).await;
            }
        }
    }
    if room.spec.suspend == Some(true) {
        let note = "deleted while suspended: the room stays in its LiveCluster, and its key still opens it";
        ctx.events.warning(room, "RoomLeftBehind", note).await;
    }
    match let_go(room, ctx).await {
        // It is gone, or has changed and is looked at again for that.
        Err(Error::Conflict { .. }) => Ok(Action::requeue(RETRY)),
        done => done.map(|()| Action::await_change()),
    }
}

/// The room that has to go from the node. `None`: it stays, or is not this LiveRoom's, or goes with
/// the LiveCluster.
fn to_delete(room: &LiveRoom, cluster: Option<&LiveCluster>, has_id: bool) -> Option<RoomId> {
    let stays = room.spec.deletion_policy.unwrap_or_default() == DeletionPolicy::Retain
        || room.spec.suspend == Some(true)
        || !has_id;
    let is_there = cluster.is_some_and(|cluster| cluster.metadata.deletion_timestamp.is_none());
    (is_there && !stays).then(|| id_of(room)).flatten()
}

/// How long the node may still take.
fn patience(room: &LiveRoom, now: Timestamp) -> Duration {
    let deleted = room.metadata.deletion_timestamp.as_ref();
    let since = deleted.map_or(now, |deleted| deleted.0);
    // A clock of ours that is behind the API server's makes the wait longer by as much.
    let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    PATIENCE.saturating_sub(waited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::tests::{cluster, room};
    use serde_json::json;

    #[test]
    fn only_a_room_of_ones_own_goes() {
        let there = cluster(json!({}));
        let going = cluster(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}));
        for (spec, cluster, has_id, goes) in [
            (json!({}), Some(&there), true, true),
            (
                json!({"deletionPolicy": "delete"}),
                Some(&there),
                true,
                true,
            ),
            (
                json!({"deletionPolicy": "retain"}),
                Some(&there),
                true,
                false,
            ),
            (json!({"suspend": true}), Some(&there), true, false),
            (json!({"suspend": false}), Some(&there), true, true),
            (json!({}), Some(&there), false, false),
            (json!({}), Some(&going), true, false),
            (json!({}), None, true, false),
        ] {
            let room = room("r", json!({}), spec.clone());
            assert_eq!(to_delete(&room, cluster, has_id).is_some(), goes, "{spec}");
        }
    }

    #[test]
    fn patience_ends_a_minute_after_the_deletion() {
        let deleted = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        let room = room("r", deleted, json!({}));
        for (now, left_s) in [
            ("2025-12-31T23:59:00Z", 60),
            ("2026-01-01T00:00:00Z", 60),
            ("2026-01-01T00:00:59Z", 1),
            ("2026-01-01T00:01:00Z", 0),
            ("2026-01-02T00:00:00Z", 0),
        ] {
            let now: Timestamp = now.parse().expect("a time");
            assert_eq!(patience(&room, now), Duration::from_secs(left_s), "{now}");
        }
    }
}
