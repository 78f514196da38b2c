//! The pages of the player, built by `web/` and carried in this binary.

use axum::extract::Path;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

use crate::error::Refusal;

/// Empty where the node was built without Node.js: the pages say so then.
#[derive(Embed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Files;

/// No inline script or style. Players feed video from memory (`blob:`) and demux in workers.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; media-src 'self' blob:; \
    worker-src 'self' blob:; connect-src 'self' ws: wss:; object-src 'none'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

const MISSING: &str = "This isocast-node was built without its player page. \
    Run `make build`, which builds it with Node.js, and start the node again.\n\
    Streams play all the same: /hls/room_<id>/index.m3u8, /flv/room_<id>.flv\n";

/// `GET /` and `GET /watch/<room>`: one document, which reads its own address.
pub(crate) async fn document() -> Response {
    match Files::get("index.html") {
        Some(file) => answer("index.html", file, "no-cache"),
        None => {
            let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            let mut response = (StatusCode::NOT_FOUND, headers, MISSING).into_response();
            response.extensions_mut().insert(Refusal::NoRoute);
            response
        }
    }
}

/// The same document where nothing is: it says so to people, and the status to programs.
pub(crate) async fn missing() -> Response {
    let mut response = document().await;
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.extensions_mut().insert(Refusal::NoRoute);
    response
}

/// `GET /assets/<name>`: names carry a hash of their content, so they never change.
pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, Refusal> {
    let path = format!("assets/{name}");
    let file = Files::get(&path).ok_or(Refusal::NoRoute)?;
    Ok(answer(&path, file, "public, max-age=31536000, immutable"))
}

fn answer(path: &str, file: EmbeddedFile, cache_control: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type(path)),
        (header::CACHE_CONTROL, cache_control),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    (headers, file.data.into_owned()).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
