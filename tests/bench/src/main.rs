//! The project's load tool. It starts each server on one core, publishes a stream to it and plays
//! it many times from another core, and prints what that cost and how late the frames were.
//!
//! The life of one run is in [`run`]; what is run is in [`scenario`]; who is measured in [`server`].

mod calling;
mod clock;
mod cores;
mod network;
mod percentiles;
mod proc;
mod publisher;
mod report;
mod run;
mod scenario;
mod server;
mod stamp;
mod stream;
mod table;
mod viewer;
mod window;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::report::Run;
use crate::scenario::{Case, Scenario};
use crate::server::{Kind, Place};

/// Measure a node beside nginx-rtmp and plain writes.
#[derive(Debug, Parser)]
#[command(name = "isocast-bench", version, args_override_self = true)]
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
    /// Stay in the machine's network, whatever its TCP is set to
    #[arg(long)]
    open_network: bool,
    #[arg(long, hide = true)]
    inside_own_network: bool,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    if !arguments.open_network && !arguments.inside_own_network {
        network::enter()?;
    }
    let cases = cases(arguments)?;
    let mut json = open_json(arguments)?;
    cores::keep_process_on(cores::TOOL)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let runs = runtime.block_on(async {
        tokio::select! {
            runs = run_all(arguments, &cases, &mut json) => runs,
            // What runs is dropped, and its server with it.
            () = interrupted() => bail!("interrupted"),
        }
    })?;
    let network = network::description(arguments.inside_own_network);
    print!("{}", table::of_runs(&runs, &network));
    Ok(())
}

async fn run_all(
    arguments: &Arguments,
    cases: &[Case],
    json: &mut Option<File>,
) -> anyhow::Result<Vec<Run>> {
    let mut runs = Vec::new();
    for repeat in 1..=arguments.repeats {
        for case in cases {
            runs.push(run_undisturbed(arguments, case, repeat, json).await?);
        }
    }
    Ok(runs)
}

/// Runs a case again while others disturb it and retries are left.
async fn run_undisturbed(
    arguments: &Arguments,
    case: &Case,
    repeat: u32,
    json: &mut Option<File>,
) -> anyhow::Result<Run> {
    let mut retries_left = arguments.retries;
    loop {
        let run = run::run(case, &place(arguments), arguments.seconds, repeat)
            .await
            .with_context(|| format!("{case}, repeat {repeat}"))?;
        eprintln!("{}", run.line());
        keep(json, &run)?;
        if run.disturbed.is_none() || retries_left == 0 {
            return Ok(run);
        }
        retries_left -= 1;
    }
}

/// Ctrl-C, or `kill`.
async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_begun_anew_knows_where_it_is() {
        for (inside, arguments) in [(true, &["bench", network::INSIDE][..]), (false, &["bench"])] {
            let arguments = Arguments::try_parse_from(arguments).expect("arguments");
            assert_eq!(arguments.inside_own_network, inside);
        }
    }

    #[test]
    fn a_server_asked_for_by_name_and_a_node_have_to_be_there() {
        let cases_of = |flags: &[&str]| {
            let fixed = ["bench", "--node", "/", "--nginx", "/"];
            cases(&Arguments::try_parse_from(fixed.iter().chain(flags)).expect("arguments"))
        };
        assert!(cases_of(&[]).is_err());
        assert!(cases_of(&["--server", "nginx"]).is_err());
        assert_eq!(cases_of(&["--server", "floor"]).expect("cases").len(), 2);
        assert_eq!(
            cases_of(&["--server", "floor", "--scenario", "latency"])
                .expect("cases")
                .len(),
            1
        );
    }
}
