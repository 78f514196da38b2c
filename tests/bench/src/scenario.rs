//! What is measured.

use std::fmt;

use serde::Serialize;

use crate::server::Kind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Name {
    /// One 2 Mbit/s stream to 300 RTMP viewers: what delivery costs
    FanOut,
    /// First frame and frame latency at 50 viewers
    Latency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Protocol {
    Rtmp,
    HttpFlv,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: Name,
    pub(crate) bits_per_second: u32,
    pub(crate) viewers: usize,
    protocols: &'static [Protocol],
}

/// One scenario on one server by one protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) scenario: Scenario,
    pub(crate) server: Kind,
    pub(crate) protocol: Protocol,
}

impl Scenario {
    pub(crate) fn all() -> [Self; 2] {
        [
            Self {
                name: Name::FanOut,
                bits_per_second: 2_000_000,
                viewers: 300,
                protocols: &[Protocol::Rtmp],
            },
            Self {
                name: Name::Latency,
                bits_per_second: 2_000_000,
                viewers: 50,
                protocols: &[Protocol::Rtmp, Protocol::HttpFlv],
            },
        ]
    }

    /// Every server that speaks one of the protocols, the floor first: all others are judged by it.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for server in Kind::ALL {
            let spoken = self
                .protocols
                .iter()
                .filter(|protocol| server.speaks(**protocol));
            cases.extend(spoken.map(|protocol| Case {
                scenario: *self,
                server,
                protocol: *protocol,
            }));
        }
        cases
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FanOut => "fan-out",
            Self::Latency => "latency",
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rtmp => "RTMP",
            Self::HttpFlv => "HTTP-FLV",
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} by {}",
            self.scenario.name, self.server, self.protocol
        )
    }
}
