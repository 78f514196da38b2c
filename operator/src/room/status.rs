//! What a LiveRoom says of itself, computed from what came of it. Pure but for `now`, which the
//! caller gives.

use isocast_admin::RoomId;
use isocast_crds::{LiveCluster, LiveNow, LiveRoom, LiveRoomStatus, RoomKey, RoomUrls};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::desired::is_public;
use super::validate::{Key, Problem};
use super::{Node, Outcome};
use crate::conditions::{self, Status};
use crate::node::Live;

/// Whether the room is ready, and if not, whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Serving {
        message: String,
    },
    /// Somebody has to change something.
    Stalled(Problem),
    /// Another try may help.
    Unreachable {
        message: String,
    },
    /// The same, in the node's words.
    Refused {
        message: String,
    },
    /// The node has the room, and no Service leads to the node yet.
    ClusterNotReady {
        message: String,
    },
}

impl Verdict {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Serving { .. } => "Serving",
            Self::Stalled(problem) => problem.reason,
            Self::Unreachable { .. } => "NodeUnreachable",
            Self::Refused { .. } => "NodeRefused",
            Self::ClusterNotReady { .. } => "ClusterNotReady",
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::Stalled(Problem { message, .. })
            | Self::Serving { message }
            | Self::Unreachable { message }
            | Self::Refused { message }
            | Self::ClusterNotReady { message } => message,
        }
    }
}

pub(super) fn verdict(outcome: &Outcome) -> Verdict {
    let (cluster, secret) = match (&outcome.cluster, &outcome.key) {
        (Err(problem), _) | (Ok(_), Err(problem)) => return Verdict::Stalled(problem.clone()),
        (Ok(cluster), Ok(Key::Found { secret, .. } | Key::ToMake { secret })) => (cluster, secret),
    };
    let name = cluster.name_any();
    match &outcome.node {
        Node::Serves(_) if serves(cluster) => Verdict::Serving {
            message: format!("publish with the stream key in Secret {secret}"),
        },
        Node::Serves(_) => Verdict::ClusterNotReady {
            message: format!("the room is made and waits for LiveCluster {name} to be ready"),
        },
        Node::Away(_) if cluster.spec.replicas == Some(0) => Verdict::Stalled(Problem {
            reason: "ClusterStopped",
            message: format!("LiveCluster {name} has replicas 0: nobody is served until it is 1"),
        }),
        Node::Refused(words) => Verdict::Refused {
            message: format!("the node refuses the room and is asked again: {words}"),
        },
        Node::Unreachable(cause) | Node::Away(cause) => Verdict::Unreachable {
            message: cause.clone(),
        },
        Node::NotAsked => Verdict::Unreachable {
            message: "the node has not been told of the room yet".to_owned(),
        },
    }
}

/// Whether publishers and viewers reach a node.
fn serves(cluster: &LiveCluster) -> bool {
    let ready = cluster
        .status
        .as_ref()
        .and_then(|status| status.ready_replicas);
    ready.is_some_and(|ready| ready > 0)
}

pub(super) fn status(room: &LiveRoom, outcome: &Outcome, now: Timestamp) -> LiveRoomStatus {
    let before = told(room);
    let generation = room.metadata.generation.unwrap_or_default();
    let mut conditions = before.conditions;
    for (type_, (status, reason, message)) in answers(outcome) {
        let list = &mut conditions;
        conditions::set(list, type_, status, reason, &message, generation, now);
    }
    let cluster = outcome.cluster.as_ref().ok();
    LiveRoomStatus {
        observed_generation: Some(generation),
        conditions,
        stream_name: outcome.id.as_ref().map(RoomId::to_string),
        urls: cluster
            .zip(outcome.id.as_ref())
            .and_then(|(cluster, id)| urls(room, cluster, id)),
        key: cluster.and_then(|_| key(outcome).or(before.key)),
        live: cluster.and_then(|_| live(&outcome.live)),
    }
}

const TYPES: [&str; 6] = [
    "Ready",
    "Reconciling",
    "Stalled",
    "ClusterAccepted",
    "KeyReady",
    "Live",
];

/// The status as the operator has told it. Conditions that others have added are theirs.
pub(super) fn told(room: &LiveRoom) -> LiveRoomStatus {
    let mut status = room.status.clone().unwrap_or_default();
    conditions::keep_ours(&mut status.conditions, &TYPES);
    status
}

type Answer = (Status, &'static str, String);

/// Each condition's answer, in the order in which they are first shown.
fn answers(outcome: &Outcome) -> [(&'static str, Answer); 6] {
    let verdict = verdict(outcome);
    let told = |is_true| {
        let (reason, message) = (verdict.reason(), verdict.message().to_owned());
        (Status::of(is_true), reason, message)
    };
    let done = || (Status::False, "Done", String::new());
    let (ready, reconciling, stalled) = match &verdict {
        Verdict::Serving { .. } => (told(true), done(), done()),
        Verdict::Stalled(_) => (told(false), done(), told(true)),
        Verdict::Unreachable { .. } | Verdict::Refused { .. } | Verdict::ClusterNotReady { .. } => {
            (told(false), told(true), done())
        }
    };
    [
        ("Ready", ready),
        ("Reconciling", reconciling),
        ("Stalled", stalled),
        ("ClusterAccepted", cluster_accepted(outcome)),
        ("KeyReady", key_ready(outcome)),
        ("Live", is_live(outcome)),
    ]
}

fn cluster_accepted(outcome: &Outcome) -> Answer {
    match &outcome.cluster {
        Err(Problem { reason, message }) => (Status::False, reason, message.clone()),
        Ok(cluster) => {
            let name = cluster.name_any();
            let message = format!("this LiveRoom has the id in LiveCluster {name}");
            (Status::True, "Accepted", message)
        }
    }
}

fn key_ready(outcome: &Outcome) -> Answer {
    match &outcome.key {
        Err(Problem { reason, message }) => (Status::False, reason, message.clone()),
        Ok(Key::Found { secret, .. }) => {
            let message = format!("the stream key is in Secret {secret}");
            (Status::True, "KeyFound", message)
        }
        Ok(Key::ToMake { secret }) => {
            let message = format!("Secret {secret} is made once the LiveCluster accepts the room");
            (Status::False, "SecretNotFound", message)
        }
    }
}

fn is_live(outcome: &Outcome) -> Answer {
    let (status, reason, message) = match (&outcome.cluster, &outcome.live) {
        (Err(_), _) => (
            Status::False,
            "NotPublishing",
            "the LiveCluster has no room for this LiveRoom",
        ),
        (Ok(_), Live::No) => (Status::False, "NotPublishing", "nobody publishes"),
        (Ok(_), Live::Since { .. }) => (Status::True, "Publishing", "somebody publishes"),
        (Ok(_), Live::Unknown) => (
            Status::Unknown,
            "NodeUnreachable",
            "no node tells whether somebody publishes; see the LiveCluster's status and pods",
        ),
    };
    (status, reason, message.to_owned())
}

/// The key in force. While the node is not told of another, the last one is.
fn key(outcome: &Outcome) -> Option<RoomKey> {
    let (Node::Serves(is), Ok(Key::Found { secret, .. })) = (&outcome.node, &outcome.key) else {
        return None;
    };
    Some(RoomKey {
        secret_name: secret.clone(),
        fingerprint: is.key_fingerprint.clone(),
        generation: is.key_generation.into(),
    })
}

fn live(live: &Live) -> Option<LiveNow> {
    let Live::Since { node, since_ms } = live else {
        return None;
    };
    Some(LiveNow {
        node: node.clone(),
        since: Timestamp::from_millisecond(*since_ms).ok()?.to_string(),
    })
}

fn urls(room: &LiveRoom, cluster: &LiveCluster, id: &RoomId) -> Option<RoomUrls> {
    let status = cluster.status.as_ref()?;
    let urls = status.urls.as_ref()?;
    let (rtmp, http) = (urls.rtmp.as_ref(), urls.http.as_ref());
    let plays = |protocol: &str| {
        let effective = status.effective.as_ref();
        let mut on = effective.iter().flat_map(|effective| &effective.protocols);
        is_public(room) && on.any(|on| on == protocol)
    };
    let stream = id.stream_name();
    let http = |path: String| Some(format!("{}{path}", http?));
    let told = RoomUrls {
        publish: rtmp.cloned(),
        publish_tls: urls.rtmps.clone(),
        // The page plays HLS and FLV.
        page: http(format!("/watch/{id}")).filter(|_| plays("hls") || plays("flv")),
        hls: http(format!("/hls/{stream}/index.m3u8")).filter(|_| plays("hls")),
        flv: http(format!("/flv/{stream}.flv")).filter(|_| plays("flv")),
        rtmp: rtmp
            .map(|rtmp| format!("{rtmp}/{stream}"))
            .filter(|_| plays("rtmp")),
    };
    // Server-side apply makes null of an object that has lost its last field, and null is refused.
    Some(told).filter(|told| *told != RoomUrls::default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::room::tests::{cluster, room};
    use isocast_admin::{OnConflict, Playback, PublishKey, RoomIs, RoomLimits};
    use serde_json::{Value, json, to_value};

    fn found() -> Result<Key, Problem> {
        Ok(Key::Found {
            secret: "mine".into(),
            key: PublishKey::parse("room_r_key_aZ9").expect("a key"),
        })
    }

    fn serves() -> Node {
        Node::Serves(RoomIs {
            id: RoomId::parse("r").expect("an id"),
            playback: Playback::Public,
            on_conflict: OnConflict::Refuse,
            limits: RoomLimits::default(),
            key_generation: 2,
            key_fingerprint: "0123456789abcdef".into(),
            changed: false,
        })
    }

    fn outcome(cluster: Result<Arc<LiveCluster>, Problem>, live: Live, node: Node) -> Outcome {
        Outcome {
            id: RoomId::parse("r").ok(),
            cluster,
            key: found(),
            live,
            node,
        }
    }

    fn accepts() -> Result<Arc<LiveCluster>, Problem> {
        Ok(Arc::new(cluster(json!({}))))
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    /// Conditions as `Ready: True Serving`.
    fn words(status: &LiveRoomStatus) -> Vec<String> {
        let conditions = status.conditions.iter();
        conditions
            .map(|c| format!("{}: {} {}", c.type_, c.status, c.reason))
            .collect()
    }

    #[test]
    fn a_room_that_is_served_and_live_says_so() {
        let room = room("r", json!({}), json!({"playback": "public"}));
        let since = Live::Since {
            node: "c-0".into(),
            since_ms: 1_767_225_600_123,
        };
        let outcome = outcome(accepts(), since, serves());
        let status = status(&room, &outcome, at("2026-01-01T00:00:05Z"));
        let condition = |type_: &str, status: &str, reason: &str, message: &str| {
            json!({
                "type": type_, "status": status, "reason": reason, "message": message,
                "observedGeneration": 3, "lastTransitionTime": "2026-01-01T00:00:05Z",
            })
        };
        let expected = json!({
            "observedGeneration": 3,
            "conditions": [
                condition("Ready", "True", "Serving", "publish with the stream key in Secret mine"),
                condition("Reconciling", "False", "Done", ""),
                condition("Stalled", "False", "Done", ""),
                condition("ClusterAccepted", "True", "Accepted", "this LiveRoom has the id in LiveCluster c"),
                condition("KeyReady", "True", "KeyFound", "the stream key is in Secret mine"),
                condition("Live", "True", "Publishing", "somebody publishes"),
            ],
            "streamName": "r",
            "urls": {
                "publish": "rtmp://live.example:1935/live",
                "page": "https://live.example/watch/r",
                "hls": "https://live.example/hls/room_r/index.m3u8",
                "flv": "https://live.example/flv/room_r.flv",
                "rtmp": "rtmp://live.example:1935/live/room_r",
            },
            "key": {"secretName": "mine", "fingerprint": "0123456789abcdef", "generation": 2},
            "live": {"node": "c-0", "since": "2026-01-01T00:00:00.123Z"},
        });
        assert_eq!(to_value(&status).expect("JSON"), expected);
    }

    #[test]
    fn what_is_not_ready_says_whose_turn_it_is() {
        let stalled = || {
            Err(Problem {
                reason: "StreamNameTaken",
                message: "m".into(),
            })
        };
        let refused = || Node::Refused("the node's words (full)".into());
        let unreachable = || Node::Unreachable("c".into());
        for (outcome, expected) in [
            (
                outcome(stalled(), Live::No, Node::NotAsked),
                [
                    "False StreamNameTaken",
                    "False Done",
                    "True StreamNameTaken",
                    "False StreamNameTaken",
                    "True KeyFound",
                    "False NotPublishing",
                ],
            ),
            (
                outcome(accepts(), Live::No, refused()),
                [
                    "False NodeRefused",
                    "True NodeRefused",
                    "False Done",
                    "True Accepted",
                    "True KeyFound",
                    "False NotPublishing",
                ],
            ),
            (
                outcome(accepts(), Live::Unknown, unreachable()),
                [
                    "False NodeUnreachable",
                    "True NodeUnreachable",
                    "False Done",
                    "True Accepted",
                    "True KeyFound",
                    "Unknown NodeUnreachable",
                ],
            ),
            (
                Outcome {
                    key: Err(Problem {
                        reason: "KeyMalformed",
                        message: "m".into(),
                    }),
                    ..outcome(accepts(), Live::No, Node::NotAsked)
                },
                [
                    "False KeyMalformed",
                    "False Done",
                    "True KeyMalformed",
                    "True Accepted",
                    "False KeyMalformed",
                    "False NotPublishing",
                ],
            ),
        ] {
            let status = status(
                &room("r", json!({}), json!({})),
                &outcome,
                at("2026-01-01T00:00:05Z"),
            );
            let types = [
                "Ready",
                "Reconciling",
                "Stalled",
                "ClusterAccepted",
                "KeyReady",
                "Live",
            ];
            let expected: Vec<_> = types
                .iter()
                .zip(expected)
                .map(|(type_, word)| format!("{type_}: {word}"))
                .collect();
            assert_eq!(words(&status), expected);
            let is_accepted = outcome.cluster.is_ok();
            assert_eq!(status.urls.is_some(), is_accepted);
            assert!(status.key.is_none() && status.live.is_none());
        }
    }

    #[test]
    fn the_same_again_is_the_same_status_and_a_lost_node_keeps_the_key() {
        let mut room = room("r", json!({}), json!({}));
        let first = status(
            &room,
            &outcome(accepts(), Live::No, serves()),
            at("2026-01-01T00:00:05Z"),
        );
        // As it comes back from the API server.
        room.status = serde_json::from_value(to_value(&first).expect("JSON")).expect("a status");
        let again = status(
            &room,
            &outcome(accepts(), Live::No, serves()),
            at("2026-01-01T00:09:05.5Z"),
        );
        assert_eq!(again, first);

        let lost = outcome(accepts(), Live::Unknown, Node::Unreachable("c".into()));
        let lost = status(&room, &lost, at("2026-01-01T00:10:00Z"));
        assert_eq!(lost.key, first.key);
        let times: Vec<_> = lost
            .conditions
            .iter()
            .map(|c| c.last_transition_time.0.to_string())
            .collect();
        let (then, now) = ("2026-01-01T00:00:05Z", "2026-01-01T00:10:00Z");
        assert_eq!(times, [now, now, then, then, then, now]);
    }

    #[test]
    fn urls_are_those_that_work() {
        for (playback, protocols, expected) in [
            ("private", json!(["rtmp", "hls", "flv"]), json!({})),
            ("signed", json!(["rtmp", "hls", "flv"]), json!({})),
            (
                "public",
                json!(["hls"]),
                json!({"page": "h/watch/r", "hls": "h/hls/room_r/index.m3u8"}),
            ),
            (
                "public",
                json!(["flv"]),
                json!({"page": "h/watch/r", "flv": "h/flv/room_r.flv"}),
            ),
            (
                "public",
                json!(["rtmp"]),
                json!({"rtmp": "rtmp://x/live/room_r"}),
            ),
            ("public", json!([]), json!({})),
        ] {
            let room = room("r", json!({}), json!({"playback": playback}));
            let mut cluster = cluster(json!({}));
            let status: Value = json!({
                "urls": {"rtmp": "rtmp://x/live", "http": "h"}, "effective": {"protocols": protocols},
            });
            cluster.status = serde_json::from_value(status).expect("a status");
            let id = RoomId::parse("r").expect("an id");
            let mut expected = expected;
            expected["publish"] = json!("rtmp://x/live");
            let urls = urls(&room, &cluster, &id);
            assert_eq!(
                to_value(urls).expect("JSON"),
                expected,
                "{playback} {protocols}"
            );
            cluster.status = None;
            assert_eq!(super::urls(&room, &cluster, &id), None);
        }
    }
}
