//! The API server without kubectl, which takes a tenth of a second of the machine for each call.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use isocast_harness::http::{self, Answer};
use isocast_harness::{Process, Scratch, wait};
use serde_json::{Value, json};

use crate::{Lab, Namespace};

/// How the audit log calls the tests themselves.
pub const AGENT: &str = "isocast-tests";

const START_S: u64 = 30;

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";

/// kubectl's proxy. It ends with this process even where that is killed: a static is never dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    _process: Process,
    _scratch: Scratch,
}

impl Lab {
    /// Any request, as the cluster's administrator.
    ///
    /// # Panics
    /// If there is no answer.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, type_: &str, body: &str) -> Answer {
        self.try_ask(method, path, type_, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// What changes from now on: one event as JSON in each line, until the server ends it.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn watch(&self, path: &str) -> impl Iterator<Item = Value> + use<> {
        let mut socket = TcpStream::connect(self.proxy()).expect("the proxy listens");
        // Of HTTP/1.0, for its answers come without chunks.
        let request = format!(
            "GET {path}?watch=1 HTTP/1.0\r\nHost: localhost\r\nUser-Agent: {AGENT}\r\n\r\n"
        );
        socket
            .write_all(request.as_bytes())
            .expect("the proxy reads");
        let lines = BufReader::new(socket).lines().map_while(Result::ok);
        lines.filter_map(|line| serde_json::from_str(&line).ok())
    }

    /// As [`Lab::ask`], where the lab may be ending.
    pub(crate) fn try_ask(
        &self,
        method: &str,
        path: &str,
        type_: &str,
        body: &str,
    ) -> std::io::Result<Answer> {
        let headers = [("User-Agent", AGENT), ("Content-Type", type_)];
        let mut answer = http::open(self.proxy(), method, path, &headers, body.as_bytes())?;
        answer.read_to_end()?;
        Ok(answer.finish())
    }

    /// The API server without TLS and credentials, for this machine only.
    #[must_use]
    pub fn proxy(&self) -> SocketAddr {
        let begin = || Proxy::start(self.program("kubernetes"));
        self.proxy.get_or_init(begin).address
    }
}

impl Proxy {
    fn start(kubectl: Command) -> Self {
        let scratch = Scratch::new("proxy");
        let log = scratch.file("log");
        // `program` puts a deadline in front, which is not for what runs as long as the tests.
        let mut call = kubectl.get_args().skip(1);
        let program = call.next().expect("a command is for a program");
        let mut command = Command::new("bash");
        let script = r#""$0" kubectl proxy --port=0 & tail --pid="$1" -f /dev/null; kill "$!""#;
        command.args(["-c", script]).arg(program);
        command.arg(std::process::id().to_string());
        for (name, value) in kubectl.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut process = Process::start("kubectl proxy", &mut command, &log);
        let address = wait::until("kubectl's proxy", START_S, || {
            assert!(process.is_running(), "{}", process.log());
            let told = process.log();
            told.trim()
                .strip_prefix("Starting to serve on ")?
                .parse()
                .ok()
        });
        Self {
            address,
            _process: process,
            _scratch: scratch,
        }
    }
}

/// Objects of this namespace, by kind (in the plural) and name.
impl Namespace {
    #[must_use]
    pub fn find(&self, kind: &str, name: &str) -> Option<Value> {
        let answer = self.lab.ask("GET", &self.path(kind, name), JSON, "");
        match answer.status {
            200 => Some(answer.json()),
            404 => None,
            _ => panic!("{kind} {name}: {}", answer.text()),
        }
    }

    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn get(&self, kind: &str, name: &str) -> Value {
        let found = self.find(kind, name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    #[must_use]
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let answer = self.lab.ask("GET", &self.path(kind, ""), JSON, "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let items = answer.json()["items"].take();
        items.as_array().cloned().unwrap_or_default()
    }

    /// Makes an object of what is given beside its name.
    ///
    /// # Panics
    /// If it is refused.
    pub fn make(&self, kind: &str, name: &str, fields: &Value) -> Value {
        let (api_version, word) = api_of(kind);
        let mut object = json!({"apiVersion": api_version, "kind": word});
        merge(&mut object, fields);
        object["metadata"]["name"] = json!(name);
        let text = object.to_string();
        let answer = self.lab.ask("POST", &self.path(kind, ""), JSON, &text);
        assert_eq!(answer.status, 201, "{kind} {name}: {}", answer.text());
        answer.json()
    }

    /// Merges fields into an object; `part` may name a subresource, as in `live/status`.
    ///
    /// # Panics
    /// If it is refused.
    pub fn patch(&self, kind: &str, part: &str, fields: &Value) -> Value {
        let text = fields.to_string();
        let answer = self.lab.ask("PATCH", &self.path(kind, part), MERGE, &text);
        assert_eq!(answer.status, 200, "{kind} {part}: {}", answer.text());
        answer.json()
    }

    /// # Panics
    /// If it cannot be deleted.
    pub fn delete(&self, kind: &str, name: &str) {
        let options = r#"{"propagationPolicy": "Background"}"#;
        let answer = self
            .lab
            .ask("DELETE", &self.path(kind, name), JSON, options);
        assert!(
            matches!(answer.status, 200 | 202 | 404),
            "{kind} {name}: {}",
            answer.text()
        );
    }

    /// Waits until there is such an object, and it passes.
    ///
    /// # Panics
    /// Once `seconds` are over; the object as it was last is told.
    pub fn until(
        &self,
        what: &str,
        seconds: u64,
        (kind, name): (&str, &str),
        passes: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = None;
        let found = wait::within(std::time::Duration::from_secs(seconds), || {
            last = self.find(kind, name);
            last.clone().filter(&passes)
        });
        let told = || {
            let mut last = last.unwrap_or_default();
            if let Some(metadata) = last["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
            serde_json::to_string_pretty(&last).expect("JSON is text")
        };
        found.unwrap_or_else(|| panic!("not within {seconds} s: {what}; {kind} {name}: {}", told()))
    }

    /// Waits until there is no such object.
    ///
    /// # Panics
    /// Once `seconds` are over and there still is.
    pub fn until_gone(&self, seconds: u64, kind: &str, name: &str) {
        wait::until(&format!("{kind} {name} gone"), seconds, || {
            self.find(kind, name).is_none().then_some(())
        });
    }

    /// The path of one object, or of all for an empty name.
    #[must_use]
    pub fn path(&self, kind: &str, name: &str) -> String {
        let (api_version, _) = api_of(kind);
        let root = if api_version == "v1" { "api" } else { "apis" };
        let namespace = &self.name;
        let all = format!("/{root}/{api_version}/namespaces/{namespace}/{kind}");
        if name.is_empty() {
            all
        } else {
            format!("{all}/{name}")
        }
    }
}

fn api_of(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "liveclusters" => ("isocast.dev/v1alpha1", "LiveCluster"),
        "liverooms" => ("isocast.dev/v1alpha1", "LiveRoom"),
        "configmaps" => ("v1", "ConfigMap"),
        "events" => ("v1", "Event"),
        "pods" => ("v1", "Pod"),
        "secrets" => ("v1", "Secret"),
        "serviceaccounts" => ("v1", "ServiceAccount"),
        "services" => ("v1", "Service"),
        "statefulsets" => ("apps/v1", "StatefulSet"),
        "ingresses" => ("networking.k8s.io/v1", "Ingress"),
        "networkpolicies" => ("networking.k8s.io/v1", "NetworkPolicy"),
        "poddisruptionbudgets" => ("policy/v1", "PodDisruptionBudget"),
        _ => panic!("no test needs {kind} yet: say here of which API they are"),
    }
}

/// RFC 7396, but null stays.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
