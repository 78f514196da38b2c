//! Calling others: webhooks, key sets, servers that streams are pushed to, nodes of the cluster.
//!
//! Every call goes through [`Dialler`]: it asks for a name's addresses, refuses the name if any of
//! them may not be called ([`rules`]), and connects to the very addresses it has checked, so that
//! a name cannot answer differently the second time. Calls follow no redirect, read no proxy from
//! the environment, have a deadline, and take in a bounded answer.

mod backoff;
mod dial;
mod http;
mod resolve;
mod rules;
mod tls;

pub(crate) use crate::config::{HostPort, HttpUrl};
pub(crate) use backoff::Backoff;
pub(crate) use dial::{Connection, Dialler};
pub(crate) use http::Http;
pub(crate) use rules::Rules;
pub(crate) use tls::Trust;

use std::net::IpAddr;
use std::time::Duration;

use rules::Reserved;

/// Why a call failed. Holds nothing of what was sent, and of the URL the host alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("{host} cannot be resolved")]
    Unresolved { host: String },
    /// The address is for the log: whoever may name a host need not learn what it resolves to.
    #[error("{host} is {reserved}: the server's network.allow_addresses does not list it")]
    Denied {
        host: String,
        address: IpAddr,
        reserved: Reserved,
    },
    #[error("{host} is called without TLS, which only addresses in network.allow_addresses are")]
    Plain { host: String },
    #[error("{host} cannot be reached: {cause}")]
    Unreachable { host: String, cause: String },
    #[error("{host} cannot be trusted: {cause}")]
    Untrusted { host: String, cause: String },
    #[error("{host} did nothing within {} s", after.as_secs_f32())]
    Late { host: String, after: Duration },
    #[error("{host} broke off: {cause}")]
    Broken { host: String, cause: String },
    #[error("{host} answered with more than {bytes_max} bytes")]
    TooLarge { host: String, bytes_max: usize },
}

impl Error {
    /// A constant word for metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Unresolved { .. } => "unresolved",
            Self::Denied { .. } | Self::Plain { .. } => "denied",
            Self::Unreachable { .. } => "unreachable",
            Self::Untrusted { .. } => "untrusted",
            Self::Late { .. } => "late",
            Self::Broken { .. } => "broken",
            Self::TooLarge { .. } => "too_large",
        }
    }
}

#[cfg(test)]
mod tests;
