//! Kubernetes objects of whatever kind.

use k8s_openapi::api::{apps, core, networking, policy};
use kube::Resource;
use kube::core::ApiResource;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a LiveCluster consists of, in the order in which it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    ServiceAccount,
    Secret,
    ConfigMap,
    Service,
    NetworkPolicy,
    PodDisruptionBudget,
    StatefulSet,
    Ingress,
}

impl Kind {
    /// Those that the operator watches. Secrets it only reads, one by one.
    pub(crate) const WATCHED: [Self; 7] = [
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::Service,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::StatefulSet,
        Self::Ingress,
    ];

    pub(crate) fn api_resource(self) -> ApiResource {
        fn of<K: Resource<DynamicType = ()>>() -> ApiResource {
            ApiResource::erase::<K>(&())
        }
        match self {
            Self::ServiceAccount => of::<core::v1::ServiceAccount>(),
            Self::Secret => of::<core::v1::Secret>(),
            Self::ConfigMap => of::<core::v1::ConfigMap>(),
            Self::Service => of::<core::v1::Service>(),
            Self::NetworkPolicy => of::<networking::v1::NetworkPolicy>(),
            Self::PodDisruptionBudget => of::<policy::v1::PodDisruptionBudget>(),
            Self::StatefulSet => of::<apps::v1::StatefulSet>(),
            Self::Ingress => of::<networking::v1::Ingress>(),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// One object, live or wanted.
#[derive(Clone, PartialEq)]
pub(crate) struct Object {
    pub kind: Kind,
    value: Value,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name())
    }
}

impl Object {
    pub(crate) fn new(kind: Kind, mut value: Value) -> Self {
        let resource = kind.api_resource();
        value["apiVersion"] = Value::String(resource.api_version);
        value["kind"] = Value::String(resource.kind);
        Self { kind, value }
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    pub(crate) fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    pub(crate) fn resource_version(&self) -> &str {
        self.text("/metadata/resourceVersion")
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.value["metadata"]["annotations"][key].as_str()
    }

    pub(crate) fn set_annotation(&mut self, key: &str, value: &str) {
        self.value["metadata"]["annotations"][key] = Value::String(value.to_owned());
    }

    /// Whether the object belongs to the one with this uid, and to nobody else.
    pub(crate) fn is_controlled_by(&self, uid: &str) -> bool {
        let owners = self.value["metadata"]["ownerReferences"].as_array();
        owners
            .into_iter()
            .flatten()
            .any(|owner| owner["controller"] == true && owner["uid"] == uid)
    }

    pub(crate) fn is_being_deleted(&self) -> bool {
        self.value["metadata"]["deletionTimestamp"].is_string()
    }

    /// Read as the type of its kind; `None` for what the API server cannot have sent.
    pub(crate) fn read<K: DeserializeOwned>(&self) -> Option<K> {
        serde_json::from_value(self.value.clone()).ok()
    }

    fn text(&self, pointer: &str) -> &str {
        self.value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}
