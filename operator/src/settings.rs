//! What `isocast-operator run` is told, by flags or by the environment, read once.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use clap::{Args, ValueEnum};

#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    /// Namespaces to work in, separated by commas; all of them if empty
    #[arg(
        long,
        env = "ISOCAST_OPERATOR_NAMESPACES",
        value_delimiter = ',',
        default_value = ""
    )]
    pub namespaces: Vec<String>,

    /// Namespace of the operator itself, where its lease is kept
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub lease_namespace: String,

    /// Name of this operator among its replicas; by default the host's name
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,

    /// Whether to work only while no other replica does
    #[arg(long, env = "ISOCAST_OPERATOR_LEADER_ELECTION", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_election: bool,

    /// Address for /livez, /readyz and /metrics
    #[arg(long, env = "ISOCAST_OPERATOR_LISTEN", default_value = "0.0.0.0:8081")]
    pub listen: SocketAddr,

    /// Form of the log lines
    #[arg(long, env = "ISOCAST_OPERATOR_LOG_FORMAT", default_value = "human")]
    pub log_format: LogFormat,

    /// Least important level that is logged: error, warn, info, debug or trace
    #[arg(long, env = "ISOCAST_OPERATOR_LOG_LEVEL", default_value = "info")]
    pub log_level: tracing::Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Human,
    Json,
}

impl Settings {
    /// The pod's name, or the host's where there is no pod.
    pub(crate) fn identity(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = self.identity.clone().unwrap_or_else(host);
        // Two operators on one host are two all the same.
        format!("{}_{}", name.trim(), std::process::id())
    }

    /// One scope for each namespace, or one (`None`) for all.
    pub(crate) fn scopes(&self) -> Vec<Option<String>> {
        let named: BTreeSet<_> = self
            .namespaces
            .iter()
            .map(|name| name.trim())
            .filter(|name| !name.is_empty())
            .collect();
        if named.is_empty() {
            return vec![None];
        }
        let scopes = named.into_iter().map(|name| Some(name.to_owned()));
        scopes.collect()
    }
}
