use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::resolve::{Resolve, System};
use super::{Error, HostPort, Rules, Trust};
use crate::metrics::OutboundLabels;

/// A connection to another server, with or without TLS.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Which addresses a call may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All that the rules allow.
    Allowed,
    /// Those that the operator has listed.
    Listed,
    /// Those where a node of the cluster can be.
    Peers,
}

/// Connects to other servers, where the rules allow it.
#[derive(Debug)]
pub(crate) struct Dialler {
    rules: Rules,
    resolver: Box<dyn Resolve>,
    trust: Trust,
    calls: Family<OutboundLabels, Counter>,
}

/// Addresses of one name that are tried.
const TRIED_MAX: usize = 4;

impl Dialler {
    pub(crate) fn new(rules: Rules, trust: Trust, calls: Family<OutboundLabels, Counter>) -> Self {
        Self {
            rules,
            resolver: Box::new(System::default()),
            trust,
            calls,
        }
    }

    #[cfg(test)]
    pub(crate) fn asking(self, resolver: impl Resolve + 'static) -> Self {
        Self {
            resolver: Box::new(resolver),
            ..self
        }
    }

    /// Connects with RTMP in mind, within `deadline` for all of it.
    pub(crate) async fn rtmp(
        &self,
        host: &str,
        port: u16,
        with_tls: bool,
        deadline: Duration,
    ) -> Result<Box<dyn Connection>, Error> {
        let tls = with_tls.then_some(&self.trust.plain);
        let dialled = self.dial(host, port, Reach::Allowed, tls);
        let dialled = timeout(deadline, dialled).await;
        let dialled = dialled.unwrap_or_else(|_| Err(late(host, deadline)));
        // Whoever may change rooms names the host; what HTTP calls the operator does, and is told by the caller.
        if let Err(Error::Denied {
            address, reserved, ..
        }) = &dialled
        {
            tracing::warn!(host, %address, "not called: it is {reserved}");
        }
        dialled
    }

    /// The same for HTTP; the caller has the deadline. Without TLS, listed addresses only.
    pub(super) async fn http(
        &self,
        host: &str,
        port: u16,
        with_tls: bool,
        give_up: Instant,
    ) -> Result<Box<dyn Connection>, Error> {
        let (reach, tls) = match with_tls {
            true => (Reach::Allowed, Some(&self.trust.http)),
            false => (Reach::Listed, None),
        };
        let begun = Instant::now();
        let dialled = timeout_at(give_up, self.dial(host, port, reach, tls)).await;
        dialled.unwrap_or_else(|_| Err(late(host, give_up - begun)))
    }

    /// Connects to another node of the cluster, within `deadline` for all of it: by TLS with whoever is called
    /// `name` in a certificate, or in the clear.
    ///
    /// Where peers are is told by the configuration, a Service's records or the registry. Whoever can write these
    /// can as well be a peer; nothing that a viewer, a publisher or the API says gets here.
    pub(crate) async fn peer(
        &self,
        at: &HostPort,
        tls: Option<(TlsConnector, ServerName<'static>)>,
        deadline: Duration,
    ) -> Result<Box<dyn Connection>, Error> {
        let dialled = async {
            let tcp = self.open(&at.host, at.port, Reach::Peers).await?;
            match tls {
                Some((tls, name)) => shake(&at.host, &tls, name, tcp).await,
                None => Ok(Box::new(tcp) as _),
            }
        };
        let dialled = timeout(deadline, dialled).await;
        dialled.unwrap_or_else(|_| Err(late(&at.host, deadline)))
    }

    /// Counts what became of a call: `what` it was for, by the error's label.
    pub(crate) fn count<T>(&self, what: &'static str, result: &Result<T, Error>) {
        let result = result.as_ref().err().map_or("ok", Error::label);
        self.calls
            .get_or_create(&OutboundLabels { what, result })
            .inc();
    }

    async fn dial(
        &self,
        host: &str,
        port: u16,
        reach: Reach,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Box<dyn Connection>, Error> {
        let tcp = self.open(host, port, reach).await?;
        let Some(tls) = tls else {
            return Ok(Box::new(tcp));
        };
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| untrusted(host, &error))?;
        shake(host, &TlsConnector::from(Arc::clone(tls)), name, tcp).await
    }

    async fn open(&self, host: &str, port: u16, reach: Reach) -> Result<TcpStream, Error> {
        let addresses = self.addresses(host, reach).await?;
        let tcp = connect(host, port, &addresses).await?;
        // Without it a small frame waits for the acknowledgement of the one before.
        tcp.set_nodelay(true)
            .map_err(|error| unreachable(host, &error))?;
        Ok(tcp)
    }

    /// The addresses of a host, all of which may be called: one that may not refuses all, for a
    /// name with such an answer is no honest one.
    async fn addresses(&self, host: &str, reach: Reach) -> Result<Vec<IpAddr>, Error> {
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => self.ask(host).await?,
        };
        for address in &addresses {
            let checked = match reach {
                Reach::Peers => self.rules.check_peer(*address),
                Reach::Allowed | Reach::Listed => self.rules.check(*address),
            };
            checked.map_err(|reserved| Error::Denied {
                host: host.to_owned(),
                address: *address,
                reserved,
            })?;
            if reach == Reach::Listed && !self.rules.lists(*address) {
                return Err(Error::Plain {
                    host: host.to_owned(),
                });
            }
        }
        Ok(addresses)
    }

    async fn ask(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let unresolved = || Error::Unresolved {
            host: host.to_owned(),
        };
        let answers = self.resolver.resolve(host).await.map_err(|error| {
            tracing::debug!(host, %error, "no addresses");
            unresolved()
        })?;
        match answers.is_empty() {
            true => Err(unresolved()),
            false => Ok(answers),
        }
    }
}

async fn shake(
    host: &str,
    tls: &TlsConnector,
    name: ServerName<'static>,
    tcp: TcpStream,
) -> Result<Box<dyn Connection>, Error> {
    let shaken = tls.connect(name, tcp).await;
    let shaken = shaken.map_err(|error| untrusted(host, &error))?;
    Ok(Box::new(shaken))
}

/// Tries the addresses in turn; each has its share of a few seconds, so that one that swallows
/// packets leaves time for the next.
async fn connect(host: &str, port: u16, addresses: &[IpAddr]) -> Result<TcpStream, Error> {
    const EACH: Duration = Duration::from_secs(3);
    let mut failure = Error::Unresolved {
        host: host.to_owned(),
    };
    for address in addresses.iter().take(TRIED_MAX) {
        match timeout(EACH, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => failure = unreachable(host, &error),
            Err(_) => failure = late(host, EACH),
        }
    }
    Err(failure)
}

fn unreachable(host: &str, error: &std::io::Error) -> Error {
    Error::Unreachable {
        host: host.to_owned(),
        cause: error.kind().to_string(),
    }
}

fn untrusted(host: &str, error: &dyn std::error::Error) -> Error {
    Error::Untrusted {
        host: host.to_owned(),
        cause: error.to_string(),
    }
}

fn late(host: &str, after: Duration) -> Error {
    Error::Late {
        host: host.to_owned(),
        after,
    }
}
