//! What people write to Kubernetes: [`LiveCluster`] and [`LiveRoom`] of `isocast.dev/v1alpha1`.
//!
//! The types are the one source: their doc comments become what `kubectl explain` shows, their
//! rules what the API server refuses. [`definitions`] makes the CustomResourceDefinitions of them.
//! Optional fields have no default in the schema, so that what a user left out stays left out and
//! a later release can choose better; what is in force is told in the status.

// The schema derive repeats each type inside a function, where nothing is reachable.
#![allow(unreachable_pub)]

mod cluster;
mod definition;
mod room;
mod schema;

pub use cluster::{
    Container, Drain, Effective, Env, Expose, Flv, Hls, Ingress, LiveCluster, LiveClusterSpec,
    LiveClusterStatus, NetworkPolicy, PodOverrides, Protocols, PullSecret, Resources, Rtmp,
    Scheduling, Service, ServiceType, Tls, Toleration, TrafficPolicy, Urls, Volume,
};
pub use definition::{Definition, definitions};
pub use room::{
    ClusterRef, DeletionPolicy, Generate, KeyRef, LiveNow, LiveRoom, LiveRoomSpec, LiveRoomStatus,
    OnConflict, Playback, Publish, RoomKey, RoomUrls,
};

/// The API group of both kinds.
pub const GROUP: &str = "isocast.dev";
/// The one version that there is.
pub const VERSION: &str = "v1alpha1";
