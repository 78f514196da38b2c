use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::PROTOCOL;
use crate::app::{App, Hangup, Local, Peer};
use crate::edge::forwarded::Client;

/// Tells each request of a connection what its handler may ask about that, and hands it on.
pub(super) struct Requests {
    app: Arc<App>,
    client: Client,
    local: Local,
    /// What ends the whole connection; without it each request has one of its own.
    hangup: Option<Hangup>,
    has_asked: Arc<AtomicBool>,
    router: TowerToHyperService<Router>,
}

impl Requests {
    pub(super) fn new(app: &Arc<App>, client: Client, local: Local, router: Router) -> Self {
        Self {
            app: Arc::clone(app),
            client,
            local,
            hangup: None,
            has_asked: Arc::default(),
            router: TowerToHyperService::new(router),
        }
    }

    pub(super) fn hung_up_by(self, hangup: Hangup) -> Self {
        Self {
            hangup: Some(hangup),
            ..self
        }
    }

    /// Set once a request's head has come.
    pub(super) fn has_asked(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.has_asked)
    }

    /// A connection of a proxy has a client for each request.
    fn peer(&self, request: &Request<Incoming>) -> Peer {
        let trusts = |ip| self.app.config.proxies.trusts(ip);
        let peer = self.client.of_request(request.headers(), trusts);
        Peer(peer.unwrap_or_else(|_| {
            self.app.metrics.refused(PROTOCOL, "forwarded_for");
            self.client.address
        }))
    }
}

impl Service<Request<Incoming>> for Requests {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.has_asked.store(true, Ordering::Relaxed);
        let peer = self.peer(&request);
        let hangup = self.hangup.clone().unwrap_or_default();
        let told = request.extensions_mut();
        told.insert(peer);
        told.insert(hangup);
        told.insert(self.local);
        self.router.call(request)
    }
}
