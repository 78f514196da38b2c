use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::Event;
use super::Secrets;
use crate::clock::unix_now;
use crate::outbound::{Error, Http, HttpUrl};

/// One try, from the question for an address to the last byte.
const DEADLINE: Duration = Duration::from_secs(5);
/// Answers are read so far, for the sake of the connection's end, and not looked at.
const ANSWER_BYTES_MAX: usize = 4096;

const SIGNATURE: HeaderName = HeaderName::from_static("isocast-signature");
const EVENT_ID: HeaderName = HeaderName::from_static("isocast-event-id");

/// Takes an event to its receiver; the answer's status.
pub(crate) trait Carrier: Send + Sync + std::fmt::Debug {
    fn carry<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<StatusCode, Error>>;
}

/// By a signed `POST`.
#[derive(Debug)]
pub(crate) struct HttpCarrier {
    http: Http,
    url: HttpUrl,
    secrets: Secrets,
}

impl HttpCarrier {
    pub(crate) fn new(http: Http, url: HttpUrl, secrets: Secrets) -> Self {
        Self { http, url, secrets }
    }
}

impl Carrier for HttpCarrier {
    fn carry<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<StatusCode, Error>> {
        Box::pin(async move {
            let signature = self.secrets.sign(unix_now().0 / 1000, &event.body).await;
            let text =
                |text: &str| HeaderValue::from_str(text).expect("hex and digits fit a header");
            let headers = HeaderMap::from_iter([
                (CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (SIGNATURE, text(&signature)),
                (EVENT_ID, text(&event.id)),
            ]);
            let body = event.body.clone();
            let answer = self
                .http
                .post(
                    "webhook",
                    &self.url,
                    headers,
                    body,
                    DEADLINE,
                    ANSWER_BYTES_MAX,
                )
                .await?;
            Ok(answer.status)
        })
    }
}
