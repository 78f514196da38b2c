//! The list of keys, read from the types in `settings` so that checks, table and types agree.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// One key that a layer may set.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// `data_dir` or `section.key`.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// The built-in default as TOML writes it.
    pub(super) default: String,
    pub(super) meaning: String,
}

impl Key {
    /// The variable that sets this key.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.replace('.', "__").to_uppercase())
    }
}

/// Environment variables of the configuration start so.
pub(super) const PREFIX: &str = "ISOCAST__";

/// What a key takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Integer {
        min: u64,
        max: u64,
    },
    Boolean,
    OneOf(Vec<String>),
    Text(Format),
    /// A list of texts.
    List(Format),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    Folder,
    /// Or nothing, for one that the node keeps itself.
    File,
    NodeId,
    /// A host, or nothing.
    NodeAddress,
    SocketAddress,
    KeyPrefix,
    Network,
    /// Or nothing.
    Word,
    /// Where one of these schemes is reached, or nothing.
    Address(&'static [&'static str]),
    /// Or nothing.
    HttpUrl,
    EventKind,
    Codec,
    Host,
    HostPort,
    /// Or nothing.
    ServiceName,
}

impl Format {
    /// As `settings` writes it.
    fn named(name: &str) -> Option<Self> {
        match name {
            "folder" => Some(Self::Folder),
            "file" => Some(Self::File),
            "node-id" => Some(Self::NodeId),
            "node-address" => Some(Self::NodeAddress),
            "key-prefix" => Some(Self::KeyPrefix),
            "socket-address" => Some(Self::SocketAddress),
            "http-url" => Some(Self::HttpUrl),
            "host" => Some(Self::Host),
            "event-kind" => Some(Self::EventKind),
            "network" => Some(Self::Network),
            "word" => Some(Self::Word),
            "http-address" => Some(Self::Address(&["http", "https"])),
            "rtmp-address" => Some(Self::Address(&["rtmp", "rtmps"])),
            "codec" => Some(Self::Codec),
            "host-port" => Some(Self::HostPort),
            "service-name" => Some(Self::ServiceName),
            _ => None,
        }
    }
}

/// All keys, in the order of the types.
pub(super) fn keys() -> Vec<Key> {
    let schema = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Config>();
    let defaults =
        serde_json::to_value(Config::default()).expect("the built-in defaults are plain values");

    let mut keys = Vec::new();
    for (name, property) in properties(schema.as_value()) {
        if properties(property).next().is_none() {
            keys.push(key(name.clone(), property, defaults.get(name)));
        }
        for (leaf, property) in properties(property) {
            let default = defaults.get(name).and_then(|section| section.get(leaf));
            keys.push(key(format!("{name}.{leaf}"), property, default));
        }
    }
    keys
}

/// Nothing for anything that is not an object.
fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn key(path: String, schema: &Value, default: Option<&Value>) -> Key {
    let meaning = text(schema, "description")
        .unwrap_or_default()
        .replace('\n', " ");
    let kind = kind(schema).unwrap_or_else(|| panic!("{path}: give its type a known form"));
    let default = default.map(Value::to_string).unwrap_or_default();
    Key {
        path,
        kind,
        default,
        meaning,
    }
}

fn kind(schema: &Value) -> Option<Kind> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words = words
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        return Some(Kind::OneOf(words));
    }
    match (text(schema, "type")?, text(schema, "format")) {
        ("boolean", _) => Some(Kind::Boolean),
        ("integer", _) => Some(Kind::Integer {
            min: schema.get("minimum").and_then(Value::as_u64)?,
            max: schema.get("maximum").and_then(Value::as_u64)?,
        }),
        ("string", Some(format)) => Some(Kind::Text(Format::named(format)?)),
        ("array", Some(format)) => Some(Kind::List(Format::named(format)?)),
        _ => None,
    }
}

fn text<'s>(schema: &'s Value, name: &str) -> Option<&'s str> {
    schema.get(name).and_then(Value::as_str)
}
