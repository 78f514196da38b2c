use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{LiveCluster, LiveRoom};

/// A CustomResourceDefinition, ready for the API server.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition(Value);

/// The definitions of LiveCluster and LiveRoom.
#[must_use]
pub fn definitions() -> [Definition; 2] {
    [LiveCluster::crd(), LiveRoom::crd()].map(Definition::of)
}

impl Definition {
    fn of(crd: CustomResourceDefinition) -> Self {
        let mut value = serde_json::to_value(crd).expect("a definition is JSON");
        let schema = &mut value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        // Before the operator has looked, tools that wait for a rollout must not take an object
        // for finished.
        schema["properties"]["status"]["default"] = json!({"observedGeneration": -1});
        tidy(schema);
        Self(value)
    }

    /// The object's name, as in `liveclusters.isocast.dev`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0["metadata"]["name"]
            .as_str()
            .expect("definitions are named")
    }

    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.0
    }

    #[must_use]
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(&self.0).expect("JSON is YAML")
    }
}

/// Leaves out null, which a field that may be left out does not need.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.remove("nullable");
            }
            if let Some(Value::Array(words)) = fields.get_mut("enum") {
                words.retain(|word| !word.is_null());
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
