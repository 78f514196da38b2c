//! The command line. `isocast-node` alone runs a node; the other commands look after its rooms
//! and its configuration.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. Every error is one line; of a
//! configuration all are told.

mod client;
mod configuration;
mod desk;
mod limits;
mod migrate;
mod output;
mod restream;
mod room;
mod stats;

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use serde::Serialize;

use crate::config::{self, Loaded, Sources, one_line};
use output::Output;

/// Live streaming from equal replicas: takes RTMP publishers, serves viewers.
#[derive(Debug, Parser)]
#[command(name = "isocast-node", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    sources: SourceFlags,
}

/// Flags that choose the configuration. They go after the command.
#[derive(Debug, Default, Args)]
struct SourceFlags {
    /// Folder with default.toml, <ENVIRONMENT>.toml and local.toml [default: config]
    #[arg(long, global = true, value_name = "FOLDER")]
    config_dir: Option<PathBuf>,
    /// Set one key of the configuration; repeatable
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Folder for all that a node keeps
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node (the default)
    Run,
    /// Make, change, list and delete rooms, on the running node or, when none runs, on its store
    #[command(args_conflicts_with_subcommands = true)]
    Room {
        #[command(subcommand)]
        command: room::Command,
    },
    /// Bring the PostgreSQL database's tables to what this release needs; nodes wait for that
    Migrate {
        /// Only tell how far they are; exits with 1 where they do not serve this release
        #[arg(long)]
        check: bool,
    },
    /// Print a script that completes this command line in a shell
    Completions { shell: Shell },
    /// Look at the configuration
    #[command(args_conflicts_with_subcommands = true)]
    Config {
        #[command(subcommand)]
        command: configuration::Command,
    },
}

/// Where a command talks to.
struct Console<'c> {
    out: &'c mut dyn Write,
    err: &'c mut dyn Write,
    /// Whether a person reads `out`, so that a secret shown there stays with them.
    out_is_terminal: bool,
}

impl Console<'_> {
    fn print_json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string(value).context("no JSON form")?;
        Ok(writeln!(self.out, "{text}")?)
    }
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("error: {0}")]
    Usage(String),
    #[error("{0}")]
    Config(#[from] config::Mistakes),
    #[error("error: {}", causes(.0))]
    Failed(#[from] anyhow::Error),
}

/// The causes of an error in one line, each told once: many errors tell their cause themselves.
fn causes(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

impl Failure {
    /// One line for each thing that is wrong.
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Config(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
            Self::Failed(_) | Self::Usage(_) => vec![one_line(&self.to_string())],
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) | Self::Config(_) => 2,
        }
    }
}

/// The whole program but the node itself: `run_node` gets a configuration that passed its checks.
pub(crate) fn main(
    arguments: impl Iterator<Item = OsString>,
    environment: impl Iterator<Item = (OsString, OsString)>,
    run_node: impl FnOnce(Loaded) -> anyhow::Result<()>,
) -> ExitCode {
    let out_is_terminal = std::io::stdout().is_terminal();
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr());
    let console = Console {
        out: &mut out,
        err: &mut err,
        out_is_terminal,
    };
    ExitCode::from(answer(
        arguments.collect(),
        environment.collect(),
        console,
        run_node,
    ))
}

fn answer(
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    console: Console<'_>,
    run_node: impl FnOnce(Loaded) -> anyhow::Result<()>,
) -> u8 {
    let (mut out, mut err) = (Output(console.out), Output(console.err));
    let mut console = Console {
        out: &mut out,
        err: &mut err,
        ..console
    };
    let done = match CommandLine::try_parse_from(arguments) {
        Ok(line) => obey(line, environment, &mut console, run_node),
        Err(asked) if !asked.use_stderr() => {
            write!(console.out, "{}", asked.render()).map_err(|error| Failure::Failed(error.into()))
        }
        Err(error) => Err(Failure::Usage(usage_line(&error))),
    };
    match done {
        Ok(()) => 0,
        Err(failure) => {
            for line in failure.lines() {
                // With a closed stderr nobody is left to tell; the exit code still says it.
                let _ = writeln!(console.err, "{line}");
            }
            failure.exit_code()
        }
    }
}

fn obey(
    line: CommandLine,
    environment: Vec<(OsString, OsString)>,
    console: &mut Console<'_>,
    run_node: impl FnOnce(Loaded) -> anyhow::Result<()>,
) -> Result<(), Failure> {
    let sources = Sources {
        config_dir: line.sources.config_dir,
        environment,
        set: line.sources.set,
        data_dir: line.sources.data_dir,
        hostname: config::hostname(),
    };
    match line.command.unwrap_or(Command::Run) {
        Command::Run => {
            let loaded = config::load(&sources)?;
            configuration::certificate(&loaded)?;
            Ok(run_node(loaded)?)
        }
        Command::Room { command } => room::run(command, &config::load(&sources)?.config, console),
        Command::Migrate { check } => {
            migrate::run(check, &config::load(&sources)?.config.postgres, console)
        }
        Command::Completions { shell } => completions(shell, console),
        Command::Config { command } => configuration::run(&command, &sources, console),
    }
}

fn completions(shell: Shell, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut command = CommandLine::command();
    clap_complete::generate(shell, &mut command, "isocast-node", &mut script);
    // clap_complete 4.6 mangles a hyphen in a program's name in two ways, and bash then finds nothing.
    let script = String::from_utf8_lossy(&script);
    let script = script.replace("isocast__subcmd__node", "isocast__node");
    let written = console.out.write_all(script.as_bytes());
    written.map_err(|error| Failure::Failed(error.into()))
}

/// Clap explains over several lines; what comes before its `Usage:` makes one.
fn usage_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a command is missing; --help lists them".to_owned();
    }
    let text = error.render().to_string();
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"));
    let words: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    let line = words.join(" ").replace(" tip: ", "; ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    if line.starts_with("the subcommand ") {
        return format!("{line}; flags go after the command");
    }
    line.replace(" For more information, try '--help'.", "")
}
