//! The objects of a LiveCluster, one file for each Kubernetes kind. Nothing here asks anybody.

mod config_map;
mod ingress;
mod network_policy;
mod pod_disruption_budget;
mod service;
mod stateful_set;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Resource;
use serde::Serialize;

use super::tokens::Tokens;
use super::validate::Valid;
use crate::apply::{Kind, Object};

/// Where the operator itself runs: whom the nodes' internal port must let in.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub namespace: String,
}

/// Everything that a LiveCluster consists of, in the order in which it is made: what is needed comes
/// before what needs it.
pub(crate) fn desired(valid: &Valid, tokens: &Tokens, home: &Home) -> Vec<Object> {
    let mut objects = vec![object(Kind::ServiceAccount, &service_account(valid))];
    objects.extend(
        tokens
            .missing(valid)
            .iter()
            .map(|secret| object(Kind::Secret, secret)),
    );
    objects.push(object(Kind::ConfigMap, &config_map::config_map(valid)));
    for service in service::services(valid) {
        objects.push(object(Kind::Service, &service));
    }
    if let Some(policy) = network_policy::network_policy(valid, home) {
        objects.push(object(Kind::NetworkPolicy, &policy));
    }
    objects.push(object(
        Kind::PodDisruptionBudget,
        &pod_disruption_budget::pod_disruption_budget(valid),
    ));
    objects.push(object(
        Kind::StatefulSet,
        &stateful_set::stateful_set(valid, tokens),
    ));
    if let Some(ingress) = ingress::ingress(valid) {
        objects.push(object(Kind::Ingress, &ingress));
    }
    objects
}

/// The pods talk to nobody at the API server, so they get no token for it.
fn service_account(valid: &Valid) -> ServiceAccount {
    ServiceAccount {
        metadata: valid
            .names
            .metadata(valid.names.service_account(), &valid.owner),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn object<K: Resource<DynamicType = ()> + Serialize>(kind: Kind, object: &K) -> Object {
    Object::new(
        kind,
        serde_json::to_value(object).expect("Kubernetes objects are JSON"),
    )
}

#[cfg(test)]
mod tests;
