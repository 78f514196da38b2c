use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use isocast_harness::{Process, Signal, http, node_binary};
use serde_json::{Value, json};

use super::Running;

/// Before a node that has ended by itself starts again; longer each time.
const PAUSE: Duration = Duration::from_secs(1);
/// Lines of a log that a Pod's status tells.
const LINES_TOLD: usize = 5;
/// Tests compare no times of Pods.
const TIME: &str = "2026-01-01T00:00:00Z";

/// What there is of one Pod.
pub(super) struct Node {
    ip: IpAddr,
    folder: PathBuf,
    process: Option<Process>,
    starts: u32,
    ended: Option<Instant>,
    /// The Pod's version for which its files were written.
    pub(super) synced: Value,
    /// What was written to its status.
    pub(super) told: Value,
    /// Since it was told to end.
    ending: Option<Instant>,
}

/// How a Pod's node is.
pub(super) enum State {
    NoImage,
    /// A volume has no content.
    Missing(String),
    Runs {
        is_ready: bool,
    },
    /// By itself, and this is what it said last.
    Ended(String),
}

impl Node {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            ip: next_ip(),
            folder,
            process: None,
            starts: 0,
            ended: None,
            synced: Value::Null,
            told: Value::Null,
            ending: None,
        }
    }

    pub(super) fn volume(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// What tests are told of it; nothing once it is to end.
    pub(super) fn running(&mut self) -> Option<Running> {
        let is_there = self.is_running() && self.ending.is_none();
        let id = self.process.as_ref().filter(|_| is_there)?.id();
        Some(Running {
            ip: self.ip,
            id,
            log: self.log(),
        })
    }

    /// Starts it, or again after its end, or looks how it is.
    pub(super) fn run(&mut self, pod: &Value) -> State {
        if self.is_running() {
            let ready = http::open((self.ip, 8081).into(), "GET", "/readyz", &[], b"");
            let is_ready = ready.is_ok_and(|answer| answer.head().status == 200);
            return State::Runs { is_ready };
        }
        if self.process.is_some() && self.ended.is_none() {
            self.ended = Some(Instant::now());
        }
        let pause = PAUSE * self.starts;
        if self.ended.is_none_or(|ended| ended.elapsed() >= pause) {
            self.begin(pod);
            return State::Runs { is_ready: false };
        }
        let log = self.process.as_ref().map(Process::log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LINES_TOLD)..];
        State::Ended(last.join("\n"))
    }

    /// Tells it to end, at once where it has not after the grace period.
    pub(super) fn has_ended(&mut self, grace: Duration) -> bool {
        if !self.is_running() {
            return true;
        }
        if let Some(process) = &mut self.process {
            match self.ending {
                None => process.signal(Signal::TERM),
                Some(since) if since.elapsed() >= grace => process.signal(Signal::KILL),
                Some(_) => {}
            }
        }
        self.ending.get_or_insert_with(Instant::now);
        false
    }

    /// The Pod's status.
    pub(super) fn status(&self, pod: &Value, state: &State) -> Value {
        let image = &pod["spec"]["containers"][0]["image"];
        let waiting = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
        let is_ready = matches!(state, State::Runs { is_ready: true });
        let (state, last) = match state {
            State::NoImage => (
                waiting("ErrImagePull", &format!("no image {image} in this lab")),
                json!({}),
            ),
            State::Missing(what) => (waiting("ContainerCreating", what), json!({})),
            State::Runs { .. } => (json!({"running": {"startedAt": TIME}}), json!({})),
            State::Ended(log) => (
                waiting("CrashLoopBackOff", "the node ends by itself"),
                json!({"terminated": {"exitCode": 2, "reason": "Error", "message": log}}),
            ),
        };
        let word = if is_ready { "True" } else { "False" };
        let condition = |type_: &str, status: &str| json!({"type": type_, "status": status, "lastTransitionTime": TIME});
        let ip = self.ip.to_string();
        json!({
            "phase": if state["running"].is_object() { "Running" } else { "Pending" },
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "hostIP": "127.0.0.1",
            "hostIPs": [{"ip": "127.0.0.1"}],
            "startTime": TIME,
            "conditions": [
                condition("PodScheduled", "True"),
                condition("Initialized", "True"),
                condition("ContainersReady", word),
                condition("Ready", word),
            ],
            "containerStatuses": [{
                "name": "node",
                "image": image,
                "imageID": image,
                "ready": is_ready,
                "started": state["running"].is_object(),
                "restartCount": self.starts.saturating_sub(1),
                "state": state,
                "lastState": last,
            }],
        })
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("node-{}.log", self.starts))
    }

    fn begin(&mut self, pod: &Value) {
        let container = &pod["spec"]["containers"][0];
        let mounts = container["volumeMounts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mounts: Vec<_> = mounts
            .iter()
            .filter_map(|mount| Some((mount["mountPath"].as_str()?, mount["name"].as_str()?)))
            .map(|(path, name)| (path, self.mounted(pod, name)))
            .collect();
        let here = |text: &str| {
            let found = mounts.iter().find_map(|(path, folder)| {
                let rest = text.strip_prefix(path)?;
                (rest.is_empty() || rest.starts_with('/'))
                    .then(|| format!("{}{rest}", folder.display()))
            });
            found.unwrap_or_else(|| text.to_owned())
        };
        self.starts += 1;
        self.ended = None;
        let mut command = Command::new(node_binary());
        command.current_dir(&self.folder).env_clear();
        for argument in container["args"].as_array().into_iter().flatten() {
            command.arg(here(argument.as_str().unwrap_or_default()));
        }
        command.args(["--data-dir", &here("/data")]);
        let set = [
            ("listen.rtmp", format!("{}:1935", self.ip)),
            ("listen.http", format!("{}:8080", self.ip)),
            ("listen.internal", format!("{}:8081", self.ip)),
            ("admin.token_file", here("/run/secrets/isocast/admin/token")),
            ("api.token_file", here("/run/secrets/isocast/api/token")),
            // Nobody has to notice that its address is gone.
            ("node.drain_delay_s", "0".to_owned()),
            ("node.drain_spread_s", "0".to_owned()),
        ];
        for (key, value) in set {
            command.args(["--set", &format!("{key}={value}")]);
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let field = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str();
            let value = match field {
                Some("metadata.name") => &pod["metadata"]["name"],
                _ => &variable["value"],
            };
            let name = variable["name"].as_str().unwrap_or_default();
            command.env(name, here(value.as_str().unwrap_or_default()));
        }
        self.process = Some(Process::start("isocast-node", &mut command, &self.log()));
    }

    fn mounted(&self, pod: &Value, name: &str) -> PathBuf {
        let volumes = pod["spec"]["volumes"].as_array();
        let volume = volumes
            .into_iter()
            .flatten()
            .find(|volume| volume["name"] == name);
        let claim = volume.and_then(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
        let claims = self.folder.with_file_name("claims");
        claim.map_or_else(|| self.volume(name), |claim| claims.join(claim))
    }
}

/// Loopback is sixteen million addresses, all of them this machine's.
fn next_ip() -> IpAddr {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // 64 for each process before others come near, and never 127.0.0.x, x.0 or x.255.
    let number = std::process::id().wrapping_mul(64).wrapping_add(count) % (200 * 256 * 254);
    let (block, last) = (number / 254, number % 254 + 1);
    let [_, _, a, b] = block.to_be_bytes();
    Ipv4Addr::new(127, a + 1, b, last as u8).into()
}

/// All at once, and readable for nobody else: a node warns of secrets that are.
pub(super) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let new = path.with_extension("new");
    std::fs::write(&new, bytes)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&new, path)
}
