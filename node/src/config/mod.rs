//! The configuration: one typed [`Config`], filled by layers, checked once, before any socket opens.
//!
//! A later layer wins over an earlier one, key by key:
//!
//! 1. built-in defaults ([`Config::default`])
//! 2. `default.toml` in the configuration folder
//! 3. `<ENVIRONMENT>.toml`, chosen by `ISOCAST_ENVIRONMENT`
//! 4. `local.toml`
//! 5. environment variables `ISOCAST__SECTION__KEY`
//! 6. flags: `--set section.key=value` and `--data-dir`
//!
//! Variables and flags write a list as TOML does, or with commas: `10.0.0.0/8,192.0.2.1`.
//!
//! Every layer is checked by itself, so a mistake is named where it was written even if a later
//! layer would have hidden it. After [`load`] nobody reads the environment or these files again.

mod check;
mod error;
mod file;
mod host_port;
mod http_url;
mod layers;
mod network;
mod schema;
mod settings;
mod spelling;
mod table;
mod written;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) use error::{Error, Mistakes, Place, one_line};
pub(crate) use host_port::HostPort;
pub(crate) use http_url::HttpUrl;
pub(crate) use network::Network;
pub(crate) use settings::*;
pub(crate) use table::table;

/// Everything the configuration is read from. `main` fills it once.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// `--config-dir`; wins over `ISOCAST_CONFIG_DIR`; without both the folder is `config`.
    pub config_dir: Option<PathBuf>,
    /// The whole process environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Each `--set section.key=value`, as it was given.
    pub set: Vec<String>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// The host's name, which names the node where `node.id` is empty.
    pub hostname: Option<String>,
}

/// A configuration that passed every check.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub config: Config,
    /// The files that were read, in the order of their layers.
    pub files: Vec<PathBuf>,
    /// Where each key that is not at its built-in default was last set.
    pub origins: BTreeMap<String, Place>,
}

impl Loaded {
    /// What only the things that a key names can show: a mistake, where that key was set.
    pub(crate) fn mistake(&self, key: &str, message: impl std::fmt::Display) -> Error {
        let place = self.origins.get(key).cloned().unwrap_or(Place::Defaults);
        Error::new(place, Some(key), message)
    }
}

/// Reads all layers and returns the effective configuration, or every mistake. What only several
/// keys together can get wrong is looked at when each of them is right.
pub(crate) fn load(sources: &Sources) -> Result<Loaded, Mistakes> {
    let keys = schema::keys();
    let (files, settings) = layers::read(sources, &keys)?;

    let mut effective =
        toml::Table::try_from(Config::default()).expect("the built-in defaults are plain values");
    let mut origins = BTreeMap::new();
    for setting in settings {
        put(&mut effective, setting.key, setting.value);
        origins.insert(setting.key.to_owned(), setting.place);
    }

    let mut config: Config = effective
        .try_into()
        .map_err(|error| Error::new(Place::Defaults, None, error))?;
    if config.node.id.is_empty() {
        config.node.id = node_id_from(sources.hostname.as_deref());
    }
    check::together(&config, &origins)?;
    Ok(Loaded {
        config,
        files,
        origins,
    })
}

/// Variables that look as if they set a key, each with the one that does.
pub(crate) fn variables_without_effect(sources: &Sources) -> Vec<(String, String)> {
    layers::without_effect(sources, &schema::keys())
}

/// The host's name as Linux tells it; `None` where it cannot be read.
#[must_use]
pub(crate) fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}

/// A host's name may hold what a node id may not (it ends up in headers and registry keys).
fn node_id_from(hostname: Option<&str>) -> String {
    match hostname {
        Some(name) if check::is_node_id(name) => name.to_owned(),
        _ => "node".to_owned(),
    }
}

/// Keys have one or two parts: `data_dir`, `hls.target_ms`.
fn put(table: &mut toml::Table, key: &str, value: toml::Value) {
    let Some((section, leaf)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return;
    };
    if let Some(toml::Value::Table(section)) = table.get_mut(section) {
        section.insert(leaf.to_owned(), value);
    }
}
