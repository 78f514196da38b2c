use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use crate::app::App;
use crate::data::random;
use crate::error::Refusal;
use crate::metrics::RequestLabels;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 64;
/// A request's path and query, in bytes.
const URI_BYTES_MAX: usize = 4096;

/// From a request's head to its answer's: the longest wait is 8 s for a first playlist, and a body
/// is 16 KiB at most.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Gives every request an id, counts it and times it.
pub(super) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request_id(&request);
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let mut response = match check(&request) {
        Err(refusal) => refusal.into_response(),
        Ok(()) => match timeout(ANSWER_WITHIN, next.run(request)).await {
            Ok(response) => super::explained(response),
            Err(_) => Refusal::TooSlow.into_response(),
        },
    };
    response.headers_mut().insert(X_REQUEST_ID, id.clone());

    let elapsed = start.elapsed();
    let labels = RequestLabels {
        method,
        route,
        status: response.status().as_u16(),
    };
    tracing::debug!(
        request_id = id.to_str().unwrap_or_default(),
        method,
        route = labels.route,
        status = labels.status,
        duration_us = elapsed.as_micros() as u64,
        "answered"
    );
    if let Some(refusal) = response.extensions().get::<Refusal>()
        && app.metrics.refused("http", refusal.reason())
    {
        let (route, reason) = (labels.route.as_str(), refusal.reason());
        match labels.status {
            // Pages ask again and again for what they may not, or not yet, show.
            403 | 404 => tracing::debug!(route, reason, "refused: {refusal}"),
            _ => tracing::info!(route, reason, "refused: {refusal}"),
        }
    }
    app.metrics.http_requests.get_or_create(&labels).inc();
    app.metrics
        .http_request_duration
        .observe(elapsed.as_secs_f64());
    response
}

/// What two readers of a request might understand differently is refused (RFC 9112 §3.2). Of a
/// body with both a length and chunks, hyper believes the chunks (§6.1).
fn check(request: &Request) -> Result<(), Refusal> {
    let text = request.uri().path_and_query();
    if text.is_some_and(|text| text.as_str().len() > URI_BYTES_MAX) {
        return Err(Refusal::AddressTooLong);
    }
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(Refusal::BadRequest("a request names its host, once".into()));
    }
    Ok(())
}

/// The id the caller sent, if it is a plain word, else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let is_word = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    match request.headers().get(X_REQUEST_ID).filter(is_word) {
        Some(id) => id.clone(),
        None => {
            let id = format!("{:016x}", u64::from_ne_bytes(random::bytes()));
            HeaderValue::from_str(&id).expect("hexadecimal digits are a header value")
        }
    }
}

/// Methods are the caller's own words; only the usual ones become labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
