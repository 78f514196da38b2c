//! Where a server of the cluster is reached.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A host, by name or address, and a port: `isocast-0:8081`, `10.0.0.1:8081`, `[fd00::1]:8081` (RFC 3986 §3.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct HostPort {
    /// Without the brackets of IPv6.
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no host and port")]
pub(crate) struct NotAHostPort;

impl HostPort {
    /// `None` where the host, which is an address without brackets or a name, cannot be one.
    pub(crate) fn new(host: &str, port: u16) -> Option<Self> {
        match host.contains(':') {
            true => format!("[{host}]:{port}").parse().ok(),
            false => format!("{host}:{port}").parse().ok(),
        }
    }
}

impl FromStr for HostPort {
    type Err = NotAHostPort;

    fn from_str(text: &str) -> Result<Self, NotAHostPort> {
        let (host, port) = text.rsplit_once(':').ok_or(NotAHostPort)?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| *port != 0 && digits);
        let in_brackets = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let host = match in_brackets {
            Some(address) => address.parse::<Ipv6Addr>().ok().map(|_| address),
            None => is_host_name(host).then_some(host),
        };
        Ok(Self {
            host: host.ok_or(NotAHostPort)?.to_owned(),
            port: port.ok_or(NotAHostPort)?,
        })
    }
}

/// A name or an IPv4 address; names with `_` are in use inside of clusters.
pub(crate) fn is_host_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=253).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && !text.contains("..")
        && text.bytes().all(is_plain)
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl TryFrom<String> for HostPort {
    type Error = NotAHostPort;

    fn try_from(text: String) -> Result<Self, NotAHostPort> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(at: HostPort) -> Self {
        at.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_or_refused() {
        for (text, good) in [
            ("isocast-0:8081", true),
            ("isocast-0.isocast.live.svc.cluster.local:8081", true),
            ("10.0.0.1:1", true),
            ("[fd00::1]:65535", true),
            ("fd00::1:8081", false),
            ("[10.0.0.1]:8081", false),
            ("[]:8081", false),
            ("isocast-0", false),
            ("isocast-0:", false),
            ("isocast-0:0", false),
            ("isocast-0:65536", false),
            ("isocast-0:+1", false),
            (":8081", false),
            ("a b:8081", false),
            ("http://a:8081", false),
            ("user@a:8081", false),
            (".a:8081", false),
            ("a..b:8081", false),
            ("", false),
        ] {
            let read = text.parse::<HostPort>().ok();
            assert_eq!(read.is_some(), good, "{text:?}");
            if let Some(read) = read {
                assert_eq!(read.to_string(), text);
                assert_eq!(HostPort::new(&read.host, read.port), Some(read));
            }
        }
    }
}
