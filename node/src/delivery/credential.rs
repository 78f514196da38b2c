//! What a viewer shows to be let in.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use isocast_access::{Denied, Pass};

use crate::app::App;
use crate::clock::unix_now;
use crate::error::Refusal;
use crate::rooms::RoomId;

/// The pass of a signed address, or nothing, as most have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credential(Option<Pass>);

/// In routes below `/v/{pass}`, this is the pass.
pub(crate) const PASS: &str = "pass";

impl Credential {
    /// From the query of an RTMP stream's name.
    pub(crate) fn from_query(query: &str) -> Result<Self, Refusal> {
        let pass = Pass::from_query(query);
        pass.map(Self).map_err(|_| Refusal::PlaybackDenied)
    }

    /// What comes before the path of everything that it opens.
    pub(crate) fn prefix(&self) -> String {
        let prefix = self.0.as_ref().map(|pass| format!("/v/{pass}"));
        prefix.unwrap_or_default()
    }

    /// For how long it is good at most; `None` for ever.
    pub(crate) fn seconds_left(&self) -> Option<u64> {
        let ends = self.0.as_ref().map(Pass::expires_at_s);
        ends.map(|ends| ends.saturating_sub(unix_now().whole_seconds()))
    }

    /// Whether it opens a room with signed play.
    pub(super) async fn check(&self, app: &App, room: &RoomId) -> Result<(), Refusal> {
        let pass = self.0.as_ref().ok_or(Refusal::PlaybackDenied)?;
        let keys = app.play_keys.now().await;
        let verdict = pass.check(
            &keys,
            room,
            unix_now().whole_seconds(),
            app.config.play.url_max_s,
        );
        verdict.map_err(|denied| match denied {
            Denied::Expired => Refusal::LinkExpired,
            Denied::Invalid => Refusal::PlaybackDenied,
        })
    }
}

impl FromRequestParts<Arc<App>> for Credential {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params =
            params.map_err(|_| Refusal::BadRequest("the address is not UTF-8 text".into()))?;
        let mut found = params.iter().filter(|(name, _)| *name == PASS);
        match found.next() {
            None => Ok(Self(None)),
            Some((_, text)) => match Pass::parse(text) {
                Ok(pass) => Ok(Self(Some(pass))),
                Err(_) => Err(Refusal::PlaybackDenied),
            },
        }
    }
}
