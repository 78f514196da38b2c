//! What the API server takes and refuses by the definitions, and with which words.
//!
//! Each table is one call: kubectl answers object by object.

use std::fmt::Write as _;
use std::sync::OnceLock;

use isocast_cluster::Lab;
use isocast_harness::{Output, Scratch, repository};
use serde_json::{Value, json};

#[test]
fn live_clusters_that_can_be_are_taken() {
    let specs = [
        json!({}),
        json!({"replicas": 0}),
        json!({"replicas": 1, "suspend": true}),
        json!({"imagePullSecrets": [{"name": "images"}]}),
        json!({"protocols": {"rtmp": {"enabled": false}, "hls": {"targetSeconds": 1, "windowSegments": 60}, "flv": {}}}),
        json!({"volume": {"size": "1Gi", "storageClassName": "fast"}}),
        json!({"volume": {"size": "1.5Gi"}}),
        json!({"drain": {"deadlineSeconds": 6}}),
        json!({"drain": {"deadlineSeconds": 3600}}),
        json!({"resources": {"limits": {"memory": "1Gi"}}}),
        json!({"resources": {"requests": {"cpu": "500m"}, "limits": {"ephemeralStorage": "1Gi"}}}),
        json!({"scheduling": {"tolerations": [{"operator": "Exists"}, {"key": "dedicated"}]}}),
        json!({"scheduling": {"tolerations": [{"key": "k", "effect": "NoExecute", "tolerationSeconds": 3}]}}),
        json!({"scheduling": {"nodeSelector": {"example.com/disk": "ssd", "empty": ""}}}),
        json!({"podOverrides": {"labels": {"team": "tv"}, "annotations": {"example.com/note": "any\ntext"}}}),
        json!({"podOverrides": {"env": [{"name": "ISOCAST__HUB__HOLD_S", "value": "30"}]}}),
        json!({"expose": {"service": {"annotations": {"example.com/lb": "internal"}}}}),
        json!({"expose": {"service": {"type": "NodePort", "externalTrafficPolicy": "Cluster"}}}),
        json!({"expose": {"service": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}}}),
        json!({"expose": {"ingress": {"host": "live.example.com", "className": "nginx", "tlsSecretName": "live"}}}),
        json!({"networkPolicy": {"metricsFromNamespaces": ["monitoring"]}}),
    ];
    let mut objects: Vec<_> = specs.map(cluster).into();
    objects.push(named(&"a".repeat(40), cluster(json!({}))));
    all_taken(objects);
}

#[test]
fn live_clusters_that_cannot_be_are_refused() {
    let name =
        "metadata.name must be at most 40 characters of a-z, 0-9 and '-', starting with a letter";
    let amount = "must be an amount such as 500m, 2 or 1Gi";
    let toleration = |fields: Value| cluster(json!({"scheduling": {"tolerations": [fields]}}));
    let env =
        |name: &str| cluster(json!({"podOverrides": {"env": [{"name": name, "value": "1"}]}}));
    let host = |host: &str| cluster(json!({"expose": {"ingress": {"host": host}}}));
    all_refused(vec![
        (named("1live", cluster(json!({}))), name),
        (named(&"a".repeat(41), cluster(json!({}))), name),
        (named("live.tv", cluster(json!({}))), name),
        (cluster(json!({"image": ""})), "spec.image"),
        (
            cluster(json!({"image": "a b"})),
            "image must be an image reference without spaces",
        ),
        (
            cluster(json!({"image": "a\tb"})),
            "image must be an image reference without spaces",
        ),
        (cluster(json!({"replicas": 2})), "replicas must be 0 or 1"),
        (cluster(json!({"replicas": -1})), "spec.replicas"),
        (
            cluster(json!({"protocols": {"hls": {"targetSeconds": 11}}})),
            "spec.protocols.hls.targetSeconds",
        ),
        (
            cluster(json!({"protocols": {"hls": {"windowSegments": 2}}})),
            "spec.protocols.hls.windowSegments",
        ),
        (cluster(json!({"volume": {"size": "1e400"}})), amount),
        (cluster(json!({"volume": {"size": "-1Gi"}})), amount),
        (cluster(json!({"volume": {"size": "1 Gi"}})), amount),
        (
            cluster(json!({"volume": {}})),
            "spec.volume.size: Required value",
        ),
        (
            cluster(json!({"resources": {"requests": {"cpu": "lots"}}})),
            amount,
        ),
        (
            cluster(json!({"drain": {"deadlineSeconds": 5}})),
            "spec.drain.deadlineSeconds",
        ),
        (
            cluster(json!({"drain": {"deadlineSeconds": 3601}})),
            "spec.drain.deadlineSeconds",
        ),
        (
            toleration(json!({})),
            "a toleration without a key needs operator Exists",
        ),
        (
            toleration(json!({"operator": "Equal"})),
            "a toleration without a key needs operator Exists",
        ),
        (
            toleration(json!({"key": "a", "tolerationSeconds": 3})),
            "tolerationSeconds needs effect NoExecute",
        ),
        (
            toleration(json!({"key": "a", "operator": "In"})),
            r#"supported values: "Exists", "Equal""#,
        ),
        (
            cluster(json!({"scheduling": {"nodeSelector": {"a b": "c"}}})),
            "a label's key must be a name",
        ),
        (
            cluster(json!({"scheduling": {"nodeSelector": {"a": "b c"}}})),
            "a label's value must be letters",
        ),
        (
            cluster(json!({"podOverrides": {"labels": {"app.kubernetes.io/name": "x"}}})),
            "labels of app.kubernetes.io/ and isocast.dev/ belong to the operator",
        ),
        (
            cluster(json!({"podOverrides": {"annotations": {"isocast.dev/inputs": "x"}}})),
            "annotations of isocast.dev/ belong to the operator",
        ),
        (
            cluster(json!({"podOverrides": {"annotations": {"a b": "c"}}})),
            "an annotation's key must be a name",
        ),
        (env("PATH"), "name must be ISOCAST__SECTION__KEY"),
        (
            env("ISOCAST__LISTEN__HTTP"),
            "name must be ISOCAST__SECTION__KEY",
        ),
        (
            env("ISOCAST__HUB__HOLD_S\n"),
            "name must be ISOCAST__SECTION__KEY",
        ),
        (
            cluster(json!({"podOverrides": {"env": [
                {"name": "ISOCAST__HUB__HOLD_S", "value": "1"}, {"name": "ISOCAST__HUB__HOLD_S", "value": "2"},
            ]}})),
            "Duplicate value",
        ),
        (
            cluster(json!({"expose": {"service": {"externalTrafficPolicy": "Local"}}})),
            "externalTrafficPolicy needs type NodePort or LoadBalancer",
        ),
        (
            cluster(
                json!({"expose": {"service": {"type": "ClusterIP", "externalTrafficPolicy": "Local"}}}),
            ),
            "externalTrafficPolicy needs type NodePort or LoadBalancer",
        ),
        (
            cluster(json!({"expose": {"service": {"type": "ExternalName"}}})),
            "supported values",
        ),
        (
            host("https://live.example.com"),
            "host must be a DNS name in lower case, without scheme and port",
        ),
        (
            host("live.example.com:80"),
            "host must be a DNS name in lower case, without scheme and port",
        ),
        (
            host("*.example.com"),
            "host must be a DNS name in lower case, without scheme and port",
        ),
        (
            cluster(json!({"networkPolicy": {"metricsFromNamespaces": ["a", "a"]}})),
            "Duplicate value",
        ),
    ]);
}

#[test]
fn live_rooms_that_can_be_are_taken() {
    let specs = [
        json!({}),
        json!({"streamName": "A_b-1"}),
        json!({"streamName": "a".repeat(64)}),
        json!({"publish": {"generate": {}}}),
        json!({"publish": {"keySecretRef": {"name": "key"}}}),
        json!({"publish": {"keySecretRef": {"name": "key", "key": "a.b_C-1"}}}),
        json!({"playback": {"public": true}, "onConflict": "takeover", "deletionPolicy": "retain", "suspend": true}),
    ];
    let mut objects: Vec<_> = specs.map(room).into();
    objects.push(named(&"a".repeat(64), room(json!({}))));
    objects.push(named("a.b", room(json!({"streamName": "b"}))));
    all_taken(objects);
}

#[test]
fn live_rooms_that_cannot_be_are_refused() {
    let id = "metadata.name cannot be the room's id";
    let stream_name = "streamName must be 1 to 64 of A-Z, a-z, 0-9, '_' and '-'";
    let one = "publish needs exactly one of keySecretRef and generate";
    all_refused(vec![
        (named("a.b", room(json!({}))), id),
        (named(&"a".repeat(65), room(json!({}))), id),
        (room(json!({"streamName": "room_show"})), stream_name),
        (room(json!({"streamName": "a/b"})), stream_name),
        (room(json!({"streamName": "a\n"})), stream_name),
        (
            room(json!({"streamName": "a".repeat(65)})),
            "spec.streamName",
        ),
        (
            room(json!({"clusterRef": {"name": ""}})),
            "spec.clusterRef.name",
        ),
        (
            room(json!({"clusterRef": {}})),
            "spec.clusterRef.name: Required value",
        ),
        (room(json!({"publish": {}})), one),
        (
            room(json!({"publish": {"generate": {}, "keySecretRef": {"name": "key"}}})),
            one,
        ),
        (
            room(json!({"publish": {"keySecretRef": {"name": "key", "key": "a/b"}}})),
            "key must be a data key of a Secret",
        ),
        (
            room(json!({"onConflict": "Takeover"})),
            r#"supported values: "refuse", "takeover""#,
        ),
        (
            room(json!({"deletionPolicy": "keep"})),
            r#"supported values: "delete", "retain""#,
        ),
    ]);
}

#[test]
fn what_cannot_be_changed_is_kept() {
    let volume = "volume cannot be changed: make a new LiveCluster, or delete this one first";
    let stream_name = "streamName cannot be changed: make a new LiveRoom";
    for (from, to, why) in [
        (
            cluster(json!({"volume": {"size": "1Gi"}})),
            cluster(json!({"volume": {"size": "2Gi"}})),
            volume,
        ),
        (
            cluster(json!({"volume": {"size": "1Gi"}})),
            cluster(json!({})),
            volume,
        ),
        (
            cluster(json!({})),
            cluster(json!({"volume": {"size": "1Gi"}})),
            volume,
        ),
        (
            room(json!({"streamName": "a"})),
            room(json!({"streamName": "b"})),
            stream_name,
        ),
        (
            room(json!({"streamName": "a"})),
            room(json!({})),
            stream_name,
        ),
        (
            room(json!({})),
            room(json!({"streamName": "a"})),
            stream_name,
        ),
        (
            room(json!({})),
            room(json!({"clusterRef": {"name": "other"}})),
            "clusterRef cannot be changed: make a new LiveRoom",
        ),
    ] {
        let namespace = defined().namespace("changes");
        namespace.apply(&named("it", from.clone()).to_string());
        let refused = ask(
            "replace",
            &[named("it", to)],
            &["--namespace", &namespace.name],
        );
        assert_ne!(refused.code, Some(0), "{from} became another");
        assert!(refused.err.contains(why), "{}", refused.err);
    }
}

/// Tools that wait for a rollout must not take an object for finished that nobody has looked at.
#[test]
fn a_new_object_says_that_nobody_has_looked_at_it() {
    let namespace = defined().namespace("status");
    for (kind, object) in [
        ("livecluster", cluster(json!({}))),
        ("liveroom", room(json!({}))),
    ] {
        namespace.apply(&named("it", object).to_string());
        let made = namespace.get_json(&[kind, "it"]).expect("made");
        assert_eq!(made["status"], json!({"observedGeneration": -1}));
        assert_eq!(made["metadata"]["generation"], 1);
    }
}

fn all_taken(objects: Vec<Value>) {
    let Output { code, err, .. } = ask("create", &numbered(objects), &["--dry-run=server"]);
    assert_eq!(code, Some(0), "{err}");
}

fn all_refused(rows: Vec<(Value, &str)>) {
    let (objects, reasons): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let objects = numbered(objects);
    let refused = ask("create", &objects, &["--dry-run=server"]);
    let mut faults = String::new();
    for (object, why) in objects.iter().zip(reasons) {
        let name = object["metadata"]["name"].as_str().expect("named");
        let said = refused
            .err
            .lines()
            .find(|line| line.contains(&format!("\"{name}\" is invalid")));
        if !said.is_some_and(|said| said.contains(why)) {
            let spec = &object["spec"];
            writeln!(
                faults,
                "{spec}: {why:?} expected, the server says: {said:?}"
            )
            .expect("a String takes all");
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

/// `kubectl VERB` on all of them.
fn ask(verb: &str, objects: &[Value], arguments: &[&str]) -> Output {
    let scratch = Scratch::new("admission");
    let file = scratch.file("objects.yaml");
    // Of a List kubectl would stop at the first that is refused.
    let documents: Vec<_> = objects.iter().map(Value::to_string).collect();
    std::fs::write(&file, documents.join("\n---\n")).expect("writable");
    let file = file.to_str().expect("cargo's folders have readable names");
    defined().ask_kubectl(&[&[verb, "-f", file], arguments].concat())
}

/// A lab that knows both kinds.
fn defined() -> &'static Lab {
    static DEFINED: OnceLock<&Lab> = OnceLock::new();
    DEFINED.get_or_init(|| {
        let lab = Lab::api();
        let folder = repository().join("charts/isocast/files/crds");
        let folder = folder.to_str().expect("a readable name");
        let apply = ["apply", "--server-side", "--force-conflicts", "-f", folder];
        lab.kubectl(&apply);
        lab.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "-f",
            folder,
        ]);
        lab
    })
}

fn cluster(fields: Value) -> Value {
    object(
        "LiveCluster",
        json!({"image": "isocast.local/node:0.1.0"}),
        fields,
    )
}

fn room(fields: Value) -> Value {
    object("LiveRoom", json!({"clusterRef": {"name": "live"}}), fields)
}

fn object(kind: &str, mut spec: Value, fields: Value) -> Value {
    for (key, field) in fields.as_object().expect("fields of a spec") {
        spec[key] = field.clone();
    }
    json!({"apiVersion": "isocast.dev/v1alpha1", "kind": kind, "metadata": {}, "spec": spec})
}

fn named(name: &str, mut object: Value) -> Value {
    object["metadata"]["name"] = name.into();
    object
}

/// Gives a name to each that has none.
fn numbered(mut objects: Vec<Value>) -> Vec<Value> {
    for (number, object) in objects.iter_mut().enumerate() {
        if object["metadata"]["name"].is_null() {
            object["metadata"]["name"] = format!("object-{number}").into();
        }
    }
    objects
}
