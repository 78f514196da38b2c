//! What came out of all runs: medians, beside each other.

use std::fmt::Write;

use crate::percentiles::Spread;
use crate::report::Run;
use crate::scenario::{Name, Protocol};
use crate::server::Kind;

/// One figure of a run, where it has it.
type Figure = fn(&Run) -> Option<f64>;

/// A block a scenario, a line a server and protocol: medians, and for CPU and p99 the spread.
pub(crate) fn of_runs(runs: &[Run], network: &str) -> String {
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
            write_goals(&mut text, &block);
        }
    }
    let _ = writeln!(
        text,
        "\nMedians (min–max) of the undisturbed runs, in {network}.\n\
         CPU: user + system seconds of the server's process tree for 10^9 delivered bytes.\n\
         A count of runs with ! has no undisturbed one: its figures are not to be trusted.\n\
         Latency: from the publisher's write to the player's read, per frame; first frame: from connecting."
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

/// What the node has to reach with 50 viewers on one machine.
const FIRST_FRAME_P99_MS_MAX: f64 = 20.0;
const LATENCY_P99_MS_MAX: f64 = 20.0;

fn write_goals(text: &mut String, block: &[&Run]) {
    for protocol in [Protocol::Rtmp, Protocol::HttpFlv] {
        let runs = usable(block, (Kind::Isocast, protocol));
        let latency_runs = runs
            .iter()
            .copied()
            .filter(|run| run.scenario == Name::Latency);
        let runs: Vec<&Run> = latency_runs.collect();
        let goals: [(&str, f64, Figure); 2] = [
            ("first frame", FIRST_FRAME_P99_MS_MAX, |run| {
                run.first_frame.map(|it| it.p99_ms)
            }),
            ("latency", LATENCY_P99_MS_MAX, |run| {
                run.latency.map(|it| it.p99_ms)
            }),
        ];
        for (what, max, value) in goals {
            let Some(p99) = median(&runs, value) else {
                continue;
            };
            let verdict = if p99 <= max { "reached" } else { "MISSED" };
            let _ = writeln!(
                text,
                "isocast by {protocol}: {what} p99 ≤ {max} ms: {verdict} ({p99:.2} ms)"
            );
        }
    }
}

fn row(block: &[&Run], case: (Kind, Protocol)) -> [String; 14] {
    let all = of(block, case).count();
    let undisturbed = of(block, case)
        .filter(|run| run.disturbed.is_none())
        .count();
    let sound = usable(block, case);
    let spread = |value: Figure| Spread::of(sound.iter().filter_map(|run| value(run)));
    let median = |value, digits| shown(median(&sound, value), digits);
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
        format!(
            "{undisturbed}/{all}{}",
            if undisturbed == 0 { "!" } else { "" }
        ),
    ]
}

fn of<'r>(block: &[&'r Run], case: (Kind, Protocol)) -> impl Iterator<Item = &'r Run> {
    block
        .iter()
        .copied()
        .filter(move |run| (run.server, run.protocol) == case)
}

/// The undisturbed runs; where there is none, all: the table marks them.
fn usable<'r>(block: &[&'r Run], case: (Kind, Protocol)) -> Vec<&'r Run> {
    let sound: Vec<&Run> = of(block, case)
        .filter(|run| run.disturbed.is_none())
        .collect();
    match sound.is_empty() {
        true => of(block, case).collect(),
        false => sound,
    }
}

fn median(runs: &[&Run], value: Figure) -> Option<f64> {
    Spread::of(runs.iter().filter_map(|run| value(run))).map(|spread| spread.median)
}

/// The median cost.
fn cpu(block: &[&Run], case: (Kind, Protocol)) -> Option<f64> {
    median(&usable(block, case), |run| Some(run.cpu_s_per_gb))
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
    use crate::percentiles::Percentiles;

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
        let table = of_runs(&runs, "no network");
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
    fn figures_of_disturbed_runs_alone_are_marked() {
        let table = of_runs(&[run(Kind::Isocast, 0.7, true)], "no network");
        let row = words(&table, "isocast");
        assert_eq!(row[2], "0.70");
        assert_eq!(row.last().unwrap(), "0/1!");
    }

    #[test]
    fn goals_are_judged_by_the_median_of_the_latency_scenario() {
        let latency_run = |ms: u32| Run {
            scenario: Name::Latency,
            latency: Percentiles::of_us(&mut [ms * 1000]),
            ..run(Kind::Isocast, 1.0, false)
        };
        for (all_ms, verdict) in [
            ([1, 20, 90], "reached (20.00 ms)"),
            ([1, 21, 22], "MISSED (21.00 ms)"),
        ] {
            let table = of_runs(&all_ms.map(latency_run), "no network");
            let expected = format!("isocast by RTMP: latency p99 ≤ 20 ms: {verdict}");
            assert!(table.contains(&expected), "{table}");
        }
        assert!(!of_runs(&[run(Kind::Isocast, 0.7, false)], "no network").contains("≤ 20"));
    }
}
