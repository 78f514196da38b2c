use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What a LiveCluster is.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveClusterStatus {
    /// The metadata.generation that the rest of the status speaks of; -1 before the first look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready: publishers and viewers are served as the spec says. Reconciling: the operator is at
    /// work or waits. Stalled: the spec or its surroundings must change first. RoomsEphemeral: the
    /// rooms are gone with the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Pods that exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Pods that serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Which pods are counted, for autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Rooms that are live now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_rooms: Option<i32>,
    /// Where publishers and viewers go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls: Option<Urls>,
    /// What is in force, with what the spec left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
}

/// Where publishers and viewers go.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Urls {
    /// Server for publishers, as in `rtmp://HOST/live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmp: Option<String>,
    /// The same over TLS, as in `rtmps://HOST:1936/live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmps: Option<String>,
    /// The page that lists what is live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
}

/// What is in force.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// The node's container image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Nodes that are to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// The Services' type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
    /// What viewers may play over, as the spec names them: rtmp, hls, flv.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<String>,
    /// Seconds that an HLS segment should last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls_target_seconds: Option<i32>,
    /// Segments in a live playlist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls_window_segments: Option<i32>,
    /// Seconds that a node has to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_deadline_seconds: Option<i32>,
}
