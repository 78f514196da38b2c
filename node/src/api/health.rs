use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::App;
use crate::hub::{self, Protocol};
use crate::metrics::{self, ProtocolLabel};

/// The process runs; nothing outside it is asked.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Ready for publishers and viewers: not while draining. A dependency that does not answer is
/// named and changes nothing, for every replica shares it. Nor does a node's load: those who are
/// here are served.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    if app.stop.is_draining() {
        let body = Json(json!({"ready": false, "reason": "draining"}));
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    let rooms = match app.rooms.list(None, 1).await {
        Ok(_) => "ok",
        Err(_) => "degraded",
    };
    let registry = match app.registry.is_reachable() {
        true => "ok",
        false => "degraded",
    };
    let dependencies = json!({"rooms": rooms, "registry": registry});
    let load = app.load.now();
    let load = json!({"level": load.level.label(), "memory": load.memory, "egress": load.egress});
    Json(json!({"ready": true, "dependencies": dependencies, "load": load})).into_response()
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let streams = app.hub.streams();
    let live = streams
        .iter()
        .filter(|stream| stream.live_since().is_some())
        .count();
    app.metrics.streams_active.set(live as i64);
    for protocol in Protocol::VIEWERS {
        let of_stream = |stream: &Arc<hub::Stream>| stream.viewers().by(protocol);
        let viewers = match protocol {
            Protocol::Hls => app.hls_viewers(),
            _ => streams.iter().map(of_stream).sum(),
        };
        let label = ProtocolLabel {
            protocol: protocol.label(),
        };
        app.metrics
            .viewers
            .get_or_create(&label)
            .set(viewers as i64);
    }
    let viewers = |stream: &hub::Stream, protocol| app.viewers(stream, protocol);
    let rooms = metrics::rooms::render(&app.hub, app.config.metrics.rooms_max, viewers);
    let text = app.metrics.render(&rooms);
    ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response()
}
