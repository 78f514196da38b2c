//! Where the database is, out of the files that the configuration names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use crate::config;
use crate::data::{Secret, read_file};

const URL_BYTES_MAX: u64 = 4096;
/// All public authorities together have 250 kB.
const CA_FILE_BYTES_MAX: u64 = 4 << 20;

/// How the database is reached. Shows neither URL nor password.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    url_file: PathBuf,
    ca_file: PathBuf,
    options: Secret<PgConnectOptions>,
}

/// What is wrong with one of the files; never what is in them.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {}: {what}", path.display())]
pub(crate) struct BadSource {
    pub key: &'static str,
    path: PathBuf,
    what: String,
}

impl Source {
    pub(crate) fn new(settings: &config::Postgres) -> Result<Self, BadSource> {
        let config::Postgres {
            url_file,
            ca_file,
            connections_max: _,
        } = settings;
        let bad = |key, path: &Path| {
            let path = path.to_owned();
            move |what: String| BadSource { key, path, what }
        };
        let authorities = authorities(ca_file).map_err(bad("postgres.ca_file", ca_file))?;
        let options = read(url_file, authorities).map_err(bad("postgres.url_file", url_file))?;
        Ok(Self {
            url_file: url_file.clone(),
            ca_file: ca_file.clone(),
            options: Secret::new(options),
        })
    }

    pub(super) fn read_again(self) -> Result<Self, BadSource> {
        let settings = config::Postgres {
            url_file: self.url_file,
            ca_file: self.ca_file,
            ..config::Postgres::default()
        };
        Self::new(&settings)
    }

    /// For calls with this deadline: the server ends what nobody waits for any more, and lets go of
    /// what a node that hangs has locked.
    pub(super) fn within(&self, deadline: Duration) -> PgConnectOptions {
        let deadline_ms = deadline.as_millis();
        self.without_deadline().options([
            ("statement_timeout", deadline_ms),
            ("idle_in_transaction_session_timeout", 2 * deadline_ms),
        ])
    }

    pub(super) fn without_deadline(&self) -> PgConnectOptions {
        self.options.reveal().clone()
    }
}

fn read(url_file: &Path, authorities: Option<Vec<u8>>) -> Result<PgConnectOptions, String> {
    let text = read_file(url_file, URL_BYTES_MAX).map_err(|error| error.to_string())?;
    let text = String::from_utf8(text).map_err(|_| "holds no text")?;
    Ok(parse(text.trim(), authorities)?)
}

/// The certificates in PEM that the file holds; `None` where no file is configured.
fn authorities(ca_file: &Path) -> Result<Option<Vec<u8>>, String> {
    if ca_file.as_os_str().is_empty() {
        return Ok(None);
    }
    let pem = read_file(ca_file, CA_FILE_BYTES_MAX).map_err(|error| error.to_string())?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(Some(pem)),
        _ => Err("holds no PEM certificate".to_owned()),
    }
}

/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`. Each part is set, for sqlx takes those that
/// are not from the environment.
fn parse(text: &str, authorities: Option<Vec<u8>>) -> Result<PgConnectOptions, &'static str> {
    let url = Url::parse(text).map_err(|_| "holds no URL")?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("holds no URL that begins with postgres://");
    }
    let host = url.host_str().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_plain) {
        return Err("holds a URL without a host, or with several");
    }
    let decoded = |part: &str| {
        let decoded = percent_decode_str(part).decode_utf8();
        decoded
            .map(String::from)
            .map_err(|_| "holds a URL with a part that is no text")
    };
    let user = decoded(url.username())?;
    let database = decoded(url.path().trim_start_matches('/'))?;
    if user.is_empty() || database.is_empty() {
        return Err("holds a URL without a user or a database");
    }
    let (mode, pem) = match (ssl_mode(&url)?, authorities) {
        (Some(PgSslMode::Disable), Some(_)) => {
            return Err("holds a URL with sslmode=disable, which makes postgres.ca_file useless");
        }
        (_, Some(pem)) => (PgSslMode::VerifyFull, pem),
        (mode, None) => (mode.unwrap_or(PgSslMode::Prefer), Vec::new()),
    };
    Ok(PgConnectOptions::new_without_pgpass()
        .host(host.trim_matches(['[', ']']))
        .port(url.port().unwrap_or(5432))
        .username(&user)
        .password(&decoded(url.password().unwrap_or_default())?)
        .database(&database)
        .ssl_mode(mode)
        .ssl_root_cert_from_pem(pem)
        .application_name("isocast-node")
        .disable_statement_logging())
}

fn ssl_mode(url: &Url) -> Result<Option<PgSslMode>, &'static str> {
    let mut mode = None;
    for (name, value) in url.query_pairs() {
        mode = match (&*name, &*value) {
            ("sslmode", "disable") => Some(PgSslMode::Disable),
            ("sslmode", "prefer") => Some(PgSslMode::Prefer),
            ("sslmode", "require") => Some(PgSslMode::Require),
            ("sslmode", "verify-ca") => Some(PgSslMode::VerifyCa),
            ("sslmode", "verify-full") => Some(PgSslMode::VerifyFull),
            _ => {
                return Err(
                    "holds a URL with a parameter other than sslmode=disable, prefer, require, verify-ca or verify-full",
                );
            }
        };
    }
    Ok(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused() {
        let mode = |text| parse(text, None).map(|options| options.get_ssl_mode());
        for (text, expected) in [
            ("postgres://u:p@h/d", PgSslMode::Prefer),
            ("postgresql://u@h:1/d?sslmode=disable", PgSslMode::Disable),
            (
                "postgres://u:p@[::1]:1/d?sslmode=require",
                PgSslMode::Require,
            ),
            ("postgres://u:p@h/d?sslmode=verify-ca", PgSslMode::VerifyCa),
            (
                "postgres://u:p@h/d?sslmode=verify-full",
                PgSslMode::VerifyFull,
            ),
        ] {
            let mode = mode(text).expect(text);
            assert_eq!(format!("{mode:?}"), format!("{expected:?}"), "{text}");
        }
        for text in [
            "",
            "h",
            "mysql://u:p@h/d",
            "postgres:///d",
            "postgres://h/d",
            "postgres://u:p@h",
            "postgres://u:p@h/",
            "postgres://u:p@h,i/d",
            "postgres://u:p@h:x/d",
            "postgres://u:p@h/d?sslmode=allow",
            "postgres://u:p@h/d?options=-c%20a",
            "postgres://%ff:p@h/d",
        ] {
            let error = parse(text, None).expect_err(text);
            assert!(error.starts_with("holds "), "{text}: {error}");
        }
    }

    #[test]
    fn each_part_is_taken_as_it_is_meant() {
        let options = parse("postgres://a%40b:p%2Fw@db.example/ro%6Fms", None).expect("a URL");
        assert_eq!(options.get_host(), "db.example");
        assert_eq!(options.get_port(), 5432);
        assert_eq!(options.get_username(), "a@b");
        assert_eq!(options.get_database(), Some("rooms"));
        assert!(format!("{options:?}").contains(r#"password: Some("p/w")"#));
    }

    #[test]
    fn who_names_an_authority_is_never_without_it() {
        for text in ["postgres://u:p@h/d", "postgres://u:p@h/d?sslmode=require"] {
            let options = parse(text, Some(Vec::new())).expect(text);
            assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
        }
        assert!(parse("postgres://u:p@h/d?sslmode=disable", Some(Vec::new())).is_err());
    }
}
