//! The chart and the examples: what they render, what they refuse, and which rights they give.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use isocast_cluster::Lab;
use isocast_harness::{Output, Scratch, repository, run, wait};
use serde_json::Value;

const NAMESPACE: &str = "isocast-system";
/// Without a server to ask, helm renders for this version.
const KUBE_VERSION: &str = "1.34.4";

#[test]
fn lint_finds_nothing() {
    let out = Lab::api().helm(&["lint", "--strict", &chart()]);
    assert!(!out.contains("[WARNING]"), "{out}");
}

/// `UPDATE_GOLDEN=1 cargo test -p isocast-cluster --test chart` writes the files again.
#[test]
fn it_renders_what_the_golden_files_say() {
    for (name, manifests) in [("default", by_default()), ("namespaces", for_namespaces())] {
        let file = testdata(&format!("{name}.golden.yaml"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &manifests).expect("writable");
        }
        let golden = std::fs::read_to_string(&file).expect("there is a golden file");
        assert_eq!(manifests, golden, "{} is stale", file.display());
    }
}

#[test]
fn the_definitions_are_those_of_the_crate_and_outlive_the_release() {
    let rendered = documents(&render(&["--show-only", "templates/crds.yaml"]));
    assert_eq!(rendered.len(), definitions().len());
    for mut definition in rendered {
        let metadata = definition["metadata"].as_object_mut().expect("metadata");
        let annotations = metadata.remove("annotations").expect("annotations");
        assert_eq!(annotations["helm.sh/resource-policy"], "keep");
        metadata.remove("labels").expect("labels");
        assert!(
            definitions().contains(&plain(definition.clone())),
            "{} is not as in files/crds",
            definition["metadata"]["name"]
        );
    }
    assert!(!by_default().contains("CustomResourceDefinition"));
}

#[test]
fn values_that_cannot_be_meant_are_refused() {
    let lab = Lab::api();
    for (value, why) in [
        ("replicas=two", "'/replicas': got string, want integer"),
        ("replicas=-1", "'/replicas': minimum: got -1, want 0"),
        (
            "imagePullPolicy=Always",
            "additional properties 'imagePullPolicy' not allowed",
        ),
        (
            "image.pullPolicy=Sometimes",
            "value must be one of 'Always', 'IfNotPresent', 'Never'",
        ),
        (
            "image.repository=isocast/operator:1.0",
            "'/image/repository'",
        ),
        ("image.digest=sha256:12", "'/image/digest'"),
        ("image=isocast", "'/image': got string, want object"),
        (
            "watchNamespaces=tv",
            "'/watchNamespaces': got string, want array",
        ),
        (
            "watchNamespaces={TV}",
            "'/watchNamespaces/0': 'TV' does not match",
        ),
        (
            "watchNamespaces={tv,tv}",
            "'/watchNamespaces': items at 0 and 1 are equal",
        ),
        (
            "crds.enabled=true",
            "'/crds': additional properties 'enabled' not allowed",
        ),
        (
            "crds.install=1",
            "'/crds/install': got number, want boolean",
        ),
        (
            "log.level=loud",
            "value must be one of 'error', 'warn', 'info', 'debug', 'trace'",
        ),
        ("serviceAccount.name=Me", "'/serviceAccount/name'"),
        (
            "resources.limits.memory=128",
            "'/resources/limits/memory': got number, want string",
        ),
        ("resources.requests.cpu=some", "'/resources/requests/cpu'"),
        (
            "resources.memory=1Gi",
            "'/resources': additional properties 'memory' not allowed",
        ),
        (
            "podLabels.on=true",
            "'/podLabels/on': got boolean, want string",
        ),
        (
            "tolerations[0].operator=In",
            "value must be one of 'Exists', 'Equal'",
        ),
        (
            "affinity.podAffinities.a=b",
            "additional properties 'podAffinities' not allowed",
        ),
        ("rbac=null", "missing property 'rbac'"),
    ] {
        let Output { code, err, .. } = lab.ask_helm(&[
            "template",
            "isocast",
            &chart(),
            "--kube-version",
            KUBE_VERSION,
            "--set",
            value,
        ]);
        assert_ne!(code, Some(0), "{value} was taken");
        assert!(err.contains(why), "{value}: {err}");
    }
    // A chart that has this one as a part hands down its own.
    render(&["--set", "global.anything=1"]);
}

#[test]
fn no_rule_is_wider_than_what_it_is_for() {
    for manifests in [by_default(), for_namespaces()] {
        let mut seen = 0;
        for document in documents(&manifests) {
            for rule in document["rules"].as_array().into_iter().flatten() {
                seen += 1;
                let text = rule.to_string();
                assert!(!text.contains('*'), "a wildcard: {text}");
                assert!(
                    !text.contains("rbac.authorization"),
                    "rights over rights: {text}"
                );
                if text.contains("\"secrets\"") {
                    assert_eq!(rule["resources"], serde_json::json!(["secrets"]));
                    assert_eq!(rule["verbs"], serde_json::json!(["get", "create", "patch"]));
                }
            }
        }
        assert!(seen > 10, "only {seen} rules");
    }
}

#[test]
fn with_namespaces_named_no_right_reaches_beyond_them() {
    let mut namespaces = Vec::new();
    for document in documents(&for_namespaces()) {
        let kind = document["kind"].as_str().expect("a kind");
        assert!(!kind.starts_with("ClusterRole"), "{document}");
        if kind == "RoleBinding" {
            namespaces.push(document["metadata"]["namespace"].to_string());
        }
    }
    namespaces.sort();
    assert_eq!(namespaces, [r#""isocast-system""#, r#""radio""#, r#""tv""#]);
}

/// As the API server judges it.
#[test]
fn an_installed_operator_may_do_its_work_and_no_more() {
    let lab = installed();
    let may = |what: &str, namespace: &str| {
        let account = format!("system:serviceaccount:{NAMESPACE}:isocast-operator");
        let mut call = vec!["auth", "can-i", "--as", &account, "-n", namespace];
        call.extend(what.split(' '));
        lab.ask_kubectl(&call).out.trim() == "yes"
    };
    for what in [
        "watch liveclusters",
        "patch liverooms",
        "patch liverooms --subresource=status",
        "update services",
        "get secrets/show-stream-key",
        "create statefulsets.apps",
        "create pods --subresource=eviction",
        "create events.events.k8s.io",
    ] {
        assert!(may(what, "default"), "may not {what}");
    }
    for what in [
        "list secrets",
        "watch secrets",
        "delete secrets",
        "create pods",
        "delete pods",
        "create pods --subresource=exec",
        "get nodes",
        "delete liveclusters",
        "delete persistentvolumeclaims",
        "create clusterroles",
        "create serviceaccounts --subresource=token",
        "impersonate users",
        "get leases.coordination.k8s.io",
    ] {
        assert!(!may(what, "default"), "may {what}");
    }
    assert!(may(
        "update leases.coordination.k8s.io/isocast-operator",
        NAMESPACE
    ));
    assert!(!may("update leases.coordination.k8s.io", NAMESPACE));
}

#[test]
fn its_pods_pass_the_restricted_standard() {
    let lab = installed();
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    lab.kubectl(&["label", "namespace", NAMESPACE, enforce, "--overwrite"]);
    // Pods that came before the label were not judged by it.
    let ours = [
        "pods",
        "-n",
        NAMESPACE,
        "-l",
        "app.kubernetes.io/component=operator",
    ];
    lab.kubectl(&[&["delete", "--grace-period=0", "--force"], &ours[..]].concat());
    lab.wait_for("a pod", 30, &ours, |pods| {
        let pods = pods["items"].as_array();
        pods.is_some_and(|pods| {
            pods.iter()
                .any(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        })
    });
}

/// The roles of Kubernetes itself, once its controllers have added the chart's to them.
#[test]
fn who_may_edit_a_namespace_may_edit_its_rooms() {
    let lab = installed();
    for (role, may) in [("view", false), ("edit", true), ("admin", true)] {
        lab.wait_for("the aggregated role", 30, &["clusterrole", role], |role| {
            role["rules"].to_string().contains("\"liverooms\"")
        });
        let role = lab
            .get_json(&["clusterrole", role])
            .expect("Kubernetes has it");
        let rules = role["rules"].as_array().expect("rules").iter();
        let can_create = rules
            .filter(|rule| rule["resources"].to_string().contains("\"liverooms\""))
            .any(|rule| rule["verbs"].to_string().contains("\"create\""));
        assert_eq!(can_create, may, "{}", role["metadata"]["name"]);
    }
}

#[test]
fn manifests_and_examples_have_no_field_that_the_server_does_not_know() {
    let lab = installed();
    let scratch = Scratch::new("schemas");
    let schemas = scratch.file("schemas");
    // The server publishes the schemas some time after it serves the kinds.
    wait::until("the kinds' schemas", 30, || {
        let published = lab.ask_kubectl(&["get", "--raw", "/openapi/v3/apis/isocast.dev/v1alpha1"]);
        let has = |kind| published.out.contains(&format!("v1alpha1.{kind}\""));
        (has("LiveCluster") && has("LiveRoom")).then_some(())
    });
    let script = repository().join("tests/cluster/schemas");
    let written = run(Command::new(script)
        .arg(&schemas)
        .env("KUBECONFIG", lab.kubeconfig()));
    assert_eq!(written.code, Some(0), "{}", written.err);
    let location = format!(
        "{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        schemas.display()
    );

    let conforms = |what: &PathBuf| {
        let call = ["-strict", "-schema-location", &location];
        run(lab.program("kubeconform").args(call).arg(what))
    };
    let rendered = scratch.file("rendered.yaml");
    for manifests in [render(&[]), for_namespaces()] {
        std::fs::write(&rendered, manifests).expect("writable");
        let judged = conforms(&rendered);
        assert_eq!(judged.code, Some(0), "{}", judged.out);
    }
    let judged = conforms(&examples());
    assert_eq!(judged.code, Some(0), "{}", judged.out);

    // The judge is awake.
    let production = std::fs::read_to_string(examples().join("production.yaml")).expect("readable");
    std::fs::write(&rendered, production.replace("drain:", "drains:")).expect("writable");
    let judged = conforms(&rendered);
    assert_ne!(judged.code, Some(0));
    assert!(
        judged.out.contains("'drains' not allowed"),
        "{}",
        judged.out
    );
}

/// Defaults, quotas and the rules in CEL are judged by the server alone.
#[test]
fn the_server_takes_every_example() {
    let namespace = installed().namespace("examples");
    let examples = examples();
    let folder = examples.to_str().expect("a readable name");
    let call = [
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        folder,
    ];
    let answer = namespace.kubectl(&call);
    assert!(answer.lines().count() >= 6, "{answer}");
}

/// A lab in which the chart was installed with its defaults.
fn installed() -> &'static Lab {
    static INSTALLED: OnceLock<&Lab> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let lab = Lab::api();
        let to = [
            "upgrade",
            "--install",
            "isocast",
            &chart(),
            "--create-namespace",
            "--take-ownership",
            "-n",
            NAMESPACE,
        ];
        let notes = lab.helm(&to);
        assert!(
            notes.contains("kubectl apply -f examples/minimal.yaml"),
            "{notes}"
        );
        lab.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "crd",
            "--all",
        ]);
        lab
    })
}

/// Without the definitions, which have a test of their own.
fn by_default() -> String {
    render(&["--set", "crds.install=false"])
}

fn for_namespaces() -> String {
    let values = testdata("namespaces.values.yaml");
    let values = values.to_str().expect("a readable name");
    render(&["--set", "crds.install=false", "--values", values])
}

fn render(arguments: &[&str]) -> String {
    let chart = chart();
    let template = [
        "template",
        "isocast",
        &chart,
        "-n",
        NAMESPACE,
        "--kube-version",
        KUBE_VERSION,
    ];
    Lab::api().helm(&[&template, arguments].concat())
}

fn documents(manifests: &str) -> Vec<Value> {
    let all = serde_yaml::Deserializer::from_str(manifests);
    let all = all.map(|document| serde::Deserialize::deserialize(document).expect("YAML"));
    all.filter(|document: &Value| !document.is_null()).collect()
}

fn definitions() -> Vec<Value> {
    let folder = repository().join("charts/isocast/files/crds");
    let files = std::fs::read_dir(folder).expect("the chart has definitions");
    files
        .map(|file| {
            let text = std::fs::read_to_string(file.expect("an entry").path()).expect("readable");
            plain(serde_yaml::from_str(&text).expect("YAML"))
        })
        .collect()
}

/// Helm writes the number 10.0 as 10.
fn plain(mut value: Value) -> Value {
    match &mut value {
        Value::Number(number) => value = number.as_f64().into(),
        Value::Array(items) => items.iter_mut().for_each(|item| *item = plain(item.take())),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| *field = plain(field.take())),
        _ => {}
    }
    value
}

fn chart() -> String {
    repository().join("charts/isocast").display().to_string()
}

fn examples() -> PathBuf {
    repository().join("examples")
}

fn testdata(name: &str) -> PathBuf {
    repository().join("tests/cluster/testdata/chart").join(name)
}
