//! What nodes say to each other, on the internal port.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use isocast_proto::v1::peer_service_server::SERVICE_NAME;
use tonic::Status;

use super::auth::Member;
use crate::app::App;
use crate::delivery::hls;
use crate::error::Refusal;
use crate::fetch::wire::PEER_HLS;
use crate::peers::{self, Service};

/// None where this node has nothing to know peers by.
pub(super) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    if app.peers.credential().is_none() {
        return Router::new();
    }
    let me = app.ownership.me().clone();
    let service = Service::new(me, Arc::clone(&app.ownership), Arc::clone(&app.hub));
    Router::new()
        .route_service(&format!("/{SERVICE_NAME}/{{method}}"), service.served())
        .layer(middleware::from_fn_with_state(Arc::clone(app), members))
        .merge(hls(app))
}

fn hls(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route(
            &format!("{PEER_HLS}/{{room}}/{{file}}"),
            get(hls::peers::playlist),
        )
        .route(
            &format!("{PEER_HLS}/{{room}}/{{claim}}/{{segment}}"),
            get(hls::peers::segment),
        )
        .layer(middleware::from_extractor_with_state::<Member, _>(
            Arc::clone(app),
        ))
}

/// Lets members through, and counts what is refused. gRPC says that in headers of its own.
async fn members(
    State(app): State<Arc<App>>,
    member: Result<Member, Refusal>,
    request: Request,
    next: Next,
) -> Response {
    let response = match member {
        Ok(Member) => next.run(request).await,
        Err(refusal) => Status::from(refusal)
            .into_http::<axum::body::Body>()
            .into_response(),
    };
    // An unknown method is told in headers alone.
    let told = response.extensions().get::<Status>().cloned();
    let told = told.or_else(|| Status::from_header_map(response.headers()));
    if let Some(status) = told {
        let reason = peers::reason(&status);
        if app.metrics.refused("peer", reason) {
            tracing::warn!(reason, code = %status.code(), "a peer's request is refused");
        }
    }
    response
}
