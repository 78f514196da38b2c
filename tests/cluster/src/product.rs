//! The product on a cluster: the operator by its chart, LiveClusters and LiveRooms by their status.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use isocast_harness::{repository, wait};
use serde_json::Value;

use crate::stage::PATIENCE_S;
use crate::{Condition, Lab, Namespace, image_archive, is_ready};

/// Where the README puts the operator.
pub const SYSTEM: &str = "isocast-system";

impl Lab {
    /// Gives the nodes both images, and installs the operator with the chart as it is, in a
    /// namespace with the strictest rules that Kubernetes has for pods.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn install_operator(&self) {
        self.image(&image_archive("node"));
        self.image(&image_archive("operator"));
        self.kubectl(&["create", "namespace", SYSTEM]);
        self.restrict(SYSTEM);
        self.release("install", &["--create-namespace"]);
    }

    /// Gives the release other values, and waits until pods that have them are ready.
    ///
    /// # Panics
    /// If they do not become ready.
    pub fn upgrade_operator(&self, values: &[&str]) {
        self.release("upgrade", values);
    }

    fn release(&self, verb: &str, arguments: &[&str]) {
        let chart = repository().join("charts/isocast");
        let chart = chart.to_str().expect("the repository's path is readable");
        let release = [verb, "isocast", chart, "--namespace", SYSTEM, "--wait"];
        self.helm(&[&release, arguments].concat());
    }

    fn restrict(&self, namespace: &str) {
        let label = "pod-security.kubernetes.io/enforce=restricted";
        self.kubectl(&["label", "namespace", namespace, label]);
    }
}

/// `livecluster/NAME` and `liveroom/NAME` are objects here, as for kubectl.
impl Namespace {
    /// No pod may do here what the restricted Pod Security Standard forbids.
    ///
    /// # Panics
    /// If it cannot be.
    #[must_use]
    pub fn restricted(self) -> Self {
        self.lab.restrict(&self.name);
        self
    }

    /// Waits until an object is ready in its present form; what it then is.
    ///
    /// # Panics
    /// If it is not in time.
    pub fn wait_until_ready(&self, object: &str) -> Value {
        self.wait_for(&format!("{object} ready"), PATIENCE_S, &[object], |is| {
            is_ready(is)
        })
    }

    /// Waits until a condition has this reason; its message.
    ///
    /// # Panics
    /// If it has not in time.
    pub fn wait_for_reason(&self, object: &str, type_: &str, reason: &str) -> String {
        let what = format!("{object} {type_} for {reason}");
        let is = self.wait_for(&what, PATIENCE_S, &[object], |is| {
            Condition::of(is, type_).reason == reason
        });
        Condition::of(&is, type_).message
    }

    /// How long kubectl waits until an object is ready.
    ///
    /// # Panics
    /// If it is not in time.
    #[must_use]
    pub fn time_to_ready(&self, object: &str) -> Duration {
        let (begin, timeout) = (Instant::now(), format!("--timeout={PATIENCE_S}s"));
        self.kubectl(&["wait", "--for=condition=Ready", &timeout, object]);
        begin.elapsed()
    }

    /// A value of a Secret.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn secret(&self, name: &str, key: &str) -> String {
        let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
        self.kubectl(&["get", "secret", name, "-o", &template])
    }

    /// What `kubectl get` shows of an object, with one blank between two columns.
    ///
    /// # Panics
    /// If there is no such object.
    #[must_use]
    pub fn row(&self, object: &str) -> String {
        let row = self.kubectl(&["get", "--no-headers", object]);
        row.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Which pod it is, and how often its containers were started again: the same for as long as
    /// nobody replaces or restarts it.
    ///
    /// # Panics
    /// If there is no such pod.
    #[must_use]
    pub fn pod_identity(&self, name: &str) -> (String, u64) {
        let pod = self.get_json(&["pod", name]).expect("the pod is there");
        let containers = pod["status"]["containerStatuses"].as_array();
        let restarts = containers
            .into_iter()
            .flatten()
            .filter_map(|container| container["restartCount"].as_u64());
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        (uid.to_owned(), restarts.sum())
    }
}

/// A URL of an object's status, as in `publish` or `http`.
///
/// # Panics
/// If the status has none.
#[must_use]
pub fn url(object: &Value, name: &str) -> String {
    let url = object["status"]["urls"][name].as_str();
    let url = url.unwrap_or_else(|| panic!("no URL {name} in {}", object["status"]));
    url.to_owned()
}

/// Where a URL leads, once somebody answers there: a node knows of a port a little later than the
/// Service has it.
///
/// # Panics
/// If it is no IP address with a port, or nobody answers in time.
#[must_use]
pub fn reached(url: &str) -> SocketAddr {
    let host = url.split('/').nth(2).unwrap_or_default();
    let address = host.parse();
    let address = address.unwrap_or_else(|_| panic!("{url} has no address with a port"));
    wait::until(&format!("somebody answers at {url}"), PATIENCE_S, || {
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()
    });
    address
}
