//! What viewers see, told by their pages: no name, no room, no cookie.

mod quota;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::StatusCode;
use axum::routing::{MethodRouter, post};
use serde::Deserialize;

use super::body::read;
use super::rates;
use crate::app::App;
use crate::error::Refusal;
use crate::metrics::Experience;

use quota::Quota;

/// A report is some 150 bytes.
const BODY_BYTES_MAX: usize = 1 << 10;
/// Longer waits than ten minutes, and longer watching than a day, are nothing that a page reports.
const WAIT_MS_MAX: u32 = 600_000;
const WATCHED_MS_MAX: u32 = 86_400_000;
const STALLS_MAX: u32 = 10_000;

/// What one viewer saw since its last report.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    pub protocol: Protocol,
    /// From the player's start to the first picture, up to 600,000; in the first report only.
    pub first_frame_ms: Option<u32>,
    /// Times the picture stopped by itself, up to 10,000.
    pub stalls: u32,
    /// How long it stood still; at most `watched_ms`.
    pub stalled_ms: u32,
    /// How long it was watched, stalls included, up to 86,400,000.
    pub watched_ms: u32,
    /// Behind the broadcaster, up to 600,000.
    pub latency_ms: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Protocol {
    HttpFlv,
    WsFlv,
    Hls,
    NativeHls,
}

impl Protocol {
    fn label(self) -> &'static str {
        match self {
            Self::HttpFlv => "http-flv",
            Self::WsFlv => "ws-flv",
            Self::Hls => "hls",
            Self::NativeHls => "native-hls",
        }
    }
}

/// With a body limit of its own, and a quota for all.
pub(super) fn route() -> MethodRouter<Arc<App>> {
    post(report)
        .layer::<_, Infallible>(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(Extension(Arc::new(Quota::default())))
}

/// `POST /api/v1/qoe`, whatever content type a page's beacon has.
async fn report(
    State(app): State<Arc<App>>,
    _: rates::Report,
    Extension(quota): Extension<Arc<Quota>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Refusal> {
    if !quota.allows(Instant::now()) {
        return Err(Refusal::TooMany {
            reason: "qoe_in_all",
            retry_after_s: 60,
        });
    }
    let report = Report::read(&body.map_err(|_| Refusal::BodyTooLarge)?)?;
    app.metrics.experience.observe(&Experience {
        protocol: report.protocol.label(),
        first_frame_s: report.first_frame_ms.map(seconds),
        stalls: u64::from(report.stalls),
        stalled_s: seconds(report.stalled_ms),
        watched_s: seconds(report.watched_ms),
        latency_s: report.latency_ms.map(seconds),
    });
    Ok(StatusCode::NO_CONTENT)
}

impl Report {
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        let report: Self = read(body)?;
        let waits = [report.first_frame_ms, report.latency_ms];
        let fits = waits.into_iter().flatten().all(|ms| ms <= WAIT_MS_MAX)
            && report.stalls <= STALLS_MAX
            && report.watched_ms <= WATCHED_MS_MAX
            && report.stalled_ms <= report.watched_ms;
        match fits {
            true => Ok(report),
            false => Err(Refusal::BadRequest("a value is out of its range".into())),
        }
    }
}

fn seconds(ms: u32) -> f64 {
    f64::from(ms) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::Node;
    use crate::config::Config;
    use crate::rooms::memory::Memory;

    #[tokio::test]
    async fn reports_are_counted_and_what_cannot_be_is_refused() {
        let node = Node::start().await;
        let good = r#"{"protocol":"http-flv","first_frame_ms":400,"stalls":2,"stalled_ms":500,"watched_ms":10000,"latency_ms":1500}"#;
        let later = r#"{"protocol":"hls","stalls":0,"stalled_ms":0,"watched_ms":0}"#;
        let long = format!("{good}{}", " ".repeat(1100));
        let changed = |from: &str, to: &str| good.replace(from, to);
        for (body, status) in [
            (good.to_owned(), 204),
            (later.to_owned(), 204),
            (changed("http-flv", "rtsp"), 400),
            (changed("500", "10001"), 400),
            (changed("1500", "600001"), 400),
            (changed("10000", "86400001"), 400),
            (changed("\"stalls\":2", "\"stalls\":-1"), 400),
            (changed("\"stalls\":2", "\"stalls\":10001"), 400),
            (changed("\"stalls\":2", "\"stalls\":1e3"), 400),
            (changed("\"stalls\":2", "\"room\":\"a\""), 400),
            (String::new(), 400),
            (long, 413),
        ] {
            let answer = node.ask("POST /api/v1/qoe", &[], &body).await;
            assert_eq!(answer.status, status, "{body}: {answer:?}");
            assert!(!answer.head.contains("cookie"));
        }
        let text = node.app.metrics.render("");
        for line in [
            "isocast_viewer_first_frame_seconds_count{protocol=\"http-flv\"} 1",
            "isocast_viewer_stall_ratio_sum{protocol=\"http-flv\"} 0.05",
            "isocast_viewer_stalls_total{protocol=\"http-flv\"} 2",
            "isocast_viewer_latency_seconds_sum{protocol=\"http-flv\"} 1.5",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in {text}");
        }
        assert!(!text.contains("stall_ratio_count{protocol=\"hls\"}"));
    }

    #[tokio::test]
    async fn who_reports_too_often_is_told_to_wait() {
        let mut config = Config::default();
        config.rate.qoe_per_min_max = 2;
        let node = Node::with(config, Arc::new(Memory::new())).await;
        let body = r#"{"protocol":"hls","stalls":0,"stalled_ms":0,"watched_ms":1}"#;
        for _ in 0..2 {
            assert_eq!(node.ask("POST /api/v1/qoe", &[], body).await.status, 204);
        }
        let answer = node.ask("POST /api/v1/qoe", &[], body).await;
        assert_eq!((answer.status, answer.code().as_str()), (429, "too_many"));
        // 30 at once, and less the longer the test takes.
        let wait_s = answer.retry_after_s();
        assert!(matches!(wait_s, Some(1..=30)), "{answer:?}");
    }
}
