//! The project's load tool. It starts each server on one core, publishes a stream to it and plays
//! it many times from another core, and prints what that cost and how late the frames were.
//!
//! The life of one run is in [`run`]; what is run is in [`scenario`]; who is measured in [`server`].

mod calling;
mod clock;
mod cores;
mod percentiles;
mod proc;
mod publisher;
mod report;
mod run;
mod scenario;
mod server;
mod stamp;
mod stream;
mod viewer;
mod window;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;

use crate::report::Run;
use crate::scenario::{Case, Scenario};
use crate::server::{Kind, Place};

/// Measure a node beside nginx-rtmp and plain writes.
#[derive(Debug, Parser)]
#[command(name = "isocast-bench", version)]
struct Arguments {
    /// The node to measure
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/release/isocast-node"
    )]
    node: PathBuf,
    /// The nginx to measure it beside
    #[arg(long, value_name = "FILE", default_value = "/usr/sbin/nginx")]
    nginx: PathBuf,
    /// nginx's RTMP module
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
    )]
    nginx_module: PathBuf,
    /// Length of the measured part of a run, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often everything is run
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// How often a run that others disturbed is tried again
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    retries: u32,
    /// Only this scenario; repeatable
    #[arg(long, value_enum)]
    scenario: Vec<scenario::Name>,
    /// Only this server; repeatable
    #[arg(long, value_enum)]
    server: Vec<Kind>,
    /// Write one line of JSON per run
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let cases = cases(&arguments)?;
    let mut json = open_json(&arguments)?;
    cores::keep_process_on(cores::TOOL)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut runs = Vec::new();
    for repeat in 1..=arguments.repeats {
        for case in &cases {
            for attempt in 0..=arguments.retries {
                let run = runtime
                    .block_on(run::run(
                        case,
                        &place(&arguments),
                        arguments.seconds,
                        repeat,
                    ))
                    .with_context(|| format!("{case}, repeat {repeat}"))?;
                eprintln!("{}", run.line());
                keep(&mut json, &run)?;
                let last = attempt == arguments.retries || run.disturbed.is_none();
                if last {
                    runs.push(run);
                    break;
                }
            }
        }
    }
    print!("{}", report::table(&runs));
    Ok(())
}

/// What is asked for and can be run here, in the order of the table.
fn cases(arguments: &Arguments) -> anyhow::Result<Vec<Case>> {
    let place = place(arguments);
    let asked = |case: &Case| {
        (arguments.scenario.is_empty() || arguments.scenario.contains(&case.scenario.name))
            && (arguments.server.is_empty() || arguments.server.contains(&case.server))
    };
    let mut cases: Vec<Case> = Scenario::all().iter().flat_map(Scenario::cases).collect();
    cases.retain(asked);
    let missing = |kind: &Kind| place.missing(*kind).map(|file| (*kind, file));
    for (kind, file) in Kind::ALL.iter().filter_map(missing) {
        if !cases.iter().any(|case| case.server == kind) {
            continue;
        }
        // The node is what this is about, and what was asked for by name is not left out quietly.
        if kind == Kind::Isocast || arguments.server.contains(&kind) {
            bail!("{kind} is not there: no file {}", file.display());
        }
        eprintln!("{kind} is left out: no file {}", file.display());
        cases.retain(|case| case.server != kind);
    }
    Ok(cases)
}

fn place(arguments: &Arguments) -> Place {
    Place {
        node: arguments.node.clone(),
        nginx: arguments.nginx.clone(),
        nginx_module: arguments.nginx_module.clone(),
    }
}

fn open_json(arguments: &Arguments) -> anyhow::Result<Option<File>> {
    let open = |path: &PathBuf| {
        File::create(path).with_context(|| format!("{} cannot be written", path.display()))
    };
    arguments.json.as_ref().map(open).transpose()
}

fn keep(json: &mut Option<File>, run: &Run) -> anyhow::Result<()> {
    if let Some(file) = json {
        let line = serde_json::to_string(run).context("no JSON form")?;
        writeln!(file, "{line}").context("the JSON file cannot be written")?;
    }
    Ok(())
}
