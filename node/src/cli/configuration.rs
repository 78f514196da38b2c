//! `isocast-node config …`

use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use clap::Subcommand;

use super::{Console, Failure};
use crate::config::{self, Auth, Config, HttpUrl, Loaded, Sources, one_line};
use crate::data::{self, KeyringFile, TokenFile};
use crate::outbound::{Rules, Trust};
use crate::rooms::Source;
use crate::tls::{Certificate, Mutual};

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
            let warnings = warnings(&loaded.config, certificate.as_ref(), sources);
            report(&loaded, &warnings)
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
    let certificate = Certificate::read(&(&loaded.config.tls).into());
    let certificate = certificate.map_err(|error| loaded.mistake(error.key, &error))?;
    Ok(Some(certificate))
}

fn report(loaded: &Loaded, warnings: &[String]) -> String {
    let files = loaded
        .files
        .iter()
        .map(|path| format!("read {}\n", path.display()));
    let values = loaded
        .origins
        .iter()
        .map(|(key, place)| format!("{key} from {place}\n"));
    let warnings = warnings.iter();
    let warnings = warnings.map(|line| format!("warning: {}\n", one_line(line)));
    std::iter::once("configuration ok\n".to_owned())
        .chain(warnings)
        .chain(files)
        .chain(values)
        .collect()
}

/// What is allowed, and yet hardly meant.
fn warnings(config: &Config, certificate: Option<&Certificate>, sources: &Sources) -> Vec<String> {
    let expired = certificate.filter(|certificate| certificate.is_expired());
    let expired = expired.map(|_| "tls.cert_file: the certificate has expired".to_owned());
    let mistaken = config::variables_without_effect(sources).into_iter();
    let mistaken =
        mistaken.map(|(name, meant)| format!("environment {name}: sets nothing; {meant} would"));
    mistaken
        .chain(expired)
        .chain(unusable_files(config))
        .chain(unreachable_urls(config))
        .chain(claims_of_nobody(&config.auth))
        .collect()
}

/// Secrets and key sets that a node would not start with. They may well be elsewhere where a
/// configuration is only checked.
fn unusable_files(config: &Config) -> Vec<String> {
    type Read = fn(&Path) -> Result<(), data::Error>;
    let keyring: Read = |path| KeyringFile::configured(path).read_existing().map(drop);
    let token: Read = |path| TokenFile::configured(path).read_existing().map(drop);
    let tokens: Read = |path| TokenFile::configured(path).read_lines().map(drop);
    let secret: Read = |path| data::read_secret(path).map(drop);
    let key_set: Read = |path| data::read_key_set(path).map(drop);
    let password: Read = |path| data::read_password(path).map(drop);
    let files = [
        ("api.token_file", &config.api.token_file, token),
        ("admin.token_file", &config.admin.token_file, token),
        ("play.secret_file", &config.play.secret_file, keyring),
        ("publish.secret_file", &config.publish.secret_file, keyring),
        ("webhooks.secret_file", &config.webhooks.secret_file, tokens),
        ("rooms.secret_file", &config.rooms.secret_file, secret),
        ("auth.jwks_file", &config.auth.jwks_file, key_set),
        ("peers.token_file", &config.peers.token_file, tokens),
        ("redis.password_file", &config.redis.password_file, password),
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
    let database = config.postgres.is_on();
    let database = database.then(|| Source::new(&config.postgres).err());
    let database = database.flatten().map(|error| error.to_string());
    let has_mutual = config.peers.has_certificate();
    let mutual = has_mutual.then(|| Mutual::read(&config.peers).err());
    let mutual = mutual
        .flatten()
        .map(|error| format!("{}: {error}", error.key));
    let rest = [authorities, database, mutual].into_iter().flatten();
    unusable.chain(rest).collect()
}

/// URLs that this configuration itself does not let the node call. A name may lead to a listed
/// address, so of http to a name only an empty list is sure to refuse it.
fn unreachable_urls(config: &Config) -> Vec<String> {
    let urls = [
        ("webhooks.url", &config.webhooks.url, "nobody is told"),
        ("auth.jwks_url", &config.auth.jwks_url, "no keys come"),
    ];
    let listed = &config.network.allow_addresses;
    let rules = Rules::new(listed.clone());
    let unreachable = urls.into_iter().filter_map(|(key, url, what)| {
        let url = HttpUrl::parse(url).ok()?;
        let why = match (url.host.parse(), url.with_tls) {
            (Ok(address), _) => refusal(&rules, address, url.with_tls)?,
            (Err(_), false) if listed.is_empty() => HTTP_IS_FOR_LISTED.to_owned(),
            (Err(_), _) => return None,
        };
        Some(format!("{key}: {what}, for {why}"))
    });
    unreachable.collect()
}

const HTTP_IS_FOR_LISTED: &str =
    "http is for addresses in network.allow_addresses, which does not list it";

fn refusal(rules: &Rules, address: IpAddr, with_tls: bool) -> Option<String> {
    match rules.check(address) {
        Err(reserved) => Some(format!(
            "it is {reserved}, and network.allow_addresses does not list it"
        )),
        Ok(()) if with_tls || rules.lists(address) => None,
        Ok(()) => Some(HTTP_IS_FOR_LISTED.to_owned()),
    }
}

/// What tokens must say, where none count.
fn claims_of_nobody(auth: &Auth) -> Vec<String> {
    if !auth.jwks_file.as_os_str().is_empty() || !auth.jwks_url.is_empty() {
        return Vec::new();
    }
    let claims = [
        ("auth.issuer", &auth.issuer),
        ("auth.audience", &auth.audience),
    ];
    let set = claims.into_iter().filter(|(_, value)| !value.is_empty());
    let lines = set.map(|(key, _)| {
        format!(
            "{key}: does nothing without auth.jwks_file or auth.jwks_url, whose keys sign tokens"
        )
    });
    lines.collect()
}
