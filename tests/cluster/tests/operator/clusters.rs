//! The life of a LiveCluster: made, scaled, given another image, deleted.

use std::time::Instant;

use isocast_cluster::{Condition, PATIENCE_S, Stage, Write};
use serde_json::json;

use crate::{LIVE, PARTS, POD, TOLD_S, config_maps, uid};

#[test]
fn the_least_live_cluster_becomes_ready_and_says_where_it_is() {
    let stage = Stage::new("least");
    let namespace = &stage.namespace;
    let began = Instant::now();
    stage.live_cluster("live", json!({}));
    let first = namespace.get("liveclusters", "live");
    assert_ne!(Condition::of(&first, "Ready").status, "True");
    let waiting = namespace.until("waiting", PATIENCE_S, LIVE, |cluster| {
        Condition::of(cluster, "Reconciling").is("True", "PodStarting")
    });
    assert!(Condition::of(&waiting, "Ready").is("False", "PodStarting"));
    let ready = stage.ready_cluster("live");
    println!(
        "ready {:.1} s after it was made",
        began.elapsed().as_secs_f64()
    );

    assert!(Condition::of(&ready, "Ready").is("True", "Serving"));
    assert!(Condition::of(&ready, "Reconciling").is("False", "Done"));
    assert!(Condition::of(&ready, "Stalled").is("False", "Done"));
    assert!(Condition::of(&ready, "RoomsEphemeral").is("True", "NoVolume"));
    let status = &ready["status"];
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(
        (&status["replicas"], &status["readyReplicas"]),
        (&json!(1), &json!(1))
    );
    let host = |service: &str| format!("{service}.{}.svc", namespace.name);
    assert_eq!(
        status["urls"],
        json!({
            "rtmp": format!("rtmp://{}/live", host("live-rtmp")),
            "http": format!("http://{}:8080", host("live-http")),
        })
    );
    assert_eq!(
        status["effective"],
        json!({
            "image": "isocast.local/node:1", "replicas": 1, "serviceType": "ClusterIP",
            "protocols": ["rtmp", "hls", "flv"], "hlsTargetSeconds": 2, "hlsWindowSegments": 6,
            "drainDeadlineSeconds": 60,
        })
    );
    let told = namespace.until("the node tells what is live", PATIENCE_S, LIVE, |cluster| {
        cluster["status"]["liveRooms"] == 0
    });
    assert_eq!(told["metadata"]["generation"], 1);

    let columns = namespace.kubectl(&["get", "lc", "-o", "wide"]);
    let columns: Vec<Vec<_>> = columns
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        columns[0],
        [
            "NAME",
            "READY",
            "STATUS",
            "REPLICAS",
            "LIVE",
            "SUSPENDED",
            "IMAGE",
            "AGE"
        ]
    );
    assert_eq!(columns[1][..5], ["live", "True", "Serving", "1", "0"]);
    assert!(columns[1].contains(&"isocast.local/node:1"));
    let events = stage.events("live");
    assert!(
        events.iter().any(|event| event.starts_with("Serving: ")),
        "{events:?}"
    );

    // Kubernetes takes it apart by itself.
    namespace.delete("liveclusters", "live");
    for (kind, name) in PARTS {
        namespace.until_gone(PATIENCE_S, kind, name);
    }
    namespace.until_gone(PATIENCE_S, "pods", "live-0");
}

#[test]
fn it_is_scaled_to_nothing_and_back() {
    let stage = Stage::new("scale");
    let namespace = &stage.namespace;
    stage.live_cluster("live", json!({}));
    let ready = stage.ready_cluster("live");
    let selector = ready["status"]["selector"]
        .as_str()
        .expect("autoscalers need one");
    let pods = namespace.kubectl(&["get", "pods", "-l", selector, "-o", "name"]);
    assert_eq!(pods.trim(), "pod/live-0");

    namespace.kubectl(&["scale", "lc", "live", "--replicas=0"]);
    let stopped = namespace.until("stopped", PATIENCE_S, LIVE, |cluster| {
        Condition::of(cluster, "Ready").is("True", "Stopped")
    });
    assert_eq!(stopped["status"]["replicas"], 0);
    assert!(stopped["status"]["liveRooms"].is_null(), "nobody tells");
    namespace.until_gone(PATIENCE_S, "pods", "live-0");

    namespace.kubectl(&["scale", "lc", "live", "--replicas=1"]);
    let again = namespace.until("serving", PATIENCE_S, LIVE, |cluster| {
        Condition::of(cluster, "Ready").is("True", "Serving")
    });
    assert_eq!(again["status"]["observedGeneration"], 3);
    let two = namespace.ask_kubectl(&["scale", "lc", "live", "--replicas=2"]);
    assert!(two.err.contains("replicas must be 0 or 1"), "{}", two.err);
}

#[test]
fn another_image_replaces_the_pod_once_and_what_is_wanted_no_more_goes() {
    let stage = Stage::new("image");
    let namespace = &stage.namespace;
    stage.live_cluster(
        "live",
        json!({"expose": {"ingress": {"host": "tv.example.com"}}}),
    );
    let ready = stage.ready_cluster("live");
    assert_eq!(ready["status"]["urls"]["http"], "http://tv.example.com");
    let labels = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "isocast-operator", "isocast.dev/cluster": "live"}}});
    namespace.make("configmaps", "not-ours", &labels);
    let first = uid(&namespace.get("pods", "live-0"));
    let [old] = &config_maps(&stage)[..] else {
        panic!("one ConfigMap: {:?}", config_maps(&stage));
    };

    namespace.patch(
        "liveclusters",
        "live",
        &json!({"spec": {"image": "isocast.local/node:2", "expose": null}}),
    );
    namespace.until("replaced", PATIENCE_S, POD, |pod| uid(pod) != first);
    let ready = stage.ready_cluster("live");
    let second = namespace.get("pods", "live-0");
    assert_eq!(
        second["spec"]["containers"][0]["image"],
        "isocast.local/node:2"
    );
    assert_eq!(
        ready["status"]["effective"]["image"],
        "isocast.local/node:2"
    );
    namespace.until_gone(TOLD_S, "ingresses", "live");
    namespace.until_gone(TOLD_S, "configmaps", old);
    assert_eq!(config_maps(&stage).len(), 1);
    assert!(namespace.find("configmaps", "not-ours").is_some());

    // What does not concern the pod leaves it alone.
    namespace.patch(
        "liveclusters",
        "live",
        &json!({"spec": {"expose": {"service": {"type": "NodePort"}}}}),
    );
    stage.ready_cluster("live");
    assert_eq!(uid(&namespace.get("pods", "live-0")), uid(&second));
    let is_made = |write: &Write| write.verb == "create" && write.resource == "pods";
    let writes = namespace.lab.writes().into_iter();
    let made = writes.filter(|write| write.namespace == namespace.name && is_made(write));
    assert_eq!(made.count(), 2, "the first pod and one instead of it");
    let writes = stage.writes();
    assert!(
        writes
            .iter()
            .any(|write| write.starts_with("create pods/eviction")),
        "{writes:?}"
    );
    let deletions = writes
        .iter()
        .filter(|write| write.starts_with("delete pods"));
    assert_eq!(deletions.count(), 0, "pods go by eviction");
}

#[test]
fn a_pod_that_cannot_start_is_told_and_a_better_spec_replaces_it() {
    let stage = Stage::new("broken");
    let namespace = &stage.namespace;
    stage.live_cluster("live", json!({"image": "isocast.local/none:1"}));
    let told = namespace.until("told", PATIENCE_S, LIVE, |cluster| {
        Condition::of(cluster, "Ready").is("False", "ImagePullFailed")
    });
    let message = Condition::of(&told, "Ready").message;
    assert!(message.contains("isocast.local/none:1"), "{message}");

    let env = json!([{"name": "ISOCAST__HUB__HOLD_S", "value": "soon"}]);
    namespace.patch(
        "liveclusters",
        "live",
        &json!({"spec": {"image": "isocast.local/node:1", "podOverrides": {"env": env}}}),
    );
    let told = namespace.until("told", PATIENCE_S, LIVE, |cluster| {
        Condition::of(cluster, "Ready").is("False", "NodeEnds")
    });
    let message = Condition::of(&told, "Ready").message;
    assert!(message.contains("ISOCAST__HUB__HOLD_S"), "{message}");

    namespace.patch(
        "liveclusters",
        "live",
        &json!({"spec": {"podOverrides": null}}),
    );
    stage.ready_cluster("live");
}

#[test]
fn a_live_cluster_deleted_before_it_was_seen_leaves_nothing() {
    let mut stage = Stage::new("early");
    stage.operator.stop();
    stage.live_cluster("gone", json!({}));
    stage.namespace.delete("liveclusters", "gone");
    stage.namespace.until_gone(TOLD_S, "liveclusters", "gone");
    stage.operator.start_again();
    stage.live_cluster("live", json!({}));
    stage.ready_cluster("live");
    let sets = stage.namespace.list("statefulsets");
    assert_eq!(sets.len(), 1);
}
