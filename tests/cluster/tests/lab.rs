//! The lab itself: whether what the other tests stand on is a Kubernetes.

use isocast_cluster::{Lab, Namespace, image_archive};
use isocast_harness::{run, wait};

/// For what controllers and kubelets do, on a machine that is busy.
const PATIENCE_S: u64 = 60;

const STATEFUL_SET: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: node}
spec:
  serviceName: node
  selector: {matchLabels: {app: node}}
  template:
    metadata: {labels: {app: node}}
    spec:
      containers: [{name: node, image: none}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: node}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: node}}
";

const RUNNING: &str = r#"{"status": {"phase": "Running", "conditions": [
    {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}"#;

#[test]
fn without_machines_controllers_work_and_a_test_is_the_kubelet() {
    let lab = Lab::api();
    let namespace = lab.namespace("api");
    namespace.apply(STATEFUL_SET);
    namespace.wait_for("a Pod", PATIENCE_S, &["pod", "node-0"], |_| true);

    namespace.kubectl(&[
        "patch",
        "pod",
        "node-0",
        "--subresource=status",
        "-p",
        RUNNING,
    ]);
    namespace.wait_for("a ready set", PATIENCE_S, &["statefulset", "node"], |set| {
        set["status"]["readyReplicas"] == 1
    });
    namespace.wait_for(
        "a budget that counts it",
        PATIENCE_S,
        &["pdb", "node"],
        |budget| budget["status"]["currentHealthy"] == 1,
    );
    let writes = lab.writes();
    let ours = writes.iter().filter(|write| {
        write.namespace == namespace.name && write.user == "admin" && write.status == 200
    });
    let ours: Vec<_> = ours
        .map(|write| (&*write.verb, &*write.resource, &*write.name))
        .collect();
    assert_eq!(ours, [("patch", "pods/status", "node-0")]);
    assert!(namespace.helm(&["list", "--short"]).is_empty());

    lab.kubectl(&["delete", "namespace", &namespace.name, "--wait=false"]);
    lab.wait_until_gone("the namespace", PATIENCE_S, &["namespace", &namespace.name]);
}

/// The node as it is in its image, under the strictest rules that Kubernetes has for Pods.
const NODE: &str = "
apiVersion: v1
kind: Service
metadata: {name: node}
spec:
  selector: {app: node}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: node}
spec:
  serviceName: node
  selector: {matchLabels: {app: node}}
  template:
    metadata: {labels: {app: node}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: node
        image: isocast.local/node:dev
        imagePullPolicy: Never
        env:
        - {name: ISOCAST__DATA_DIR, value: /data/isocast}
        - {name: ISOCAST__LISTEN__INTERNAL, value: '0.0.0.0:8081'}
        - {name: ISOCAST__NODE__DRAIN_DELAY_S, value: '0'}
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /readyz, port: 8081}, periodSeconds: 1}
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities: {drop: [ALL]}
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: 1Gi}}
";

#[test]
fn with_nodes_the_image_of_the_node_runs_and_is_reached_through_its_service() {
    let lab = Lab::nodes(1);
    lab.image(&image_archive("node"));
    let namespace = lab.namespace("nodes");
    lab.kubectl(&[
        "label",
        "namespace",
        &namespace.name,
        "pod-security.kubernetes.io/enforce=restricted",
    ]);
    namespace.apply(NODE);
    namespace.wait_for("a ready Pod", PATIENCE_S, &["statefulset", "node"], |set| {
        set["status"]["readyReplicas"] == 1
    });

    let live = wait::until("an answer through the Service", PATIENCE_S, || {
        let url = format!("http://{}/api/v1/live", service_address(&namespace));
        let mut curl = lab.client("curl");
        let output = run(curl.args(["--silent", "--fail", "--max-time", "5", &url]));
        (output.code == Some(0)).then_some(output.out)
    });
    let live: serde_json::Value = serde_json::from_str(&live).expect("the API speaks JSON");
    assert!(live.is_object() || live.is_array(), "{live}");
    let log = namespace.kubectl(&["logs", "node-0"]);
    assert!(log.contains("8080"), "{log}");
}

fn service_address(namespace: &Namespace) -> String {
    let service = namespace
        .get_json(&["service", "node"])
        .expect("it was applied");
    service["spec"]["clusterIP"]
        .as_str()
        .expect("it has an address")
        .to_owned()
}
