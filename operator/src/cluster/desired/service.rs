use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::validate::Valid;
use crate::names::{HTTP_PORT, HTTPS_PORT, INTERNAL_PORT, RTMP_PORT};

pub(super) fn services(valid: &Valid) -> [Service; 3] {
    let (mut rtmp, mut http) = (vec![port("rtmp", RTMP_PORT)], vec![port("http", HTTP_PORT)]);
    if let Some(rtmps_port) = valid.rtmps_port {
        rtmp.push(port("rtmps", rtmps_port));
        http.push(port("https", HTTPS_PORT));
    }
    [
        nodes(valid),
        client(valid, valid.names.rtmp(), rtmp),
        client(valid, valid.names.http(), http),
    ]
}

/// A name for each pod, known before the pod is ready: nodes find each other while they start.
fn nodes(valid: &Valid) -> Service {
    let ports = [
        ("rtmp", RTMP_PORT),
        ("http", HTTP_PORT),
        ("internal", INTERNAL_PORT),
    ];
    Service {
        metadata: valid.names.metadata(valid.names.nodes(), &valid.owner),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(valid.names.selector()),
            ports: Some(ports.map(|(name, number)| port(name, number)).into()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// What publishers or viewers connect to.
fn client(valid: &Valid, name: String, ports: Vec<ServicePort>) -> Service {
    let mut metadata = valid.names.metadata(name, &valid.owner);
    let annotations = &valid.service.annotations;
    metadata.annotations = (!annotations.is_empty()).then(|| annotations.clone());
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(valid.service_type().as_str().to_owned()),
            external_traffic_policy: valid
                .traffic_policy()
                .map(|policy| policy.as_str().to_owned()),
            selector: Some(valid.names.selector()),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn port(name: &str, number: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number.into(),
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}
