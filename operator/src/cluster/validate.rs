//! A LiveCluster's spec becomes values that the later steps need not question.

use std::net::IpAddr;

use isocast_crds::{
    Env, Expose, Ingress, LiveCluster, PodOverrides, Resources, Scheduling, Service, ServiceType,
    TrafficPolicy, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::Value;

use crate::apply::Object;
use crate::names::{Names, RTMPS_PORT, hash};

const REPLICAS: i32 = 1;
const HLS_TARGET_S: i32 = 2;
const HLS_WINDOW_SEGMENTS: i32 = 6;
const DRAIN_DEADLINE_S: i32 = 60;

/// A LiveCluster that can be made true.
#[derive(Clone, Debug)]
pub(crate) struct Valid {
    pub names: Names,
    pub owner: OwnerReference,
    pub replicas: i32,
    pub pod: Pod,
    pub service: Service,
    /// Where the Service has RTMPS; `None`: nowhere.
    pub rtmps_port: Option<u16>,
    pub ingress: Option<Ingress>,
    pub volume: Option<Volume>,
    /// Namespaces that may read metrics; `None`: there is no NetworkPolicy.
    pub metrics_from: Option<Vec<String>>,
}

/// All that makes one pod differ from another. Where it changes, pods are replaced.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Pod {
    pub image: String,
    pub pull_secrets: Vec<String>,
    pub protocols: Protocols,
    pub drain_deadline_s: i32,
    pub resources: Resources,
    pub scheduling: Scheduling,
    pub overrides: PodOverrides,
    /// The Secret with the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxies: Option<Proxies>,
    /// Where viewers are told to come; a node reads it once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_url: Option<String>,
}

/// Who may say where a connection really comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Proxies {
    pub trusted: Vec<String>,
    pub protocol_v2: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Protocols {
    pub rtmp: bool,
    pub hls: Option<Hls>,
    pub flv: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Hls {
    pub target_s: i32,
    pub window_segments: i32,
}

/// What no schema could refuse, or what an older schema let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error(
        "metadata.name {0:?} is not at most 40 of a-z, 0-9 and '-', starting with a letter: Services and pods are named after it"
    )]
    Name(String),
    #[error(
        "spec.replicas is {0}: more than one node needs a shared registry and database, which this operator cannot name yet; set it to 0 or 1"
    )]
    Replicas(i32),
    #[error("spec.{0} is {1:?}, which is no amount such as 500m, 2 or 1Gi")]
    Quantity(&'static str, String),
    #[error("spec.podOverrides.env names {0} twice; keep one")]
    EnvTwice(String),
    #[error(
        "spec.podOverrides.env: {0} belongs to the operator, or is no ISOCAST__SECTION__KEY; sections NODE, LISTEN, API, ADMIN, TLS and PROXIES are its own"
    )]
    EnvNotYours(String),
    #[error(
        "spec.podOverrides.env: {0} is said by spec.protocols or by the operator itself; leave it out"
    )]
    EnvSaidElsewhere(String),
    #[error(
        "spec.expose.proxyProtocol needs spec.expose.trustedProxies: the addresses whose word is taken"
    )]
    ProxiesMissing,
    #[error(
        "spec.expose.trustedProxies has {0:?}, which is no IP address and no network such as 10.0.0.0/8"
    )]
    Proxy(String),
    #[error(
        "spec.expose.tls: there is no Secret {0} in this namespace; make it with tls.crt and tls.key"
    )]
    TlsSecretMissing(String),
    #[error(
        "spec.expose.tls: Secret {0} has no {1}; it needs tls.crt, the certificate, and tls.key, its key"
    )]
    TlsSecretIncomplete(String, &'static str),
}

impl Valid {
    pub(crate) fn of(cluster: &LiveCluster) -> Result<Self, Problem> {
        let spec = &cluster.spec;
        if !is_name(&cluster.name_any()) {
            return Err(Problem::Name(cluster.name_any()));
        }
        let replicas = spec.replicas.unwrap_or(REPLICAS);
        if !(0..=1).contains(&replicas) {
            return Err(Problem::Replicas(replicas));
        }
        let resources = spec.resources.clone().unwrap_or_default();
        check_amounts(&resources, spec.volume.as_ref())?;
        let overrides = spec.pod_overrides.clone().unwrap_or_default();
        check_env(&overrides.env)?;
        let Expose {
            service,
            ingress,
            tls,
            proxy_protocol,
            trusted_proxies,
        } = spec.expose.clone().unwrap_or_default();
        let proxies = proxies(trusted_proxies, proxy_protocol.unwrap_or_default())?;
        let network_policy = spec.network_policy.clone().unwrap_or_default();
        Ok(Self {
            names: names(cluster),
            owner: cluster
                .controller_owner_ref(&())
                .unwrap_or_else(|| owner_to_be(cluster)),
            replicas,
            pod: Pod {
                image: spec.image.clone(),
                pull_secrets: spec
                    .image_pull_secrets
                    .iter()
                    .map(|secret| secret.name.clone())
                    .collect(),
                protocols: Protocols::of(spec.protocols.as_ref()),
                drain_deadline_s: spec
                    .drain
                    .as_ref()
                    .and_then(|drain| drain.deadline_seconds)
                    .unwrap_or(DRAIN_DEADLINE_S),
                resources,
                scheduling: spec.scheduling.clone().unwrap_or_default(),
                overrides,
                tls_secret: tls.as_ref().map(|tls| tls.secret_name.clone()),
                proxies,
                http_url: ingress.as_ref().map(ingress_url),
            },
            rtmps_port: tls.map(|tls| {
                let port = tls.rtmps_port.and_then(|port| u16::try_from(port).ok());
                port.unwrap_or(RTMPS_PORT)
            }),
            service: service.unwrap_or_default(),
            ingress,
            volume: spec.volume.clone(),
            metrics_from: network_policy
                .enabled
                .unwrap_or(true)
                .then_some(network_policy.metrics_from_namespaces),
        })
    }

    pub(crate) fn service_type(&self) -> ServiceType {
        self.service.type_.unwrap_or_default()
    }

    /// Whether nodes see their clients' addresses, and not one of the cluster's own for many of them.
    pub(crate) fn knows_addresses(&self) -> bool {
        let by_proxy = self.pod.proxies.as_ref();
        by_proxy.is_some_and(|proxies| proxies.protocol_v2)
            || self.traffic_policy() == Some(TrafficPolicy::Local)
    }

    pub(crate) fn traffic_policy(&self) -> Option<TrafficPolicy> {
        self.service
            .external_traffic_policy
            .filter(|_| self.service_type() != ServiceType::ClusterIP)
    }
}

impl Valid {
    /// A pod whose certificate is not there would never start.
    pub(crate) fn check_tls(&self, found: Option<&Object>) -> Result<(), Problem> {
        let Some(name) = &self.pod.tls_secret else {
            return Ok(());
        };
        let found = found.ok_or_else(|| Problem::TlsSecretMissing(name.clone()))?;
        let has = |key: &&str| matches!(&found.value()["data"][*key], Value::String(text) if !text.is_empty());
        match ["tls.crt", "tls.key"].into_iter().find(|key| !has(key)) {
            Some(key) => Err(Problem::TlsSecretIncomplete(name.clone(), key)),
            None => Ok(()),
        }
    }
}

impl Pod {
    /// Decides whether a pod is up to date. It depends on the spec alone, so that another release of
    /// the operator, which may render the same spec otherwise, replaces no pod.
    pub(crate) fn inputs_hash(&self) -> String {
        hash(&serde_json::to_vec(self).expect("plain data is JSON"))
    }
}

impl Protocols {
    fn of(spec: Option<&isocast_crds::Protocols>) -> Self {
        let spec = spec.cloned().unwrap_or_default();
        let hls = spec.hls.unwrap_or_default();
        Self {
            rtmp: spec.rtmp.and_then(|rtmp| rtmp.enabled).unwrap_or(true),
            hls: hls.enabled.unwrap_or(true).then(|| Hls {
                target_s: hls.target_seconds.unwrap_or(HLS_TARGET_S),
                window_segments: hls.window_segments.unwrap_or(HLS_WINDOW_SEGMENTS),
            }),
            flv: spec.flv.and_then(|flv| flv.enabled).unwrap_or(true),
        }
    }

    /// As the spec names them.
    pub(crate) fn words(&self) -> Vec<String> {
        let all = [
            ("rtmp", self.rtmp),
            ("hls", self.hls.is_some()),
            ("flv", self.flv),
        ];
        all.into_iter()
            .filter(|(_, on)| *on)
            .map(|(word, _)| word.to_owned())
            .collect()
    }
}

/// A LiveCluster that no API server has seen has no uid yet.
fn owner_to_be(cluster: &LiveCluster) -> OwnerReference {
    OwnerReference {
        api_version: LiveCluster::api_version(&()).into_owned(),
        kind: LiveCluster::kind(&()).into_owned(),
        name: cluster.name_any(),
        controller: Some(true),
        ..OwnerReference::default()
    }
}

/// Where viewers come who come by the Ingress.
pub(crate) fn ingress_url(ingress: &Ingress) -> String {
    let scheme = match ingress.tls_secret_name {
        Some(_) => "https",
        None => "http",
    };
    format!("{scheme}://{}", ingress.host)
}

/// The names that follow from a LiveCluster's own.
pub(crate) fn names(cluster: &LiveCluster) -> Names {
    Names {
        cluster: cluster.name_any(),
        namespace: cluster.namespace().unwrap_or_default(),
    }
}

fn proxies(trusted: Vec<String>, protocol_v2: bool) -> Result<Option<Proxies>, Problem> {
    if let Some(proxy) = trusted.iter().find(|proxy| !is_network(proxy)) {
        return Err(Problem::Proxy(proxy.clone()));
    }
    if trusted.is_empty() {
        return if protocol_v2 {
            Err(Problem::ProxiesMissing)
        } else {
            Ok(None)
        };
    }
    Ok(Some(Proxies {
        trusted,
        protocol_v2,
    }))
}

/// As the schema has it.
fn is_network(text: &str) -> bool {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|length| length.parse::<u8>().is_ok_and(|length| length <= bits))
}

/// As the schema has it.
fn is_name(name: &str) -> bool {
    const BYTES_MAX: usize = 40;
    let is_inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=BYTES_MAX).contains(&name.len())
        && name.bytes().all(is_inside)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
}

fn check_amounts(resources: &Resources, volume: Option<&Volume>) -> Result<(), Problem> {
    let mut amounts = Vec::new();
    for (where_, container) in [
        ("resources.requests", &resources.requests),
        ("resources.limits", &resources.limits),
    ] {
        let container = container.clone().unwrap_or_default();
        let all = [container.cpu, container.memory, container.ephemeral_storage];
        amounts.extend(all.into_iter().flatten().map(|amount| (where_, amount)));
    }
    amounts.extend(volume.map(|volume| ("volume.size", volume.size.clone())));
    match amounts.into_iter().find(|(_, amount)| !is_amount(amount)) {
        Some((where_, amount)) => Err(Problem::Quantity(where_, amount)),
        None => Ok(()),
    }
}

/// As the schema has it.
fn is_amount(text: &str) -> bool {
    const SUFFIXES: [&str; 12] = [
        "", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi",
    ];
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    (1..=15).contains(&whole.len())
        && (1..=3).contains(&fraction.len())
        && !fraction.contains('.')
        && SUFFIXES.contains(&suffix)
}

fn check_env(env: &[Env]) -> Result<(), Problem> {
    const OURS: [&str; 6] = ["NODE", "LISTEN", "API", "ADMIN", "TLS", "PROXIES"];
    for (index, Env { name, .. }) in env.iter().enumerate() {
        let section = name
            .strip_prefix("ISOCAST__")
            .and_then(|rest| rest.split_once("__"));
        let is_yours = |(section, key): (&str, &str)| {
            !section.is_empty() && !key.is_empty() && !OURS.contains(&section)
        };
        if !section.is_some_and(is_yours) {
            return Err(Problem::EnvNotYours(name.clone()));
        }
        if SAID_ELSEWHERE.contains(&name.as_str()) {
            return Err(Problem::EnvSaidElsewhere(name.clone()));
        }
        if env[..index].iter().any(|earlier| earlier.name == *name) {
            return Err(Problem::EnvTwice(name.clone()));
        }
    }
    Ok(())
}

/// Settings that the spec has fields for, or the operator values: the environment would silently win
/// over them, and over what the status tells.
const SAID_ELSEWHERE: [&str; 6] = [
    "ISOCAST__PLAY__SECRET_FILE",
    "ISOCAST__PUBLISH__SECRET_FILE",
    "ISOCAST__RTMP__PLAY",
    "ISOCAST__HLS__ENABLED",
    "ISOCAST__HLS__TARGET_MS",
    "ISOCAST__HLS__WINDOW_SEGMENTS",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apply::Kind;
    use crate::cluster::tests::cluster;

    fn valid(spec: &str) -> Result<Valid, Problem> {
        Valid::of(&cluster(spec))
    }

    #[test]
    fn what_is_left_out_has_a_value() {
        let valid = valid("{image: i}").expect("valid");
        assert_eq!(valid.replicas, 1);
        assert_eq!(valid.pod.drain_deadline_s, 60);
        assert_eq!(valid.pod.protocols.words(), ["rtmp", "hls", "flv"]);
        assert_eq!(
            valid.pod.protocols.hls,
            Some(Hls {
                target_s: 2,
                window_segments: 6
            })
        );
        assert_eq!(valid.service_type(), ServiceType::ClusterIP);
        assert_eq!(valid.metrics_from, Some(vec![]));
    }

    #[test]
    fn problems_are_named() {
        for (spec, expected) in [
            ("{image: i, replicas: 2}", Problem::Replicas(2)),
            ("{image: i, replicas: -1}", Problem::Replicas(-1)),
            (
                "{image: i, volume: {size: 1e400}}",
                Problem::Quantity("volume.size", "1e400".into()),
            ),
            (
                "{image: i, resources: {limits: {memory: -1}}}",
                Problem::Quantity("resources.limits", "-1".into()),
            ),
            (
                "{image: i, podOverrides: {env: [{name: ISOCAST__LISTEN__HTTP, value: x}]}}",
                Problem::EnvNotYours("ISOCAST__LISTEN__HTTP".into()),
            ),
            (
                "{image: i, expose: {proxyProtocol: true}}",
                Problem::ProxiesMissing,
            ),
            (
                "{image: i, expose: {trustedProxies: [10.0.0.0/8, fd00::/129]}}",
                Problem::Proxy("fd00::/129".into()),
            ),
            (
                "{image: i, podOverrides: {env: [{name: PATH, value: x}]}}",
                Problem::EnvNotYours("PATH".into()),
            ),
            (
                "{image: i, podOverrides: {env: [{name: ISOCAST__HUB__HOLD_S, value: '1'}, {name: ISOCAST__HUB__HOLD_S, value: '2'}]}}",
                Problem::EnvTwice("ISOCAST__HUB__HOLD_S".into()),
            ),
            (
                "{image: i, podOverrides: {env: [{name: ISOCAST__HLS__TARGET_MS, value: '2500'}]}}",
                Problem::EnvSaidElsewhere("ISOCAST__HLS__TARGET_MS".into()),
            ),
        ] {
            assert_eq!(valid(spec).err(), Some(expected), "{spec}");
        }
        valid("{image: i, podOverrides: {env: [{name: ISOCAST__HLS__IDLE_S, value: '60'}]}}")
            .expect("valid");
    }

    #[test]
    fn a_certificate_must_be_whole() {
        let spec = "{image: i, expose: {tls: {secretName: t}}}";
        let valid = valid(spec).expect("valid");
        let secret = |data: Value| Object::new(Kind::Secret, json!({"data": data}));
        let incomplete = |key| Err(Problem::TlsSecretIncomplete("t".into(), key));
        for (data, expected) in [
            (json!({"tls.crt": "YQ==", "tls.key": "YQ=="}), Ok(())),
            (json!({"tls.crt": "YQ=="}), incomplete("tls.key")),
            (
                json!({"tls.crt": "", "tls.key": "YQ=="}),
                incomplete("tls.crt"),
            ),
            (Value::Null, incomplete("tls.crt")),
        ] {
            assert_eq!(valid.check_tls(Some(&secret(data))), expected);
        }
        let missing = Err(Problem::TlsSecretMissing("t".into()));
        assert_eq!(valid.check_tls(None), missing);
        assert_eq!(valid.rtmps_port, Some(1936));
    }

    #[test]
    fn pods_are_replaced_for_what_concerns_them_only() {
        let hash = |spec: &str| valid(spec).expect("valid").pod.inputs_hash();
        let plain = hash("{image: i}");
        for same in [
            "{image: i, replicas: 0}",
            "{image: i, drain: {deadlineSeconds: 60}}",
            "{image: i, protocols: {hls: {targetSeconds: 2}}}",
            "{image: i, expose: {service: {type: NodePort}}}",
            "{image: i, expose: {proxyProtocol: false, trustedProxies: []}}",
            "{image: i, networkPolicy: {enabled: false}}",
        ] {
            assert_eq!(hash(same), plain, "{same}");
        }
        for other in [
            "{image: j}",
            "{image: i, drain: {deadlineSeconds: 61}}",
            "{image: i, protocols: {flv: {enabled: false}}}",
            "{image: i, resources: {limits: {memory: 1Gi}}}",
            "{image: i, scheduling: {nodeSelector: {a: b}}}",
            "{image: i, podOverrides: {labels: {a: b}}}",
            "{image: i, expose: {tls: {secretName: t}}}",
            "{image: i, expose: {trustedProxies: [10.0.0.7]}}",
            "{image: i, expose: {trustedProxies: [10.0.0.7], proxyProtocol: true}}",
        ] {
            assert_ne!(hash(other), plain, "{other}");
        }
    }
}
