//! What the API server refuses by the definitions alone, before the operator sees anything.

use std::collections::BTreeSet;

use isocast_cluster::{DEFINITIONS, Lab, Namespace};
use isocast_harness::http::Answer;
use isocast_harness::repository;
use serde_json::{Value, json};

const JSON: &str = "application/json";
const KINDS: [&str; 2] = ["LiveCluster", "LiveRoom"];

/// A row of `testdata/rules.yaml`.
struct Row {
    kind: &'static str,
    place: String,
    /// The rule's message, or the bound's word in the schema.
    rule: String,
    try_: Try,
}

enum Try {
    /// Good and bad at the place, in an object that is good otherwise.
    Value(Value, Value),
    /// Good and bad as the object's name.
    Name(String, String),
    /// What is there first; what it may become, and what not.
    Change(Value, Value, Value),
}

#[test]
fn every_rule_and_bound_takes_one_value_and_refuses_another() {
    let lab = Lab::with_definitions();
    let namespace = lab.namespace("rules");
    let mut wrong = Vec::new();
    for row in rows() {
        let whole = schema(row.kind);
        let limit = constraint(&whole, &row.place, &row.rule);
        let (good, bad) = match &row.try_ {
            Try::Value(good, bad) => (
                create(&namespace, &with(&row, good)),
                create(&namespace, &with(&row, bad)),
            ),
            Try::Name(good, bad) => (
                create(&namespace, &named(row.kind, good)),
                create(&namespace, &named(row.kind, bad)),
            ),
            Try::Change(first, good, bad) => {
                namespace.make(plural(row.kind), "first", &with(&row, first));
                let good = change(&namespace, row.kind, &with(&row, good));
                let bad = change(&namespace, row.kind, &with(&row, bad));
                namespace.delete(plural(row.kind), "first");
                namespace.until_gone(10, plural(row.kind), "first");
                (good, bad)
            }
        };
        let about = format!("{} {} {}", row.kind, row.place, row.rule);
        if !matches!(good.status, 200 | 201) {
            wrong.push(format!("{about}: {}", message(&good)));
        }
        let told = expected(&row.rule, &limit);
        let causes = bad.json()["details"]["causes"].take();
        let is_it = |cause: &Value| {
            let text = cause["message"].as_str().unwrap_or_default();
            let field = cause["field"].as_str().unwrap_or_default();
            text.contains(&told) && is_at(field, &row)
        };
        if bad.status != 422 || !causes.as_array().into_iter().flatten().any(is_it) {
            wrong.push(format!(
                "{about}: not {told:?} but {} {causes}",
                message(&bad)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_rule_or_bound_is_without_a_test() {
    let table: BTreeSet<_> = rows()
        .into_iter()
        .map(|row| format!("{} {} {}", row.kind, row.place, row.rule))
        .collect();
    let mut defined = BTreeSet::new();
    for kind in KINDS {
        let schema = schema(kind);
        for (place, rule) in constraints(&schema) {
            // The operator alone writes the status.
            if !place.starts_with("status") {
                defined.insert(format!("{kind} {place} {rule}"));
            }
        }
    }
    let untested: Vec<_> = defined.difference(&table).collect();
    assert!(untested.is_empty(), "without a row: {untested:#?}");
    let unknown: Vec<_> = table.difference(&defined).collect();
    assert!(unknown.is_empty(), "rows without a rule: {unknown:#?}");
}

#[test]
fn what_no_rule_speaks_of_is_refused_all_the_same() {
    let lab = Lab::with_definitions();
    let namespace = lab.namespace("strict");
    let long = "x".repeat(1 << 20);
    for (kind, fields, told) in [
        (
            "LiveRoom",
            json!({"spec": {"clusterRef": {"name": "c"}, "publish": {"keySecretRef": {"name": "s", "namespace": "kube-system"}}}}),
            r#"unknown field "spec.publish.keySecretRef.namespace""#,
        ),
        (
            "LiveRoom",
            json!({"spec": {"clusterRef": {"name": "c", "namespace": "elsewhere"}}}),
            r#"unknown field "spec.clusterRef.namespace""#,
        ),
        (
            "LiveCluster",
            json!({"spec": {"image": "i", "imagePullSecrets": [{"name": "s", "namespace": "elsewhere"}]}}),
            r#"unknown field "spec.imagePullSecrets[0].namespace""#,
        ),
        (
            "LiveCluster",
            json!({"spec": {"image": "i"}, "metadata": {"annotations": {"a": long}}}),
            "metadata.annotations: Too long",
        ),
        (
            "LiveCluster",
            json!({"spec": {"image": "i", "replicas": "one"}}),
            "must be of type integer",
        ),
        (
            "LiveCluster",
            json!({"spec": {"image": "i", "replicas": 10_000_000_000_i64}}),
            "spec.replicas",
        ),
        (
            "LiveCluster",
            json!({"spec": {"image": "i", "volume": {"size": 1}}}),
            "must be of type string",
        ),
    ] {
        let answer = create(&namespace, &object(kind, &fields));
        assert!(matches!(answer.status, 400 | 422), "{}", answer.text());
        let message = message(&answer);
        assert!(message.contains(told), "{told}: {message}");
    }
}

#[test]
fn who_does_not_ask_for_strictness_gets_no_other_namespace_either() {
    let lab = Lab::with_definitions();
    let namespace = lab.namespace("pruned");
    let room = object(
        "LiveRoom",
        &json!({"spec": {"clusterRef": {"name": "c"}, "publish": {"keySecretRef": {"name": "s", "namespace": "kube-system"}}}}),
    );
    let path = namespace.path("liverooms", "") + "?dryRun=All&fieldValidation=Ignore";
    let answer = lab.ask("POST", &path, JSON, &room.to_string());
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(
        answer.json()["spec"]["publish"]["keySecretRef"],
        json!({"name": "s"})
    );
}

/// Names at the limits. 41 for a LiveCluster and 64 for a LiveRoom are in the table already.
#[test]
fn a_long_name_of_a_room_needs_a_stream_name() {
    let lab = Lab::with_definitions();
    let namespace = lab.namespace("names");
    for (length, stream_name, status) in [
        (63, None, 201),
        (64, None, 201),
        (65, None, 422),
        (65, Some("talk"), 201),
        (253, Some("talk"), 201),
        (254, Some("talk"), 422),
    ] {
        let mut room = named("LiveRoom", &"a".repeat(length));
        if let Some(stream_name) = stream_name {
            room["spec"]["streamName"] = json!(stream_name);
        }
        let answer = create(&namespace, &room);
        assert_eq!(answer.status, status, "{length}: {}", answer.text());
    }
}

/// Tools that wait for a rollout must not take an object for finished that nobody has looked at.
#[test]
fn a_new_object_says_that_nobody_has_looked_at_it() {
    let lab = Lab::with_definitions();
    let namespace = lab.namespace("new");
    for kind in KINDS {
        let made = namespace.make(plural(kind), "first", &named(kind, "first"));
        assert_eq!(made["status"], json!({"observedGeneration": -1}));
        assert_eq!(made["metadata"]["generation"], 1);
    }
}

fn table() -> Value {
    let file = repository().join("tests/cluster/testdata/rules.yaml");
    let text = std::fs::read_to_string(file).expect("the table is in the repository");
    serde_yaml::from_str(&text).expect("the table is YAML")
}

fn rows() -> Vec<Row> {
    let table = table();
    let mut rows = Vec::new();
    for kind in KINDS {
        let rows_of = |what: &str| table[kind][what].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let mut add = |place: String, rule: &Value, try_: Try| {
            let rule = text(rule);
            rows.push(Row {
                kind,
                place,
                rule,
                try_,
            });
        };
        for row in rows_of("names") {
            let try_ = Try::Name(text(&expanded(&row[1])), text(&expanded(&row[2])));
            add(String::new(), &row[0], try_);
        }
        for row in rows_of("changes") {
            let [first, good, bad] = [2, 3, 4].map(|column| row[column].clone());
            add(text(&row[0]), &row[1], Try::Change(first, good, bad));
        }
        for row in rows_of("values") {
            let try_ = Try::Value(expanded(&row[2]), expanded(&row[3]));
            add(text(&row[0]), &row[1], try_);
        }
    }
    rows
}

/// A value of the table, with the long ones in full.
fn expanded(value: &Value) -> Value {
    let number = |name: &str| value[name].as_u64().map(|number| number as usize);
    if let Some(times) = number("times") {
        let letter = value["of"].as_str().unwrap_or("a");
        let before = value["after"].as_str().unwrap_or_default();
        return json!(format!("{before}{}", letter.repeat(times)));
    }
    if let Some(keys) = number("keys") {
        return (0..keys)
            .map(|key| (format!("key-{key}"), json!("a")))
            .collect();
    }
    let Some(items) = number("items") else {
        return value.clone();
    };
    let like = value["like"].to_string();
    let item = |number: usize| serde_json::from_str(&like.replace('#', &number.to_string()));
    (0..items)
        .map(|number| item(number).expect("JSON"))
        .collect::<Vec<Value>>()
        .into()
}

fn create(namespace: &Namespace, object: &Value) -> Answer {
    let kind = object["kind"].as_str().expect("objects have a kind");
    let path = namespace.path(plural(kind), "") + "?dryRun=All&fieldValidation=Strict";
    namespace.lab.ask("POST", &path, JSON, &object.to_string())
}

fn change(namespace: &Namespace, kind: &str, to: &Value) -> Answer {
    let before = namespace.get(plural(kind), "first");
    let mut after = to.clone();
    after["metadata"] = before["metadata"].clone();
    let path = namespace.path(plural(kind), "first") + "?dryRun=All&fieldValidation=Strict";
    namespace.lab.ask("PUT", &path, JSON, &after.to_string())
}

/// What kubectl would show.
fn message(answer: &Answer) -> String {
    let message = answer.json()["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    format!("{} {message}", answer.status)
}

fn plural(kind: &str) -> &'static str {
    match kind {
        "LiveCluster" => "liveclusters",
        _ => "liverooms",
    }
}

fn object(kind: &str, fields: &Value) -> Value {
    let mut object = fields.clone();
    object["apiVersion"] = json!("isocast.dev/v1alpha1");
    object["kind"] = json!(kind);
    object["metadata"]["name"] = json!("first");
    object
}

fn named(kind: &str, name: &str) -> Value {
    let spec = match kind {
        "LiveCluster" => json!({"image": "i"}),
        _ => json!({"clusterRef": {"name": "c"}}),
    };
    let mut object = object(kind, &json!({"spec": spec}));
    object["metadata"]["name"] = json!(name);
    object
}

/// A valid object but for the value that the row is about. Null takes the place out.
fn with(row: &Row, value: &Value) -> Value {
    let mut object = object(row.kind, &json!({"spec": table()[row.kind]["full"]}));
    let mut at = &mut object;
    let (parents, last) = pieces(if row.place.is_empty() {
        "spec"
    } else {
        &row.place
    });
    for piece in parents {
        at = step(at, &piece);
    }
    if value.is_null() {
        at.as_object_mut().expect("fields").remove(&last);
    } else {
        *step(at, &last) = value.clone();
    }
    object
}

fn step<'a>(at: &'a mut Value, piece: &str) -> &'a mut Value {
    match piece {
        "[]" => &mut at[0],
        "{}" => &mut at["key"],
        name => &mut at[name],
    }
}

/// `a.b[].c` as `a`, `b`, `[]`, `c`; the last one apart.
fn pieces(place: &str) -> (Vec<String>, String) {
    let spaced = place.replace("[]", ".[]").replace("{}", ".{}");
    let mut all: Vec<_> = spaced.split('.').map(str::to_owned).collect();
    let last = all.pop().expect("a place has a piece");
    (all, last)
}

/// Whether the field that the API server names is the row's, or in it.
fn is_at(field: &str, row: &Row) -> bool {
    let place = row.place.replace("[]", "[0]").replace("{}", "");
    match row.try_ {
        Try::Name(..) => true,
        _ => field.starts_with(&place),
    }
}

/// What the API server says when a value is beyond a bound; a rule says it itself.
fn expected(rule: &str, limit: &Value) -> String {
    match rule {
        "minLength" => format!("should be at least {limit} chars long"),
        "maxLength" => format!("may not be more than {limit} bytes"),
        "minimum" => format!(
            "should be greater than or equal to {}",
            limit.as_f64().unwrap_or_default()
        ),
        "maximum" => format!(
            "should be less than or equal to {}",
            limit.as_f64().unwrap_or_default()
        ),
        "maxItems" => format!("must have at most {limit} items"),
        "maxProperties" => format!("must have at most {limit} items"),
        "enum" => "Unsupported value".to_owned(),
        "unique" => "Duplicate value".to_owned(),
        rule if rule.starts_with("required ") => "Required value".to_owned(),
        message => message.to_owned(),
    }
}

fn schema(kind: &str) -> Value {
    let file = repository().join(format!("{DEFINITIONS}/{}.isocast.dev.yaml", plural(kind)));
    let text = std::fs::read_to_string(file).expect("the definitions are in the repository");
    let mut definition: Value = serde_yaml::from_str(&text).expect("they are YAML");
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take()
}

/// All rules and bounds: where, and which.
fn constraints(schema: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect("", schema, &mut |place, rule, _| {
        found.push((place.to_owned(), rule.to_owned()))
    });
    found
}

/// The number or words of a bound.
fn constraint(schema: &Value, place: &str, rule: &str) -> Value {
    let mut limit = Value::Null;
    collect("", schema, &mut |found_at, found, value| {
        if found_at == place && found == rule {
            limit = value.clone();
        }
    });
    limit
}

const BOUNDS: [&str; 7] = [
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "maxItems",
    "maxProperties",
    "enum",
];

/// A schema is some ten levels deep, so this may recurse.
fn collect(place: &str, schema: &Value, tell: &mut impl FnMut(&str, &str, &Value)) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        tell(place, rule["message"].as_str().unwrap_or_default(), rule);
    }
    for bound in BOUNDS {
        if let Some(limit) = schema.get(bound) {
            tell(place, bound, limit);
        }
    }
    if matches!(
        schema["x-kubernetes-list-type"].as_str(),
        Some("set" | "map")
    ) {
        tell(place, "unique", &Value::Null);
    }
    for field in schema["required"].as_array().into_iter().flatten() {
        let field = field.as_str().unwrap_or_default();
        tell(place, &format!("required {field}"), &Value::Null);
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let dot = if place.is_empty() { "" } else { "." };
        collect(&format!("{place}{dot}{name}"), inner, tell);
    }
    if let Some(items) = schema.get("items") {
        collect(&format!("{place}[]"), items, tell);
    }
    if schema["additionalProperties"].is_object() {
        collect(
            &format!("{place}{{}}"),
            &schema["additionalProperties"],
            tell,
        );
    }
}
