//! What a LiveCluster says of itself, computed from what came of it. Pure but for `now`, which the
//! caller gives.

use isocast_crds::{Effective, LiveCluster, LiveClusterStatus, ServiceType, Urls};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::jiff::Timestamp;

use super::pods::{self, State};
use super::validate::{Valid, ingress_url};
use super::{Applied, Outcome};
use crate::apply;
use crate::conditions::{self, Status};
use crate::names::{HTTP_PORT, RTMP_PORT};

/// Ready, and what kstatus reads beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ready {
        reason: &'static str,
        message: String,
    },
    /// Time or another try may help.
    Waiting {
        reason: &'static str,
        message: String,
    },
    /// Somebody has to change something.
    Stalled {
        reason: &'static str,
        message: String,
    },
}

pub(crate) fn status(
    cluster: &LiveCluster,
    outcome: &Outcome,
    now: Timestamp,
) -> LiveClusterStatus {
    let mut status = told(cluster);
    let generation = cluster.metadata.generation.unwrap_or_default();
    status.observed_generation = Some(generation);
    let mut set = |type_, is_true: bool, reason: &str, message: &str| {
        conditions::set(
            &mut status.conditions,
            type_,
            Status::of(is_true),
            reason,
            message,
            generation,
            now,
        );
    };
    let verdict = verdict(outcome);
    let (Verdict::Ready { reason, message }
    | Verdict::Waiting { reason, message }
    | Verdict::Stalled { reason, message }) = &verdict;
    set(
        "Ready",
        matches!(verdict, Verdict::Ready { .. }),
        reason,
        message,
    );
    for (type_, is_true) in [
        ("Reconciling", matches!(verdict, Verdict::Waiting { .. })),
        ("Stalled", matches!(verdict, Verdict::Stalled { .. })),
    ] {
        let (reason, message) = if is_true {
            (*reason, message.as_str())
        } else {
            ("Done", "")
        };
        set(type_, is_true, reason, message);
    }
    if let Outcome::Applied(applied) = outcome {
        if applied.valid.volume.is_none() {
            set(
                "RoomsEphemeral",
                true,
                "NoVolume",
                "rooms made by the API are gone with the pod, and LiveRooms are told to each new one: give spec.volume to keep them",
            );
        } else {
            set("RoomsEphemeral", false, "VolumeKept", "");
        }
        describe(&mut status, applied);
    }
    status
}

const TYPES: [&str; 4] = ["Ready", "Reconciling", "Stalled", "RoomsEphemeral"];

/// The status as the operator has told it. Conditions that others have added are theirs.
pub(crate) fn told(cluster: &LiveCluster) -> LiveClusterStatus {
    let mut status = cluster.status.clone().unwrap_or_default();
    conditions::keep_ours(&mut status.conditions, &TYPES);
    status
}

pub(crate) fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Invalid(problem) => Verdict::Stalled {
            reason: "InvalidSpec",
            message: problem.to_string(),
        },
        Outcome::NotOwned(object) => Verdict::Stalled {
            reason: "ObjectNotOwned",
            message: object.to_string(),
        },
        Outcome::Failed(error @ apply::Error::Refused { .. }) => Verdict::Stalled {
            reason: "Refused",
            message: error.to_string(),
        },
        Outcome::Failed(error @ apply::Error::Forbidden { .. }) => Verdict::Waiting {
            reason: "Forbidden",
            message: error.to_string(),
        },
        Outcome::Failed(error) => Verdict::Waiting {
            reason: "Retrying",
            message: error.to_string(),
        },
        Outcome::Applied(applied) => pods_verdict(applied),
    }
}

fn pods_verdict(applied: &Applied) -> Verdict {
    let wanted = applied.valid.replicas;
    let pods: Vec<_> = applied.pods().collect();
    if wanted == 0 {
        return match pods.len() {
            0 => Verdict::Ready {
                reason: "Stopped",
                message: "replicas is 0: nobody is served".to_owned(),
            },
            count => Verdict::Waiting {
                reason: "Stopping",
                message: format!("{count} pods are still ending"),
            },
        };
    }
    let waiting = pods.iter().find_map(|pod| match pods::state(pod) {
        State::Waiting { reason, message } => Some((reason, message)),
        State::Ending | State::Serving => None,
    });
    if let Some((reason, message)) = waiting {
        return Verdict::Waiting { reason, message };
    }
    if pods
        .iter()
        .any(|pod| !pods::is_current(pod, &applied.valid))
    {
        let message = match &applied.pod_trouble {
            Some(error) => format!("the pod stays as it is for now: {error}"),
            None => "pods are replaced, one at a time, with what the spec says now".to_owned(),
        };
        return Verdict::Waiting {
            reason: "Replacing",
            message,
        };
    }
    let serving = pods
        .iter()
        .filter(|pod| pods::state(pod) == State::Serving)
        .count();
    if serving == usize::try_from(wanted).unwrap_or_default() {
        Verdict::Ready {
            reason: "Serving",
            message: "publishers and viewers are served".to_owned(),
        }
    } else {
        Verdict::Waiting {
            reason: "PodStarting",
            message: format!("{serving} of {wanted} pods serve"),
        }
    }
}

fn describe(status: &mut LiveClusterStatus, applied: &Applied) {
    let Applied {
        valid,
        services,
        live_rooms,
        ..
    } = applied;
    let count = |pods: usize| Some(i32::try_from(pods).unwrap_or(i32::MAX));
    status.replicas = count(applied.pods().count());
    let serving = applied
        .pods()
        .filter(|pod| pods::state(pod) == State::Serving);
    status.ready_replicas = count(serving.clone().count());
    let labels = valid.names.selector();
    let pairs: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    status.selector = Some(pairs.join(","));
    // A node that serves and has not been heard yet still has the rooms it had.
    let before = status
        .live_rooms
        .filter(|_| status.ready_replicas > Some(0));
    status.live_rooms = live_rooms.and_then(count).or(before);
    let host_ip = serving
        .clone()
        .find_map(|pod: &Pod| pod.status.as_ref()?.host_ip.clone());
    let now = urls(valid, services, host_ip.as_deref());
    // While a pod starts there is no machine to name: its rooms need not be told of a gap.
    let keeps = valid.replicas > 0 && is_node_port(status, valid);
    let before = status.urls.take().filter(|_| keeps).unwrap_or_default();
    let told = Urls {
        rtmp: now.rtmp.or(before.rtmp),
        rtmps: now
            .rtmps
            .or(before.rtmps.filter(|_| valid.rtmps_port.is_some())),
        http: now.http.or(before.http),
    };
    // Server-side apply makes null of an object that has lost its last field, and null is refused.
    status.urls = Some(told).filter(|told| *told != Urls::default());
    status.effective = Some(Effective {
        image: Some(valid.pod.image.clone()),
        replicas: Some(valid.replicas),
        service_type: Some(valid.service_type().as_str().to_owned()),
        protocols: valid.pod.protocols.words(),
        hls_target_seconds: valid.pod.protocols.hls.map(|hls| hls.target_s),
        hls_window_segments: valid.pod.protocols.hls.map(|hls| hls.window_segments),
        drain_deadline_seconds: Some(valid.pod.drain_deadline_s),
    });
}

/// Whether the Services were of type NodePort and still are.
fn is_node_port(status: &LiveClusterStatus, valid: &Valid) -> bool {
    let before = status
        .effective
        .as_ref()
        .and_then(|effective| effective.service_type.as_deref());
    valid.service_type() == ServiceType::NodePort && before == Some(ServiceType::NodePort.as_str())
}

/// The most public address that there is: the Ingress for HTTP, else what the Services got.
fn urls(valid: &Valid, services: &[Service], host_ip: Option<&str>) -> Urls {
    let address = |name: String, port_name: &str, port: u16| {
        let service = services
            .iter()
            .find(|service| service.metadata.name.as_ref() == Some(&name))?;
        address(service, port_name, port, host_ip)
    };
    let rtmp = address(valid.names.rtmp(), "rtmp", RTMP_PORT);
    let rtmps = valid
        .rtmps_port
        .and_then(|port| address(valid.names.rtmp(), "rtmps", port));
    let http = address(valid.names.http(), "http", HTTP_PORT);
    let ingress = valid.ingress.as_ref().map(ingress_url);
    Urls {
        rtmp: rtmp.map(|(host, port)| match port {
            // Encoders take the port of RTMP for granted.
            RTMP_PORT => format!("rtmp://{host}/live"),
            port => format!("rtmp://{host}:{port}/live"),
        }),
        rtmps: rtmps.map(|(host, port)| match port {
            // Players take that of HTTPS for granted.
            443 => format!("rtmps://{host}/live"),
            port => format!("rtmps://{host}:{port}/live"),
        }),
        http: ingress.or(http.map(|(host, port)| format!("http://{host}:{port}"))),
    }
}

/// Host and port of a Service for those who are as far outside as its type allows.
fn address(
    service: &Service,
    port_name: &str,
    port: u16,
    host_ip: Option<&str>,
) -> Option<(String, u16)> {
    let spec = service.spec.as_ref()?;
    match spec.type_.as_deref() {
        Some("LoadBalancer") => {
            let ingress = service
                .status
                .as_ref()?
                .load_balancer
                .as_ref()?
                .ingress
                .as_ref()?
                .first()?;
            let host = ingress
                .hostname
                .clone()
                .or_else(|| ingress.ip.as_deref().map(bracketed))?;
            Some((host, port))
        }
        Some("NodePort") => {
            let mut ports = spec.ports.iter().flatten();
            let found = ports.find(|found| found.name.as_deref() == Some(port_name));
            let node_port = found?.node_port?;
            Some((bracketed(host_ip?), u16::try_from(node_port).ok()?))
        }
        _ => {
            let (name, namespace) = (
                service.metadata.name.as_ref()?,
                service.metadata.namespace.as_ref()?,
            );
            Some((format!("{name}.{namespace}.svc"), port))
        }
    }
}

/// IPv6 addresses stand in brackets in URLs (RFC 3986 §3.2.2).
fn bracketed(ip: &str) -> String {
    if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.to_owned()
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
