//! The servers that are measured. Each is started fresh for every run, on a core of its own.

mod floor;
mod nginx;
mod node;
mod process;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use isocast_media::rtmp::Call;
use serde::Serialize;

use self::floor::Floor;
use self::process::Process;
use crate::clock::Clock;
use crate::proc::Subject;
use crate::scenario::{Case, Protocol};
use crate::viewer::Play;
use crate::window::Window;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Plain vectored writes of the same bytes at the same times: what no server can be better than
    /// if it sends each frame at once
    Floor,
    /// This project's node, with its defaults
    Isocast,
    /// nginx with the RTMP module, with its defaults
    Nginx,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) node: PathBuf,
    pub(crate) nginx: PathBuf,
    pub(crate) nginx_module: PathBuf,
}

/// A server that takes connections; it is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    /// Whose CPU time is the server's.
    pub(crate) subject: Subject,
    /// Where and how to publish; the floor needs no publisher.
    pub(crate) publish: Option<(SocketAddr, Call)>,
    pub(crate) play_at: SocketAddr,
    pub(crate) play: Play,
    _running: Running,
}

#[derive(Debug)]
enum Running {
    Process { _process: Process },
    Floor { _floor: Floor },
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Floor, Self::Nginx, Self::Isocast];

    pub(crate) fn speaks(self, protocol: Protocol) -> bool {
        match self {
            Self::Isocast => true,
            // The bytes of the two protocols are nearly the same: one floor serves both.
            Self::Floor | Self::Nginx => protocol == Protocol::Rtmp,
        }
    }

    /// The floor makes the stream itself, and begins when all viewers are there.
    pub(crate) fn has_publisher(self) -> bool {
        self != Self::Floor
    }

    pub(crate) async fn start(
        self,
        case: &Case,
        place: &Place,
        clock: Clock,
        window: &Arc<Window>,
    ) -> anyhow::Result<Server> {
        match self {
            Self::Floor => floor::start(case, clock, window),
            Self::Isocast => node::start(case, place).await,
            Self::Nginx => nginx::start(place).await,
        }
    }
}

impl Place {
    /// The file that keeps a server from being run here.
    pub(crate) fn missing(&self, kind: Kind) -> Option<&Path> {
        let needed: &[&PathBuf] = match kind {
            Kind::Floor => &[],
            Kind::Isocast => &[&self.node],
            Kind::Nginx => &[&self.nginx, &self.nginx_module],
        };
        needed
            .iter()
            .map(|file| file.as_path())
            .find(|file| !file.is_file())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Floor => "floor",
            Self::Isocast => "isocast",
            Self::Nginx => "nginx-rtmp",
        })
    }
}

/// Ports nobody listens on, all different. Somebody else could take one before the server does;
/// then the server says so and the run fails.
fn free_ports<const COUNT: usize>() -> anyhow::Result<[SocketAddr; COUNT]> {
    let mut held = Vec::new();
    let mut ports = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); COUNT];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        *port = listener.local_addr()?;
        held.push(listener);
    }
    Ok(ports)
}
