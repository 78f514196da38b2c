//! `LiveRoom`: a room of a LiveCluster, who may publish into it and who may watch.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What a LiveRoom is to be.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "isocast.dev",
    version = "v1alpha1",
    kind = "LiveRoom",
    plural = "liverooms",
    shortname = "lr",
    category = "isocast",
    namespaced,
    status = "LiveRoomStatus",
    derive = "PartialEq",
    doc = "A room of a LiveCluster: one stream, who may publish it and who may watch.",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Live", type_ = "string", json_path = r#".status.conditions[?(@.type=="Live")].status"#),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterRef.name"),
    printcolumn(name = "Page", type_ = "string", json_path = ".status.urls.page"),
    printcolumn(name = "Key", type_ = "string", json_path = ".status.key.secretName", priority = "1"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("has(self.spec.streamName) || (self.metadata.name.size() <= 64 && self.metadata.name.matches('^[a-z0-9-]+$'))")
        .message("metadata.name cannot be the room's id (at most 64 of a-z, 0-9 and '-'): give spec.streamName"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.streamName) == has(oldSelf.streamName) && (!has(self.streamName) || self.streamName == oldSelf.streamName)")
        .message("streamName cannot be changed: make a new LiveRoom"),
)]
pub struct LiveRoomSpec {
    /// The LiveCluster that serves the room, in the same namespace.
    #[x_kube(validation = Rule::new("self == oldSelf").message("clusterRef cannot be changed: make a new LiveRoom"))]
    pub cluster_ref: ClusterRef,

    /// The room's id, as in `/watch/<id>` and `room_<id>`; metadata.name if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_-]+$') && !self.startsWith('room_')")
        .message("streamName must be 1 to 64 of A-Z, a-z, 0-9, '_' and '-', and must not start with 'room_'"))]
    pub stream_name: Option<String>,

    /// The key with which an encoder publishes. Generated if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,

    /// Who may watch. public: everyone, and the room is listed while it is live. signed (if this is
    /// left out): whoever has a link that the server's API has signed. private: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playback: Option<Playback>,

    /// What happens to a publisher with the right key while the room is live. refuse (if this is left
    /// out): it is sent away while the present one sends. takeover: it replaces the present one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_conflict: Option<OnConflict>,

    /// What happens to the room when the LiveRoom is deleted. delete (if this is left out): it goes,
    /// with its publisher and viewers. retain: it stays in the LiveCluster, with its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// True: the operator writes nothing for this LiveRoom, not even its status, until this is false
    /// again. What runs goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// A LiveCluster of the same namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRef {
    /// Its name.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

/// The key with which an encoder publishes: one of the two.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.keySecretRef) != has(self.generate)")
    .message("publish needs exactly one of keySecretRef and generate"))]
pub struct Publish {
    /// A key of your own. The Secret's value is the whole `room_<id>_key_<secret>`, where the secret
    /// part is at least 20 letters and digits. A change is in force within seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_secret_ref: Option<KeyRef>,
    /// The operator makes a key and keeps it in the Secret `<name>-stream-key`, under `stream-key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate: Option<Generate>,
}

/// A value in a Secret of the same namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRef {
    /// The Secret's name.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
    /// Which of its data; `stream-key` if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$')").message("key must be a data key of a Secret: letters, digits, '-', '_' and '.'"))]
    pub key: Option<String>,
}

/// A generated key has no settings yet.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generate {}

/// Who may watch.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Playback {
    Public,
    #[default]
    Signed,
    Private,
}

/// What happens to a publisher while the room is live.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    #[default]
    Refuse,
    Takeover,
}

/// What happens to the room when its LiveRoom is deleted.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeletionPolicy {
    #[default]
    Delete,
    Retain,
}

/// What a LiveRoom is.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveRoomStatus {
    /// The metadata.generation that the rest of the status speaks of; -1 before the first look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready: encoders can publish with the key, viewers watch as the spec says. Reconciling: the
    /// operator is at work or waits. Stalled: the spec or its surroundings must change first.
    /// ClusterAccepted: the LiveCluster is there and has the id for this LiveRoom. KeyReady: the
    /// stream key is there and well formed. Live: somebody publishes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The room's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<String>,
    /// Where publishers and viewers go. The stream key is not part of any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls: Option<RoomUrls>,
    /// The stream key in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<RoomKey>,
    /// The present publisher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveNow>,
}

/// Where publishers and viewers go.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomUrls {
    /// Server for the encoder; the stream key comes from the Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<String>,
    /// The same over TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_tls: Option<String>,
    /// The page that plays the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// The HLS playlist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls: Option<String>,
    /// The HTTP-FLV stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flv: Option<String>,
    /// The stream for RTMP players.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmp: Option<String>,
}

/// The stream key in force, without the key.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomKey {
    /// The Secret that holds it.
    pub secret_name: String,
    /// 16 hexadecimal digits that tell keys apart and tell nothing about them.
    pub fingerprint: String,
    /// 1 for the room's first key, one more with each new one.
    pub generation: i64,
}

/// The present publisher.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveNow {
    /// The pod that has the publisher.
    pub node: String,
    /// Since when, as RFC 3339 in UTC.
    #[schemars(schema_with = "schema::date_time")]
    pub since: String,
}
