//! What came out: one line a run, and a table of all.

use std::fmt::Write;

use serde::Serialize;

use crate::percentiles::{Percentiles, Spread};
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

/// A block a scenario, a line a server and protocol: medians, and for CPU and p99 the spread.
pub(crate) fn table(runs: &[Run]) -> String {
    let mut text = String::new();
    for name in [Name::FanOut, Name::Latency] {
        let of_scenario = |run: &&Run| run.scenario == name;
        let block: Vec<&Run> = runs.iter().filter(of_scenario).collect();
        if let Some(first) = block.first() {
            let _ = writeln!(
                text,
                "\n{name}: one 2 Mbit/s stream to {} viewers",
                first.viewers
            );
            write_block(&mut text, &block);
        }
    }
    text.push_str(
        "\nMedians (min–max) of the undisturbed runs. CPU: user + system seconds of the server's \
         process tree per\ndelivered 10^9 bytes. Latency: publisher's write to player's read, per \
         frame. First frame: from connecting.\n",
    );
    text
}

fn write_block(text: &mut String, block: &[&Run]) {
    let heads = [
        "server",
        "by",
        "CPU s/GB",
        "×floor",
        "×nginx",
        "latency p50",
        "p95",
        "p99 ms",
        "first p50",
        "p99 ms",
        "lost",
        "RSS MB",
        "tool",
        "runs",
    ];
    write_line(text, &heads.map(str::to_owned));
    let mut written = Vec::new();
    for run in block {
        let case = (run.server, run.protocol);
        if !written.contains(&case) {
            written.push(case);
            write_line(text, &row(block, case));
        }
    }
}

fn row(block: &[&Run], case: (Kind, Protocol)) -> [String; 14] {
    let all: Vec<&Run> = of(block, case).collect();
    let sound: Vec<&Run> = all
        .iter()
        .copied()
        .filter(|run| run.disturbed.is_none())
        .collect();
    let spread =
        |value: fn(&Run) -> Option<f64>| Spread::of(sound.iter().filter_map(|run| value(run)));
    let median = |value, digits| shown(spread(value).map(|it| it.median), digits);
    let with_spread = |value, digits: usize| match spread(value) {
        None => "–".to_owned(),
        Some(Spread { min, median, max }) => {
            format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
        }
    };
    let ratio = |to| {
        shown(
            cpu(block, case)
                .zip(cpu(block, to))
                .map(|(ours, its)| ours / its),
            2,
        )
    };
    let lost: u64 = sound.iter().map(|run| run.frames_lost).sum();
    [
        case.0.to_string(),
        case.1.to_string(),
        with_spread(|run| Some(run.cpu_s_per_gb), 2),
        ratio((Kind::Floor, Protocol::Rtmp)),
        ratio((Kind::Nginx, Protocol::Rtmp)),
        median(|run| run.latency.map(|it| it.p50_ms), 2),
        median(|run| run.latency.map(|it| it.p95_ms), 2),
        with_spread(|run| run.latency.map(|it| it.p99_ms), 2),
        median(|run| run.first_frame.map(|it| it.p50_ms), 1),
        with_spread(|run| run.first_frame.map(|it| it.p99_ms), 1),
        lost.to_string(),
        median(|run| run.rss_bytes.map(|bytes| bytes as f64 / 1e6), 1),
        median(|run| Some(run.tool_cores), 2),
        format!("{}/{}", sound.len(), all.len()),
    ]
}

fn of<'r>(block: &[&'r Run], case: (Kind, Protocol)) -> impl Iterator<Item = &'r Run> {
    block
        .iter()
        .copied()
        .filter(move |run| (run.server, run.protocol) == case)
}

/// The median cost.
fn cpu(block: &[&Run], case: (Kind, Protocol)) -> Option<f64> {
    let sound = of(block, case).filter(|run| run.disturbed.is_none());
    Spread::of(sound.map(|run| run.cpu_s_per_gb)).map(|it| it.median)
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

fn write_line(text: &mut String, cells: &[String; 14]) {
    const WIDTHS: [usize; 14] = [10, 8, 16, 6, 6, 11, 6, 18, 9, 22, 6, 7, 5, 4];
    let mut line = String::new();
    for (index, (cell, width)) in cells.iter().zip(WIDTHS).enumerate() {
        let _ = match index {
            0 | 1 => write!(line, "{cell:<width$}  "),
            _ => write!(line, "{cell:>width$}  "),
        };
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(server: Kind, cpu_s_per_gb: f64, disturbed: bool) -> Run {
        Run {
            scenario: Name::FanOut,
            server,
            protocol: Protocol::Rtmp,
            repeat: 1,
            viewers: 300,
            seconds: 10.0,
            delivered_bytes: 1_000_000_000,
            cpu_s: cpu_s_per_gb,
            cpu_s_per_gb,
            latency: Percentiles::of_us(&mut [1000]),
            first_frame: None,
            frames_expected: 10,
            frames_lost: 2,
            viewers_lost: 0,
            rss_bytes: Some(9_000_000),
            tool_cores: 0.2,
            others_cores: 0.0,
            disturbed: disturbed.then(|| "noise".to_owned()),
        }
    }

    fn words(table: &str, server: &str) -> Vec<String> {
        let line = table
            .lines()
            .find(|line| line.starts_with(server))
            .expect("a line");
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_row_is_the_median_of_undisturbed_runs_and_its_ratio_to_the_others() {
        let runs = [
            run(Kind::Floor, 0.5, false),
            run(Kind::Nginx, 1.0, false),
            run(Kind::Isocast, 0.7, false),
            run(Kind::Isocast, 0.9, false),
            run(Kind::Isocast, 7.7, true),
            run(Kind::Isocast, 0.8, false),
        ];
        let table = table(&runs);
        let row = words(&table, "isocast");
        assert_eq!(
            row,
            [
                "isocast",
                "RTMP",
                "0.80",
                "(0.70–0.90)",
                "1.60",
                "0.80",
                "1.00",
                "1.00",
                "1.00",
                "(1.00–1.00)",
                "–",
                "–",
                "6",
                "9.0",
                "0.20",
                "3/4"
            ]
        );
        assert_eq!(words(&table, "floor")[4..6], ["1.00", "0.50"]);
    }

    #[test]
    fn without_a_sound_run_there_is_no_figure() {
        let table = table(&[run(Kind::Isocast, 0.7, true)]);
        let row = words(&table, "isocast");
        assert_eq!(row[2..5], ["–", "–", "–"]);
        assert_eq!(row.last().unwrap(), "0/1");
    }
}
