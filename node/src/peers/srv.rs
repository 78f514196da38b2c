//! What DNS says of a Service: host and port of each of its pods (RFC 2782).

use std::time::Duration;

use futures_util::future::BoxFuture;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::{TokioResolver, net::NetError};

use crate::outbound::HostPort;

/// The port of a headless Service that is the nodes' internal one.
const PORT_NAME: &str = "internal";
/// Each server of `/etc/resolv.conf` is asked twice.
const ASK_WITHIN: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 2;

/// Asks for a Service's pods.
pub(super) trait LookUp: Send + Sync + std::fmt::Debug {
    fn look_up<'a>(&'a self, service: &'a str) -> BoxFuture<'a, Result<Vec<HostPort>, String>>;
}

/// The name servers of the system.
pub(super) struct Resolver(TokioResolver);

impl Resolver {
    pub(super) fn of_system() -> Result<Self, NetError> {
        let mut resolver = TokioResolver::builder_tokio()?;
        let options = resolver.options_mut();
        options.timeout = ASK_WITHIN;
        options.attempts = ATTEMPTS;
        Ok(Self(resolver.build()?))
    }
}

impl LookUp for Resolver {
    fn look_up<'a>(&'a self, service: &'a str) -> BoxFuture<'a, Result<Vec<HostPort>, String>> {
        Box::pin(async move {
            let name = format!("_{PORT_NAME}._tcp.{}.", service.trim_end_matches('.'));
            let found = self.0.srv_lookup(name).await;
            let found = found.map_err(|error| error.to_string())?;
            let pods = found.answers().iter().filter_map(|record| {
                let RData::SRV(pod) = &record.data else {
                    return None;
                };
                let host = pod.target.to_utf8();
                // What is no host is left out here, before anybody calls it.
                format!("{}:{}", host.trim_end_matches('.'), pod.port)
                    .parse()
                    .ok()
            });
            Ok(pods.collect())
        })
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}
