use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// A Secret of type kubernetes.io/dockerconfigjson.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PullSecret {
    /// Its name, in the same namespace.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
}

/// What the node's container asks for and may use.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// What is set aside for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Container>,
    /// What it may use at most. A CPU limit makes live video stutter: name memory only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Container>,
}

/// Amounts for one container.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Cores, as in `500m` or `2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub cpu: Option<String>,
    /// Bytes, as in `256Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub memory: Option<String>,
    /// Bytes of the machine's own disk, as in `1Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub ephemeral_storage: Option<String>,
}

/// Where the pods may run.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// Labels that a machine must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods put up with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::list::<Toleration, 32>")]
    pub tolerations: Vec<Toleration>,
    /// The PriorityClass of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub priority_class_name: Option<String>,
}

/// A taint that the pods put up with. See Kubernetes' own description of tolerations.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.key) || (has(self.operator) && self.operator == 'Exists')")
        .message("a toleration without a key needs operator Exists"),
    validation = Rule::new("!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')")
        .message("tolerationSeconds needs effect NoExecute"),
)]
pub struct Toleration {
    /// The taint's key; every key if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub key: Option<String>,
    /// How the value is compared. Equal if this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "operators")]
    pub operator: Option<String>,
    /// The taint's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// The taint's effect; every effect if this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "effects")]
    pub effect: Option<String>,
    /// Seconds for which a NoExecute taint is put up with; for ever if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

fn operators(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "enum": ["Exists", "Equal"]})
}

fn effects(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]})
}

/// What else the pods are to have. Nothing here can weaken the pods' security settings.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodOverrides {
    /// Further labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('app.kubernetes.io/') && !key.startsWith('isocast.dev/'))")
        .message("labels of app.kubernetes.io/ and isocast.dev/ belong to the operator"))]
    pub labels: BTreeMap<String, String>,
    /// Further annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('isocast.dev/'))")
        .message("annotations of isocast.dev/ belong to the operator"))]
    pub annotations: BTreeMap<String, String>,
    /// Any other setting of the node, by its environment name, as in `ISOCAST__HUB__HOLD_S`. The
    /// node's own documentation lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::list_by_name::<Env, 64>")]
    pub env: Vec<Env>,
}

/// One setting of the node.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Env {
    /// `ISOCAST__SECTION__KEY`
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^ISOCAST__[A-Z]+__[A-Z0-9_]+$') && !self.matches('^ISOCAST__(NODE|LISTEN|API|ADMIN|TLS|PROXIES)__')")
        .message("name must be ISOCAST__SECTION__KEY; sections NODE, LISTEN, API, ADMIN, TLS and PROXIES belong to the operator"))]
    pub name: String,
    /// As the configuration writes it.
    #[schemars(length(max = 1024))]
    pub value: String,
}
