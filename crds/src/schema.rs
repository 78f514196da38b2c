//! Schemas that several fields share. All of them are bounded: the API server estimates the cost of
//! a rule from the largest value that the schema allows.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// The longest label or annotation key: a prefix of 253, a slash and a name of 63.
const KEY_BYTES_MAX: u32 = 317;

/// An amount, as in `500m`, `1Gi` or `1.5`. Kubernetes takes more forms; those that only add room
/// for mistakes, such as `1e400`, are refused.
pub(crate) fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 20,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[0-9]{1,15}([.][0-9]{1,3})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$') && isQuantity(self)",
            "message": "must be an amount such as 500m, 2 or 1Gi",
        }],
    })
}

/// Up to `MAX` items.
pub(crate) fn list<T: JsonSchema, const MAX: usize>(generator: &mut SchemaGenerator) -> Schema {
    let items = generator.subschema_for::<T>();
    json_schema!({
        "type": "array", "maxItems": MAX, "items": items, "x-kubernetes-list-type": "atomic",
    })
}

/// Up to `MAX` items with a field `name` that tells them apart.
pub(crate) fn list_by_name<T: JsonSchema, const MAX: usize>(
    generator: &mut SchemaGenerator,
) -> Schema {
    let items = generator.subschema_for::<T>();
    json_schema!({
        "type": "array", "maxItems": MAX, "items": items,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
    })
}

/// The name of another object.
pub(crate) fn name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 253,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
            "message": "must be the name of an object: a-z, 0-9, '-' and '.', with a letter or digit at both ends",
        }],
    })
}

/// Up to `MAX` names of objects.
pub(crate) fn names<const MAX: usize>(generator: &mut SchemaGenerator) -> Schema {
    let items = name(generator);
    json_schema!({
        "type": "array", "maxItems": MAX, "x-kubernetes-list-type": "set", "items": items,
    })
}

/// Up to `MAX` IP addresses and networks in CIDR form.
pub(crate) fn networks<const MAX: usize>(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": MAX, "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 2, "maxLength": 43,
            "x-kubernetes-validations": [{
                "rule": "isIP(self) || isCIDR(self)",
                "message": "must be an IP address such as 10.0.0.7, or a network such as 10.0.0.0/8",
            }],
        },
    })
}

pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 63},
        "x-kubernetes-validations": [{
            "rule": format!("self.all(key, key.size() <= {KEY_BYTES_MAX} && key.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'))"),
            "message": "a label's key must be a name, with or without a DNS name and '/' before it",
        }, {
            "rule": "self.all(key, self[key].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))",
            "message": "a label's value must be letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        }],
    })
}

pub(crate) fn annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 4096},
        "x-kubernetes-validations": [{
            "rule": format!("self.all(key, key.size() <= {KEY_BYTES_MAX} && key.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'))"),
            "message": "an annotation's key must be a name, with or without a DNS name and '/' before it",
        }],
    })
}

/// Conditions as Kubernetes itself has them, one of each type.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
                "message": {"type": "string", "maxLength": 32768},
                "observedGeneration": {"type": "integer", "format": "int64"},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
            },
        },
    })
}

pub(crate) fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}
