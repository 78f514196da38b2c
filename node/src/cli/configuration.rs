//! `isocast-node config …`

use anyhow::Context;
use clap::Subcommand;

use super::{Console, Failure};
use crate::config::{self, Loaded, Sources};
use crate::tls::Certificate;

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
        Command::Check => {
            let loaded = config::load(sources)?;
            let certificate = certificate(&loaded)?;
            report(&loaded, certificate.as_ref())
        }
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

/// The certificate that the configuration names, which must be one that can be served.
pub(super) fn certificate(loaded: &Loaded) -> Result<Option<Certificate>, config::Mistakes> {
    if !loaded.config.tls.is_on() {
        return Ok(None);
    }
    let certificate = Certificate::read(&loaded.config.tls);
    let certificate = certificate.map_err(|error| loaded.mistake(error.key, &error))?;
    Ok(Some(certificate))
}

fn report(loaded: &Loaded, certificate: Option<&Certificate>) -> String {
    let files = loaded
        .files
        .iter()
        .map(|path| format!("read {}\n", path.display()));
    let values = loaded
        .origins
        .iter()
        .map(|(key, place)| format!("{key} from {place}\n"));
    let expired = certificate.filter(|certificate| certificate.is_expired());
    let warnings =
        expired.map(|_| "warning: tls.cert_file: the certificate has expired\n".to_owned());
    std::iter::once("configuration ok\n".to_owned())
        .chain(warnings)
        .chain(files)
        .chain(values)
        .collect()
}
