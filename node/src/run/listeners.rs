use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use crate::api;
use crate::app::App;
use crate::config::Config;
use crate::data::NodeFile;
use crate::edge::{Caps, Port, Speaks};
use crate::load;
use crate::tls::Acceptors;

/// Connections that wait to be accepted: a flood of them is a moment's work, and who comes after it
/// should not have to knock again. The system may allow fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// Probes and scrapers; the public cannot use these places up.
const INTERNAL_CONNECTIONS_MAX: usize = 256;

/// One for each stream and node that pulls it, with room for those who are refused.
const RELAY_CONNECTIONS_MAX: usize = 2048;

/// The sockets, bound before anything is served.
pub(super) struct Listeners {
    rtmp: TcpListener,
    http: TcpListener,
    internal: TcpListener,
    /// Where there are other nodes.
    relay: Option<TcpListener>,
    /// RTMPS and HTTPS, where there is a certificate.
    secure: Option<(TcpListener, TcpListener)>,
}

impl Listeners {
    pub(super) fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind = |key: &'static str, address: SocketAddr| {
            listen(address).with_context(|| format!("{key} cannot listen on {address}"))
        };
        Ok(Self {
            rtmp: bind("listen.rtmp", config.listen.rtmp)?,
            http: bind("listen.http", config.listen.http)?,
            internal: bind("listen.internal", config.listen.internal)?,
            relay: match config.peers.has_credential() {
                true => Some(bind("listen.relay", config.listen.relay)?),
                false => None,
            },
            secure: match config.tls.is_on() {
                true => Some((
                    bind("listen.rtmps", config.listen.rtmps)?,
                    bind("listen.https", config.listen.https)?,
                )),
                false => None,
            },
        })
    }

    pub(super) fn node_file(&self) -> std::io::Result<NodeFile> {
        let secure = self.secure.as_ref();
        let relay = self.relay.as_ref();
        Ok(NodeFile {
            pid: std::process::id(),
            rtmp: self.rtmp.local_addr()?,
            http: self.http.local_addr()?,
            internal: self.internal.local_addr()?,
            rtmps: secure.map(|(rtmps, _)| rtmps.local_addr()).transpose()?,
            relay: relay.map(TcpListener::local_addr).transpose()?,
            https: secure.map(|(_, https)| https.local_addr()).transpose()?,
        })
    }

    pub(super) fn serve(self, app: &Arc<App>, acceptors: Option<watch::Receiver<Acceptors>>) {
        let Ports {
            rtmp,
            http,
            internal,
            relay,
        } = Ports::of(app);
        if let Some((rtmps_listener, https_listener)) = self.secure {
            let rtmps = rtmp.clone().with_tls(acceptors.clone());
            rtmps.open(app, rtmps_listener);
            let https = http.clone().with_tls(acceptors);
            https.open(app, https_listener);
        }
        rtmp.open(app, self.rtmp);
        http.open(app, self.http);
        internal.open(app, self.internal);
        if let Some(listener) = self.relay {
            relay.open(app, listener);
        }
    }
}

/// What is spoken where, and to how many at once. Both ports of a protocol share its caps.
struct Ports {
    rtmp: Port,
    http: Port,
    internal: Port,
    relay: Port,
}

impl Ports {
    fn of(app: &Arc<App>) -> Self {
        let Config { rtmp, http, .. } = &app.config;
        let configured = [rtmp.connections_max, http.connections_max];
        let files = load::raise_open_files();
        let [rtmp_max, http_max] = load::places(files, configured, INTERNAL_CONNECTIONS_MAX);
        Self {
            rtmp: Port {
                speaks: Speaks::Rtmp,
                caps: Caps::where_newcomers_win(rtmp_max, rtmp.pre_auth_per_ip_max),
                is_public: true,
                tls: None,
                mutual: None,
            },
            http: Port {
                speaks: Speaks::Http(api::public(Arc::clone(app))),
                caps: Caps::new(http_max, http.connections_per_ip_max),
                is_public: true,
                tls: None,
                mutual: None,
            },
            internal: Port {
                speaks: Speaks::Http(api::internal(Arc::clone(app))),
                caps: Caps::new(INTERNAL_CONNECTIONS_MAX, INTERNAL_CONNECTIONS_MAX),
                is_public: false,
                tls: None,
                mutual: app.peers.mutual(),
            },
            relay: Port {
                speaks: Speaks::Relay,
                caps: Caps::new(RELAY_CONNECTIONS_MAX, RELAY_CONNECTIONS_MAX),
                is_public: false,
                tls: None,
                mutual: app.peers.mutual(),
            },
        }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Without it a node that starts anew waits for the last one's connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
