//! Takes a new certificate when its files change.
//!
//! Contents are compared, not times: Kubernetes replaces a mounted Secret by moving a symbolic link above the files.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::certificate::Contents;
use super::{Acceptors, Certificate, Error};
use crate::app::App;
use crate::config::Tls;
use crate::metrics::{Metrics, ResultLabel};

const LOOK_EVERY: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Reloader {
    files: Tls,
    seen: Seen,
    acceptors: watch::Sender<Acceptors>,
}

/// What the files held when last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Contents([u8; 32]),
    Unreadable(Error),
}

impl Reloader {
    pub(crate) fn start(files: Tls, metrics: &Metrics) -> Result<Self, Error> {
        let contents = Contents::read(&files)?;
        let certificate = contents.certificate()?;
        let seen = Seen::Contents(contents.digest());
        note_expiry(&files, &certificate, metrics);
        Ok(Self {
            acceptors: watch::Sender::new(Acceptors::new(&certificate)),
            seen,
            files,
        })
    }

    /// Always what the newest good certificate accepts with.
    pub(crate) fn acceptors(&self) -> watch::Receiver<Acceptors> {
        self.acceptors.subscribe()
    }

    pub(crate) async fn run(mut self, app: Arc<App>) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = app.stop.listeners_closing();
        loop {
            tokio::select! {
                _ = ticks.tick() => self.look(&app.metrics),
                () = stop.cancelled() => return,
            }
        }
    }

    /// Says what came of a change, once for each.
    pub(super) fn look(&mut self, metrics: &Metrics) {
        let Some(changed) = self.changed() else {
            return;
        };
        let result = match changed {
            Ok(certificate) => {
                tracing::info!(file = %self.files.cert_file.display(), "a new certificate is in use");
                note_expiry(&self.files, &certificate, metrics);
                self.acceptors.send_replace(Acceptors::new(&certificate));
                "ok"
            }
            Err(error) => {
                tracing::warn!(key = error.key, %error, "the new certificate is not usable; the one before stays");
                "failed"
            }
        };
        metrics
            .tls_reloads
            .get_or_create(&ResultLabel { result })
            .inc();
    }

    /// The certificate that the files now hold, if they have changed.
    fn changed(&mut self) -> Option<Result<Certificate, Error>> {
        let contents = Contents::read(&self.files);
        let seen = match &contents {
            Ok(contents) => Seen::Contents(contents.digest()),
            Err(error) => Seen::Unreadable(error.clone()),
        };
        if self.seen == seen {
            return None;
        }
        self.seen = seen;
        Some(contents.and_then(|contents| contents.certificate()))
    }
}

fn note_expiry(files: &Tls, certificate: &Certificate, metrics: &Metrics) {
    metrics.certificate_expires(certificate.expires);
    if certificate.is_expired() {
        tracing::warn!(file = %files.cert_file.display(), "the certificate has expired");
    }
}
