use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use crate::app::App;
use crate::data::Token;
use crate::error::Refusal;

/// Proof that a request carried the API token; a handler that takes it is for the operator only.
pub(super) struct Operator;

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        check(parts, &app.api_token).await.map(|()| Self)
    }
}

/// The same for the admin token, on the internal port.
pub(super) struct Admin;

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        check(parts, &app.admin_token).await.map(|()| Self)
    }
}

async fn check(parts: &Parts, token: &Token) -> Result<(), Refusal> {
    let value = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let presented = value
        .and_then(|value| value.split_once(' '))
        // The scheme's case does not matter (RFC 9110 §11.1).
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(Refusal::Unauthorized)?;
    match token.is(presented).await {
        true => Ok(()),
        false => Err(Refusal::Unauthorized),
    }
}
