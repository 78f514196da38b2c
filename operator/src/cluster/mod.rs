//! A LiveCluster is made true: observe → validate → desired → apply → status.

mod apply;
pub(crate) mod desired;
mod observe;
mod plan;
mod pods;
mod status;
mod tokens;
mod validate;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

use isocast_crds::LiveCluster;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};

use crate::apply::{Error, NotOwned, Writer};
use crate::backoff::Backoff;
use crate::conditions;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::node::Watches;
use crate::secrets::{Poller, Who};
use crate::watch::Caches;
use desired::Home;
use observe::Observed;
use tokens::Tokens;
use validate::{Problem, Valid};

pub(crate) use plan::{PlanError, Planned, plan};

/// What every reconciliation of a LiveCluster has at hand.
pub(crate) struct Ctx {
    pub client: Client,
    pub home: Home,
    pub caches: Arc<Caches>,
    pub watches: Arc<Watches>,
    pub poller: Arc<Poller>,
    pub events: Events,
    pub backoff: Backoff<LiveCluster>,
    pub metrics: Arc<Metrics>,
}

/// What came of one reconciliation.
pub(crate) enum Outcome {
    Invalid(Problem),
    NotOwned(NotOwned),
    Failed(Error),
    Applied(Box<Applied>),
}

/// Everything is as the spec says, as far as the API server goes.
pub(crate) struct Applied {
    valid: Valid,
    tokens: Tokens,
    stateful_set: StatefulSet,
    services: Vec<Service>,
    /// Pods that carry the LiveCluster's label.
    labelled: Vec<Arc<Pod>>,
    /// Rooms that are live; `None` while the node does not tell.
    live_rooms: Option<usize>,
    /// Why a pod could not be replaced, or told of new tokens.
    pod_trouble: Option<Error>,
}

impl Applied {
    /// The pods that are the LiveCluster's own.
    fn pods(&self) -> impl Iterator<Item = &Pod> + Clone {
        pods::of(&self.stateful_set, &self.labelled)
    }
}

/// Everything is looked at again after so long, whatever the watches have told.
const RESYNC: Duration = Duration::from_secs(300);

pub(crate) async fn reconcile(cluster: Arc<LiveCluster>, ctx: Arc<Ctx>) -> Result<Action, Error> {
    let key = ObjectRef::from_obj(&*cluster);
    // What is being deleted is taken apart by Kubernetes itself, by its owner references.
    if cluster.metadata.deletion_timestamp.is_some() {
        ctx.watches.want(&key, None);
        return Ok(Action::await_change());
    }
    let timer = ctx.metrics.reconciling("LiveCluster");
    let namespace = cluster.namespace().unwrap_or_default();
    let writer = Writer::new(ctx.client.clone(), &namespace);
    let observed = observe::observe(&cluster, &ctx.caches, &writer).await?;
    // The nodes are followed whatever becomes of the rest: their rooms depend on it.
    apply::watch_node(&cluster, &observed, &ctx.watches);
    if cluster.spec.suspend == Some(true) {
        return Ok(Action::requeue(RESYNC));
    }
    let mut outcome = make(&cluster, &ctx, &writer, observed).await;
    if let Outcome::Failed(error @ (Error::Conflict { .. } | Error::Unavailable { .. })) = outcome {
        // What the status says is not taken back for one call that failed.
        if is_told(&cluster) {
            return Err(error);
        }
        outcome = Outcome::Failed(error);
    }
    if let Outcome::Applied(applied) = &mut outcome {
        applied.pod_trouble = apply::work_on_pods(applied, &ctx).await.err();
    }
    let status = status::status(&cluster, &outcome, Timestamp::now());
    apply::tell(&cluster, &ctx, &outcome, status).await?;
    timer.done();
    match outcome {
        Outcome::Applied(applied) => match applied.pod_trouble {
            Some(error) => Err(error),
            None => {
                ctx.backoff.forget(&key);
                Ok(Action::requeue(RESYNC))
            }
        },
        // The spec or its surroundings have to change; a change of the surroundings is not always seen.
        Outcome::Invalid(_) => Ok(Action::requeue(RESYNC)),
        Outcome::NotOwned(_) => Ok(ctx.backoff.failed(&cluster)),
        Outcome::Failed(error) => Err(error),
    }
}

/// Whether the status speaks of the spec as it is.
fn is_told(cluster: &LiveCluster) -> bool {
    let observed = cluster
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    conditions::is_told(observed, &cluster.metadata)
}

/// The LiveCluster is no more: its node is watched no more.
pub(crate) fn gone(key: &ObjectRef<LiveCluster>, ctx: &Ctx) {
    ctx.watches.want(key, None);
    ctx.poller.forget(&Who::Cluster(key.clone()));
    ctx.backoff.forget(key);
}

/// Another try, later and later while it goes on failing.
pub(crate) fn again(cluster: Arc<LiveCluster>, error: &Error, ctx: Arc<Ctx>) -> Action {
    tracing::warn!(namespace = cluster.namespace(), livecluster = cluster.name_any(), %error, "trying again");
    ctx.backoff.failed(&cluster)
}

async fn make(cluster: &LiveCluster, ctx: &Ctx, writer: &Writer, observed: Observed) -> Outcome {
    let valid = match Valid::of(cluster) {
        Ok(valid) => valid,
        Err(problem) => return Outcome::Invalid(problem),
    };
    if let Err(problem) = valid.check_tls(observed.tls.as_ref()) {
        // What is missing may come at any moment.
        apply::watch_secrets(
            cluster,
            &valid,
            ctx,
            &observed.secrets,
            observed.tls.as_ref(),
        );
        return Outcome::Invalid(problem);
    }
    match apply::apply(cluster, ctx, writer, valid, observed).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed(error),
    }
}
