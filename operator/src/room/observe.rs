//! What is read before anything is decided. Only the Secret is asked of the API server.

use std::sync::Arc;

use isocast_crds::{LiveCluster, LiveRoom};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};

use super::Ctx;
use super::validate::{KeySource, id_of};
use crate::apply::{Error, within};
use crate::node::{Live, NodeState};
use crate::watch;

#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) cluster: Option<Arc<LiveCluster>>,
    /// The other LiveRooms that ask the same LiveCluster for the same id.
    pub(super) rivals: Vec<Arc<LiveRoom>>,
    pub(super) secret: Option<Secret>,
    pub(super) node: Option<NodeState>,
    pub(super) live: Live,
}

pub(super) async fn observe(room: &LiveRoom, ctx: &Ctx) -> Result<Observed, Error> {
    let cluster = cluster_of(room);
    let secret = KeySource::of(room).secret;
    let namespace = room.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &namespace);
    Ok(Observed {
        secret: within(format!("Secret {secret}"), secrets.get_opt(&secret)).await?,
        rivals: rivals(room, ctx),
        node: ctx.watches.node(&cluster),
        live: id_of(room).map_or(Live::Unknown, |id| ctx.watches.live(&cluster, &id)),
        cluster: ctx.clusters.get(&cluster),
    })
}

pub(super) fn cluster_of(room: &LiveRoom) -> ObjectRef<LiveCluster> {
    ObjectRef::new(&room.spec.cluster_ref.name).within(&room.namespace().unwrap_or_default())
}

pub(super) fn rivals(room: &LiveRoom, ctx: &Ctx) -> Vec<Arc<LiveRoom>> {
    ctx.rooms
        .state_filter(|other| watch::are_rivals(other, room))
}
