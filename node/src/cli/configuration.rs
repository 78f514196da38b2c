//! `isocast-node config …`

use std::path::Path;

use anyhow::Context;
use clap::Subcommand;

use super::{Console, Failure};
use crate::config::{self, Config, HttpUrl, Loaded, Sources, one_line};
use crate::data::{self, KeyringFile, TokenFile};
use crate::outbound::Trust;
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
    let expired = expired.map(|_| "tls.cert_file: the certificate has expired".to_owned());
    let warnings = expired
        .into_iter()
        .chain(unusable_files(&loaded.config))
        .chain(unlisted_webhooks(&loaded.config));
    let warnings = warnings.map(|line| format!("warning: {}\n", one_line(&line)));
    std::iter::once("configuration ok\n".to_owned())
        .chain(warnings)
        .chain(files)
        .chain(values)
        .collect()
}

/// Secrets and key sets that a node would not start with. They may well be elsewhere where a
/// configuration is only checked.
fn unusable_files(config: &Config) -> Vec<String> {
    type Read = fn(&Path) -> Result<(), data::Error>;
    let keyring: Read = |path| KeyringFile::configured(path).read_existing().map(drop);
    let token: Read = |path| TokenFile::configured(path).read_existing().map(drop);
    let tokens: Read = |path| TokenFile::configured(path).read_lines().map(drop);
    let key_set: Read = |path| data::read_key_set(path).map(drop);
    let files = [
        ("api.token_file", &config.api.token_file, token),
        ("admin.token_file", &config.admin.token_file, token),
        ("play.secret_file", &config.play.secret_file, keyring),
        ("publish.secret_file", &config.publish.secret_file, keyring),
        ("webhooks.secret_file", &config.webhooks.secret_file, tokens),
        ("auth.jwks_file", &config.auth.jwks_file, key_set),
    ];
    let configured = files
        .into_iter()
        .filter(|(_, path, _)| !path.as_os_str().is_empty());
    let unusable = configured.filter_map(|(key, path, read)| {
        let error = read(path).err()?;
        Some(format!("{key}: {error}"))
    });
    let authorities = Trust::new(&config.network.ca_file).err();
    let authorities = authorities.map(|error| format!("network.ca_file: {error:#}"));
    unusable.chain(authorities).collect()
}

/// A name may lead to a listed address, so only an empty list is sure to refuse it.
fn unlisted_webhooks(config: &Config) -> Option<String> {
    let is_plain = HttpUrl::parse(&config.webhooks.url).is_ok_and(|url| !url.with_tls);
    let is_refused = is_plain && config.network.allow_addresses.is_empty();
    is_refused.then(|| {
        "webhooks.url: nobody is told, for http is for addresses in network.allow_addresses, which is empty"
            .to_owned()
    })
}
