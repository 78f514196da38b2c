//! The definitions as the API server gets them.

use std::path::Path;

use isocast_crds::{Definition, definitions};
use serde_json::Value;

/// A definition travels in an annotation of `kubectl apply` (256 KiB) and in every API server's
/// memory; these leave room.
const BYTES_MAX: [(&str, usize); 2] = [
    ("liveclusters.isocast.dev", 64 << 10),
    ("liverooms.isocast.dev", 24 << 10),
];

fn schema(definition: &Definition) -> &Value {
    &definition.as_json()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

/// Calls `visit` with every schema below this one and its path.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    if schema["items"].is_object() {
        walk(&format!("{path}[]"), &schema["items"], visit);
    }
    if schema["additionalProperties"].is_object() {
        walk(
            &format!("{path}{{}}"),
            &schema["additionalProperties"],
            visit,
        );
    }
}

#[test]
fn they_are_small() {
    for (definition, (name, bytes_max)) in definitions().iter().zip(BYTES_MAX) {
        assert_eq!(definition.name(), name);
        let bytes = definition.as_json().to_string().len();
        assert!(bytes <= bytes_max, "{name}: {bytes} bytes");
    }
}

#[test]
fn every_field_is_explained_and_none_of_the_spec_has_a_default() {
    for definition in definitions() {
        walk("", schema(&definition), &mut |path, schema| {
            let is_ours = path.starts_with(".spec") || path.starts_with(".status");
            let is_field =
                !path.ends_with(']') && !path.ends_with('}') && !path.contains("conditions[]");
            if is_ours && is_field {
                let text = schema["description"].as_str().unwrap_or_default();
                assert!(
                    !text.is_empty(),
                    "{} {path} has no description",
                    definition.name()
                );
            }
            if path.starts_with(".spec") {
                assert!(
                    schema.get("default").is_none(),
                    "{} {path} has a default",
                    definition.name()
                );
            }
        });
        assert_eq!(
            schema(&definition)["properties"]["status"]["default"]["observedGeneration"],
            -1
        );
    }
}

/// The macro takes a field for required unless it sees that it may be left out.
#[test]
fn only_what_has_no_sensible_value_is_required() {
    let mut required = Vec::new();
    for definition in definitions() {
        walk("", schema(&definition), &mut |path, schema| {
            let names = schema["required"].as_array().into_iter().flatten();
            let is_spec = path.is_empty() || path.starts_with(".spec");
            required.extend(
                names
                    .filter(|_| is_spec)
                    .map(|name| format!("{path}.{}", name.as_str().unwrap_or_default())),
            );
        });
    }
    required.sort();
    required.dedup();
    assert_eq!(
        required,
        [
            ".spec",
            ".spec.clusterRef",
            ".spec.clusterRef.name",
            ".spec.expose.ingress.host",
            ".spec.expose.tls.secretName",
            ".spec.image",
            ".spec.imagePullSecrets[].name",
            ".spec.podOverrides.env[].name",
            ".spec.podOverrides.env[].value",
            ".spec.publish.keySecretRef.name",
            ".spec.volume.size",
        ]
    );
}

#[test]
fn every_rule_says_what_is_wrong() {
    for definition in definitions() {
        walk("", schema(&definition), &mut |path, schema| {
            for rule in schema["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let message = rule["message"].as_str().unwrap_or_default();
                assert!(!message.is_empty(), "{} {path}: {rule}", definition.name());
            }
        });
    }
}

/// What text and lists may hold is bounded, or the API server refuses the rules on them as too dear.
#[test]
fn every_text_list_and_map_of_the_spec_has_a_bound() {
    for definition in definitions() {
        walk("", schema(&definition), &mut |path, schema| {
            if !path.starts_with(".spec") {
                return;
            }
            let bound = match schema["type"].as_str() {
                Some("string") if schema["enum"].is_null() => "maxLength",
                Some("array") => "maxItems",
                Some("object") if schema["additionalProperties"].is_object() => "maxProperties",
                _ => return,
            };
            assert!(
                schema[bound].is_u64(),
                "{} {path} has no {bound}",
                definition.name()
            );
        });
    }
}

/// The chart ships them as files. `UPDATE_GOLDEN=1 cargo test -p isocast-crds` writes them again.
#[test]
fn the_charts_files_are_these() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/isocast/files/crds");
    for definition in definitions() {
        let file = folder.join(format!("{}.yaml", definition.name()));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, definition.to_yaml()).expect("writable");
        }
        let shipped = std::fs::read_to_string(&file).expect("the chart has the definition");
        assert_eq!(shipped, definition.to_yaml(), "{} is stale", file.display());
    }
}
