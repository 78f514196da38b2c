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
    Serving { message: String },
    /// Somebody has to change something.
    Stalled(Problem),
    /// Another try may help.
    Unreachable { message: String },
    /// The same, in the node's words.
    Refused { message: String },
}

impl Verdict {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Serving { .. } => "Serving",
            Self::Stalled(problem) => problem.reason,
            Self::Unreachable { .. } => "NodeUnreachable",
            Self::Refused { .. } => "NodeRefused",
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::Stalled(Problem { message, .. })
            | Self::Serving { message }
            | Self::Unreachable { message }
            | Self::Refused { message } => message,
        }
    }
}

pub(super) fn verdict(outcome: &Outcome) -> Verdict {
    let secret = match (&outcome.cluster, &outcome.key) {
        (Err(problem), _) | (Ok(_), Err(problem)) => return Verdict::Stalled(problem.clone()),
        (Ok(_), Ok(Key::Found { secret, .. } | Key::ToMake { secret })) => secret,
    };
    match &outcome.node {
        Node::Serves(_) => Verdict::Serving {
            message: format!("publish with the stream key in Secret {secret}"),
        },
        Node::Refused(words) => Verdict::Refused {
            message: format!("the node refuses the room and is asked again: {words}"),
        },
        Node::Unreachable(cause) => Verdict::Unreachable {
            message: cause.clone(),
        },
        Node::NotAsked => Verdict::Unreachable {
            message: "the node has not been told of the room yet".to_owned(),
        },
    }
}

pub(super) fn status(room: &LiveRoom, outcome: &Outcome, now: Timestamp) -> LiveRoomStatus {
    let before = room.status.clone().unwrap_or_default();
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
        Verdict::Unreachable { .. } | Verdict::Refused { .. } => (told(false), told(true), done()),
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
        (Err(_), _) => (Status::False, "NotPublishing", "the LiveCluster has no room for this LiveRoom"),
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
    Some(RoomUrls {
        publish: rtmp.cloned(),
        // The page plays HLS and FLV.
        page: http(format!("/watch/{id}")).filter(|_| plays("hls") || plays("flv")),
        hls: http(format!("/hls/{stream}/index.m3u8")).filter(|_| plays("hls")),
        flv: http(format!("/flv/{stream}.flv")).filter(|_| plays("flv")),
        rtmp: rtmp.map(|rtmp| format!("{rtmp}/{stream}")).filter(|_| plays("rtmp")),
    })
}
