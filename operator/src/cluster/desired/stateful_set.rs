use std::collections::BTreeMap;

use isocast_crds::{Container as Amounts, Toleration as AskedToleration, Volume as AskedVolume};
use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
    StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
    EnvVarSource, HTTPGetAction, LocalObjectReference, ObjectFieldSelector, PersistentVolumeClaim,
    PersistentVolumeClaimSpec, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Toleration, Volume,
    VolumeMount, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::tokens::Tokens;
use super::super::validate::{Pod, Valid};
use super::config_map::{
    ADMIN_TOKEN_DIR, API_TOKEN_DIR, CONFIG_DIR, DATA_DIR, SIGNING_DIR, TLS_DIR,
};
use crate::names::{
    CONTAINER, HTTP_PORT, HTTPS_PORT, INPUTS, INTERNAL_PORT, RTMP_PORT, RTMPS_PORT, TOKENS, USER,
};

/// The node ends by itself within its drain deadline; only one that hangs needs these.
const KILL_AFTER_DEADLINE_S: i64 = 15;
/// Owner and group may read: the files belong to root, the node is of the group.
const SECRET_MODE: i32 = 0o440;

const DATA: &str = "data";
const CONFIG: &str = "config";
const ADMIN_TOKEN: &str = "admin-token";
const API_TOKEN: &str = "api-token";
const SIGNING: &str = "signing";
const TLS: &str = "tls";

/// Pods go when the operator lets them go (`OnDelete`), and none waits for another (`Parallel`).
pub(super) fn stateful_set(valid: &Valid, tokens: &Tokens) -> StatefulSet {
    let names = &valid.names;
    StatefulSet {
        metadata: names.metadata(names.main(), &valid.owner),
        spec: Some(StatefulSetSpec {
            replicas: Some(valid.replicas),
            service_name: Some(names.nodes()),
            selector: names.label_selector(),
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            template: template(valid, tokens),
            volume_claim_templates: valid.volume.as_ref().map(|volume| vec![claim(volume)]),
            persistent_volume_claim_retention_policy: Some(
                StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: Some("Delete".to_owned()),
                    when_scaled: Some("Retain".to_owned()),
                },
            ),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn template(valid: &Valid, tokens: &Tokens) -> PodTemplateSpec {
    // Ours last: what selects the pods cannot be overridden.
    let mut labels = valid.pod.overrides.labels.clone();
    labels.extend(valid.names.labels());
    let mut annotations = valid.pod.overrides.annotations.clone();
    annotations.insert(INPUTS.to_owned(), valid.pod.inputs_hash());
    annotations.insert(TOKENS.to_owned(), tokens.hash());
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(valid)),
    }
}

fn pod(valid: &Valid) -> PodSpec {
    let Pod {
        pull_secrets,
        drain_deadline_s,
        scheduling,
        ..
    } = &valid.pod;
    let pull_secrets = pull_secrets
        .iter()
        .map(|name| LocalObjectReference { name: name.clone() });
    PodSpec {
        service_account_name: Some(valid.names.service_account()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(
            i64::from(*drain_deadline_s) + KILL_AFTER_DEADLINE_S,
        ),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        image_pull_secrets: some(pull_secrets.collect()),
        node_selector: Some(scheduling.node_selector.clone()).filter(|labels| !labels.is_empty()),
        tolerations: some(scheduling.tolerations.iter().map(toleration).collect()),
        priority_class_name: scheduling.priority_class_name.clone(),
        containers: vec![container(&valid.pod)],
        volumes: Some(volumes(valid)),
        ..PodSpec::default()
    }
}

fn container(pod: &Pod) -> Container {
    let mut ports = vec![
        ("rtmp", RTMP_PORT),
        ("http", HTTP_PORT),
        ("internal", INTERNAL_PORT),
    ];
    let mut mounts = vec![
        mount(DATA, DATA_DIR, false),
        mount(CONFIG, CONFIG_DIR, true),
        mount(ADMIN_TOKEN, ADMIN_TOKEN_DIR, true),
        mount(API_TOKEN, API_TOKEN_DIR, true),
        mount(SIGNING, SIGNING_DIR, true),
    ];
    if pod.tls_secret.is_some() {
        ports.extend([("rtmps", RTMPS_PORT), ("https", HTTPS_PORT)]);
        mounts.push(mount(TLS, TLS_DIR, true));
    }
    let ports = ports.into_iter();
    Container {
        name: CONTAINER.to_owned(),
        image: Some(pod.image.clone()),
        args: Some(vec![
            "run".to_owned(),
            "--config-dir".to_owned(),
            CONFIG_DIR.to_owned(),
        ]),
        env: Some(env(pod)),
        ports: Some(
            ports
                .map(|(name, number)| container_port(name, number))
                .collect(),
        ),
        resources: Some(resources(pod)),
        // The API server's view of a node that ends early is the last lines it logged.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        startup_probe: Some(Probe {
            period_seconds: Some(1),
            failure_threshold: Some(60),
            ..probe("/livez")
        }),
        readiness_probe: Some(Probe {
            period_seconds: Some(2),
            failure_threshold: Some(2),
            ..probe("/readyz")
        }),
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            failure_threshold: Some(3),
            ..probe("/livez")
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// The node is called like its pod. Files that are mounted are named here and not in its
/// configuration, which a pod of before, without these mounts, reads as well.
fn env(pod: &Pod) -> Vec<EnvVar> {
    let name = EnvVar {
        name: "ISOCAST__NODE__ID".to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: "metadata.name".to_owned(),
            }),
            ..EnvVarSource::default()
        }),
        value: None,
    };
    let mut files = vec![
        ("ISOCAST__PLAY__SECRET_FILE", format!("{SIGNING_DIR}/play")),
        (
            "ISOCAST__PUBLISH__SECRET_FILE",
            format!("{SIGNING_DIR}/publish"),
        ),
    ];
    if pod.tls_secret.is_some() {
        files.push(("ISOCAST__TLS__CERT_FILE", format!("{TLS_DIR}/tls.crt")));
        files.push(("ISOCAST__TLS__KEY_FILE", format!("{TLS_DIR}/tls.key")));
    }
    let files = files
        .into_iter()
        .map(|(name, path)| (name.to_owned(), path));
    let given = pod.overrides.env.iter();
    let given = given.map(|env| (env.name.clone(), env.value.clone()));
    let values = files.chain(given).map(|(name, value)| EnvVar {
        name,
        value: Some(value),
        value_from: None,
    });
    std::iter::once(name).chain(values).collect()
}

fn container_port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("internal".to_owned()),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

fn resources(pod: &Pod) -> ResourceRequirements {
    let amounts = |asked: &Option<Amounts>| {
        let Amounts {
            cpu,
            memory,
            ephemeral_storage,
        } = asked.clone()?;
        let all = [
            ("cpu", cpu),
            ("memory", memory),
            ("ephemeral-storage", ephemeral_storage),
        ];
        let given = all
            .into_iter()
            .filter_map(|(name, amount)| Some((name.to_owned(), Quantity(amount?))));
        Some(given.collect::<BTreeMap<_, _>>())
    };
    ResourceRequirements {
        requests: amounts(&pod.resources.requests),
        limits: amounts(&pod.resources.limits),
        claims: None,
    }
}

fn toleration(asked: &AskedToleration) -> Toleration {
    let AskedToleration {
        key,
        operator,
        value,
        effect,
        toleration_seconds,
    } = asked.clone();
    Toleration {
        key,
        operator,
        value,
        effect,
        toleration_seconds,
    }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(read_only).filter(|read_only| *read_only),
        ..VolumeMount::default()
    }
}

/// The claim's template takes the place of the data volume where there is one.
fn volumes(valid: &Valid) -> Vec<Volume> {
    let secret = |name: &str, secret: String| Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret),
            default_mode: Some(SECRET_MODE),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    let config = Volume {
        name: CONFIG.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: valid.names.config(&valid.pod.image),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    let data = Volume {
        name: DATA.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    let mut volumes = vec![
        config,
        secret(ADMIN_TOKEN, valid.names.admin_token()),
        secret(API_TOKEN, valid.names.api_token()),
        secret(SIGNING, valid.names.signing()),
    ];
    if let Some(name) = &valid.pod.tls_secret {
        volumes.push(secret(TLS, name.clone()));
    }
    if valid.volume.is_none() {
        volumes.insert(0, data);
    }
    volumes
}

fn claim(asked: &AskedVolume) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(DATA.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: asked.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([(
                    "storage".to_owned(),
                    Quantity(asked.size.clone()),
                )])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}
