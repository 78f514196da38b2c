//! The command line.

mod plan;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::run;
use crate::settings::Settings;

/// Makes LiveClusters and LiveRooms true
#[derive(Debug, Parser)]
#[command(name = "isocast-operator", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Work until told to stop, in the cluster or with KUBECONFIG
    Run(Settings),
    /// Print the CustomResourceDefinitions as YAML
    Crds,
    /// Check a file of LiveClusters and LiveRooms, and print what applying it would change
    Plan(Plan),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// YAML file; `-` reads standard input
    #[arg(short, long)]
    file: PathBuf,
    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Ask no cluster: everything is taken to be new
    #[arg(long)]
    offline: bool,
    /// Namespace in which the operator runs
    #[arg(long, default_value = "isocast-system")]
    operator_namespace: String,
}

/// Exit code 2: what was given is wrong. 1: something else is.
pub(crate) fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(settings) => ended(run::run(settings)),
        Command::Crds => {
            let documents = isocast_crds::definitions().map(|definition| definition.to_yaml());
            print!("{}", documents.join("---\n"));
            ExitCode::SUCCESS
        }
        Command::Plan(asked) => plan::plan(&asked),
    }
}

fn ended(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("isocast-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}
