use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use isocast_harness::{Scratch, wait};
use serde_json::{Value, json};

use super::Running;
use super::node::{Node, State, write};
use crate::api::{JSON, MERGE};
use crate::base64::decoded;
use crate::{Lab, Namespace};

/// Between two looks at the Pods and their nodes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A machine that is not heard of for 40 s counts as lost.
const BEAT: Duration = Duration::from_secs(10);
/// Images that can be pulled; all of them are the one binary.
const IMAGES: &str = "isocast.local/node:";

/// The machine that all Pods of the namespace are on.
pub(super) struct Machine {
    lab: &'static Lab,
    namespace: String,
    /// By the Pod's uid: the next Pod of a name is another one.
    nodes: HashMap<String, Node>,
    told: Arc<Mutex<HashMap<String, Running>>>,
    scratch: Scratch,
    beat: Option<Instant>,
    beats: u32,
}

impl Machine {
    pub(super) fn new(namespace: &Namespace, told: Arc<Mutex<HashMap<String, Running>>>) -> Self {
        Self {
            lab: namespace.lab,
            namespace: namespace.name.clone(),
            nodes: HashMap::new(),
            told,
            scratch: Scratch::new("kubelet"),
            beat: None,
            beats: 0,
        }
    }

    pub(super) fn run(&mut self, stop: &AtomicBool) {
        while wait::within(LOOK_AGAIN, || stop.load(Ordering::Relaxed).then_some(())).is_none() {
            // The lab may be ending, or an object is written by somebody else: the next look tells.
            let _ = self.look();
        }
        let path = format!("/api/v1/nodes/{}", self.namespace);
        let _ = self.ask("DELETE", &path, JSON, &json!({}));
    }

    fn look(&mut self) -> std::io::Result<()> {
        self.beat()?;
        let (status, list) = self.ask("GET", &self.pods(""), JSON, &Value::Null)?;
        if status != 200 {
            return Ok(());
        }
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        self.nodes
            .retain(|uid, _| pods.iter().any(|pod| pod["metadata"]["uid"] == **uid));
        for pod in &pods {
            self.look_at(text(&pod["metadata"]["uid"]), pod)?;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.clear();
        for pod in &pods {
            let name = text(&pod["metadata"]["name"]);
            let node = self.nodes.get_mut(text(&pod["metadata"]["uid"]));
            if let Some(running) = node.and_then(Node::running) {
                told.insert(name.to_owned(), running);
            }
        }
        Ok(())
    }

    fn look_at(&mut self, uid: &str, pod: &Value) -> std::io::Result<()> {
        let metadata = &pod["metadata"];
        let name = text(&metadata["name"]);
        if metadata["deletionTimestamp"].is_string() {
            return self.end(uid, name, &metadata["deletionGracePeriodSeconds"]);
        }
        if !pod["spec"]["nodeName"].is_string() {
            let binding = json!({
                "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
                "target": {"apiVersion": "v1", "kind": "Node", "name": self.namespace},
            });
            let path = self.pods(&format!("{name}/binding"));
            return self.ask("POST", &path, JSON, &binding).map(|_| ());
        }
        let folder = self.scratch.file(uid);
        let mut node = self.nodes.remove(uid).unwrap_or_else(|| Node::new(folder));
        let state = self.serve(&mut node, pod);
        let told = state.and_then(|state| self.tell(&mut node, pod, &state));
        self.nodes.insert(uid.to_owned(), node);
        told
    }

    /// Writes the Pod's status where it has changed.
    fn tell(&self, node: &mut Node, pod: &Value, state: &State) -> std::io::Result<()> {
        let status = node.status(pod, state);
        if node.told != status {
            let path = self.pods(&format!("{}/status", text(&pod["metadata"]["name"])));
            let patch = json!({"status": status});
            if let (200, _) = self.ask("PATCH", &path, MERGE, &patch)? {
                node.told = status;
            }
        }
        Ok(())
    }

    /// Has the node run as the Pod says; how that goes.
    fn serve(&self, node: &mut Node, pod: &Value) -> std::io::Result<State> {
        let image = &pod["spec"]["containers"][0]["image"];
        if !image.as_str().unwrap_or_default().starts_with(IMAGES) {
            return Ok(State::NoImage);
        }
        let version = &pod["metadata"]["resourceVersion"];
        if node.synced != *version {
            match self.sync(node, pod)? {
                Ok(()) => node.synced = version.clone(),
                // What runs goes on with the files that it has.
                Err(missing) if !node.is_running() => return Ok(State::Missing(missing)),
                Err(_) => {}
            }
        }
        Ok(node.run(pod))
    }

    /// Writes the files of the Pod's volumes; what is missing, if anything is.
    fn sync(&self, node: &Node, pod: &Value) -> std::io::Result<Result<(), String>> {
        for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
            let name = volume["name"].as_str().unwrap_or_default();
            let folder = self.volume(node, volume);
            std::fs::create_dir_all(&folder)?;
            let (kind, source) = if let Some(source) = volume["configMap"]["name"].as_str() {
                ("configmaps", source)
            } else if let Some(source) = volume["secret"]["secretName"].as_str() {
                ("secrets", source)
            } else {
                continue;
            };
            let path = format!("/api/v1/namespaces/{}/{kind}/{source}", self.namespace);
            let (status, object) = self.ask("GET", &path, JSON, &Value::Null)?;
            if status != 200 {
                return Ok(Err(format!("volume {name}: {kind} {source} is missing")));
            }
            for (file, content) in object["data"].as_object().into_iter().flatten() {
                let content = content.as_str().unwrap_or_default();
                let bytes = if kind == "secrets" {
                    decoded(content)
                } else {
                    content.as_bytes().to_vec()
                };
                write(&folder.join(file), &bytes)?;
            }
        }
        Ok(Ok(()))
    }

    /// A claim's files outlive the Pod.
    fn volume(&self, node: &Node, volume: &Value) -> PathBuf {
        match volume["persistentVolumeClaim"]["claimName"].as_str() {
            Some(claim) => self.scratch.file("claims").join(claim),
            None => node.volume(volume["name"].as_str().unwrap_or_default()),
        }
    }

    /// As a kubelet does: the word to stop, the grace period, the end; then the Pod goes.
    fn end(&mut self, uid: &str, name: &str, grace: &Value) -> std::io::Result<()> {
        let grace = Duration::from_secs(grace.as_u64().unwrap_or(30));
        if let Some(node) = self.nodes.get_mut(uid)
            && !node.has_ended(grace)
        {
            return Ok(());
        }
        let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
        self.ask("DELETE", &self.pods(name), JSON, &options)?;
        Ok(())
    }

    /// A Pod that is on no machine, or on one that is not heard of, is taken away.
    fn beat(&mut self) -> std::io::Result<()> {
        if self.beat.is_some_and(|last| last.elapsed() < BEAT) {
            return Ok(());
        }
        let name = &self.namespace;
        if self.beat.is_none() {
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
            self.ask("POST", "/api/v1/nodes", JSON, &node)?;
        }
        // It counts whether this changes, not whether it is true.
        let (minute, second) = (self.beats / 60 % 60, self.beats % 60);
        let heard = format!("2026-01-01T00:{minute:02}:{second:02}Z");
        let ready = json!({
            "type": "Ready", "status": "True", "reason": "Tests", "lastHeartbeatTime": heard,
        });
        let path = format!("/api/v1/nodes/{name}/status");
        let patch = json!({"status": {"conditions": [ready]}});
        self.ask("PATCH", &path, MERGE, &patch)?;
        self.beat = Some(Instant::now());
        self.beats += 1;
        Ok(())
    }

    fn pods(&self, part: &str) -> String {
        let all = format!("/api/v1/namespaces/{}/pods", self.namespace);
        if part.is_empty() {
            all
        } else {
            format!("{all}/{part}")
        }
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        type_: &str,
        body: &Value,
    ) -> std::io::Result<(u16, Value)> {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.lab.try_ask(method, path, type_, &text)?;
        let json = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok((answer.status, json))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
