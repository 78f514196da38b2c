use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::super::validate::Valid;
use crate::names::{HTTP_PORT, INTERNAL_PORT, RTMP_PORT};

/// The file that a node reads first.
pub(crate) const FILE: &str = "default.toml";
/// Where the node's own files are.
pub(super) const DATA_DIR: &str = "/data";
pub(super) const CONFIG_DIR: &str = "/etc/isocast";
pub(super) const ADMIN_TOKEN_DIR: &str = "/run/secrets/isocast/admin";
pub(super) const API_TOKEN_DIR: &str = "/run/secrets/isocast/api";
pub(super) const SIGNING_DIR: &str = "/run/secrets/isocast/signing";
pub(super) const TLS_DIR: &str = "/run/secrets/isocast/tls";

/// For so long after the word to stop a node goes on as before: endpoints are withdrawn meanwhile.
const DRAIN_DELAY_S: i32 = 5;

pub(super) fn config_map(valid: &Valid) -> ConfigMap {
    ConfigMap {
        metadata: valid
            .names
            .metadata(valid.names.config(&valid.pod.image), &valid.owner),
        data: Some(BTreeMap::from([(FILE.to_owned(), config(valid))])),
        ..ConfigMap::default()
    }
}

/// The node's configuration. What the spec left out is left to the node.
fn config(valid: &Valid) -> String {
    let protocols = &valid.pod.protocols;
    let mut hls = json!({"enabled": protocols.hls.is_some()});
    if let Some(on) = protocols.hls {
        hls["target_ms"] = json!(on.target_s * 1000);
        hls["window_segments"] = json!(on.window_segments);
    }
    let mut config = json!({
        "data_dir": DATA_DIR,
        "node": {
            "shutdown_deadline_s": valid.pod.drain_deadline_s,
            "drain_delay_s": DRAIN_DELAY_S,
        },
        "listen": {
            "rtmp": format!("0.0.0.0:{RTMP_PORT}"),
            "http": format!("0.0.0.0:{HTTP_PORT}"),
            "internal": format!("0.0.0.0:{INTERNAL_PORT}"),
        },
        "admin": {"token_file": format!("{ADMIN_TOKEN_DIR}/token")},
        "api": {"token_file": format!("{API_TOKEN_DIR}/token")},
        "rtmp": {"play": protocols.rtmp},
        "flv": {"enabled": protocols.flv},
        "hls": hls,
        "log": {"format": "json"},
    });
    if !valid.knows_addresses() {
        // Behind one address a stranger's wrong keys would shut out everybody, and what all ask for
        // together would count as one client's.
        config["rtmp"]["key_attempts_per_min_max"] = json!(0);
        config["rate"] = json!({
            "api_read_per_min_max": 0,
            "api_write_per_min_max": 0,
            "auth_failures_per_min_max": 0,
            "public_read_per_min_max": 0,
            "qoe_per_min_max": 0,
        });
    }
    if let Some(proxies) = &valid.pod.proxies {
        config["proxies"] = json!({
            "trusted": proxies.trusted,
            "protocol_v2": proxies.protocol_v2,
        });
    }
    if let Some(url) = &valid.pod.http_url {
        config["public"] = json!({"http_url": url});
    }
    toml::to_string(&config).expect("tables of numbers, words and truths are TOML")
}
