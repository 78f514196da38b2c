use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
};

use super::super::validate::Valid;

pub(super) fn ingress(valid: &Valid) -> Option<Ingress> {
    let asked = valid.ingress.as_ref()?;
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: valid.names.http(),
            port: Some(ServiceBackendPort {
                name: Some("http".to_owned()),
                number: None,
            }),
        }),
        resource: None,
    };
    let path = HTTPIngressPath {
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
        backend,
    };
    Some(Ingress {
        metadata: valid.names.metadata(valid.names.main(), &valid.owner),
        spec: Some(IngressSpec {
            ingress_class_name: asked.class_name.clone(),
            rules: Some(vec![IngressRule {
                host: Some(asked.host.clone()),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls: asked.tls_secret_name.clone().map(|secret| {
                vec![IngressTLS {
                    hosts: Some(vec![asked.host.clone()]),
                    secret_name: Some(secret),
                }]
            }),
            default_backend: None,
        }),
        status: None,
    })
}
