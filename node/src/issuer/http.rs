use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::header::{CACHE_CONTROL, HeaderMap};
use isocast_access::{BadKeySet, KeySet};

use super::fetch::{Error, Fetched, Source};
use crate::outbound::{Http, HttpUrl};

const DEADLINE: Duration = Duration::from_secs(5);
/// 32 keys with their certificates; a key of RSA's largest kind is some 1400 bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// How long an answer is fresh that does not say so, and one that says so at least and at most.
const FRESH_MIN: Duration = Duration::from_secs(5 * 60);
const FRESH_MAX: Duration = Duration::from_secs(24 * 3600);

/// A key set at a URL.
#[derive(Debug)]
pub(crate) struct HttpSource {
    http: Http,
    url: HttpUrl,
}

impl HttpSource {
    pub(crate) fn new(http: Http, url: HttpUrl) -> Self {
        Self { http, url }
    }

    async fn get(&self) -> Result<Fetched, Error> {
        let Self { http, url } = self;
        let answer = http
            .get("key_set", url, HeaderMap::new(), DEADLINE, ANSWER_BYTES_MAX)
            .await?;
        let host = || url.host.clone();
        if !answer.status.is_success() {
            return Err(Error::Status {
                host: host(),
                status: answer.status.as_u16(),
            });
        }
        let key_set = parse(&answer.body?);
        Ok(Fetched {
            key_set: key_set.map_err(|error| Error::Content {
                host: host(),
                error,
            })?,
            fresh_for: fresh_for(&answer.headers),
        })
    }
}

impl Source for HttpSource {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, Error>> {
        Box::pin(self.get())
    }
}

fn parse(body: &Bytes) -> Result<KeySet, BadKeySet> {
    let text = std::str::from_utf8(body).map_err(|_| BadKeySet::Form)?;
    KeySet::parse(text)
}

/// By the answer's `max-age` (RFC 9111 §5.2.2.1), within our own bounds.
fn fresh_for(headers: &HeaderMap) -> Duration {
    let values = headers.get_all(CACHE_CONTROL).into_iter();
    let directives = values.filter_map(|value| value.to_str().ok());
    let max_age = directives
        .flat_map(|value| value.split(','))
        .filter_map(|directive| directive.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("max-age"))
        .and_then(|(_, seconds)| seconds.trim_matches('"').parse().ok());
    max_age.map_or(FRESH_MIN, |seconds| {
        Duration::from_secs(seconds).clamp(FRESH_MIN, FRESH_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_fresh_as_long_as_it_says_within_bounds() {
        for (said, expected_s) in [
            (&[][..], 300),
            (&["max-age=600"], 600),
            (&["public, Max-Age=\"7200\", must-revalidate"], 7200),
            (&["no-transform", "s-maxage=9, max-age=900"], 900),
            (&["max-age=0"], 300),
            (&["no-store"], 300),
            (&["max-age=-1"], 300),
            (&["max-age=99999999999999999999999"], 300),
            (&["max-age=31536000"], 86_400),
        ] {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(CACHE_CONTROL, value.parse().unwrap());
            }
            assert_eq!(fresh_for(&headers).as_secs(), expected_s, "{said:?}");
        }
    }
}
