use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::validate::Valid;
use super::Home;
use crate::names::{HTTP_PORT, HTTPS_PORT, INTERNAL_PORT, RTMP_PORT, RTMPS_PORT};

/// Everyone may publish and watch; the internal port is for the operator and who reads metrics.
pub(super) fn network_policy(valid: &Valid, home: &Home) -> Option<NetworkPolicy> {
    let metrics_from = valid.metrics_from.as_ref()?;
    let insiders = std::iter::once(&home.namespace).chain(metrics_from);
    let mut ports = vec![port(RTMP_PORT), port(HTTP_PORT)];
    if valid.pod.tls_secret.is_some() {
        ports.extend([port(RTMPS_PORT), port(HTTPS_PORT)]);
    }
    let public = NetworkPolicyIngressRule {
        from: None,
        ports: Some(ports),
    };
    let internal = NetworkPolicyIngressRule {
        from: Some(
            insiders
                .map(|namespace| from_namespace(namespace))
                .collect(),
        ),
        ports: Some(vec![port(INTERNAL_PORT)]),
    };
    Some(NetworkPolicy {
        metadata: valid.names.metadata(valid.names.main(), &valid.owner),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(valid.names.label_selector()),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![public, internal]),
            egress: None,
        }),
    })
}

fn port(number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number.into())),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    }
}

/// Every namespace has its name as a label (Kubernetes 1.21).
fn from_namespace(name: &str) -> NetworkPolicyPeer {
    let label = ("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(BTreeMap::from([label])),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}
