//! The first half of a reconciliation, for who wants to know before it happens.

use isocast_crds::LiveCluster;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Client, ResourceExt};

use super::apply::{Work, decide};
use super::desired::{Home, desired};
use super::tokens::Tokens;
use super::validate::Valid;
use super::{observe, pods};
use crate::apply::{Error, Kind, NotOwned, Object, Step, Writer, steps};

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
    Server(#[from] Error),
}

/// Without a client everything is new.
pub(crate) async fn plan(
    cluster: &LiveCluster,
    client: Option<&Client>,
    home: &Home,
) -> Result<Planned, PlanError> {
    let valid = Valid::of(cluster).map_err(|problem| PlanError::Spec(problem.to_string()))?;
    let spec = |not_owned: NotOwned| PlanError::Spec(not_owned.to_string());
    let Some(client) = client else {
        let tokens = Tokens::of(&valid.names, |_| None, None);
        let steps = steps("", &[], desired(&valid, &tokens, home)).map_err(spec)?;
        let pods = Vec::new();
        return Ok(Planned { steps, pods });
    };
    let writer = Writer::new(client.clone(), &valid.names.namespace);
    let observed = observe::ask(cluster, client, &writer).await?;
    valid
        .check_tls(observed.tls.as_ref())
        .map_err(|problem| PlanError::Spec(problem.to_string()))?;
    let tokens = observed.tokens.clone().map_err(spec)?;
    let decided = decide(cluster, &valid, &tokens, home, &writer, &observed).await?;
    let Work { objects, steps } = decided.map_err(spec)?;
    let set = objects
        .iter()
        .find(|object| object.kind == Kind::StatefulSet && object.name() == valid.names.main());
    let set = set.and_then(Object::read::<StatefulSet>);
    let all = set.iter().flat_map(|set| pods::of(set, &observed.pods));
    let outdated = all.filter(|pod| !pods::is_current(pod, &valid));
    let pods = outdated.map(ResourceExt::name_any).collect();
    Ok(Planned { steps, pods })
}
