//! `LiveCluster`: a set of nodes with one address, and what it says of itself.

mod expose;
mod pods;
mod status;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use expose::{Expose, Ingress, NetworkPolicy, Service, ServiceType, Tls, TrafficPolicy};
pub use pods::{Container, Env, PodOverrides, PullSecret, Resources, Scheduling, Toleration};
pub use status::{Effective, LiveClusterStatus, Urls};

use crate::schema;

/// What a LiveCluster is to be.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "isocast.dev",
    version = "v1alpha1",
    kind = "LiveCluster",
    plural = "liveclusters",
    shortname = "lc",
    category = "isocast",
    namespaced,
    status = "LiveClusterStatus",
    derive = "PartialEq",
    doc = "A live streaming server: takes RTMP publishers, serves viewers. Its rooms are LiveRooms of the same namespace.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Live", type_ = "integer", json_path = ".status.liveRooms"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = "1"),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.effective.image", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be at most 40 characters of a-z, 0-9 and '-', starting with a letter: Services and pods are named after it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.volume) == has(oldSelf.volume) && (!has(self.volume) || self.volume == oldSelf.volume)")
        .message("volume cannot be changed: make a new LiveCluster, or delete this one first"),
)]
pub struct LiveClusterSpec {
    /// The node's container image.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[^ \\\\t\\\\n]+$')").message("image must be an image reference without spaces"))]
    pub image: String,

    /// Secrets with which the image is pulled, in the same namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::list::<PullSecret, 8>")]
    pub image_pull_secrets: Vec<PullSecret>,

    /// How many nodes run: 1 if this is left out. 0 stops all of them and keeps the rooms. More than
    /// one needs a shared registry and database, which cannot be named yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    #[x_kube(validation = Rule::new("self <= 1").message("replicas must be 0 or 1: more than one needs Redis and PostgreSQL, which cannot be named yet"))]
    pub replicas: Option<i32>,

    /// What viewers may play over. All of them if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Protocols>,

    /// How publishers and viewers reach the nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expose: Option<Expose>,

    /// Where the rooms are kept. Without it they are gone with the pod, and the condition
    /// RoomsEphemeral says so. Deleted with the LiveCluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,

    /// How a node ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,

    /// What the node's container asks for and may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Where the pods may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,

    /// What else the pods are to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_overrides: Option<PodOverrides>,

    /// Who may connect to the pods, where the cluster's network enforces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicy>,

    /// True: the operator writes nothing for this LiveCluster, not even its status, until this is
    /// false again. What runs goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// What viewers may play over.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Protocols {
    /// Playing over RTMP. Publishing is always possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmp: Option<Rtmp>,
    /// HLS: what every browser and phone plays, some seconds late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls: Option<Hls>,
    /// HTTP-FLV and WebSocket-FLV: under a second late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flv: Option<Flv>,
}

/// Playing over RTMP.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rtmp {
    /// False turns it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// HLS.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hls {
    /// False turns it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Seconds that a segment should last; it ends at the next key frame. 2 if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub target_seconds: Option<i32>,
    /// Segments in a live playlist. 6 if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3, max = 60))]
    pub window_segments: Option<i32>,
}

/// HTTP-FLV and WebSocket-FLV.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flv {
    /// False turns it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A volume of its own for each node.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!isQuantity(self.size) || quantity(self.size).isGreaterThan(quantity('0'))")
    .message("size must be more than 0"))]
pub struct Volume {
    /// How large, as in `1Gi`. Ten thousand rooms take some 3 MiB.
    #[schemars(schema_with = "schema::quantity")]
    pub size: String,
    /// The StorageClass; the cluster's default if this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub storage_class_name: Option<String>,
}

/// How a node ends.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// Seconds that a node has from the word to stop until it is gone, whatever is still open. 60 if
    /// this is left out. The first 5 of them it goes on as before, until load balancers have noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 6, max = 3600))]
    pub deadline_seconds: Option<i32>,
}
