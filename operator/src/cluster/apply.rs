//! The only writer: the objects, the pods, the status.

use std::net::IpAddr;

use futures_util::future::try_join_all;
use isocast_crds::{LiveCluster, LiveClusterStatus};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, EvictParams, Patch, PatchParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use serde_json::json;

use super::desired::{Home, desired};
use super::observe::Observed;
use super::status::{Verdict, verdict};
use super::tokens::{Token, Tokens, secret_names};
use super::validate::{Valid, names};
use super::{Applied, Ctx, Outcome, pods, status};
use crate::apply::{Error, Kind, NotOwned, Object, Step, Writer, steps, within};
use crate::names::{FIELD_MANAGER, INTERNAL_PORT, TOKENS};
use crate::node::{NodeAddress, Watches};
use crate::secrets::{Pace, SecretRef, Want, Who};

/// Makes the objects what they are to be.
pub(super) async fn apply(
    cluster: &LiveCluster,
    ctx: &Ctx,
    writer: &Writer,
    valid: Valid,
    mut observed: Observed,
) -> Result<Outcome, Error> {
    let tokens = match observed.tokens.clone() {
        Ok(tokens) => tokens,
        Err(not_owned) => return Ok(Outcome::NotOwned(not_owned)),
    };
    let decided = decide(cluster, &valid, &tokens, &ctx.home, writer, &observed).await?;
    let Work { mut objects, steps } = match decided {
        Ok(work) => work,
        Err(not_owned) => return Ok(Outcome::NotOwned(not_owned)),
    };
    for step in &steps {
        ctx.metrics.writes.inc();
        if let Some(written) = writer.write(step).await? {
            objects.retain(|object| object.kind != written.kind || object.name() != written.name());
            objects.push(written);
        }
    }
    // Newest first: of a Secret that was written, that version counts.
    let secrets = objects
        .iter()
        .chain(&observed.secrets)
        .filter(|object| object.kind == Kind::Secret);
    let secrets: Vec<_> = secrets.cloned().collect();
    watch_secrets(cluster, &valid, ctx, &secrets, observed.tls.as_ref());
    let find = |kind, name: String| {
        objects
            .iter()
            .find(move |object| object.kind == kind && object.name() == name)
    };
    let Some(stateful_set) = find(Kind::StatefulSet, valid.names.main()).and_then(Object::read)
    else {
        let what = format!("StatefulSet {}", valid.names.main());
        return Err(Error::Conflict { what });
    };
    let services = objects.iter().filter(|object| object.kind == Kind::Service);
    Ok(Outcome::Applied(Box::new(Applied {
        services: services.filter_map(Object::read).collect(),
        live_rooms: ctx.watches.live_count(&ObjectRef::from_obj(cluster)),
        labelled: std::mem::take(&mut observed.pods),
        pod_trouble: None,
        valid,
        tokens,
        stateful_set,
    })))
}

/// What there is, with what stands in our way, and the steps from there to what is wanted.
pub(super) struct Work {
    pub(super) objects: Vec<Object>,
    pub(super) steps: Vec<Step>,
}

/// Decides what to write; writes nothing.
pub(super) async fn decide(
    cluster: &LiveCluster,
    valid: &Valid,
    tokens: &Tokens,
    home: &Home,
    writer: &Writer,
    observed: &Observed,
) -> Result<Result<Work, NotOwned>, Error> {
    let wanted = desired(valid, tokens, home);
    let mut objects = observed.objects.clone();
    objects.extend(strangers(writer, &objects, &wanted, &observed.secrets).await?);
    let uid = cluster.uid().unwrap_or_default();
    Ok(steps(&uid, &objects, wanted).map(|mut steps| {
        // A pod of the old image still has to find its configuration when it starts again.
        steps.retain(
            |step| !matches!(step, Step::Delete(object) if pods::mount(&observed.pods, object)),
        );
        Work { objects, steps }
    }))
}

/// Objects that have a wanted name but not our label, so that no watch has told of them.
async fn strangers(
    writer: &Writer,
    known: &[Object],
    wanted: &[Object],
    secrets: &[Object],
) -> Result<Vec<Object>, Error> {
    let is_wanted = |object: &Object| {
        wanted
            .iter()
            .any(|wanted| wanted.kind == object.kind && wanted.name() == object.name())
    };
    let mut found: Vec<_> = secrets
        .iter()
        .filter(|secret| is_wanted(secret))
        .cloned()
        .collect();
    let unknown = wanted.iter().filter(|wanted| {
        wanted.kind != Kind::Secret
            && !known
                .iter()
                .any(|known| known.kind == wanted.kind && known.name() == wanted.name())
    });
    let asked = unknown.map(|wanted| writer.find(wanted.kind, wanted.name()));
    found.extend(try_join_all(asked).await?.into_iter().flatten());
    Ok(found)
}

/// Nothing tells when somebody changes or deletes a Secret, so that it is asked for: those of the
/// tokens, as they now are, and that of the certificate.
pub(super) fn watch_secrets(
    cluster: &LiveCluster,
    valid: &Valid,
    ctx: &Ctx,
    secrets: &[Object],
    tls: Option<&Object>,
) {
    let want = |name: String, seen: Option<&Object>, pace| Want {
        seen: seen.map(|secret| secret.resource_version().to_owned()),
        secret: SecretRef {
            namespace: valid.names.namespace.clone(),
            name,
        },
        pace,
    };
    let ours = secret_names(&valid.names).map(|name| {
        let seen = secrets.iter().find(|secret| secret.name() == name);
        want(name, seen, Pace::Slow)
    });
    let mut wants = Vec::from(ours);
    if let Some(name) = &valid.pod.tls_secret {
        wants.push(want(name.clone(), tls, Pace::Soon));
    }
    ctx.poller
        .want(&Who::Cluster(ObjectRef::from_obj(cluster)), wants);
}

/// The operator stays in touch with the one node that there is.
pub(super) fn watch_node(cluster: &LiveCluster, observed: &Observed, watches: &Watches) {
    let names = names(cluster);
    let uid = cluster.uid().unwrap_or_default();
    let set = observed.objects.iter().find(|object| {
        object.kind == Kind::StatefulSet
            && object.name() == names.main()
            && object.is_controlled_by(&uid)
    });
    let set: Option<StatefulSet> = set.and_then(Object::read);
    let pods = set.iter().flat_map(|set| pods::of(set, &observed.pods));
    let mut present = pods.filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let address = present.find_map(|pod| {
        // A token that is not in its Secret yet is no node's.
        let Ok(Tokens {
            admin: Token::Found(token),
            ..
        }) = &observed.tokens
        else {
            return None;
        };
        let ip: IpAddr = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
        Some(NodeAddress {
            pod: pod.name_any(),
            ip,
            port: INTERNAL_PORT,
            token: token.clone(),
        })
    });
    watches.want(&ObjectRef::from_obj(cluster), address);
}

/// Writes the status where it differs, and an event where Ready has changed.
pub(super) async fn tell(
    cluster: &LiveCluster,
    ctx: &Ctx,
    outcome: &Outcome,
    status: LiveClusterStatus,
) -> Result<(), Error> {
    if cluster.status.is_some() && status::told(cluster) == status {
        return Ok(());
    }
    let ready = |status: &LiveClusterStatus| {
        let ready = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == "Ready")?;
        Some((ready.status.clone(), ready.reason.clone()))
    };
    let is_turn = cluster.status.as_ref().and_then(ready) != ready(&status);
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
                ctx.events.normal(cluster, reason, &message).await;
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
pub(super) async fn work_on_pods(applied: &Applied, ctx: &Ctx) -> Result<(), Error> {
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
            pods::Work::Touch { pod, tokens } => {
                let patch = json!({"metadata": {"annotations": {TOKENS: tokens}}});
                within(
                    &pod,
                    api.patch(&pod, &PatchParams::default(), &Patch::Merge(patch)),
                )
                .await?;
            }
            pods::Work::Replace { pod, uid } => {
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
                    Ok(_) | Err(Error::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(())
}
