//! Wherever the operator is interrupted, it comes to the same end.
//!
//! One clean run tells which calls to the API server it takes to bring a LiveCluster with a LiveRoom
//! up, and to take both down. Then each of these calls fails once in each way, every time in a
//! namespace of its own with an operator of its own.

use std::collections::{BTreeSet, VecDeque};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use isocast_cluster::{
    Call, Condition, Fault, FaultProxy, Kubelet, Lab, Namespace, Operator, Strike, Write, decoded,
    is_ready,
};
use isocast_harness::{Peer, wait};
use serde::Deserialize;
use serde_json::{Value, json};

/// Everything is as it should be so soon, whatever has happened.
const CONVERGED: Duration = Duration::from_secs(30);
/// Longer than what an operator at rest does most often, to look at a Secret, and than its first pauses
/// after failures.
const AT_REST: Duration = Duration::from_secs(6);
/// What came after convergence in the clean run comes within so long after it.
const LATE: Duration = Duration::from_secs(2);
/// Each waits most of the time.
const AT_ONCE_PER_CORE: usize = 4;
/// Of a hundred faults so many may meet no call: a Pod that starts fast is looked at less often.
const UNREACHED_PERCENT_MAX: usize = 10;

const FAULTS: [Fault; 7] = [
    Fault::Conflict,
    Fault::TooManyRequests,
    Fault::ServerError,
    Fault::CallLost,
    Fault::AnswerLost,
    Fault::CrashBefore,
    Fault::CrashAfter,
];

/// What is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    BringUp,
    /// The LiveRoom goes, then the LiveCluster.
    RoomFirst,
    /// Both are deleted in one breath, as by `kubectl delete -f`.
    Together,
}

const PHASES: [Phase; 3] = [Phase::BringUp, Phase::RoomFirst, Phase::Together];

#[derive(Clone, Debug)]
struct Case {
    phase: Phase,
    /// Of the call in the clean run.
    index: usize,
    strike: Strike,
}

#[derive(Debug)]
struct Done {
    case: Case,
    has_struck: bool,
    took: Duration,
    namespace: String,
}

#[test]
fn every_call_may_fail_in_every_way() {
    let began = Instant::now();
    let clean = PHASES.map(|phase| (phase, clean(phase)));
    let made = clean[0].1.made.clone();
    let mut cases = VecDeque::new();
    for (phase, Clean { calls, .. }) in &clean {
        for (index, call) in calls.iter().enumerate() {
            let after = calls[..index]
                .iter()
                .filter(|before| *before == call)
                .count();
            cases.extend(FAULTS.map(|fault| Case {
                phase: *phase,
                index,
                strike: Strike {
                    call: call.clone(),
                    after,
                    fault,
                },
            }));
        }
    }
    let asked = cases.len();
    let done = all(cases, &made);

    let failures: Vec<_> = done.iter().filter_map(|done| done.as_ref().err()).collect();
    let (reached, unreached): (Vec<_>, Vec<_>) =
        done.iter().flatten().partition(|done| done.has_struck);
    let slowest = reached.iter().max_by_key(|done| done.took);
    let slowest =
        slowest.map(|done| json!({"s": done.took.as_secs_f64(), "case": done.case.to_string()}));
    let calls = clean.map(|(phase, clean)| (format!("{phase:?}"), json!(clean.calls.len())));
    println!(
        "{}",
        json!({
            "calls": calls.into_iter().collect::<serde_json::Map<_, _>>(), "faults": FAULTS.len(),
            "cases": asked, "reached": reached.len(), "unreached": unreached.len(),
            "failed": failures.len(), "slowest": slowest, "took_s": began.elapsed().as_secs(),
        })
    );
    let failures: Vec<_> = failures.into_iter().map(String::as_str).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    check_log(&done);
    for Done { case, .. } in &unreached {
        let is_sure = case.phase == Phase::BringUp && case.strike.after == 0;
        assert!(!is_sure, "there was no such call: {case}");
    }
    assert!(
        unreached.len() * 100 <= asked * UNREACHED_PERCENT_MAX,
        "{} of {asked} faults met no call",
        unreached.len()
    );
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Strike { call, after, fault } = &self.strike;
        let (phase, index, nth) = (self.phase, self.index, after + 1);
        write!(f, "{phase:?}, call {index}, {fault:?}: {call}, time {nth}")
    }
}

/// The API server's own log says the same as the proxies: nothing is written once all is gone.
fn check_log(done: &[Result<Done, String>]) {
    let writes = Lab::with_definitions().writes();
    let by_operator = |write: &&Write| write.agent.starts_with("isocast-operator/");
    for Done {
        case, namespace, ..
    } in done.iter().flatten()
    {
        let mut there = writes.iter().filter(|write| write.namespace == *namespace);
        let before = there.by_ref().take_while(|write| write.name != MARKER);
        assert!(before.filter(by_operator).count() > 0, "{case}: no writes");
        let late: Vec<_> = there.filter(by_operator).collect();
        assert!(late.is_empty(), "{case}: {late:?}");
    }
}

/// All cases, some at once.
fn all(cases: VecDeque<Case>, made: &BTreeSet<String>) -> Vec<Result<Done, String>> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let (cases, done) = (Mutex::new(cases), Mutex::new(Vec::new()));
    let next = || {
        cases
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    };
    std::thread::scope(|scope| {
        for _ in 0..cores * AT_ONCE_PER_CORE {
            scope.spawn(|| {
                while let Some(case) = next() {
                    let result = attempt(case, made);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// One case; why it has failed.
fn attempt(case: Case, made: &BTreeSet<String>) -> Result<Done, String> {
    let attempted = catch_unwind(AssertUnwindSafe(|| {
        let mut stage = Stage::open();
        let result = stage.play(&case, made);
        if let Err(why) = &result {
            eprintln!("--- {case}: {why}\n{}---", stage.operator.log());
        }
        result
    }));
    let result = attempted.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.unwrap_or_else(|| "a panic".to_owned()))
    });
    result.map_err(|why| format!("{case}: {why}"))
}

/// What a run without faults takes.
struct Clean {
    calls: Vec<Call>,
    /// What is there at its end.
    made: BTreeSet<String>,
}

fn clean(phase: Phase) -> Clean {
    let mut stage = Stage::open();
    if phase != Phase::BringUp {
        stage.begin(Phase::BringUp);
        stage.converge(Phase::BringUp, None).expect("a clean run");
    }
    stage.proxy.count();
    stage.begin(phase);
    stage.converge(phase, None).expect("a clean run");
    let made = stage.made();
    stage.check(phase, &made).expect("a clean run");
    if phase == Phase::BringUp {
        stage.check_rest().expect("a clean run");
    }
    let calls = stage.proxy.calls();
    assert!(!calls.is_empty(), "{phase:?} takes calls");
    Clean { calls, made }
}

/// Everything of one case. Who writes goes first at the end.
struct Stage {
    operator: Operator,
    is_restarted: bool,
    kubelet: Kubelet,
    proxy: FaultProxy,
    /// It goes with the lab: to delete a namespace with a Pod in it takes more calls than all the rest.
    namespace: ManuallyDrop<Namespace>,
}

impl Stage {
    fn open() -> Self {
        let lab = Lab::with_definitions();
        let namespace = lab.namespace("crash");
        let proxy = FaultProxy::start(lab.proxy());
        let mut operator = Operator::begin(&proxy.kubeconfig(), &[&namespace.name], false);
        operator.wait_for_work();
        Self {
            operator,
            is_restarted: false,
            kubelet: Kubelet::start(&namespace),
            proxy,
            namespace: ManuallyDrop::new(namespace),
        }
    }

    fn begin(&self, phase: Phase) {
        match phase {
            Phase::BringUp => {
                for document in serde_yaml::Deserializer::from_str(MINIMAL) {
                    let object = Value::deserialize(document).expect("an example is YAML");
                    let name = object["metadata"]["name"].as_str().expect("it has a name");
                    let kind = match object["kind"].as_str() {
                        Some("LiveCluster") => "liveclusters",
                        _ => "liverooms",
                    };
                    let _ = self
                        .namespace
                        .make(kind, name, &json!({"spec": object["spec"]}));
                }
            }
            Phase::RoomFirst => self.namespace.delete("liverooms", "show"),
            Phase::Together => {
                self.namespace.delete("liveclusters", "live");
                self.namespace.delete("liverooms", "show");
            }
        }
    }

    fn play(&mut self, case: &Case, made: &BTreeSet<String>) -> Result<Done, String> {
        if case.phase != Phase::BringUp {
            self.begin(Phase::BringUp);
            self.converge(Phase::BringUp, None)?;
        }
        self.proxy.fail(case.strike.clone(), self.operator.id());
        self.begin(case.phase);
        let took = self.run(case)?;
        self.check(case.phase, made)?;
        Ok(Done {
            case: case.clone(),
            has_struck: self.proxy.has_struck(),
            took,
            namespace: self.namespace.name.clone(),
        })
    }

    /// Until the fault has struck and everything is as it should be all the same.
    fn run(&mut self, case: &Case) -> Result<Duration, String> {
        let (phase, fault) = (case.phase, Some(case.strike.fault));
        let took = self.converge(phase, fault)?;
        let has_struck = || self.proxy.has_struck().then_some(());
        if has_struck().is_none() && wait::within(LATE, has_struck).is_some() {
            return self.converge(phase, fault);
        }
        Ok(took)
    }

    /// Until everything is as it should be, with an operator that runs.
    fn converge(&mut self, phase: Phase, fault: Option<Fault>) -> Result<Duration, String> {
        let began = Instant::now();
        let mut seen = None;
        let converged = wait::within(CONVERGED, || {
            if !self.operator.is_running() {
                assert!(
                    fault.is_some_and(Fault::is_crash) && !self.is_restarted,
                    "the operator has ended by itself: {}",
                    self.operator.log()
                );
                self.operator.start_again();
                self.is_restarted = true;
            }
            if self.proxy.has_struck() && fault.is_some_and(Fault::is_crash) && !self.is_restarted {
                return None;
            }
            let answered = self.proxy.answered();
            // A LiveCluster and its room become ready by what the operator writes, and not otherwise.
            if phase == Phase::BringUp && seen.replace(answered) == Some(answered) {
                return None;
            }
            self.is_converged(phase).then_some(())
        });
        converged
            .map(|()| began.elapsed())
            .ok_or_else(|| format!("not within {} s: {}", CONVERGED.as_secs(), self.state()))
    }

    fn is_converged(&self, phase: Phase) -> bool {
        let is_ready = |kind, name| {
            self.namespace
                .find(kind, name)
                .is_some_and(|it| is_ready(&it))
        };
        match phase {
            Phase::BringUp => is_ready("liverooms", "show") && is_ready("liveclusters", "live"),
            Phase::RoomFirst => {
                if self.namespace.find("liverooms", "show").is_some() {
                    return false;
                }
                if self.namespace.find("liveclusters", "live").is_some() {
                    self.namespace.delete("liveclusters", "live");
                }
                self.left().is_empty()
            }
            Phase::Together => self.left().is_empty(),
        }
    }

    /// What convergence is good for.
    fn check(&mut self, phase: Phase, made: &BTreeSet<String>) -> Result<(), String> {
        if phase != Phase::BringUp {
            return self.check_rest();
        }
        let found = self.made();
        if found != *made {
            return Err(format!("there is {found:?}"));
        }
        let secret = self.namespace.get("secrets", "show-stream-key");
        let key = secret["data"]["stream-key"].as_str().unwrap_or_default();
        let key = decoded(key);
        let key = String::from_utf8(key).expect("a key is text");
        let node = self.kubelet.wait_for_node("live-0", 1);
        let mut publisher = Peer::publish(node.rtmp(), key.trim());
        publisher.expect_start();
        publisher.close();
        Ok(())
    }

    /// An operator that has nothing to do writes nothing.
    fn check_rest(&mut self) -> Result<(), String> {
        let writes = || self.proxy.calls().into_iter().filter(Call::is_write);
        let before = writes().count();
        let _ = self.namespace.make("configmaps", MARKER, &json!({}));
        match wait::within(AT_REST, || writes().nth(before)) {
            Some(write) => Err(format!("when all is done the operator still does {write}")),
            None if !self.operator.is_running() => Err("the operator has ended".to_owned()),
            None => Ok(()),
        }
    }

    /// The objects that the operator makes, and what comes of them by name.
    fn made(&self) -> BTreeSet<String> {
        let named = |kind: &str| {
            let all = self.namespace.list(kind);
            let names = all.iter().filter_map(|it| it["metadata"]["name"].as_str());
            let names = names.filter(|name| !IS_KUBERNETES.contains(name));
            names
                .map(|name| format!("{kind}/{name}"))
                .collect::<Vec<_>>()
        };
        MADE.iter().flat_map(|kind| named(kind)).collect()
    }

    /// Everything of any kind that is still in the namespace and does not belong there.
    fn left(&self) -> Vec<String> {
        for path in kinds() {
            let (version, kind) = path.rsplit_once('/').expect("they are written so");
            let path = format!("{version}/namespaces/{}/{kind}", self.namespace.name);
            let answer = self.namespace.lab.ask("GET", &path, "application/json", "");
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            let all = answer.json()["items"].take();
            let names = all.as_array().into_iter().flatten();
            let names = names.filter_map(|it| it["metadata"]["name"].as_str());
            let names = names.filter(|name| !IS_KUBERNETES.contains(name) && *name != MARKER);
            let left: Vec<_> = names.map(|name| format!("{kind}/{name}")).collect();
            if !left.is_empty() {
                return left;
            }
        }
        Vec::new()
    }

    fn state(&self) -> String {
        let condition = |kind, name| match self.namespace.find(kind, name) {
            Some(found) => format!("{name}: {:?}", Condition::of(&found, "Ready")),
            None => format!("no {name}"),
        };
        let (cluster, room) = (
            condition("liveclusters", "live"),
            condition("liverooms", "show"),
        );
        let left = self.left();
        format!("{cluster}; {room}; in the namespace there is {left:?}")
    }
}

const MINIMAL: &str = include_str!("../../../examples/minimal.yaml");

/// An object of the test's own, by which a place in the audit log is found again.
const MARKER: &str = "marker";

/// What Kubernetes puts into each namespace.
const IS_KUBERNETES: [&str; 2] = ["kube-root-ca.crt", "default"];

const MADE: [&str; 11] = [
    "liveclusters",
    "liverooms",
    "statefulsets",
    "pods",
    "services",
    "configmaps",
    "secrets",
    "serviceaccounts",
    "poddisruptionbudgets",
    "networkpolicies",
    "ingresses",
];

/// Kinds that are told about and deleted by time.
const NOT_LEFT: [&str; 1] = ["events"];

/// All kinds of objects in namespaces that can be listed, `/api/v1/pods` or `/apis/<group>/…`. Those
/// that go last come first.
fn kinds() -> &'static [String] {
    static KINDS: OnceLock<Vec<String>> = OnceLock::new();
    KINDS.get_or_init(|| {
        let ask = |path: &str| {
            let answer = Lab::with_definitions().ask("GET", path, "application/json", "");
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            answer.json()
        };
        let groups = ask("/apis")["groups"].take();
        let versions = groups.as_array().into_iter().flatten().map(|group| {
            let version = group["preferredVersion"]["groupVersion"].as_str();
            format!("/apis/{}", version.expect("every group prefers a version"))
        });
        let mut kinds = Vec::new();
        for version in ["/api/v1".to_owned()].into_iter().chain(versions) {
            let resources = ask(&version)["resources"].take();
            for resource in resources.as_array().into_iter().flatten() {
                let name = resource["name"].as_str().expect("a kind has a name");
                let verbs = resource["verbs"].as_array();
                let is_listed = verbs.into_iter().flatten().any(|verb| verb == "list");
                if resource["namespaced"] == true && is_listed && !NOT_LEFT.contains(&name) {
                    kinds.push(format!("{version}/{name}"));
                }
            }
        }
        kinds.sort_by_key(|path| !path.ends_with("/pods"));
        kinds
    })
}
