use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// How publishers and viewers reach the nodes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.proxyProtocol) || !self.proxyProtocol || (has(self.trustedProxies) && self.trustedProxies.size() > 0)")
    .message("proxyProtocol needs trustedProxies: the addresses whose word is taken"))]
pub struct Expose {
    /// The Services for RTMP (1935) and HTTP (8080).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// An Ingress for HTTP. RTMP cannot go through one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// TLS of the nodes themselves: RTMPS (1936), and HTTPS (8443) for those who come without the
    /// Ingress. The certificate is read again when its Secret changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// True: connections from the trusted proxies begin with a PROXY protocol v2 header, and none are
    /// taken from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<bool>,
    /// Addresses (10.0.0.7) and networks (10.0.0.0/8) of the load balancers and ingress controllers
    /// whose word for a client's address is taken. Nobody's if this is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::networks::<32>")]
    pub trusted_proxies: Vec<String>,
}

/// TLS of the nodes themselves.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// The Secret with the certificate (tls.crt) and its key (tls.key), as cert-manager writes it,
    /// in the same namespace.
    #[schemars(schema_with = "schema::name")]
    pub secret_name: String,
    /// The port of RTMPS at the Service; 1936 if this is left out. Where networks let nothing else
    /// through, 443.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub rtmps_port: Option<i32>,
}

/// The Services for RTMP and HTTP.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.externalTrafficPolicy) || (has(self.type) && self.type != 'ClusterIP')")
    .message("externalTrafficPolicy needs type NodePort or LoadBalancer"))]
pub struct Service {
    /// ClusterIP if this is left out.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<ServiceType>,
    /// Annotations of both Services, as cloud load balancers want them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Local keeps the clients' addresses and skips a hop; only nodes with a pod answer then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,
}

#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceType {
    #[default]
    ClusterIP,
    NodePort,
    LoadBalancer,
}

impl ServiceType {
    /// The word as Kubernetes writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrafficPolicy {
    Cluster,
    Local,
}

impl TrafficPolicy {
    /// The word as Kubernetes writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        }
    }
}

/// An Ingress for HTTP.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// The IngressClass; the cluster's default if this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub class_name: Option<String>,
    /// The name under which viewers come.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')")
        .message("host must be a DNS name in lower case, without scheme and port"))]
    pub host: String,
    /// The TLS Secret for the name, in the same namespace. Without it viewers come over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub tls_secret_name: Option<String>,
}

/// Who may connect to the pods. Publishers and viewers always may.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// False: there is no NetworkPolicy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Namespaces whose pods may reach the internal port, to read metrics. The operator always may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names::<16>")]
    pub metrics_from_namespaces: Vec<String>,
}
