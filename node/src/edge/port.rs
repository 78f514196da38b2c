//! A listening port: what becomes of a connection from its acceptance until its first byte is RTMP or HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::Error as TlsError;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::forwarded::Client;
use super::rtmp::Served;
use super::{Caps, Connected, Socket, Tcp, accept, http, proxy, rtmp};
use crate::app::App;
use crate::data::Reread;
use crate::tls::{self, Acceptors, Mutual};

/// What a port speaks, below TLS where it has that.
#[derive(Clone, Debug)]
pub(crate) enum Speaks {
    Rtmp,
    /// RTMP between nodes.
    Relay,
    Http(Router),
}

#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub speaks: Speaks,
    pub caps: Caps,
    /// Whether it is for strangers, who may come through a proxy.
    pub is_public: bool,
    /// With it the port speaks TLS.
    pub tls: Option<watch::Receiver<Acceptors>>,
    /// With it the port speaks TLS to whoever begins with that: to peers, while probes and scrapers that have no
    /// certificate are served in the clear.
    pub mutual: Option<Arc<Reread<Mutual>>>,
}

/// Why a connection is not served; `None`: the other side left.
pub(super) type Refused = Option<&'static str>;

/// How long a peer may take the alert that tells what is wrong.
const ALERT: Duration = Duration::from_secs(1);

impl Port {
    pub(crate) fn with_tls(self, tls: Option<watch::Receiver<Acceptors>>) -> Self {
        Self { tls, ..self }
    }

    /// Serves everything that comes to `listener`, until the listeners close.
    pub(crate) fn open(self, app: &Arc<App>, listener: TcpListener) {
        let app = Arc::clone(app);
        let (tasks, stop) = (app.tasks.clone(), app.stop.listeners_closing());
        tasks.spawn(accept(listener, stop, move |tcp, from| {
            match self.caps.admit() {
                Ok(permit) => {
                    let awaited = app.tasks.token();
                    let connected = Connected::new(&app.metrics, self.name(), permit, awaited);
                    tokio::spawn(self.clone().serve(Arc::clone(&app), tcp, from, connected));
                }
                Err(reason) => {
                    app.metrics.refused(self.name(), reason);
                }
            }
        }));
    }

    /// As metrics and logs call it.
    fn name(&self) -> &'static str {
        match (&self.speaks, &self.tls) {
            (Speaks::Rtmp, None) => "rtmp",
            (Speaks::Rtmp, Some(_)) => "rtmps",
            (Speaks::Relay, _) => "relay",
            (Speaks::Http(_), None) => "http",
            (Speaks::Http(_), Some(_)) => "https",
        }
    }

    fn trusts(&self, app: &App, peer: SocketAddr) -> bool {
        self.is_public && app.config.proxies.trusts(peer.ip())
    }

    async fn serve(self, app: Arc<App>, tcp: TcpStream, from: SocketAddr, connected: Connected) {
        let name = self.name();
        let crowded_out = connected.permit.crowded_out();
        let served = self.converse(Arc::clone(&app), tcp, from, connected);
        tokio::select! {
            () = served => {}
            () = crowded_out.cancelled() => {}
        }
        // Also where it has noticed that itself.
        if crowded_out.is_cancelled() {
            app.metrics.refused(name, "crowded_out");
        }
    }

    async fn converse(self, app: Arc<App>, tcp: TcpStream, from: SocketAddr, connected: Connected) {
        let accepted = Instant::now();
        let opened = match app.tcp(tcp, self.name(), connected) {
            Ok(tcp) => self.handshakes(&app, tcp, from, accepted).await,
            Err(_) => Err(None),
        };
        match (opened, self.speaks.clone()) {
            (Ok((socket, client)), Speaks::Rtmp) => {
                rtmp::serve(app, socket, client, accepted, Served::Public).await;
            }
            (Ok((socket, client)), Speaks::Relay) => {
                rtmp::serve(app, socket, client, accepted, Served::Nodes).await;
            }
            (Ok((socket, client)), Speaks::Http(router)) => {
                let client = Client {
                    address: client.ip(),
                    is_proxy: self.trusts(&app, client),
                };
                http::serve(app, socket, client, router, accepted).await;
            }
            (Err(Some(reason)), _) => {
                if app.metrics.refused(self.name(), reason) {
                    tracing::debug!(%from, reason, port = self.name(), "a connection is refused");
                }
            }
            (Err(None), _) => {}
        }
    }

    /// All that comes before RTMP and HTTP, within the time that they give to a handshake or a header.
    async fn handshakes(
        &self,
        app: &App,
        mut tcp: Tcp,
        from: SocketAddr,
        accepted: Instant,
    ) -> Result<(Socket, SocketAddr), Refused> {
        let patience_s = match self.speaks {
            Speaks::Rtmp | Speaks::Relay => app.config.rtmp.handshake_timeout_s,
            Speaks::Http(_) => app.config.http.header_timeout_s,
        };
        let deadline = accepted + Duration::from_secs(patience_s);
        let client = match self.is_public && app.config.proxies.protocol_v2 {
            true if !self.trusts(app, from) => return Err(Some("proxy_untrusted")),
            true => tokio::select! {
                told = timeout_at(deadline, proxy::client(&mut tcp)) => {
                    told.unwrap_or(Err(Some("proxy_timeout")))?.unwrap_or(from)
                }
                () = app.stop.closing() => return Err(None),
            },
            false => from,
        };
        // A proxy that does not tell for whom it comes would soon have as many as one client may.
        if !self.trusts(app, client) {
            tcp.enter_ip(client.ip()).map_err(Some)?;
            let is_rtmp = matches!(self.speaks, Speaks::Rtmp);
            if is_rtmp
                && app
                    .key_attempts
                    .is_shut_out(client.ip(), accepted.into_std())
            {
                return Err(Some("key_attempts"));
            }
        }
        if let Some(mutual) = &self.mutual {
            let socket = tokio::select! {
                socket = of_peers(app, mutual, tcp, from, deadline) => socket?,
                () = app.stop.closing() => return Err(None),
            };
            return Ok((socket, client));
        }
        let Some(tls) = &self.tls else {
            return Ok((Socket::Plain(tcp), client));
        };
        let acceptor = {
            let newest = tls.borrow();
            match self.speaks {
                Speaks::Rtmp | Speaks::Relay => newest.rtmps.clone(),
                Speaks::Http(_) => newest.https.clone(),
            }
        };
        tokio::select! {
            handshake = timeout_at(deadline, secured(acceptor, tcp)) => {
                let socket = handshake.unwrap_or(Err(Some("tls_timeout")))?;
                Ok((socket, client))
            }
            () = app.stop.closing() => Err(None),
        }
    }
}

/// The first byte of a handshake of TLS (RFC 8446 §5.1), which none of HTTP is.
const TLS_HANDSHAKE: u8 = 22;

/// Peers begin with TLS, and whoever does is a peer or has to explain itself; everyone else is served in the clear.
async fn of_peers(
    app: &App,
    mutual: &Reread<Mutual>,
    tcp: Tcp,
    from: SocketAddr,
    deadline: Instant,
) -> Result<Socket, Refused> {
    let mut first = [0];
    match timeout_at(deadline, tcp.peek(&mut first)).await {
        Err(_) => return Err(Some("header_timeout")),
        Ok(Ok(1)) if first[0] == TLS_HANDSHAKE => {}
        Ok(Ok(1)) => return Ok(Socket::Plain(tcp)),
        Ok(Ok(_) | Err(_)) => return Err(None),
    }
    let shaken = async { secured(mutual.now().await.acceptor(), tcp).await };
    let shaken = timeout_at(deadline, shaken).await;
    shaken
        .unwrap_or(Err(Some("tls_timeout")))
        .map_err(|refused| {
            let reason = refused?;
            if app.metrics.refused("peer", reason) {
                tracing::warn!(%from, reason, "a peer is refused");
            }
            None
        })
}

async fn secured(acceptor: TlsAcceptor, tcp: Tcp) -> Result<Socket, Refused> {
    let error = match acceptor.accept(tcp).into_fallible().await {
        Ok(stream) => return Ok(Socket::Tls(Box::new(stream))),
        Err((error, mut tcp)) => {
            let _ = timeout(ALERT, tcp.shutdown()).await;
            error
        }
    };
    // Without an error of TLS it is one of the connection: the other side left.
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    Err(of_tls.map(|error| match error {
        TlsError::InvalidMessage(_) => "not_tls",
        error => tls::rejected(error).unwrap_or("tls_handshake"),
    }))
}
