//! The public API as an OpenAPI document, for those who make clients of it.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;

use super::rates::PublicRead;

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(include_str!("openapi.json"))
        .expect("a test reads this very document");
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document.to_string().into()
});

/// `GET /api/v1/openapi.json`
pub(super) async fn document(_: PublicRead) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
        // Documentation elsewhere may show it.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, DOCUMENT.clone()).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::api::tests::{AUTHORIZED, Node};

    const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

    fn document() -> Value {
        serde_json::from_slice(&DOCUMENT).unwrap()
    }

    /// The paths of the API that the router has, signed ones among them: its `Debug` names them all.
    fn routes(node: &Node) -> BTreeSet<String> {
        let router = format!("{:?}", crate::api::public(Arc::clone(&node.app)));
        let quoted = router.split('"').filter(|text| text.contains("/api/v1"));
        quoted.map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn every_route_is_described_and_everything_described_is_a_route() {
        let document = document();
        let described: BTreeSet<String> = document["paths"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(described, routes(&Node::start().await));
    }

    #[tokio::test]
    async fn every_method_is_described_and_everything_described_is_a_method() {
        let node = Node::start().await;
        for (path, item) in document()["paths"].as_object().unwrap() {
            let path = path.replace("{room}", "none").replace("{pass}", "1.none");
            for method in METHODS {
                let line = format!("{} {path}", method.to_uppercase());
                let answer = node.ask(&line, &[AUTHORIZED], "").await;
                let is_taken = answer.status != 405;
                assert_eq!(is_taken, item.get(method).is_some(), "{line}: {answer:?}");
            }
        }
    }

    #[test]
    fn every_operation_may_be_asked_too_often() {
        for (path, item) in document()["paths"].as_object().unwrap() {
            for method in METHODS.iter().filter_map(|method| item.get(method)) {
                let answer = &method["responses"]["429"]["$ref"];
                assert_eq!(answer, "#/components/responses/TooMany", "{path}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
        let document = document();
        let mut names = BTreeSet::new();
        let mut rest = vec![&document];
        while let Some(value) = rest.pop() {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            if let Some(name) = value.get("operationId").and_then(Value::as_str) {
                assert!(names.insert(name), "{name} is there twice");
            }
            match value {
                Value::Object(fields) => rest.extend(fields.values()),
                Value::Array(items) => rest.extend(items),
                _ => {}
            }
        }
        assert!(names.len() > 10);
    }
}
