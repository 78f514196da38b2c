use serde_json::{Value, json};

use crate::{Kubelet, Lab, Namespace, Operator, Running, is_ready};

/// For a LiveCluster whose node has to start, on a machine that is busy with other tests.
pub const PATIENCE_S: u64 = 60;

/// A namespace with an operator that works in it, and a kubelet. LiveClusters in it come to life.
#[derive(Debug)]
pub struct Stage {
    // In the order in which they go.
    pub operator: Operator,
    pub kubelet: Kubelet,
    pub namespace: Namespace,
}

impl Stage {
    /// # Panics
    /// If the operator does not start to work.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let namespace = Lab::with_definitions().namespace(name);
        Self {
            operator: Operator::start(&namespace),
            kubelet: Kubelet::start(&namespace),
            namespace,
        }
    }

    /// Makes a LiveCluster; `spec` needs no image.
    pub fn live_cluster(&self, name: &str, spec: Value) {
        let mut fields = json!({"spec": {"image": "isocast.local/node:1"}});
        for (key, value) in spec.as_object().expect("a spec has fields") {
            fields["spec"][key] = value.clone();
        }
        self.namespace.make("liveclusters", name, &fields);
    }

    /// Makes a LiveRoom of the LiveCluster `live`; `spec` need not say so.
    pub fn live_room(&self, name: &str, spec: Value) {
        let mut fields = json!({"spec": {"clusterRef": {"name": "live"}}});
        for (key, value) in spec.as_object().expect("a spec has fields") {
            fields["spec"][key] = value.clone();
        }
        self.namespace.make("liverooms", name, &fields);
    }

    /// The LiveCluster once it is ready.
    ///
    /// # Panics
    /// If it is not in time.
    pub fn ready_cluster(&self, name: &str) -> Value {
        let which = ("liveclusters", name);
        self.namespace.until("ready", PATIENCE_S, which, is_ready)
    }

    /// The LiveRoom once it is ready.
    ///
    /// # Panics
    /// If it is not in time.
    pub fn ready_room(&self, name: &str) -> Value {
        let which = ("liverooms", name);
        self.namespace.until("ready", PATIENCE_S, which, is_ready)
    }

    /// The node of the LiveCluster `live`.
    ///
    /// # Panics
    /// If it does not come in time.
    #[must_use]
    pub fn node(&self) -> Running {
        self.kubelet.wait_for_node("live-0", PATIENCE_S)
    }

    /// What the operator has written in this namespace, as `verb resource name`. Its lease is none of it.
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        let writes = self.namespace.lab.writes();
        let ours = writes.into_iter().filter(|write| {
            write.namespace == self.namespace.name
                && write.user == "admin"
                && write.agent != crate::AGENT
                && !write.agent.starts_with("kubectl")
                && write.resource != "leases"
        });
        ours.map(|write| {
            format!(
                "{} {} {} {}",
                write.verb, write.resource, write.name, write.status
            )
        })
        .collect()
    }

    /// The text of all events about an object: `reason: message`.
    #[must_use]
    pub fn events(&self, name: &str) -> Vec<String> {
        let events = self.namespace.list("events").into_iter();
        let about = events.filter(|event| event["involvedObject"]["name"] == name);
        about
            .map(|event| {
                let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
                format!("{}: {}", text("reason"), text("message"))
            })
            .collect()
    }

    /// The decoded value of a Secret.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn secret(&self, name: &str, key: &str) -> String {
        let secret = self.namespace.get("secrets", name);
        let text = secret["data"][key]
            .as_str()
            .expect("the Secret has this key");
        String::from_utf8(crate::base64::decoded(text)).expect("our secrets are text")
    }
}
