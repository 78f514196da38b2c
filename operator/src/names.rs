//! What the objects of a LiveCluster are called, and the labels that say whose they are.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use sha2::{Digest, Sha256};

/// Whom server-side apply names as the writer.
pub(crate) const FIELD_MANAGER: &str = "isocast-operator";
/// All that the operator makes has this label, so that it watches nothing else.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", FIELD_MANAGER);
/// The LiveCluster that an object belongs to.
pub(crate) const CLUSTER_LABEL: &str = "isocast.dev/cluster";
/// Hash of what was applied: tells that a field which is wanted no more must go.
pub(crate) const APPLIED: &str = "isocast.dev/applied";
/// On pods: hash of what the spec says about them. A pod with another one is replaced.
pub(crate) const INPUTS: &str = "isocast.dev/inputs";
/// On pods: hash of their tokens. A change makes the kubelet write the files at once.
pub(crate) const TOKENS: &str = "isocast.dev/tokens";

/// The node's container.
pub(crate) const CONTAINER: &str = "node";
pub(crate) const RTMP_PORT: u16 = 1935;
pub(crate) const RTMPS_PORT: u16 = 1936;
pub(crate) const HTTP_PORT: u16 = 8080;
pub(crate) const HTTPS_PORT: u16 = 8443;
pub(crate) const INTERNAL_PORT: u16 = 8081;
/// The user and group of the node's process.
pub(crate) const USER: i64 = 65532;

/// Names derived from that of a LiveCluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub cluster: String,
    pub namespace: String,
}

impl Names {
    /// The StatefulSet, the PodDisruptionBudget, the Ingress and the NetworkPolicy.
    pub(crate) fn main(&self) -> String {
        self.cluster.clone()
    }

    /// The headless Service, which has a name for each pod.
    pub(crate) fn nodes(&self) -> String {
        format!("{}-nodes", self.cluster)
    }

    pub(crate) fn rtmp(&self) -> String {
        format!("{}-rtmp", self.cluster)
    }

    pub(crate) fn http(&self) -> String {
        format!("{}-http", self.cluster)
    }

    pub(crate) fn service_account(&self) -> String {
        format!("{}-node", self.cluster)
    }

    /// One ConfigMap for each image: a pod that starts again with its old image must find the
    /// configuration that this image understands.
    pub(crate) fn config(&self, image: &str) -> String {
        format!("{}-config-{}", self.cluster, &hash(image.as_bytes())[..8])
    }

    /// The token of the internal port, between the operator and the nodes.
    pub(crate) fn admin_token(&self) -> String {
        format!("{}-admin-token", self.cluster)
    }

    /// The token of the public API.
    pub(crate) fn api_token(&self) -> String {
        format!("{}-api-token", self.cluster)
    }

    /// What signs play links and the publish keys of a moment.
    pub(crate) fn signing(&self) -> String {
        format!("{}-signing", self.cluster)
    }

    /// What selects the pods. Part of it can never change.
    pub(crate) fn selector(&self) -> BTreeMap<String, String> {
        [
            ("app.kubernetes.io/name", "isocast"),
            ("app.kubernetes.io/instance", &self.cluster),
            ("app.kubernetes.io/component", "node"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    pub(crate) fn label_selector(&self) -> LabelSelector {
        LabelSelector {
            match_labels: Some(self.selector()),
            ..LabelSelector::default()
        }
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.selector();
        labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
        labels.insert(CLUSTER_LABEL.to_owned(), self.cluster.clone());
        labels
    }

    pub(crate) fn metadata(&self, name: String, owner: &OwnerReference) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels()),
            owner_references: Some(vec![owner.clone()]),
            ..ObjectMeta::default()
        }
    }
}

/// 16 hexadecimal digits of SHA-256: enough to tell versions of one thing apart.
pub(crate) fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
