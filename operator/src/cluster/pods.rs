//! The pods of a LiveCluster: how they are, and what is to happen to them. Pure.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

use super::tokens::Tokens;
use super::validate::Valid;
use crate::apply::{Kind, Object};
use crate::names::{CONTAINER, INPUTS, TOKENS};

/// What is to happen to one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Its tokens have changed: a new annotation makes the kubelet write the files at once.
    Touch { pod: String, tokens: String },
    /// The spec says otherwise than when it was made: evict it, and the StatefulSet makes another.
    Replace { pod: String, uid: String },
}

/// How a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Serving,
    Ending,
    /// Not serving yet, or no more. The reason is a condition's, the message for people.
    Waiting {
        reason: &'static str,
        message: String,
    },
}

/// The pods that the StatefulSet has made. Labels alone prove nothing: anyone may write them.
pub(crate) fn of<'a>(
    stateful_set: &'a StatefulSet,
    pods: &'a [std::sync::Arc<Pod>],
) -> impl Iterator<Item = &'a Pod> + Clone {
    let uid = stateful_set.metadata.uid.as_deref().unwrap_or_default();
    pods.iter().map(AsRef::as_ref).filter(move |pod| {
        let owners = pod.owner_references();
        owners
            .iter()
            .any(|owner| owner.controller == Some(true) && owner.uid == uid)
    })
}

/// Whether one of the pods has this ConfigMap.
pub(crate) fn mount(pods: &[std::sync::Arc<Pod>], object: &Object) -> bool {
    let volumes = pods.iter().flat_map(|pod| {
        pod.spec
            .iter()
            .flat_map(|spec| spec.volumes.iter().flatten())
    });
    let mut maps = volumes.filter_map(|volume| volume.config_map.as_ref());
    object.kind == Kind::ConfigMap && maps.any(|map| map.name == object.name())
}

/// Whether the pod was made for what the spec says now.
pub(crate) fn is_current(pod: &Pod, valid: &Valid) -> bool {
    pod.annotations().get(INPUTS) == Some(&valid.pod.inputs_hash())
}

/// One pod is replaced at a time, so that a mistake stops at the first; with one node that is the
/// one. Nothing is replaced before the StatefulSet's controller has seen what to make instead.
pub(crate) fn work<'a>(
    valid: &Valid,
    tokens: &Tokens,
    stateful_set: &StatefulSet,
    pods: impl Iterator<Item = &'a Pod>,
) -> Vec<Work> {
    let is_seen = stateful_set
        .status
        .as_ref()
        .and_then(|status| status.observed_generation)
        >= stateful_set.metadata.generation;
    let (mut work, mut is_replacing) = (Vec::new(), false);
    for pod in pods.filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        if !is_current(pod, valid) {
            if is_seen && !is_replacing {
                is_replacing = true;
                work.push(Work::Replace {
                    pod: pod.name_any(),
                    uid: pod.uid().unwrap_or_default(),
                });
            }
        } else if pod.annotations().get(TOKENS) != Some(&tokens.hash()) {
            work.push(Work::Touch {
                pod: pod.name_any(),
                tokens: tokens.hash(),
            });
        }
    }
    work
}

pub(crate) fn state(pod: &Pod) -> State {
    if pod.metadata.deletion_timestamp.is_some() {
        return State::Ending;
    }
    if is_true(pod, "Ready") {
        return State::Serving;
    }
    let (reason, message) =
        trouble(pod).unwrap_or(("PodStarting", "the pod is starting".to_owned()));
    State::Waiting {
        reason,
        message: format!("{}: {}", pod.name_any(), short(&message)),
    }
}

/// Why a pod that is not ready may never be.
fn trouble(pod: &Pod) -> Option<(&'static str, String)> {
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.iter().flatten();
    let unscheduled = conditions
        .clone()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    if let Some(condition) = unscheduled {
        return Some((
            "PodUnschedulable",
            condition.message.clone().unwrap_or_default(),
        ));
    }
    let mut containers = status.container_statuses.iter().flatten();
    let container = containers.find(|container| container.name == CONTAINER)?;
    let waiting = container
        .state
        .as_ref()
        .and_then(|state| state.waiting.as_ref());
    let word = waiting
        .and_then(|waiting| waiting.reason.as_deref())
        .unwrap_or_default();
    let message = || {
        waiting
            .and_then(|waiting| waiting.message.clone())
            .unwrap_or_else(|| word.to_owned())
    };
    match word {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => Some((
            "ImagePullFailed",
            format!("image {}: {}", container.image, message()),
        )),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some(("ContainerCreateFailed", message()))
        }
        _ => last_words(container).map(|words| ("NodeEnds", format!("the node ended: {words}"))),
    }
}

/// The last line that the node logged before it ended with an error.
fn last_words(container: &ContainerStatus) -> Option<String> {
    let states = [&container.state, &container.last_state];
    let ended = states
        .into_iter()
        .flatten()
        .find_map(|state| state.terminated.as_ref())?;
    if ended.exit_code == 0 {
        return None;
    }
    let said = ended.message.as_deref().unwrap_or_default();
    let line = said.lines().rev().find(|line| !line.trim().is_empty());
    Some(line.map_or_else(|| format!("exit code {}", ended.exit_code), str::to_owned))
}

fn is_true(pod: &Pod, type_: &str) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == type_ && condition.status == "True")
}

/// A condition is read in a terminal.
fn short(message: &str) -> String {
    const CHARS_MAX: usize = 500;
    match message.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::tokens::Token;
    use super::*;
    use crate::cluster::tests::cluster;

    fn tokens(text: &str) -> Tokens {
        Tokens::of_a_test(Token::Found, text)
    }

    fn stateful_set(observed: i64) -> StatefulSet {
        serde_json::from_value(json!({
            "metadata": {"name": "live", "uid": "sts", "generation": 2},
            "spec": {"selector": {}, "template": {}},
            "status": {"observedGeneration": observed, "replicas": 1},
        }))
        .expect("a StatefulSet")
    }

    fn pod(owner: &str, inputs: &str, tokens: &str, status: Value) -> Arc<Pod> {
        let pod = json!({
            "metadata": {
                "name": "live-0", "uid": "pod",
                "annotations": {INPUTS: inputs, TOKENS: tokens},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "live", "uid": owner, "controller": true}],
            },
            "status": status,
        });
        Arc::new(serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn pods_are_touched_replaced_or_left_alone() {
        let valid = Valid::of(&cluster("{image: i}")).expect("valid");
        let (now, before) = (tokens("a"), tokens("b"));
        let current = valid.pod.inputs_hash();
        let replace = || {
            vec![Work::Replace {
                pod: "live-0".into(),
                uid: "pod".into(),
            }]
        };
        let touch = || {
            vec![Work::Touch {
                pod: "live-0".into(),
                tokens: now.hash(),
            }]
        };
        for (owner, inputs, tokens, observed, expected) in [
            ("sts", current.as_str(), now.hash(), 2, vec![]),
            ("sts", "old", now.hash(), 2, replace()),
            ("sts", "old", now.hash(), 1, vec![]),
            ("sts", &current, before.hash(), 2, touch()),
            ("other", "old", now.hash(), 2, vec![]),
        ] {
            let (set, pods) = (
                stateful_set(observed),
                [pod(owner, inputs, &tokens, json!({}))],
            );
            assert_eq!(
                work(&valid, &now, &set, of(&set, &pods)),
                expected,
                "{owner} {inputs} {observed}"
            );
        }
    }

    #[test]
    fn a_pods_trouble_is_told() {
        let container = |state: Value, last: Value| json!({"containerStatuses": [{"name": "node", "image": "i", "imageID": "", "ready": false, "restartCount": 1, "state": state, "lastState": last}]});
        for (status, reason, word) in [
            (json!({}), "PodStarting", "starting"),
            (
                json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]}),
                "PodUnschedulable",
                "0/1 nodes",
            ),
            (
                container(
                    json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}}),
                    json!({}),
                ),
                "ImagePullFailed",
                "no such image",
            ),
            (
                container(
                    json!({"waiting": {"reason": "CrashLoopBackOff"}}),
                    json!({"terminated": {"exitCode": 2, "message": "one\nhub.hold_s is not a number\n"}}),
                ),
                "NodeEnds",
                "hub.hold_s is not a number",
            ),
            (
                container(
                    json!({"waiting": {"reason": "ContainerCreating"}}),
                    json!({}),
                ),
                "PodStarting",
                "starting",
            ),
        ] {
            let State::Waiting {
                reason: told,
                message,
            } = state(&pod("sts", "", "", status))
            else {
                panic!("{reason} is waiting");
            };
            assert_eq!(told, reason);
            assert!(message.contains(word), "{message}");
        }
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        assert_eq!(state(&pod("sts", "", "", ready)), State::Serving);
    }
}
