//! The HTTP surface: which paths there are, and what every answer has.

mod admin;
mod auth;
mod body;
mod health;
mod kick;
mod live;
mod openapi;
mod peers;
mod qoe;
mod rates;
mod request;
pub(crate) mod restreams;
pub(crate) mod rooms;
mod stats;
mod urls;
mod watch;
pub(crate) mod wire;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use isocast_admin::{PATH_NODE, PATH_ROOMS, PATH_WATCH};

use rates::Rates;

use crate::app::App;
use crate::delivery::{PASS, flv, hls, page, thumbnail};
use crate::error::Refusal;

/// The largest request body: a room's description is some 200 bytes.
const BODY_BYTES_MAX: usize = 16 << 10;

/// What the public port serves.
pub(crate) fn public(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page::document))
        .route("/assets/{name}", get(page::asset))
        .merge(play())
        .nest(&format!("/v/{{{PASS}}}"), play())
        .route("/api/v1/live", get(live::list))
        .route("/api/v1/qoe", qoe::route())
        .route("/api/v1/openapi.json", get(openapi::document))
        .merge(of_rooms())
        .fallback(no_page)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(Extension(Arc::new(Rates::new(&app.config.rate))))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            request::observe,
        ))
        .with_state(app)
}

/// What the operator of the rooms may do, by the API's token.
fn of_rooms() -> Router<Arc<App>> {
    Router::new()
        .route(wire::ROOMS_PATH, get(rooms::list).post(rooms::create))
        .route(
            "/api/v1/rooms/{room}",
            get(rooms::get).patch(rooms::change).delete(rooms::delete),
        )
        .route(
            "/api/v1/rooms/{room}/restreams",
            get(restreams::get)
                .put(restreams::put)
                .delete(restreams::delete),
        )
        .route("/api/v1/rooms/{room}/rotate-key", post(rooms::rotate_key))
        .route("/api/v1/rooms/{room}/stats", get(stats::get))
        .route("/api/v1/rooms/{room}/revoke-keys", post(rooms::revoke_keys))
        .route("/api/v1/rooms/{room}/live/play-url", get(urls::play))
        .route("/api/v1/rooms/{room}/kick", post(kick::kick))
        .route("/api/v1/rooms/{room}/live/publish-url", get(urls::publish))
}

/// What viewers get of one room. All of it stands below a signed address too.
fn play() -> Router<Arc<App>> {
    Router::new()
        .route("/watch/{room}", get(page::document))
        .route("/hls/{room}/{file}", get(hls::playlist))
        .route("/hls/{room}/{claim}/{segment}", get(hls::segment))
        .route("/flv/{file}", get(flv::over_http))
        .route("/ws/{file}", get(flv::over_websocket))
        .route("/thumbnail/{file}", get(thumbnail::get))
        .route("/api/v1/live/{room}", get(live::get))
}

/// What the internal port serves. Rooms are among it because the command line comes this way: the public ports may take
/// nobody but a proxy.
pub(crate) fn internal(app: Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route(PATH_NODE, get(admin::node))
        .route(
            &format!("{PATH_ROOMS}/{{room}}"),
            put(admin::put_room).delete(admin::delete_room),
        )
        .route(PATH_WATCH, get(watch::watch))
        .merge(of_rooms())
        .merge(peers::routes(&app))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            request::observe,
        ))
        .with_state(app)
}

/// Browsers name HTML first when a person goes to an address; players and programs get the error.
async fn no_page(uri: Uri, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .map_or(&b""[..], HeaderValue::as_bytes);
    if accept.starts_with(b"text/html") && !uri.path().starts_with("/api/") {
        page::missing().await
    } else {
        nothing_here().await.into_response()
    }
}

async fn nothing_here() -> Refusal {
    Refusal::NoRoute
}

async fn wrong_method() -> Refusal {
    Refusal::MethodNotAllowed
}

/// Gives the framework's own refusals, which are plain text, the shape of all others.
fn explained(response: Response) -> Response {
    let status = response.status();
    let is_plain = response.extensions().get::<Refusal>().is_none();
    if !is_plain {
        return response;
    }
    match status {
        StatusCode::NOT_FOUND => Refusal::NoRoute,
        StatusCode::METHOD_NOT_ALLOWED => Refusal::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::BodyTooLarge,
        StatusCode::INTERNAL_SERVER_ERROR => Refusal::Unavailable("this server"),
        _ if status.is_client_error() => {
            Refusal::BadRequest("this is not a request that this address takes".into())
        }
        _ => return response,
    }
    .into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.http_status()).expect("the taxonomy has HTTP codes");
        let body = wire::ErrorBody {
            error: wire::ErrorDetail {
                code: self.code().to_owned(),
                message: self.to_string(),
            },
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Players on other pages may read why they get nothing.
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        if let Some(seconds) = self.retry_after_s() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Self::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
pub(crate) mod tests;
