//! A LiveCluster is made true: observe → validate → desired → apply → status.

pub(crate) mod desired;
mod observe;
mod pods;
mod status;
mod tokens;
mod validate;

#[cfg(test)]
pub(crate) mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use isocast_crds::LiveCluster;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, EvictParams, Patch, PatchParams, Preconditions};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use serde_json::json;

use crate::apply::{self, Kind, NotOwned, Object, Step, Writer, within};
use crate::backoff::Backoff;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::names::{FIELD_MANAGER, INTERNAL_PORT, TOKENS};
use crate::node::{NodeAddress, Watches};
use crate::secrets::{Pace, Poller, SecretRef, Want, Who};
use crate::watch::Caches;
use desired::{Home, desired};
use observe::{Observed, observe};
use pods::Work;
use status::{Verdict, verdict};
use tokens::Tokens;
use validate::{Problem, Valid};

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
    Failed(apply::Error),
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
}

impl Applied {
    /// The pods that are the LiveCluster's own.
    fn pods(&self) -> impl Iterator<Item = &Pod> + Clone {
        pods::of(&self.stateful_set, &self.labelled)
    }
}

/// Everything is looked at again after so long, whatever the watches have told.
const RESYNC: Duration = Duration::from_secs(300);

pub(crate) async fn reconcile(
    cluster: Arc<LiveCluster>,
    ctx: Arc<Ctx>,
) -> Result<Action, apply::Error> {
    let timer = ctx.metrics.reconciling("LiveCluster");
    // What is being deleted is taken apart by Kubernetes itself, by its owner references.
    if cluster.spec.suspend == Some(true) || cluster.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let namespace = cluster.namespace().unwrap_or_default();
    let writer = Writer::new(ctx.client.clone(), &namespace);
    let outcome = make(&cluster, &ctx, &writer).await;
    if let Outcome::Applied(applied) = &outcome {
        watch_node(&cluster, applied, &ctx.watches);
    }
    tell(&cluster, &outcome, &ctx).await?;
    timer.done();
    match outcome {
        Outcome::Applied(applied) => {
            work_on_pods(&applied, &ctx).await?;
            ctx.backoff.forget(&ObjectRef::from_obj(&*cluster));
            Ok(Action::requeue(RESYNC))
        }
        // The spec or its surroundings have to change; a change of the surroundings is not always seen.
        Outcome::Invalid(_) => Ok(Action::await_change()),
        Outcome::NotOwned(_) => Ok(ctx.backoff.failed(&cluster)),
        Outcome::Failed(error) => Err(error),
    }
}

/// The LiveCluster is no more: its node is watched no more.
pub(crate) fn gone(key: &ObjectRef<LiveCluster>, ctx: &Ctx) {
    ctx.watches.want(key, None);
    ctx.poller.forget(&Who::Cluster(key.clone()));
    ctx.backoff.forget(key);
}

/// Another try, later and later while it goes on failing.
pub(crate) fn again(cluster: Arc<LiveCluster>, error: &apply::Error, ctx: Arc<Ctx>) -> Action {
    tracing::warn!(namespace = cluster.namespace(), livecluster = cluster.name_any(), %error, "trying again");
    ctx.backoff.failed(&cluster)
}

async fn make(cluster: &LiveCluster, ctx: &Ctx, writer: &Writer) -> Outcome {
    let valid = match Valid::of(cluster) {
        Ok(valid) => valid,
        Err(problem) => return Outcome::Invalid(problem),
    };
    let observed = match observe(cluster, &ctx.caches, writer).await {
        Ok(observed) => observed,
        Err(error) => return Outcome::Failed(error),
    };
    match apply(cluster, ctx, writer, valid, observed).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed(error),
    }
}

async fn apply(
    cluster: &LiveCluster,
    ctx: &Ctx,
    writer: &Writer,
    valid: Valid,
    observed: Observed,
) -> Result<Outcome, apply::Error> {
    let Observed {
        mut objects,
        tokens,
        secrets,
        pods,
    } = observed;
    let tokens = match tokens {
        Ok(tokens) => tokens,
        Err(not_owned) => return Ok(Outcome::NotOwned(not_owned)),
    };
    let wanted = desired(&valid, &tokens, &ctx.home);
    let known = secrets.clone();
    objects.extend(strangers(writer, &objects, &wanted, secrets).await?);
    let mut steps = match apply::steps(&cluster.uid().unwrap_or_default(), &objects, wanted) {
        Ok(steps) => steps,
        Err(not_owned) => return Ok(Outcome::NotOwned(not_owned)),
    };
    // A pod of the old image still has to find its configuration when it starts again.
    steps.retain(|step| !matches!(step, Step::Delete(object) if pods::mount(&pods, object)));
    for step in &steps {
        ctx.metrics.writes.inc();
        if let Some(written) = writer.write(step).await? {
            objects.retain(|object| object.kind != written.kind || object.name() != written.name());
            objects.push(written);
        }
    }
    watch_tokens(cluster, &valid, ctx, &known, &objects);
    let stateful_set = objects
        .iter()
        .find(|object| object.kind == Kind::StatefulSet && object.name() == valid.names.main());
    let Some(stateful_set) = stateful_set.and_then(Object::read) else {
        return Err(apply::Error::Conflict {
            what: format!("StatefulSet {}", valid.names.main()),
        });
    };
    let services = objects.iter().filter(|object| object.kind == Kind::Service);
    let key = ObjectRef::from_obj(cluster);
    Ok(Outcome::Applied(Box::new(Applied {
        services: services.filter_map(Object::read).collect(),
        live_rooms: ctx.watches.live_count(&key),
        labelled: pods,
        valid,
        tokens,
        stateful_set,
    })))
}

/// What the next reconciliation would write.
pub(crate) struct Planned {
    pub steps: Vec<Step>,
    /// Pods that would be replaced.
    pub pods: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("{0}")]
    Spec(String),
    #[error(transparent)]
    Server(#[from] apply::Error),
}

/// The same steps as [`reconcile`], up to the first write. Without a client everything is new.
pub(crate) async fn plan(
    cluster: &LiveCluster,
    client: Option<&Client>,
    home: &Home,
) -> Result<Planned, PlanError> {
    let valid = Valid::of(cluster).map_err(|problem| PlanError::Spec(problem.to_string()))?;
    let Some(client) = client else {
        let wanted = desired(&valid, &Tokens::new(), home);
        let steps = apply::steps("", &[], wanted)
            .map_err(|not_owned| PlanError::Spec(not_owned.to_string()))?;
        return Ok(Planned {
            steps,
            pods: Vec::new(),
        });
    };
    let writer = Writer::new(client.clone(), &valid.names.namespace);
    let Observed {
        mut objects,
        tokens,
        secrets,
        pods,
    } = observe::ask(cluster, client, &writer).await?;
    let spec = |not_owned: NotOwned| PlanError::Spec(not_owned.to_string());
    let tokens = tokens.map_err(spec)?;
    let wanted = desired(&valid, &tokens, home);
    objects.extend(strangers(&writer, &objects, &wanted, secrets).await?);
    let stateful_set = objects
        .iter()
        .find(|object| object.kind == Kind::StatefulSet)
        .and_then(Object::read::<StatefulSet>);
    let outdated = stateful_set
        .iter()
        .flat_map(|set| pods::of(set, &pods))
        .filter(|pod| !pods::is_current(pod, &valid));
    let pods = outdated.map(ResourceExt::name_any).collect();
    let steps = apply::steps(&cluster.uid().unwrap_or_default(), &objects, wanted).map_err(spec)?;
    Ok(Planned { steps, pods })
}

/// Objects that have a wanted name but not our label, so that no watch has told of them.
async fn strangers(
    writer: &Writer,
    known: &[Object],
    wanted: &[Object],
    secrets: Vec<Object>,
) -> Result<Vec<Object>, apply::Error> {
    let is_wanted = |object: &Object| {
        wanted
            .iter()
            .any(|wanted| wanted.kind == object.kind && wanted.name() == object.name())
    };
    let mut found: Vec<_> = secrets.into_iter().filter(is_wanted).collect();
    let unknown = wanted.iter().filter(|wanted| {
        wanted.kind != Kind::Secret
            && !known
                .iter()
                .any(|known| known.kind == wanted.kind && known.name() == wanted.name())
    });
    let asked = unknown.map(|wanted| writer.find(wanted.kind, wanted.name()));
    found.extend(
        futures_util::future::try_join_all(asked)
            .await?
            .into_iter()
            .flatten(),
    );
    Ok(found)
}

/// Nothing tells when somebody changes or deletes a token's Secret, so it is asked for.
fn watch_tokens(
    cluster: &LiveCluster,
    valid: &Valid,
    ctx: &Ctx,
    known: &[Object],
    objects: &[Object],
) {
    let want = |name: String| {
        let written = objects
            .iter()
            .chain(known)
            .find(|object| object.kind == Kind::Secret && object.name() == name);
        Want {
            seen: written.map(|secret| secret.resource_version().to_owned()),
            secret: SecretRef {
                namespace: valid.names.namespace.clone(),
                name,
            },
            pace: Pace::Slow,
        }
    };
    let wants = vec![
        want(valid.names.admin_token()),
        want(valid.names.api_token()),
    ];
    ctx.poller
        .want(&Who::Cluster(ObjectRef::from_obj(cluster)), wants);
}

/// The operator stays in touch with the one node that there is.
fn watch_node(cluster: &LiveCluster, applied: &Applied, watches: &Watches) {
    let address = applied
        .pods()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .find_map(|pod| {
            let ip: IpAddr = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
            Some(NodeAddress {
                pod: pod.name_any(),
                ip,
                port: INTERNAL_PORT,
                token: applied.tokens.admin.secret().clone(),
            })
        });
    watches.want(&ObjectRef::from_obj(cluster), address);
}

/// Writes the status where it differs, and an event where Ready has changed.
async fn tell(cluster: &LiveCluster, outcome: &Outcome, ctx: &Ctx) -> Result<(), apply::Error> {
    let status = status::status(cluster, outcome, Timestamp::now());
    if cluster.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let ready = |conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]| {
        let ready = conditions
            .iter()
            .find(|condition| condition.type_ == "Ready")?;
        Some((ready.status.clone(), ready.reason.clone()))
    };
    let before = cluster
        .status
        .as_ref()
        .and_then(|status| ready(&status.conditions));
    let is_turn = before != ready(&status.conditions);
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let api: Api<LiveCluster> = Api::namespaced(ctx.client.clone(), &namespace);
    let patch = json!({"apiVersion": "isocast.dev/v1alpha1", "kind": "LiveCluster", "metadata": {"name": name}, "status": status});
    let params = PatchParams::apply(FIELD_MANAGER).force();
    ctx.metrics.writes.inc();
    within(
        format!("the status of {name}"),
        api.patch_status(&name, &params, &Patch::Apply(patch)),
    )
    .await?;
    if is_turn {
        match verdict(outcome) {
            Verdict::Ready { reason, message } => {
                ctx.events.normal(cluster, reason, &message).await
            }
            Verdict::Waiting { reason, message } if !is_trouble(reason) => {
                ctx.events.normal(cluster, reason, &message).await;
            }
            Verdict::Waiting { reason, message } | Verdict::Stalled { reason, message } => {
                ctx.events.warning(cluster, reason, &message).await;
            }
        }
    }
    Ok(())
}

/// What does not pass by itself as a rule, though it may.
fn is_trouble(reason: &str) -> bool {
    const TROUBLE: [&str; 5] = [
        "ContainerCreateFailed",
        "Forbidden",
        "ImagePullFailed",
        "NodeEnds",
        "PodUnschedulable",
    ];
    TROUBLE.contains(&reason)
}

/// Pods go by eviction, so that a disruption budget counts this as any other.
async fn work_on_pods(applied: &Applied, ctx: &Ctx) -> Result<(), apply::Error> {
    let Applied {
        valid,
        tokens,
        stateful_set,
        ..
    } = applied;
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &valid.names.namespace);
    for work in pods::work(valid, tokens, stateful_set, applied.pods()) {
        ctx.metrics.writes.inc();
        match work {
            Work::Touch { pod, tokens } => {
                let patch = json!({"metadata": {"annotations": {TOKENS: tokens}}});
                within(
                    &pod,
                    api.patch(&pod, &PatchParams::default(), &Patch::Merge(patch)),
                )
                .await?;
            }
            Work::Replace { pod, uid } => {
                tracing::info!(
                    namespace = valid.names.namespace,
                    pod,
                    "replaced: the spec says otherwise now"
                );
                // This very pod: another of its name may have taken its place already.
                let only = DeleteParams {
                    preconditions: Some(Preconditions {
                        uid: Some(uid),
                        resource_version: None,
                    }),
                    ..DeleteParams::default()
                };
                let params = EvictParams {
                    delete_options: Some(only),
                    ..EvictParams::default()
                };
                match within(&pod, api.evict(&pod, &params)).await {
                    Ok(_) | Err(apply::Error::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(())
}
