//! Whether a value fits its key, said in words that help.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

use clap::ValueEnum;
use isocast_admin::CodecName;

use super::host_port::is_host_name;
use super::schema::{Format, Kind};
use super::settings::RedisMode;
use super::written::Written;
use super::{Config, Error, EventKind, HostPort, HttpUrl, Mistakes, Network, Place};

/// What is wrong with a value and what is allowed, and which item of a list it is (from 0).
#[derive(Debug, PartialEq)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) item: Option<usize>,
}

/// The value in its right type.
pub(super) fn value(kind: &Kind, written: &Written) -> Result<toml::Value, Mistake> {
    match (kind, written) {
        (Kind::Integer { min, max }, Written::Integer(number)) => number
            .and_then(|number| i64::try_from(number).ok())
            .filter(|number| u64::try_from(*number).is_ok_and(|n| (*min..=*max).contains(&n)))
            .map(toml::Value::Integer)
            .ok_or_else(|| wrong(format!("{written} is out of range, it"), kind)),
        (Kind::Boolean, Written::Boolean(value)) => Ok(toml::Value::Boolean(*value)),
        (Kind::OneOf(words), Written::Text(text)) if words.contains(text) => {
            Ok(toml::Value::String(text.clone()))
        }
        (Kind::Text(format), Written::Text(text)) if fits(*format, text) => {
            Ok(toml::Value::String(text.clone()))
        }
        (Kind::List(format), Written::List(items)) => list(*format, items),
        _ => Err(wrong(format!("{written} does not fit, it"), kind)),
    }
}

fn list(format: Format, items: &[Written]) -> Result<toml::Value, Mistake> {
    let checked = items.iter().enumerate().map(|(at, item)| match item {
        Written::Text(text) if fits(format, text) => Ok(toml::Value::String(text.clone())),
        _ => Err(Mistake {
            item: Some(at),
            ..wrong(
                format!("item {}, {item}, does not fit, each", at + 1),
                &Kind::Text(format),
            )
        }),
    });
    checked.collect::<Result<_, _>>().map(toml::Value::Array)
}

fn wrong(what: String, kind: &Kind) -> Mistake {
    Mistake {
        message: format!("{what} takes {}", allowed(kind)),
        item: None,
    }
}

fn fits(format: Format, text: &str) -> bool {
    match format {
        Format::Folder => !text.is_empty() && !text.contains('\0'),
        Format::File => !text.contains('\0'),
        Format::NodeId => text.is_empty() || is_node_id(text),
        Format::NodeAddress => {
            text.is_empty() || is_host_name(text) || text.parse::<Ipv6Addr>().is_ok()
        }
        Format::SocketAddress => text.parse::<SocketAddr>().is_ok(),
        Format::KeyPrefix => is_key_prefix(text),
        Format::Network => text.parse::<Network>().is_ok(),
        Format::Word => text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic()),
        Format::Address(schemes) => text.is_empty() || is_address(schemes, text),
        Format::HttpUrl => text.is_empty() || HttpUrl::parse(text).is_ok(),
        Format::EventKind => EventKind::named(text).is_some(),
        Format::Codec => text.parse::<CodecName>().is_ok(),
        Format::HostPort => text.parse::<HostPort>().is_ok(),
        Format::ServiceName => text.is_empty() || is_host_name(text),
        Format::Host => is_host(text.strip_prefix("*.").unwrap_or(text)),
    }
}

/// A scheme, a host and maybe a port, and nothing behind them (RFC 3986 §3.2).
fn is_address(schemes: &[&str], text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let is_authority = (1..=253).contains(&authority.len())
        && authority
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    schemes.contains(&scheme) && is_authority && !authority.starts_with(':')
}

/// 253 is the longest name DNS allows (RFC 1035 §2.3.4), so every pod's and host's name fits.
pub(super) fn is_node_id(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// No braces: a cluster would put all keys onto the server that is chosen by what stands between them.
fn is_key_prefix(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    text.len() <= 128 && text.bytes().all(is_letter)
}

fn is_host(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
    (1..=253).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(is_plain)
}

/// What a key takes, to end a sentence with.
pub(super) fn allowed(kind: &Kind) -> String {
    match kind {
        Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
        Kind::Boolean => "true or false".to_owned(),
        Kind::OneOf(words) => {
            words
                .join(", ")
                .replacen(", ", " or ", usize::from(words.len() == 2))
        }
        Kind::Text(Format::Folder | Format::File) => "a path".to_owned(),
        Kind::Text(Format::NodeId) => "up to 253 of A-Z, a-z, 0-9, `.`, `_`, `-`".to_owned(),
        Kind::Text(Format::NodeAddress) => "a host's name or an IP address".to_owned(),
        Kind::Text(Format::KeyPrefix) => {
            "up to 128 of A-Z, a-z, 0-9, `.`, `_`, `:`, `/`, `-`".to_owned()
        }
        Kind::Text(Format::SocketAddress) => {
            "an IP address and a port such as 127.0.0.1:8080 or [::]:8080".to_owned()
        }
        Kind::Text(Format::Word) => "up to 256 printable characters without spaces".to_owned(),
        Kind::Text(Format::Address(schemes)) => {
            let scheme = schemes.first().copied().unwrap_or_default();
            format!(
                "an address such as {scheme}://live.example or {scheme}://10.0.0.1:8080, without a path"
            )
        }
        Kind::Text(Format::Codec) => {
            let names: Vec<_> = CodecName::value_variants()
                .iter()
                .map(ToString::to_string)
                .collect();
            format!("one of {}", names.join(", "))
        }
        Kind::Text(Format::Network) => {
            "an IP address or a network such as 10.0.0.0/8, without bits beyond its prefix"
                .to_owned()
        }
        Kind::Text(Format::HttpUrl) => {
            "an https:// or http:// URL without user name and password, or nothing".to_owned()
        }
        Kind::Text(Format::HostPort) => {
            "a host and a port such as isocast-0:8081, 10.0.0.1:8081 or [fd00::1]:8081".to_owned()
        }
        Kind::Text(Format::ServiceName) => {
            "a DNS name such as isocast-nodes.live.svc.cluster.local, or nothing".to_owned()
        }
        Kind::Text(Format::Host) => {
            "a host such as live.example.com, or *.example.com for all below it".to_owned()
        }
        Kind::Text(Format::EventKind) => {
            let words = EventKind::ALL.map(EventKind::as_str);
            format!("one of {}", words.join(", "))
        }
        Kind::List(format) => format!("a list; each item is {}", allowed(&Kind::Text(*format))),
    }
}

/// What only several keys together can get wrong. The one that was set is blamed.
pub(super) fn together(config: &Config, origins: &BTreeMap<String, Place>) -> Result<(), Mistakes> {
    let conflicts = [
        drain(config),
        proxies(config),
        tls(config),
        auth(config),
        postgres(config),
        peers(config),
    ];
    let conflicts = conflicts.into_iter().flatten();
    let conflicts = conflicts.chain(registry(config)).chain(ports(config));
    Mistakes::or_all(conflicts.map(|conflict| Err::<(), _>(conflict.blamed(origins)))).map(drop)
}

/// Two keys that do not go together, the likelier culprit first.
struct Conflict {
    keys: [&'static str; 2],
    message: String,
}

impl Conflict {
    fn blamed(self, origins: &BTreeMap<String, Place>) -> Error {
        let is_set = |key: &&str| origins.contains_key(*key);
        let key = self.keys.into_iter().find(is_set).unwrap_or(self.keys[0]);
        let place = origins.get(key).cloned().unwrap_or(Place::Defaults);
        Error::new(place, Some(key), self.message)
    }
}

fn drain(config: &Config) -> Option<Conflict> {
    let (delay, deadline) = (config.node.drain_delay_s, config.node.shutdown_deadline_s);
    (delay >= deadline).then(|| Conflict {
        keys: ["node.drain_delay_s", "node.shutdown_deadline_s"],
        message: format!(
            "node.drain_delay_s ({delay}) must be less than node.shutdown_deadline_s ({deadline})"
        ),
    })
}

fn proxies(config: &Config) -> Option<Conflict> {
    let nobody = config.proxies.protocol_v2 && config.proxies.trusted.is_empty();
    nobody.then(|| Conflict {
        keys: ["proxies.protocol_v2", "proxies.trusted"],
        message: "proxies.protocol_v2 refuses everyone without proxies.trusted; name the proxies"
            .to_owned(),
    })
}

fn tls(config: &Config) -> Option<Conflict> {
    let half = config.tls.is_on() == config.tls.key_file.as_os_str().is_empty();
    half.then(|| Conflict {
        keys: ["tls.cert_file", "tls.key_file"],
        message: "tls.cert_file and tls.key_file need each other; set both or neither".to_owned(),
    })
}

fn auth(config: &Config) -> Option<Conflict> {
    let auth = &config.auth;
    let key = match (auth.jwks_file.as_os_str(), auth.jwks_url.as_str()) {
        (file, "") if file.is_empty() => return None,
        (_, "") => "auth.jwks_file",
        (file, _) if file.is_empty() => "auth.jwks_url",
        _ => {
            return Some(Conflict {
                keys: ["auth.jwks_url", "auth.jwks_file"],
                message:
                    "auth.jwks_url and auth.jwks_file name two sources of the same keys; set one"
                        .to_owned(),
            });
        }
    };
    let needed = [
        ("auth.issuer", &auth.issuer),
        ("auth.audience", &auth.audience),
    ];
    let (missing, _) = needed.into_iter().find(|(_, value)| value.is_empty())?;
    Some(Conflict {
        keys: [key, missing],
        message: format!("{key} needs {missing}: what tokens must have to count"),
    })
}

/// A secret of its own data folder is one that no other node has.
fn postgres(config: &Config) -> Option<Conflict> {
    let alone = config.postgres.is_on() && config.rooms.secret_file.as_os_str().is_empty();
    alone.then(|| Conflict {
        keys: ["postgres.url_file", "rooms.secret_file"],
        message: "postgres.url_file needs rooms.secret_file: a file with the secret that all nodes on the database share".to_owned(),
    })
}

fn peers(config: &Config) -> Option<Conflict> {
    let peers = &config.peers;
    let files = [
        ("peers.tls_cert_file", &peers.tls_cert_file),
        ("peers.tls_key_file", &peers.tls_key_file),
        ("peers.tls_ca_file", &peers.tls_ca_file),
    ];
    let is_set = |path: &std::path::Path| !path.as_os_str().is_empty();
    let set = files.iter().find(|(_, path)| is_set(path));
    let unset = files.iter().find(|(_, path)| !is_set(path));
    let has_token = is_set(&peers.token_file);
    match (set, unset) {
        (Some((set, _)), Some((unset, _))) => Some(Conflict {
            keys: [set, unset],
            message: format!("{set} needs {unset}: set all three peers.tls_… or none"),
        }),
        (Some(_), None) if has_token => Some(Conflict {
            keys: ["peers.token_file", "peers.tls_cert_file"],
            message: "peers.token_file and peers.tls_cert_file are two ways for nodes to know each other; set one"
                .to_owned(),
        }),
        (None, _) if !has_token && !peers.list.is_empty() => Some(nobody("peers.list")),
        (None, _) if !has_token && !peers.service.is_empty() => Some(nobody("peers.service")),
        _ => None,
    }
}

/// Peers are named, and nothing that they would be let in by.
fn nobody(key: &'static str) -> Conflict {
    Conflict {
        keys: [key, "peers.token_file"],
        message: format!(
            "{key} needs peers.token_file, or peers.tls_cert_file and its like: by what nodes know each other"
        ),
    }
}

fn registry(config: &Config) -> Vec<Conflict> {
    let (redis, beats) = (&config.redis, &config.registry);
    let is_sentinel = redis.mode == RedisMode::Sentinel;
    let has_password = !redis.password_file.as_os_str().is_empty();
    let has_ca = !redis.ca_file.as_os_str().is_empty();
    let several = redis.mode == RedisMode::Standalone && redis.endpoints.len() > 1;
    let unnamed = is_sentinel && redis.master_name.is_empty();
    [
        (
            redis.is_on() && config.node.address.is_empty(),
            ["redis.endpoints", "node.address"],
            "redis.endpoints needs node.address: the host by which other nodes reach this one",
        ),
        (
            redis.mode != RedisMode::Standalone && !redis.is_on(),
            ["redis.mode", "redis.endpoints"],
            "redis.mode needs redis.endpoints; name the servers",
        ),
        (
            several,
            ["redis.endpoints", "redis.mode"],
            "redis.endpoints names several servers; set redis.mode to sentinel or cluster, or name one",
        ),
        (
            unnamed,
            ["redis.mode", "redis.master_name"],
            "redis.mode sentinel needs redis.master_name: what the Sentinels call the master",
        ),
        (
            !redis.master_name.is_empty() && !is_sentinel,
            ["redis.master_name", "redis.mode"],
            "redis.master_name is for Sentinels; set redis.mode to sentinel, or leave it out",
        ),
        (
            !redis.user.is_empty() && !has_password,
            ["redis.user", "redis.password_file"],
            "redis.user needs redis.password_file",
        ),
        (
            has_ca && !redis.tls,
            ["redis.ca_file", "redis.tls"],
            "redis.ca_file counts only with redis.tls; turn it on",
        ),
        (
            beats.dead_ms < 2 * beats.renew_ms,
            ["registry.dead_ms", "registry.renew_ms"],
            "registry.dead_ms must be at least twice registry.renew_ms, or one late heartbeat is taken for a death",
        ),
    ]
    .into_iter()
    .filter(|(is_wrong, ..)| *is_wrong)
    .map(|(_, keys, message)| Conflict {
        keys,
        message: message.to_owned(),
    })
    .collect()
}

fn ports(config: &Config) -> Vec<Conflict> {
    let mut listen = vec![
        ("listen.internal", config.listen.internal),
        ("listen.http", config.listen.http),
        ("listen.rtmp", config.listen.rtmp),
    ];
    if config.tls.is_on() {
        listen.push(("listen.https", config.listen.https));
        listen.push(("listen.rtmps", config.listen.rtmps));
    }
    let mut conflicts = Vec::new();
    for (at, (name, address)) in listen.iter().enumerate() {
        for (other, taken) in listen.iter().skip(at + 1) {
            if overlap(*address, *taken) {
                let message = format!(
                    "{name} ({address}) and {other} ({taken}) need the same port; change one"
                );
                conflicts.push(Conflict {
                    keys: [name, other],
                    message,
                });
            }
        }
    }
    conflicts
}

/// Port 0 asks the system for a free one, so it never collides.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    // Linux's [::] takes IPv4 as well (ipv6(7), IPV6_V6ONLY); 0.0.0.0 leaves IPv6 alone.
    let covers = |all: SocketAddr, one: SocketAddr| {
        all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4())
    };
    let same_host = a.ip() == b.ip() || covers(a, b) || covers(b, a);
    a.port() != 0 && a.port() == b.port() && same_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_overlap_where_binding_both_would_fail() {
        for (a, b, expected) in [
            ("1.1.1.1:80", "1.1.1.1:80", true),
            ("1.1.1.1:80", "1.1.1.1:81", false),
            ("1.1.1.1:80", "1.1.1.2:80", false),
            ("0.0.0.0:80", "1.1.1.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("0.0.0.0:80", "[::]:80", true),
            ("[::]:80", "[::1]:80", true),
            ("[::]:80", "1.1.1.1:80", true),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            let address = |text: &str| text.parse().expect("an address");
            assert_eq!(overlap(address(a), address(b)), expected, "{a} {b}");
            assert_eq!(overlap(address(b), address(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn addresses_are_a_scheme_and_a_host() {
        for (text, expected) in [
            ("https://live.example", true),
            ("http://10.0.0.1:8080", true),
            ("http://[fd00::1]:8080", true),
            ("", false),
            ("live.example", false),
            ("ftp://live.example", false),
            ("https://", false),
            ("https://:80", false),
            ("https://live.example/", false),
            ("https://live.example/path", false),
            ("https://live.example?a", false),
            ("https://user@live.example", false),
            ("https://live.example\n", false),
        ] {
            assert_eq!(is_address(&["http", "https"], text), expected, "{text:?}");
        }
    }
}
