//! How often one address may ask the API on the public ports.
//!
//! A request with a right token counts as a read or a write, any other one as a failure, and what
//! everyone may see has a count of its own: so strangers who come from somebody's address use up
//! nothing that its tokens are good for, and a right token is let in however many were wrong.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use isocast_access::Grant;

use crate::app::{App, Peer};
use crate::config;
use crate::edge::Buckets;
use crate::error::Refusal;

/// What the public ports count. The internal one is no place for strangers, and counts nothing.
#[derive(Debug)]
pub(super) struct Rates {
    api_reads: Rate,
    api_writes: Rate,
    auth_failures: Buckets,
    public_reads: Rate,
    reports: Rate,
}

/// One kind of request, by address.
#[derive(Debug)]
struct Rate {
    /// As metrics call it.
    reason: &'static str,
    buckets: Buckets,
}

impl Rates {
    pub(super) fn new(config: &config::Rate) -> Self {
        let rate = |reason, per_min_max| Rate {
            reason,
            buckets: Buckets::new(per_min_max),
        };
        Self {
            api_reads: rate("api_read_rate", config.api_read_per_min_max),
            api_writes: rate("api_write_rate", config.api_write_per_min_max),
            auth_failures: Buckets::new(config.auth_failures_per_min_max),
            public_reads: rate("public_read_rate", config.public_read_per_min_max),
            reports: rate("qoe_rate", config.qoe_per_min_max),
        }
    }

    /// What counts a request, and for whom; nothing on the internal port, nor for a proxy of ours
    /// that does not tell for whom it comes.
    fn of<'p>(parts: &'p Parts, app: &App) -> Option<(&'p Self, IpAddr)> {
        let rates = parts.extensions.get::<Arc<Self>>()?;
        let Peer(address) = *parts.extensions.get::<Peer>()?;
        (!app.config.proxies.trusts(address)).then_some((rates, address))
    }
}

impl Rate {
    fn take(&self, address: IpAddr) -> Result<(), Refusal> {
        let taken = self.buckets.take(address, Instant::now());
        taken.map_err(|retry_after_s| Refusal::TooMany {
            reason: self.reason,
            retry_after_s,
        })
    }
}

/// Counts a request by what came of its token.
pub(super) fn counted(
    parts: &Parts,
    app: &App,
    checked: Result<Grant, Refusal>,
) -> Result<Grant, Refusal> {
    let Some((rates, address)) = Rates::of(parts, app) else {
        return checked;
    };
    match (&checked, &parts.method) {
        (Ok(_), &Method::GET | &Method::HEAD) => rates.api_reads.take(address)?,
        (Ok(_), _) => rates.api_writes.take(address)?,
        (Err(Refusal::Unauthorized | Refusal::TokenExpired), _) => {
            let taken = rates.auth_failures.take(address, Instant::now());
            taken.map_err(|retry_after_s| Refusal::AuthFailures { retry_after_s })?;
        }
        // Nobody knows yet whether the token is right.
        (Err(_), _) => {}
    }
    checked
}

/// Proof that what everyone may see was not asked for too often.
pub(super) struct PublicRead;

impl FromRequestParts<Arc<App>> for PublicRead {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        if let Some((rates, address)) = Rates::of(parts, app) {
            rates.public_reads.take(address)?;
        }
        Ok(Self)
    }
}

/// Proof that a viewer did not report too often.
pub(super) struct Report;

impl FromRequestParts<Arc<App>> for Report {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        if let Some((rates, address)) = Rates::of(parts, app) {
            rates.reports.take(address)?;
        }
        Ok(Self)
    }
}
