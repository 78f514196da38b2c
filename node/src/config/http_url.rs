use std::fmt;

use hyper::header::HeaderValue;
use url::Url;

/// Where to call: `https`, or `http`, which only listed addresses are called by. `Debug` tells
/// the host alone, for paths and queries hold secrets as often as not.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    pub with_tls: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
    /// As the `Host` header says it (RFC 9110 §7.2).
    pub authority: HeaderValue,
    pub path: String,
}

impl HttpUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "this is no URL")?;
        let with_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err("the URL begins with neither https:// nor http://"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL holds a user name or password, which end up in logs");
        }
        // Never empty: these schemes need a host (URL Standard §4.1).
        let host = url.host_str().unwrap_or_default();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let authority = HeaderValue::try_from(authority).map_err(|_| "this is no URL")?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self {
            with_tls,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().unwrap_or(443),
            authority,
            path,
        })
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpUrl({}:{}/…)", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused() {
        for (text, host) in [
            ("https://example.com", Some("example.com")),
            ("https://example.com:8443/a?b=c", Some("example.com")),
            ("HTTP://EXAMPLE.com/", Some("example.com")),
            ("https://[::1]:1/", Some("::1")),
            ("https://0x7f.1/", Some("127.0.0.1")),
            ("https://bücher.example/", Some("xn--bcher-kva.example")),
            ("https://user@example.com/", None),
            ("https://user:word@example.com/", None),
            ("https://:word@example.com/", None),
            ("ftp://example.com/", None),
            ("file:///etc/passwd", None),
            ("gopher://127.0.0.1:25/", None),
            ("//example.com/", None),
            ("example.com", None),
            ("https://", None),
            ("https://exa mple.com/", None),
            ("", None),
        ] {
            let read = HttpUrl::parse(text).ok();
            assert_eq!(read.as_ref().map(|url| url.host.as_str()), host, "{text}");
        }
        let shown = format!(
            "{:?}",
            HttpUrl::parse("https://example.com/secret?token=hunter2").expect("a URL")
        );
        assert_eq!(shown, "HttpUrl(example.com:443/…)");
    }
}
