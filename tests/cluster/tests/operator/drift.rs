//! What others do to what the operator has made, and what the operator leaves alone.

use isocast_cluster::{Condition, PATIENCE_S, Stage};
use serde_json::{Value, json};

use crate::{LIVE, PARTS, TOLD_S, config_maps, uid};

#[test]
fn what_others_change_or_delete_is_put_right() {
    let stage = Stage::new("drift");
    let namespace = &stage.namespace;
    stage.live_cluster(
        "live",
        json!({"expose": {"ingress": {"host": "tv.example.com"}}}),
    );
    stage.ready_cluster("live");
    let pod = uid(&namespace.get("pods", "live-0"));
    let set = uid(&namespace.get("statefulsets", "live"));

    let config = config_maps(&stage).remove(0);
    let changes = [
        (
            "services",
            "live-http",
            json!({"spec": {"type": "NodePort"}}),
        ),
        (
            "services",
            "live-rtmp",
            json!({"spec": {"ports": [{"name": "rtmp", "port": 1936, "targetPort": "rtmp"}]}}),
        ),
        // What is added is another thing, too: viewers would end nowhere, strangers at the admin API.
        (
            "services",
            "live-http",
            json!({"spec": {"selector": {"app": "evil"}}}),
        ),
        (
            "services",
            "live-rtmp",
            json!({"spec": {"ports": [
                {"name": "rtmp", "port": 1935, "targetPort": "rtmp"},
                {"name": "admin", "port": 8081, "targetPort": 8081},
            ]}}),
        ),
        (
            "services",
            "live-nodes",
            json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "somebody"}}}),
        ),
        ("configmaps", &config, json!({"data": {"default.toml": ""}})),
        ("networkpolicies", "live", json!({"spec": {"ingress": []}})),
        (
            "poddisruptionbudgets",
            "live",
            json!({"spec": {"maxUnavailable": 0}}),
        ),
        (
            "serviceaccounts",
            "live-node",
            json!({"automountServiceAccountToken": true}),
        ),
        ("statefulsets", "live", json!({"spec": {"replicas": 0}})),
        (
            "ingresses",
            "live",
            json!({"spec": {"rules": [{"host": "evil.example.com"}]}}),
        ),
    ];
    for (kind, name, change) in &changes {
        let before = namespace.get(kind, name);
        let versions = |object: &Value| {
            (
                object["spec"].clone(),
                object["data"].clone(),
                object["automountServiceAccountToken"].clone(),
                object["metadata"]["labels"].clone(),
            )
        };
        // The StatefulSet's own controller may have taken the pod away by then.
        if *kind != "statefulsets" {
            assert_ne!(
                versions(&namespace.patch(kind, name, change)),
                versions(&before)
            );
            namespace.until("as before", TOLD_S, (kind, name), |now| {
                versions(now) == versions(&before)
            });
        }
    }
    let side =
        r#"{"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "x"}]}}}}"#;
    namespace.kubectl(&["patch", "statefulset", "live", "-p", side]);
    namespace.until("as before", TOLD_S, ("statefulsets", "live"), |set| {
        let containers = set["spec"]["template"]["spec"]["containers"].as_array();
        containers.is_some_and(|containers| containers.len() == 1)
    });
    for (kind, name) in [
        ("services", "live-http"),
        ("configmaps", &*config),
        ("networkpolicies", "live"),
        ("poddisruptionbudgets", "live"),
        ("serviceaccounts", "live-node"),
        ("ingresses", "live"),
    ] {
        let before = uid(&namespace.get(kind, name));
        namespace.delete(kind, name);
        namespace.until("made again", TOLD_S, (kind, name), |now| uid(now) != before);
    }
    namespace.patch(
        "services",
        "live-rtmp",
        &json!({"metadata": {"annotations": {"example.com/cloud": "theirs"}}}),
    );
    namespace.patch(
        "statefulsets",
        "live",
        &json!({"spec": {"replicas": 1, "minReadySeconds": 1}}),
    );
    stage.ready_cluster("live");
    let service = namespace.get("services", "live-rtmp");
    assert_eq!(
        service["metadata"]["annotations"]["example.com/cloud"],
        "theirs"
    );
    assert_eq!(uid(&namespace.get("statefulsets", "live")), set);
    assert_eq!(
        uid(&namespace.get("pods", "live-0")),
        pod,
        "no pod was restarted"
    );
}

#[test]
fn a_stateful_set_that_was_deleted_is_made_again() {
    let stage = Stage::new("deleted-set");
    stage.live_cluster("live", json!({}));
    stage.ready_cluster("live");
    let before = uid(&stage.namespace.get("statefulsets", "live"));
    stage.namespace.delete("statefulsets", "live");
    stage
        .namespace
        .until("made again", PATIENCE_S, ("statefulsets", "live"), |set| {
            uid(set) != before
        });
    stage.ready_cluster("live");
}

#[test]
fn a_status_that_somebody_else_writes_is_put_right() {
    let stage = Stage::new("status");
    let namespace = &stage.namespace;
    stage.live_cluster("live", json!({}));
    stage.ready_cluster("live");
    let good = namespace.until("told", PATIENCE_S, LIVE, |cluster| {
        cluster["status"]["liveRooms"] == 0
    });
    for lie in [
        json!({"readyReplicas": 7, "urls": {"rtmp": "rtmp://evil.example.com/live"}}),
        json!({"observedGeneration": 99}),
        json!({"conditions": null}),
        json!({"effective": null, "selector": null}),
    ] {
        namespace.patch("liveclusters", "live/status", &json!({"status": lie}));
        let now = namespace.until("as before", TOLD_S, LIVE, |cluster| {
            let same = |field: &str| cluster["status"][field] == good["status"][field];
            Condition::of(cluster, "Ready").status == "True"
                && [
                    "readyReplicas",
                    "urls",
                    "observedGeneration",
                    "effective",
                    "selector",
                ]
                .into_iter()
                .all(same)
        });
        assert_eq!(
            now["status"]["conditions"].as_array().map(Vec::len),
            Some(4)
        );
    }
}

#[test]
fn objects_of_others_are_left_alone_and_told() {
    let stage = Stage::new("foreign");
    let namespace = &stage.namespace;
    for (kind, name, fields, word) in [
        (
            "services",
            "live-http",
            json!({"spec": {"ports": [{"port": 80}]}}),
            "Service live-http",
        ),
        (
            "secrets",
            "live-admin-token",
            json!({"stringData": {"token": CANARY}}),
            "Secret live-admin-token",
        ),
    ] {
        let foreign = namespace.make(kind, name, &fields);
        stage.live_cluster("live", json!({}));
        let told = namespace.until("told", TOLD_S, LIVE, |cluster| {
            Condition::of(cluster, "Stalled").is("True", "ObjectNotOwned")
        });
        let ready = Condition::of(&told, "Ready");
        assert!(
            ready.is("False", "ObjectNotOwned") && ready.message.contains(word),
            "{ready:?}"
        );
        let now = namespace.get(kind, name);
        assert_eq!(
            now["metadata"]["resourceVersion"],
            foreign["metadata"]["resourceVersion"]
        );
        assert!(
            namespace.find("statefulsets", "live").is_none(),
            "nothing is begun by halves"
        );
        let columns = namespace.kubectl(&["get", "lc"]);
        assert!(columns.contains("ObjectNotOwned"), "{columns}");

        namespace.delete(kind, name);
        stage.ready_cluster("live");
        namespace.delete("liveclusters", "live");
        for (kind, name) in PARTS {
            namespace.until_gone(PATIENCE_S, kind, name);
        }
    }
    assert!(!stage.operator.log().contains(CANARY));
}

const CANARY: &str = "canary-of-somebody-else-0123456789";

#[test]
fn specs_that_cannot_be_are_told_at_once() {
    let stage = Stage::new("invalid");
    let namespace = &stage.namespace;
    let hls = json!({"hls": {"targetSeconds": 4}});
    let env = json!([{"name": "ISOCAST__HLS__TARGET_MS", "value": "2500"}]);
    // Each within its bound, all of them more than an object may have.
    let long: Value = (0..64)
        .map(|number| (format!("a{number}"), json!("a".repeat(4096))))
        .collect();
    for (spec, reason, word) in [
        (
            json!({"protocols": hls, "podOverrides": {"env": env}}),
            "InvalidSpec",
            "ISOCAST__HLS__TARGET_MS",
        ),
        (
            json!({"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}),
            "Refused",
            "StatefulSet live",
        ),
        (
            json!({"expose": {"service": {"annotations": long}}}),
            "Refused",
            "Service live-rtmp",
        ),
    ] {
        stage.live_cluster("live", spec.clone());
        let told = namespace.until(reason, TOLD_S, LIVE, |cluster| {
            Condition::of(cluster, "Stalled").is("True", reason)
        });
        let ready = Condition::of(&told, "Ready");
        assert!(
            ready.is("False", reason) && ready.message.contains(word),
            "{spec}: {ready:?}"
        );
        assert!(Condition::of(&told, "Reconciling").is("False", "Done"));
        assert_eq!(told["status"]["observedGeneration"], 1);
        let plain =
            json!({"protocols": null, "podOverrides": null, "expose": null, "resources": null});
        namespace.patch("liveclusters", "live", &json!({"spec": plain}));
        stage.ready_cluster("live");
        namespace.delete("liveclusters", "live");
        for (kind, name) in PARTS {
            namespace.until_gone(PATIENCE_S, kind, name);
        }
    }
}
