//! What an object of ours becomes where applying it is not enough.
//!
//! Server-side apply merges lists by key and maps by entry, and takes nothing away that others have
//! put in: a further port or selector would stay. Where applying is refused for that, or does not
//! help, the whole lists and selectors are written.

use serde_json::Value;

use super::covers::{is_whole, key_of};

/// `live` with all that `wanted` says; lists have the items of `wanted` and no others. What the API
/// server has filled into an item of the same name (a node port) stays.
pub(super) fn overlay(live: &Value, wanted: &Value) -> Value {
    at("", live, wanted)
}

fn at(path: &str, live: &Value, wanted: &Value) -> Value {
    match (live, wanted) {
        (Value::Object(_), Value::Object(_)) if is_whole(path) => wanted.clone(),
        (Value::Object(live), Value::Object(wanted)) => {
            let mut fields = live.clone();
            for (key, wanted) in wanted {
                let live = live.get(key).unwrap_or(&Value::Null);
                let whole = at(&format!("{path}.{key}"), live, wanted);
                fields.insert(key.clone(), whole);
            }
            Value::Object(fields)
        }
        (Value::Array(live), Value::Array(wanted)) => {
            let key = key_of(live, wanted);
            let same = |item: &Value| {
                let key = key?;
                live.iter().find(|live| live.get(key) == item.get(key))
            };
            let items = wanted
                .iter()
                .map(|item| at(path, same(item).unwrap_or(&Value::Null), item));
            Value::Array(items.collect())
        }
        _ => wanted.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_ours_and_the_rest_stays() {
        let live = json!({
            "metadata": {"resourceVersion": "7", "labels": {"theirs": "x"}},
            "spec": {"clusterIP": "192.0.2.1", "ports": [
                {"name": "http", "port": 81, "nodePort": 30001}, {"name": "more", "port": 99},
            ]},
        });
        let wanted = json!({
            "metadata": {"labels": {"ours": "y"}},
            "spec": {"ports": [{"name": "http", "port": 8080}]},
        });
        assert_eq!(
            overlay(&live, &wanted),
            json!({
                "metadata": {"resourceVersion": "7", "labels": {"theirs": "x", "ours": "y"}},
                "spec": {"clusterIP": "192.0.2.1", "ports": [{"name": "http", "port": 8080, "nodePort": 30001}]},
            })
        );
    }
}
