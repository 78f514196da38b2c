//! `isocast-node config …`

use anyhow::Context;
use clap::Subcommand;

use super::{Console, Failure};
use crate::config::{self, Loaded, Sources};

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Command {
    /// Check all layers, and tell where each value that is not a default comes from
    Check,
    /// Print the effective configuration as TOML
    Show,
    /// Print all keys with their defaults and meaning as a Markdown table
    Table,
}

pub(super) fn run(
    command: &Command,
    sources: &Sources,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let text = match command {
        Command::Check => report(&config::load(sources)?),
        Command::Show => {
            let config = config::load(sources)?.config;
            toml::to_string(&config).context("the configuration has no TOML form")?
        }
        Command::Table => config::table(),
    };
    console
        .out
        .write_all(text.as_bytes())
        .context("standard output")?;
    Ok(())
}

fn report(loaded: &Loaded) -> String {
    let files = loaded
        .files
        .iter()
        .map(|path| format!("read {}\n", path.display()));
    let values = loaded
        .origins
        .iter()
        .map(|(key, place)| format!("{key} from {place}\n"));
    std::iter::once("configuration ok\n".to_owned())
        .chain(files)
        .chain(values)
        .collect()
}
