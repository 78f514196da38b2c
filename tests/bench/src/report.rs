//! What came out of one run.

use std::fmt::Write;

use serde::Serialize;

use crate::percentiles::Percentiles;
use crate::scenario::{Name, Protocol};
use crate::server::Kind;

/// The figures of one run, as `--json` writes them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) scenario: Name,
    pub(crate) server: Kind,
    pub(crate) protocol: Protocol,
    pub(crate) repeat: u32,
    pub(crate) viewers: usize,
    /// How long was measured.
    pub(crate) seconds: f64,
    /// All that the viewers read in that time, headers included.
    pub(crate) delivered_bytes: u64,
    /// User and system time of the server's process tree.
    pub(crate) cpu_s: f64,
    /// The same for 10^9 delivered bytes.
    pub(crate) cpu_s_per_gb: f64,
    pub(crate) latency: Option<Percentiles>,
    /// `None` for the floor, which begins when all viewers are there.
    pub(crate) first_frame: Option<Percentiles>,
    pub(crate) frames_expected: u64,
    pub(crate) frames_lost: u64,
    pub(crate) viewers_lost: usize,
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) tool_cores: f64,
    pub(crate) others_cores: f64,
    /// Why the figures are not to be trusted.
    pub(crate) disturbed: Option<String>,
}

impl Run {
    /// For whoever waits for the table.
    pub(crate) fn line(&self) -> String {
        let mut line = format!(
            "{} {} {} #{}: {:.3} CPU s/GB",
            self.scenario, self.server, self.protocol, self.repeat, self.cpu_s_per_gb
        );
        if let Some(latency) = &self.latency {
            let _ = write!(line, ", latency p99 {:.2} ms", latency.p99_ms);
        }
        if let Some(reason) = &self.disturbed {
            let _ = write!(line, "; left out: {reason}");
        }
        line
    }
}
