use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::apply::NotOwned;
use crate::cluster::tests::cluster;
use crate::cluster::tokens::{Token, Tokens};
use crate::cluster::validate::Problem;
use crate::names::INPUTS;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

/// What came of applying this spec, with these pods.
fn applied(spec: &str, pods: &[Value]) -> Outcome {
    let valid = Valid::of(&cluster(spec)).expect("valid");
    let stateful_set = json!({"metadata": {"name": "live", "uid": "set"}, "spec": {"selector": {}, "template": {}}});
    let labelled = pods
        .iter()
        .map(|pod| Arc::new(serde_json::from_value(pod.clone()).expect("a pod")));
    Outcome::Applied(Box::new(Applied {
        labelled: labelled.collect(),
        stateful_set: serde_json::from_value(stateful_set).expect("a StatefulSet"),
        tokens: Tokens::of_a_test(Token::Found, "t"),
        services: Vec::new(),
        live_rooms: Some(2),
        pod_trouble: None,
        valid,
    }))
}

fn pod(owner: &str, inputs: &str, is_ready: bool) -> Value {
    let ready = if is_ready { "True" } else { "False" };
    json!({
        "metadata": {
            "name": "live-0", "annotations": {INPUTS: inputs},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "live", "uid": owner, "controller": true}],
        },
        "status": {"hostIP": "192.0.2.7", "conditions": [{"type": "Ready", "status": ready}]},
    })
}

fn current(spec: &str) -> String {
    Valid::of(&cluster(spec)).expect("valid").pod.inputs_hash()
}

fn word(status: &LiveClusterStatus, type_: &str) -> String {
    let condition = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_);
    condition.map_or("-".to_owned(), |condition| {
        format!("{} {}", condition.status, condition.reason)
    })
}

#[test]
fn every_outcome_has_its_conditions() {
    const SPEC: &str = "{image: i, volume: {size: 1Gi}}";
    const STOPPED: &str = "{image: i, replicas: 0, volume: {size: 1Gi}}";
    let inputs = current(SPEC);
    let server = |message: &str| (String::from("StatefulSet live"), message.to_owned());
    let (what, message) = server("no");
    for (outcome, ready, reconciling, stalled) in [
        (
            Outcome::Invalid(Problem::Replicas(2)),
            "False InvalidSpec",
            "False Done",
            "True InvalidSpec",
        ),
        (
            Outcome::NotOwned(NotOwned {
                object: "Service live-http".into(),
            }),
            "False ObjectNotOwned",
            "False Done",
            "True ObjectNotOwned",
        ),
        (
            Outcome::Failed(apply::Error::Refused {
                what: what.clone(),
                message: message.clone(),
            }),
            "False Refused",
            "False Done",
            "True Refused",
        ),
        (
            Outcome::Failed(apply::Error::Unavailable {
                what: what.clone(),
                message: message.clone(),
            }),
            "False Retrying",
            "True Retrying",
            "False Done",
        ),
        (
            Outcome::Failed(apply::Error::Forbidden { what, message }),
            "False Forbidden",
            "True Forbidden",
            "False Done",
        ),
        (
            applied(SPEC, &[]),
            "False PodStarting",
            "True PodStarting",
            "False Done",
        ),
        (
            applied(SPEC, &[pod("set", &inputs, false)]),
            "False PodStarting",
            "True PodStarting",
            "False Done",
        ),
        (
            applied(SPEC, &[pod("set", &inputs, true)]),
            "True Serving",
            "False Done",
            "False Done",
        ),
        (
            applied(SPEC, &[pod("set", "old", true)]),
            "False Replacing",
            "True Replacing",
            "False Done",
        ),
        // A pod that only carries the labels serves nobody.
        (
            applied(SPEC, &[pod("other", &inputs, true)]),
            "False PodStarting",
            "True PodStarting",
            "False Done",
        ),
        (
            applied(STOPPED, &[]),
            "True Stopped",
            "False Done",
            "False Done",
        ),
        (
            applied(STOPPED, &[pod("set", &inputs, true)]),
            "False Stopping",
            "True Stopping",
            "False Done",
        ),
    ] {
        let status = status(&cluster(SPEC), &outcome, now());
        assert_eq!(word(&status, "Ready"), ready);
        assert_eq!(word(&status, "Reconciling"), reconciling, "{ready}");
        assert_eq!(word(&status, "Stalled"), stalled, "{ready}");
        assert_eq!(status.observed_generation, Some(3), "{ready}");
    }
}

#[test]
fn rooms_without_a_volume_are_said_to_be_ephemeral() {
    for (spec, expected) in [
        ("{image: i}", "True NoVolume"),
        ("{image: i, volume: {size: 1Gi}}", "False VolumeKept"),
    ] {
        let status = status(&cluster(spec), &applied(spec, &[]), now());
        assert_eq!(word(&status, "RoomsEphemeral"), expected);
    }
}

#[test]
fn the_effective_values_are_told() {
    let spec = "{image: i, protocols: {rtmp: {enabled: false}, hls: {targetSeconds: 4}}}";
    let status = status(
        &cluster(spec),
        &applied(spec, &[pod("set", &current(spec), true)]),
        now(),
    );
    assert_eq!(
        (status.replicas, status.ready_replicas, status.live_rooms),
        (Some(1), Some(1), Some(2))
    );
    let effective = status.effective.expect("told");
    assert_eq!(effective.protocols, ["hls", "flv"]);
    assert_eq!(
        (effective.hls_target_seconds, effective.hls_window_segments),
        (Some(4), Some(6))
    );
    assert_eq!(effective.service_type.as_deref(), Some("ClusterIP"));
}

#[test]
fn urls_are_as_public_as_the_services() {
    let service = |name: &str, spec: Value, ingress: Value| -> Service {
        let metadata = json!({"name": name, "namespace": "tv"});
        let status = json!({"loadBalancer": {"ingress": ingress}});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status}))
            .expect("a Service")
    };
    let both = |spec: Value, ingress: Value| {
        ["live-rtmp", "live-http"].map(|name| service(name, spec.clone(), ingress.clone()))
    };
    let tls = "{image: i, expose: {ingress: {host: tv.example.com, tlsSecretName: s}}}";
    for (spec, services, rtmp, http) in [
        (
            "{image: i}",
            both(json!({"type": "ClusterIP"}), json!([])),
            Some("rtmp://live-rtmp.tv.svc/live"),
            Some("http://live-http.tv.svc:8080"),
        ),
        (
            tls,
            both(json!({"type": "ClusterIP"}), json!([])),
            Some("rtmp://live-rtmp.tv.svc/live"),
            Some("https://tv.example.com"),
        ),
        (
            "{image: i}",
            both(
                json!({"type": "NodePort", "ports": [
                    {"name": "rtmp", "port": 1, "nodePort": 30123},
                    {"name": "http", "port": 1, "nodePort": 30123},
                ]}),
                json!([]),
            ),
            Some("rtmp://192.0.2.7:30123/live"),
            Some("http://192.0.2.7:30123"),
        ),
        (
            "{image: i}",
            both(json!({"type": "LoadBalancer"}), json!([])),
            None,
            None,
        ),
        (
            "{image: i}",
            both(
                json!({"type": "LoadBalancer"}),
                json!([{"ip": "2001:db8::1"}]),
            ),
            Some("rtmp://[2001:db8::1]/live"),
            Some("http://[2001:db8::1]:8080"),
        ),
        (
            "{image: i}",
            both(
                json!({"type": "LoadBalancer"}),
                json!([{"hostname": "lb.example.com"}]),
            ),
            Some("rtmp://lb.example.com/live"),
            Some("http://lb.example.com:8080"),
        ),
    ] {
        let valid = Valid::of(&cluster(spec)).expect("valid");
        let told = urls(&valid, &services, Some("192.0.2.7"));
        assert_eq!(
            (told.rtmp.as_deref(), told.http.as_deref()),
            (rtmp, http),
            "{spec}"
        );
    }
}

#[test]
fn rtmps_has_its_own_address() {
    let service = json!({
        "metadata": {"name": "live-rtmp", "namespace": "tv"},
        "spec": {"type": "NodePort", "ports": [
            {"name": "rtmp", "port": 1935, "nodePort": 30001},
            {"name": "rtmps", "port": 1936, "nodePort": 30002},
        ]},
    });
    let node_port: Service = serde_json::from_value(service.clone()).expect("a Service");
    let mut cluster_ip = node_port.clone();
    cluster_ip.spec = Some(Default::default());
    for (port, service, rtmps) in [
        ("", &node_port, "rtmps://192.0.2.7:30002/live"),
        ("", &cluster_ip, "rtmps://live-rtmp.tv.svc:1936/live"),
        (
            ", rtmpsPort: 443",
            &cluster_ip,
            "rtmps://live-rtmp.tv.svc/live",
        ),
    ] {
        let spec = format!("{{image: i, expose: {{tls: {{secretName: s{port}}}}}}}");
        let valid = Valid::of(&cluster(&spec)).expect("valid");
        let told = urls(&valid, std::slice::from_ref(service), Some("192.0.2.7"));
        assert_eq!(told.rtmps.as_deref(), Some(rtmps), "{spec}");
    }
    let plain = Valid::of(&cluster("{image: i}")).expect("valid");
    assert_eq!(urls(&plain, &[node_port], Some("192.0.2.7")).rtmps, None);
}
