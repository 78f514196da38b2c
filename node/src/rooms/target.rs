use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::data::Secret;

/// Where a room's stream is also sent.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub name: TargetName,
    pub url: PushUrl,
    /// Its key at the called server. It is never told again.
    pub stream_key: Secret<String>,
    pub enabled: bool,
}

impl Target {
    /// Whether a push to one is a push to the other.
    pub(crate) fn is_same_push(&self, other: &Self) -> bool {
        let Self {
            name,
            url,
            stream_key,
            enabled,
        } = other;
        self.name == *name
            && self.url == *url
            && self.stream_key.reveal() == stream_key.reveal()
            && self.enabled == *enabled
    }
}

/// `[A-Za-z0-9_-]{1,32}`, unique in its room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetName(String);

impl TargetName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TargetName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        match (1..=32).contains(&text.len()) && text.bytes().all(is_plain) {
            true => Ok(Self(text.to_owned())),
            false => Err("a target's name is 1 to 32 of A-Z, a-z, 0-9, `_` and `-`"),
        }
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `rtmp://HOST[:PORT]/APP`, or `rtmps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PushUrl {
    pub with_tls: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
    pub app: String,
    text: String,
}

const URL_BYTES_MAX: usize = 512;

impl PushUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for PushUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| "the url is no URL")?;
        let (with_tls, usual_port) = match url.scheme() {
            "rtmp" => (false, 1935),
            "rtmps" => (true, 443),
            _ => return Err("the url begins with neither rtmp:// nor rtmps://"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the url holds a user name or password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("the url has a query or fragment; what belongs to the key goes there");
        }
        let host = url.host_str().unwrap_or_default();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_plain) {
            return Err("the url has no host, or one that is not written in ASCII");
        }
        let app = url.path().trim_matches('/');
        if app.is_empty() || text.len() > URL_BYTES_MAX {
            return Err("the url has no application, rtmp://HOST/APP, or more than 512 bytes");
        }
        Ok(Self {
            with_tls,
            host: host.trim_matches(['[', ']']).to_lowercase(),
            port: url.port().unwrap_or(usual_port),
            app: app.to_owned(),
            text: url.as_str().trim_end_matches('/').to_owned(),
        })
    }
}

/// A stream key as others give them: printable, without spaces.
pub(crate) fn stream_key(text: String) -> Result<Secret<String>, &'static str> {
    let is_key = (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    match is_key {
        true => Ok(Secret::new(text)),
        false => Err("a stream_key is 1 to 512 printable ASCII characters without spaces"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused() {
        for (text, expected) in [
            (
                "rtmp://a.example/live",
                Some((false, "a.example", 1935, "live")),
            ),
            (
                "rtmps://a.example/live2/",
                Some((true, "a.example", 443, "live2")),
            ),
            (
                "rtmp://A.Example:19350/app/instance",
                Some((false, "a.example", 19350, "app/instance")),
            ),
            ("rtmp://[::1]:1/live", Some((false, "::1", 1, "live"))),
            (
                "rtmp://127.0.0.1/live",
                Some((false, "127.0.0.1", 1935, "live")),
            ),
            ("rtmp://a.example", None),
            ("rtmp://a.example/", None),
            ("rtmp:///live", None),
            ("rtmp:live", None),
            ("rtmp://user@a.example/live", None),
            ("rtmp://user:word@a.example/live", None),
            ("rtmp://a.example/live?key=1", None),
            ("rtmp://a.example/live#1", None),
            ("rtmp://a b/live", None),
            ("rtmp://a.example:0x/live", None),
            ("rtmp://a.example:70000/live", None),
            ("rtmp://b\u{fc}cher.example/live", None),
            ("http://a.example/live", None),
            ("file:///etc/passwd", None),
            ("", None),
        ] {
            let url: Option<PushUrl> = text.parse().ok();
            let read = url
                .as_ref()
                .map(|url| (url.with_tls, url.host.as_str(), url.port, url.app.as_str()));
            assert_eq!(read, expected, "{text}");
        }
        let long = format!("rtmp://a.example/{}", "x".repeat(600));
        assert!(long.parse::<PushUrl>().is_err());
    }

    #[test]
    fn names_and_keys_are_plain() {
        for (text, expected) in [
            ("a", true),
            ("YouTube_1-x", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
        ] {
            assert_eq!(text.parse::<TargetName>().is_ok(), expected, "{text}");
        }
        assert!("x".repeat(33).parse::<TargetName>().is_err());
        for (text, expected) in [
            ("abcd-1234?x=y", true),
            ("", false),
            ("a b", false),
            ("a\n", false),
            ("\u{fc}", false),
        ] {
            assert_eq!(stream_key(text.into()).is_ok(), expected, "{text:?}");
        }
        assert!(stream_key("x".repeat(513)).is_err());
    }
}
