//! The only writer: the finalizer, the Secret, the room on the node, the status.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use isocast_admin::{OnConflict, Playback, PublishKey, PutRoom, RoomId, RoomIs, RoomLimits};
use isocast_crds::{LiveRoom, LiveRoomStatus};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::time::Instant;

use super::desired::{self, Wanted};
use super::observe::{Observed, cluster_of};
use super::validate::{Checked, Key, KeySource, Problem};
use super::{Ctx, Node, Outcome, RESYNC, status};
use crate::apply::{Error, within};
use crate::names::FIELD_MANAGER;
use crate::node;
use crate::secrets::{Pace, SecretRef, Want, Who};

/// On a LiveRoom that may have a room on a node.
pub(super) const FINALIZER: &str = "isocast.dev/room";

/// Does what is wanted, and says what came of it.
pub(super) async fn apply(
    room: &LiveRoom,
    ctx: &Ctx,
    observed: Observed,
    mut checked: Checked,
    wanted: Wanted,
) -> Result<Outcome, Error> {
    let mut seen = observed.secret.as_ref().and_then(Secret::resource_version);
    if !matches!(wanted, Wanted::Nothing) {
        hold(room, ctx).await?;
    }
    let put = match wanted {
        Wanted::Nothing => None,
        Wanted::Room { id, put } => Some((id, put)),
        Wanted::NewKey { id, secret } => {
            let key = PublishKey::generate(&id);
            match create(room, ctx, &secret, &key).await {
                Ok(version) => {
                    seen = Some(version);
                    let put = desired::put(room, &key);
                    checked.key = Ok(Key::Found { secret, key });
                    Some((id, put))
                }
                // A quota, a policy or the operator's rights: somebody has to change something.
                Err(error @ (Error::Refused { .. } | Error::Forbidden { .. })) => {
                    let (reason, message) = ("SecretNotMade", error.to_string());
                    checked.key = Err(Problem { reason, message });
                    None
                }
                Err(error) => return Err(error),
            }
        }
    };
    watch_secret(room, ctx, seen, checked.key.is_ok());
    let node = match put {
        None => Node::NotAsked,
        Some((id, put)) => put_room(room, ctx, &observed, &id, &put).await,
    };
    let Checked { id, cluster, key } = checked;
    Ok(Outcome {
        id,
        cluster,
        key,
        live: observed.live,
        node,
    })
}

/// Before anything is made that has to be taken away again.
async fn hold(room: &LiveRoom, ctx: &Ctx) -> Result<(), Error> {
    let mut finalizers = room.finalizers().to_vec();
    if finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(());
    }
    finalizers.push(FINALIZER.to_owned());
    set_finalizers(room, ctx, finalizers).await
}

/// Nothing is left to be taken away.
pub(super) async fn let_go(room: &LiveRoom, ctx: &Ctx) -> Result<(), Error> {
    let mut finalizers = room.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    set_finalizers(room, ctx, finalizers).await?;
    super::gone(&ObjectRef::from_obj(room), ctx);
    Ok(())
}

/// Guarded by the version that was looked at: others have finalizers of their own.
async fn set_finalizers(room: &LiveRoom, ctx: &Ctx, finalizers: Vec<String>) -> Result<(), Error> {
    let name = room.name_any();
    let version = room.resource_version();
    let patch = json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}});
    let (api, params) = (api(room, ctx), PatchParams::default());
    ctx.metrics.writes.inc();
    let patch = Patch::Merge(patch);
    within(
        format!("LiveRoom {name}"),
        api.patch(&name, &params, &patch),
    )
    .await?;
    Ok(())
}

/// Never overwrites: where somebody was faster, that is looked at first. The new resource version.
async fn create(room: &LiveRoom, ctx: &Ctx, name: &str, key: &PublishKey) -> Result<String, Error> {
    let secret = desired::secret(room, name, key);
    let namespace = room.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &namespace);
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    ctx.metrics.writes.inc();
    let created = within(format!("Secret {name}"), secrets.create(&params, &secret)).await?;
    let note = format!("made a stream key ({}) in Secret {name}", key.fingerprint());
    ctx.events.normal(room, "KeyGenerated", &note).await;
    Ok(created.resource_version().unwrap_or_default())
}

fn watch_secret(room: &LiveRoom, ctx: &Ctx, seen: Option<String>, is_usable: bool) {
    let source = KeySource::of(room);
    let want = Want {
        secret: SecretRef {
            namespace: room.namespace().unwrap_or_default(),
            name: source.secret,
        },
        // A Secret that is in our way may be one that is just being taken away.
        pace: if source.is_generated && is_usable {
            Pace::Slow
        } else {
            Pace::Soon
        },
        seen,
    };
    ctx.poller
        .want(&Who::Room(ObjectRef::from_obj(room)), vec![want]);
}

async fn put_room(
    room: &LiveRoom,
    ctx: &Ctx,
    observed: &Observed,
    id: &RoomId,
    put: &PutRoom,
) -> Node {
    let (key, cluster) = (ObjectRef::from_obj(room), cluster_of(room));
    let node = observed.node.as_ref().filter(|node| node.connected);
    let (Some(node), Some(client)) = (node, ctx.watches.client(&cluster)) else {
        let name = cluster.name;
        return Node::Away(format!(
            "no node of LiveCluster {name} answers; see its status and its pods"
        ));
    };
    let what = What::of(&node.store_id, put);
    if let Some(is) = ctx.puts.known(&key, &what) {
        return Node::Serves(is);
    }
    match client.put_room(id, put).await {
        Ok(is) => {
            tracing::info!(namespace = key.namespace, liveroom = key.name, room = %id, key = is.key_fingerprint, "put");
            ctx.puts.keep(key, what, is.clone());
            Node::Serves(is)
        }
        Err(error @ node::Error::Refused { .. }) => Node::Refused(error.to_string()),
        Err(error) => Node::Unreachable(error.to_string()),
    }
}

/// Writes the status where it differs, and an event where Ready has changed.
pub(super) async fn tell(
    room: &LiveRoom,
    ctx: &Ctx,
    outcome: &Outcome,
    status: LiveRoomStatus,
) -> Result<(), Error> {
    if room.status.is_some() && status::told(room) == status {
        return Ok(());
    }
    let name = room.name_any();
    let patch = json!({
        "apiVersion": "isocast.dev/v1alpha1", "kind": "LiveRoom",
        "metadata": {"name": name}, "status": status,
    });
    let (api, params) = (api(room, ctx), PatchParams::apply(FIELD_MANAGER).force());
    ctx.metrics.writes.inc();
    let patch = Patch::Apply(patch);
    within(
        format!("the status of LiveRoom {name}"),
        api.patch_status(&name, &params, &patch),
    )
    .await?;

    let before = room.status.iter().flat_map(|status| &status.conditions);
    let verdict = status::verdict(outcome);
    let mut ready = before.filter(|condition| condition.type_ == "Ready");
    if ready.any(|before| before.reason == verdict.reason()) {
        return Ok(());
    }
    match verdict {
        status::Verdict::Serving { message } => {
            ctx.events.normal(room, "RoomReady", &message).await
        }
        status::Verdict::Stalled(problem) => {
            ctx.events
                .warning(room, problem.reason, &problem.message)
                .await;
        }
        status::Verdict::Refused { message } => {
            ctx.events.warning(room, "RoomRefused", &message).await;
        }
        // A node that starts again is no event in each of its rooms.
        status::Verdict::Unreachable { .. } | status::Verdict::ClusterNotReady { .. } => {}
    }
    Ok(())
}

fn api(room: &LiveRoom, ctx: &Ctx) -> Api<LiveRoom> {
    Api::namespaced(ctx.client.clone(), &room.namespace().unwrap_or_default())
}

/// What was put last for each LiveRoom, so that the node is only told what is new to it.
#[derive(Debug, Default)]
pub(crate) struct Puts(Mutex<HashMap<ObjectRef<LiveRoom>, Put>>);

#[derive(Debug)]
struct Put {
    what: What,
    /// What the node said.
    is: RoomIs,
    /// When it is told again all the same.
    until: Instant,
}

/// Everything that a put depends on, the key by its fingerprint.
#[derive(Debug, PartialEq, Eq)]
struct What {
    store_id: String,
    playback: Playback,
    on_conflict: OnConflict,
    limits: RoomLimits,
    fingerprint: String,
}

impl What {
    fn of(store_id: &str, put: &PutRoom) -> Self {
        Self {
            store_id: store_id.to_owned(),
            playback: put.playback,
            on_conflict: put.on_conflict,
            limits: put.limits.clone(),
            fingerprint: put.stream_key.fingerprint(),
        }
    }
}

impl Puts {
    fn known(&self, key: &ObjectRef<LiveRoom>, what: &What) -> Option<RoomIs> {
        let puts = self.lock();
        let put = puts.get(key)?;
        (put.what == *what && Instant::now() < put.until).then(|| put.is.clone())
    }

    fn keep(&self, key: ObjectRef<LiveRoom>, what: What, is: RoomIs) {
        let until = Instant::now() + RESYNC;
        self.lock().insert(key, Put { what, is, until });
    }

    pub(super) fn forget(&self, key: &ObjectRef<LiveRoom>) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<LiveRoom>, Put>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::tests::room;

    #[tokio::test(start_paused = true)]
    async fn a_node_is_told_what_is_new_to_it_and_everything_after_a_while() {
        let (puts, key) = (Puts::default(), ObjectRef::new("r").within("n"));
        let stream_key = PublishKey::parse("room_r_key_a").expect("a key");
        let put = desired::put(&room("r", json!({}), json!({})), &stream_key);
        let is = RoomIs {
            id: stream_key.room().clone(),
            playback: put.playback,
            on_conflict: put.on_conflict,
            limits: put.limits.clone(),
            key_generation: 1,
            key_fingerprint: stream_key.fingerprint(),
            changed: true,
        };
        assert_eq!(puts.known(&key, &What::of("s", &put)), None);
        puts.keep(key.clone(), What::of("s", &put), is.clone());
        assert_eq!(puts.known(&key, &What::of("s", &put)), Some(is));

        assert_eq!(puts.known(&key, &What::of("another", &put)), None);
        let other_key = PublishKey::parse("room_r_key_b").expect("a key");
        for spec in [
            json!({"playback": "public"}),
            json!({"onConflict": "takeover"}),
        ] {
            let other = desired::put(&room("r", json!({}), spec), &stream_key);
            assert_eq!(puts.known(&key, &What::of("s", &other)), None);
        }
        let other = desired::put(&room("r", json!({}), json!({})), &other_key);
        assert_eq!(puts.known(&key, &What::of("s", &other)), None);

        tokio::time::advance(RESYNC).await;
        assert_eq!(puts.known(&key, &What::of("s", &put)), None);
    }
}
