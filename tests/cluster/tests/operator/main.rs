//! The operator's program with LiveClusters and LiveRooms, on a real API server with real nodes and
//! publishers. Only the machines are missing: see [`isocast_cluster::Kubelet`].
//!
//! Each test has a namespace, an operator and a kubelet of its own. They wait more than they work, so
//! many may run at once.

mod clusters;
mod drift;
mod keys;
mod leaving;
mod quiet;
mod rooms;

use isocast_cluster::Stage;
use isocast_harness::{Peer, Reply};
use serde_json::{Value, json};

/// What is wrong is told within so long.
const TOLD_S: u64 = 5;

const LIVE: (&str, &str) = ("liveclusters", "live");

const POD: (&str, &str) = ("pods", "live-0");

/// What the least LiveCluster is made of, without its ConfigMap.
const PARTS: [(&str, &str); 9] = [
    ("statefulsets", "live"),
    ("services", "live-nodes"),
    ("services", "live-rtmp"),
    ("services", "live-http"),
    ("poddisruptionbudgets", "live"),
    ("networkpolicies", "live"),
    ("serviceaccounts", "live-node"),
    ("secrets", "live-admin-token"),
    ("secrets", "live-api-token"),
];

fn uid(object: &Value) -> String {
    object["metadata"]["uid"]
        .as_str()
        .expect("every object has a uid")
        .to_owned()
}

fn config_maps(stage: &Stage) -> Vec<String> {
    let maps = stage.namespace.list("configmaps").into_iter();
    let names = maps.map(|map| {
        map["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    });
    let mut names: Vec<_> = names
        .filter(|name| name.starts_with("live-config-"))
        .collect();
    names.sort();
    names
}

const TALK: (&str, &str) = ("liverooms", "talk");

/// A stage where the LiveCluster `live` is ready.
fn with_cluster(name: &str) -> Stage {
    let stage = Stage::new(name);
    // Publishers here send nothing, and are to stay all the same.
    let env = json!([{"name": "ISOCAST__RTMP__FIRST_MEDIA_TIMEOUT_S", "value": "600"}]);
    stage.live_cluster("live", json!({"podOverrides": {"env": env}}));
    stage.ready_cluster("live");
    stage
}

/// Whether the node sends a publisher with this key away.
fn is_refused(stage: &Stage, key: &str) -> bool {
    let mut peer = Peer::publish(stage.node().rtmp(), key);
    match peer.next(10) {
        Reply::Event(event) => !format!("{event:?}").contains("Started"),
        Reply::Closed => true,
    }
}

/// Neither the keys nor the cluster's tokens are anywhere but in their Secrets.
fn tells_no_secret(stage: &Stage, rooms: &[&str], keys: &[&str]) {
    let tokens = ["live-admin-token", "live-api-token"].map(|name| stage.secret(name, "token"));
    let namespace = &stage.namespace;
    let mut told = vec![stage.operator.log(), stage.operator.metrics()];
    if let Some(node) = stage.kubelet.node("live-0") {
        told.push(std::fs::read_to_string(node.log).unwrap_or_default());
    }
    for kind in [
        "liveclusters",
        "liverooms",
        "events",
        "configmaps",
        "pods",
        "statefulsets",
        "services",
    ] {
        told.push(json!(namespace.list(kind)).to_string());
    }
    let secrets = tokens
        .iter()
        .map(String::as_str)
        .chain(keys.iter().copied());
    for secret in secrets {
        assert!(secret.len() > 16, "a canary is long");
        // A key begins with its room's name, which is none of the secret.
        let tail = secret.rsplit('_').next().unwrap_or(secret);
        for text in &told {
            assert!(!text.contains(tail), "{rooms:?}: a secret is told: {text}");
        }
    }
}
