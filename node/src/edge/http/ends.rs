//! What a connection's end says of its peer: requests that never reach a route are refused by hyper.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{PROTOCOL, Requests};
use crate::app::App;

/// Counts connections that end because of what their peers sent.
pub(super) struct Ends<'a> {
    app: &'a App,
    has_asked: Arc<AtomicBool>,
}

impl<'a> Ends<'a> {
    pub(super) fn of(app: &'a App, requests: &Requests) -> Self {
        Self {
            app,
            has_asked: requests.has_asked(),
        }
    }

    pub(super) fn count(&self, end: hyper::Result<()>) {
        let Err(error) = end else { return };
        // After a request, a timeout is how a connection ends that nobody needs any more.
        if error.is_timeout() && self.has_asked.load(Ordering::Relaxed) {
            return;
        }
        if let Some(reason) = reason(&error) {
            self.app.metrics.refused(PROTOCOL, reason);
        }
    }
}

/// The reason of the refusal, where the end was one; `None` where a peer or the network just went.
fn reason(end: &hyper::Error) -> Option<&'static str> {
    if end.is_timeout() {
        return Some("header_timeout");
    }
    if end.is_parse_too_large() {
        return Some("header_too_large");
    }
    if end.is_parse() {
        return Some("bad_request");
    }
    let http2: &h2::Error = end.source()?.downcast_ref()?;
    // This side ended it, not the other.
    if !http2.is_go_away() || !http2.is_library() {
        return None;
    }
    match http2.reason()? {
        h2::Reason::NO_ERROR | h2::Reason::INTERNAL_ERROR => None,
        h2::Reason::ENHANCE_YOUR_CALM => Some("too_many"),
        _ => Some("bad_request"),
    }
}
