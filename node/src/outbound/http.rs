//! A small HTTP/1.1 client: one request on a connection of its own, no redirects, no proxies.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use super::{Connection, Dialler, Error, HttpUrl};

/// An answer as it came; nothing in it was acted upon.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// All of it, or why it was not taken in.
    pub body: Result<Bytes, Error>,
}

#[derive(Clone, Debug)]
pub(crate) struct Http {
    dialler: Arc<Dialler>,
}

impl Http {
    pub(crate) fn new(dialler: Arc<Dialler>) -> Self {
        Self { dialler }
    }

    /// `what` it is for is the metric's label. `deadline` is for all of it, up to the last byte.
    pub(crate) async fn get(
        &self,
        what: &'static str,
        url: &HttpUrl,
        headers: HeaderMap,
        deadline: Duration,
        bytes_max: usize,
    ) -> Result<Answer, Error> {
        let request = (Method::GET, headers, Bytes::new());
        self.call(what, url, request, deadline, bytes_max).await
    }

    pub(crate) async fn post(
        &self,
        what: &'static str,
        url: &HttpUrl,
        headers: HeaderMap,
        body: Bytes,
        deadline: Duration,
        bytes_max: usize,
    ) -> Result<Answer, Error> {
        let request = (Method::POST, headers, body);
        self.call(what, url, request, deadline, bytes_max).await
    }

    async fn call(
        &self,
        what: &'static str,
        url: &HttpUrl,
        request: (Method, HeaderMap, Bytes),
        deadline: Duration,
        bytes_max: usize,
    ) -> Result<Answer, Error> {
        let give_up = Instant::now() + deadline;
        let answer = async {
            let HttpUrl {
                with_tls,
                host,
                port,
                ..
            } = url;
            let connection = self.dialler.http(host, *port, *with_tls, give_up).await?;
            let exchange = exchange(url, connection, build(url, request), give_up, bytes_max);
            let late = || Error::Late {
                host: host.clone(),
                after: deadline,
            };
            timeout_at(give_up, exchange).await.map_err(|_| late())?
        };
        let answer = answer.await;
        self.dialler.count(what, &answer);
        answer
    }
}

fn build(
    url: &HttpUrl,
    (method, headers, body): (Method, HeaderMap, Bytes),
) -> Request<Full<Bytes>> {
    const AGENT: HeaderValue =
        HeaderValue::from_static(concat!("isocast/", env!("CARGO_PKG_VERSION")));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = url
        .path
        .parse()
        .expect("a parsed URL's path is one of HTTP's");
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    headers.insert(HOST, url.authority.clone());
    headers.insert(USER_AGENT, AGENT);
    request
}

/// The answer's head in any case; its body as far as `give_up` and `bytes_max` let it.
async fn exchange(
    url: &HttpUrl,
    connection: Box<dyn Connection>,
    request: Request<Full<Bytes>>,
    give_up: Instant,
    bytes_max: usize,
) -> Result<Answer, Error> {
    let broken = |error: &dyn std::error::Error| Error::Broken {
        host: url.host.clone(),
        cause: error.to_string(),
    };
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await;
    let (mut sender, driver) = shaken.map_err(|error| broken(&error))?;
    let answer = async {
        let sent = sender.send_request(request).await;
        let (head, body) = sent.map_err(|error| broken(&error))?.into_parts();
        let body = timeout_at(give_up, whole(url, body, bytes_max)).await;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.unwrap_or_else(|_| {
                Err(broken(&std::io::Error::from(std::io::ErrorKind::TimedOut)))
            }),
        })
    };
    // The driver moves bytes while the answer is awaited; its own error shows up there too.
    tokio::pin!(driver);
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        _ = &mut driver => answer.await,
    }
}

async fn whole(url: &HttpUrl, body: Incoming, bytes_max: usize) -> Result<Bytes, Error> {
    let host = || url.host.clone();
    match Limited::new(body, bytes_max).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Error::TooLarge {
            host: host(),
            bytes_max,
        }),
        Err(error) => Err(Error::Broken {
            host: host(),
            cause: error.to_string(),
        }),
    }
}
