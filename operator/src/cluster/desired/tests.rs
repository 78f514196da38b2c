//! Specs beside the objects that follow from them: `testdata/<name>.spec.yaml` and
//! `testdata/<name>.golden.yaml`. `UPDATE_GOLDEN=1 cargo test -p isocast-operator` writes them again.

use std::path::{Path, PathBuf};

use isocast_admin::Secret;
use serde_json::Value;

use super::super::tokens::{Token, Tokens};
use super::super::validate::Valid;
use super::*;
use crate::cluster::tests::cluster;

const NAMES: [&str; 4] = ["minimal", "full", "stopped", "no-hls"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/cluster/desired/testdata")
        .join(name)
}

fn spec(name: &str) -> String {
    std::fs::read_to_string(file(&format!("{name}.spec.yaml"))).expect("a spec")
}

fn objects(name: &str, token: fn(Secret<String>) -> Token) -> Vec<Object> {
    let valid = Valid::of(&cluster(&spec(name))).expect("valid");
    let tokens = Tokens::of_a_test(token, "of-the-test");
    desired(
        &valid,
        &tokens,
        &Home {
            namespace: "isocast-system".to_owned(),
        },
    )
}

#[test]
fn every_spec_has_its_objects() {
    for name in NAMES {
        let documents = objects(name, Token::New)
            .iter()
            .map(|object| serde_yaml::to_string(object.value()).expect("YAML"))
            .collect::<Vec<_>>();
        let rendered = documents.join("---\n");
        let golden = file(&format!("{name}.golden.yaml"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &rendered).expect("writable");
        }
        let expected = std::fs::read_to_string(&golden).expect("a golden file");
        assert!(
            rendered == expected,
            "{} is stale; look at the difference after UPDATE_GOLDEN=1",
            golden.display()
        );
    }
}

/// The rules of the restricted Pod Security Standard, and what goes beyond it.
#[test]
fn every_pod_is_restricted() {
    for name in NAMES {
        let objects = objects(name, Token::Found);
        let set = objects
            .iter()
            .find(|object| object.kind == Kind::StatefulSet)
            .expect("a StatefulSet");
        let pod = &set.value()["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["enableServiceLinks"], false);
        for key in ["hostNetwork", "hostPID", "hostIPC"] {
            assert_eq!(pod[key], Value::Null);
        }
        for container in pod["containers"].as_array().expect("containers") {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
        }
        for volume in pod["volumes"].as_array().expect("volumes") {
            assert_eq!(volume["hostPath"], Value::Null);
        }
    }
}

#[test]
fn tokens_that_are_there_are_not_written_again() {
    assert_eq!(
        objects("minimal", Token::New)
            .iter()
            .filter(|object| object.kind == Kind::Secret)
            .count(),
        3
    );
    assert!(
        objects("minimal", Token::Found)
            .iter()
            .all(|object| object.kind != Kind::Secret)
    );
}

#[test]
fn everything_is_owned_and_labelled() {
    for object in objects("full", Token::New) {
        assert!(
            object.is_controlled_by("0b1c6a3e-0000-4000-8000-000000000001"),
            "{object}"
        );
        let labels = &object.value()["metadata"]["labels"];
        assert_eq!(labels["isocast.dev/cluster"], "live", "{object}");
        assert_eq!(
            labels["app.kubernetes.io/managed-by"], "isocast-operator",
            "{object}"
        );
        assert_eq!(object.value()["metadata"]["namespace"], "tv", "{object}");
    }
}
