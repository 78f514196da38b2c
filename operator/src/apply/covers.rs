//! Whether an object already is as it is to be.
//!
//! The API server fills in defaults, and others may add what is theirs (a load balancer's
//! annotation). So the live object may have more than was asked for; it may not have less, or
//! something else. Lists and selectors of a spec are whole: a further port, container or selector is
//! no addition but another thing.

use serde_json::Value;

/// Fields by which the items of a list are told apart, as Kubernetes itself merges them.
const KEYS: [&str; 5] = ["name", "containerPort", "port", "mountPath", "ip"];

/// Whether `live` has all that `wanted` has.
pub(crate) fn covers(live: &Value, wanted: &Value) -> bool {
    differences(live, wanted, 1).is_empty()
}

/// A path, what is there and what is wanted there.
pub(crate) type Difference<'a> = (String, Option<&'a Value>, &'a Value);

/// The first `max` places where the two part, in the order of `wanted`.
pub(crate) fn differences<'a>(
    live: &'a Value,
    wanted: &'a Value,
    max: usize,
) -> Vec<Difference<'a>> {
    let mut found = Vec::new();
    collect("", Some(live), wanted, max, &mut found);
    found
}

/// Objects that the operator makes are some ten levels deep, so this may recurse.
fn collect<'a>(
    path: &str,
    live: Option<&'a Value>,
    wanted: &'a Value,
    max: usize,
    found: &mut Vec<Difference<'a>>,
) {
    if found.len() >= max {
        return;
    }
    match (live, wanted) {
        // What is empty is left out by one side and written by the other.
        (None, wanted) if is_empty(wanted) => {}
        (Some(Value::Object(live)), Value::Object(wanted)) => {
            for (key, wanted) in wanted {
                collect(&format!("{path}.{key}"), live.get(key), wanted, max, found);
            }
            if is_whole(path) {
                let extra = live.iter().filter(|(key, _)| !wanted.contains_key(*key));
                found.extend(extra.take(max - found.len().min(max)).map(|(key, live)| {
                    let path = format!("{path}.{key}");
                    (
                        path.trim_start_matches('.').to_owned(),
                        Some(live),
                        &Value::Null,
                    )
                }));
            }
        }
        (Some(Value::Array(live)), Value::Array(wanted)) => {
            collect_items(path, live, wanted, max, found);
        }
        (Some(live), wanted) if same(live, wanted) => {}
        (live, wanted) => found.push((path.trim_start_matches('.').to_owned(), live, wanted)),
    }
}

fn collect_items<'a>(
    path: &str,
    live: &'a [Value],
    wanted: &'a [Value],
    max: usize,
    found: &mut Vec<Difference<'a>>,
) {
    let key = key_of(live, wanted);
    for (index, item) in wanted.iter().enumerate() {
        let same_item = match key {
            Some(key) => live.iter().find(|live| live.get(key) == item.get(key)),
            None => live.get(index),
        };
        collect(&format!("{path}[{index}]"), same_item, item, max, found);
    }
    let is_strange = |live: &Value| match key {
        Some(key) => {
            path.starts_with(".spec")
                && !wanted.iter().any(|wanted| wanted.get(key) == live.get(key))
        }
        None => false,
    };
    // A list without keys is whole or not.
    let rest = if key.is_none() {
        live.get(wanted.len()..).unwrap_or_default()
    } else {
        &[]
    };
    let extra = live.iter().filter(|live| is_strange(live)).chain(rest);
    let room = max - found.len().min(max);
    found.extend(extra.take(room).map(|live| {
        let path = format!("{}[+]", path.trim_start_matches('.'));
        (path, Some(live), &Value::Null)
    }));
}

/// Maps that decide who is meant: an entry more is something else.
pub(super) fn is_whole(path: &str) -> bool {
    path.ends_with("elector") || path.ends_with("electors") || path.ends_with(".matchLabels")
}

/// The field by which the items of both lists are told apart, if there is one.
pub(super) fn key_of(live: &[Value], wanted: &[Value]) -> Option<&'static str> {
    let has = |items: &[Value], key: &str| items.iter().all(|item| item.get(key).is_some());
    let mut keys = KEYS.into_iter();
    keys.find(|key| !wanted.is_empty() && has(wanted, key) && has(live, key))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The API server writes amounts its own way: `1024Mi` comes back as `1Gi`.
fn same(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::String(live), Value::String(wanted)) => {
            live == wanted || matches!((amount(live), amount(wanted)), (Some(a), Some(b)) if a == b)
        }
        _ => live == wanted,
    }
}

/// An amount in thousandths; `None` for what is no amount.
fn amount(text: &str) -> Option<u128> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let factor: u128 = match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1000 * 1000,
        "M" => 1000 * 1000_u128.pow(2),
        "G" => 1000 * 1000_u128.pow(3),
        "T" => 1000 * 1000_u128.pow(4),
        "P" => 1000 * 1000_u128.pow(5),
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        "Pi" => 1000 << 50,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() > 18 || fraction.len() > 3 {
        return None;
    }
    let thousandths: u128 = format!("{fraction:0<3}").parse().ok()?;
    let whole: u128 = whole.parse().ok()?;
    Some(whole * factor + thousandths * factor / 1000)
}

/// The object without what only the API server writes.
pub(crate) fn without_server_fields(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|field, _| is_ours(field));
        }
    }
    object
}

fn is_ours(field: &str) -> bool {
    matches!(
        field,
        "name" | "namespace" | "labels" | "annotations" | "ownerReferences"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn more_is_fine_and_less_or_other_is_not() {
        for (live, wanted, is_covered) in [
            (json!({"a": 1, "b": 2}), json!({"a": 1}), true),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), false),
            (json!({"a": 2}), json!({"a": 1}), false),
            (json!({}), json!({"a": {}, "b": [], "c": null}), true),
            (json!({"a": {"x": 1}}), json!({"a": {}}), true),
            (json!({"l": [1, 2]}), json!({"l": [1, 2]}), true),
            (json!({"l": [1, 2]}), json!({"l": [1]}), false),
            (json!({"l": [1]}), json!({"l": [1, 2]}), false),
            (json!({"l": [2, 1]}), json!({"l": [1, 2]}), false),
            // Items with a key may stand in another order, and outside of a spec have company.
            (
                json!({"l": [{"name": "side"}, {"name": "a", "x": 1, "default": true}]}),
                json!({"l": [{"name": "a", "x": 1}]}),
                true,
            ),
            (
                json!({"spec": {"l": [{"name": "b"}, {"name": "a", "default": true}]}}),
                json!({"spec": {"l": [{"name": "a"}, {"name": "b"}]}}),
                true,
            ),
            (
                json!({"spec": {"l": [{"name": "side"}, {"name": "a"}]}}),
                json!({"spec": {"l": [{"name": "a"}]}}),
                false,
            ),
            (
                json!({"spec": {"selector": {"a": "1", "b": "2"}}}),
                json!({"spec": {"selector": {"a": "1"}}}),
                false,
            ),
            (
                json!({"spec": {"selector": {"a": "1"}}}),
                json!({"spec": {"selector": {"a": "1"}}}),
                true,
            ),
            (
                json!({"l": [{"name": "a", "x": 2}]}),
                json!({"l": [{"name": "a", "x": 1}]}),
                false,
            ),
            (
                json!({"l": [{"name": "b"}]}),
                json!({"l": [{"name": "a"}]}),
                false,
            ),
            (json!({"m": "1Gi"}), json!({"m": "1024Mi"}), true),
            (json!({"m": "500m"}), json!({"m": "0.5"}), true),
            (json!({"m": "2"}), json!({"m": "2000m"}), true),
            (json!({"m": "1G"}), json!({"m": "1Gi"}), false),
            (json!({"m": "1."}), json!({"m": ".1"}), false),
        ] {
            assert_eq!(covers(&live, &wanted), is_covered, "{live} {wanted}");
        }
    }

    #[test]
    fn differences_are_named() {
        let live = json!({"spec": {"ports": [{"name": "http", "port": 80}], "type": "ClusterIP"}});
        let wanted = json!({"spec": {"ports": [{"name": "http", "port": 81}], "type": "NodePort"}});
        let paths: Vec<_> = differences(&live, &wanted, 10)
            .into_iter()
            .map(|(path, ..)| path)
            .collect();
        assert_eq!(paths, ["spec.ports[0].port", "spec.type"]);
    }

    #[test]
    fn what_the_server_writes_is_left_out() {
        let object = json!({
            "metadata": {"name": "a", "uid": "1", "managedFields": []},
            "status": {"replicas": 1},
        });
        assert_eq!(
            without_server_fields(object),
            json!({"metadata": {"name": "a"}})
        );
    }
}
