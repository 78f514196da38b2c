//! Takes a new certificate when its files change.
//!
//! Contents are compared, not times: Kubernetes replaces a mounted Secret by moving a symbolic link above the files.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::certificate::Contents;
use super::{Acceptors, Certificate, Error, Files};
use crate::app::App;
use crate::data::Reading;
use crate::metrics::{Metrics, ResultLabel};

const LOOK_EVERY: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Reloader {
    files: Arc<Files>,
    seen: Seen,
    reading: Reading<Option<Change>>,
    acceptors: watch::Sender<Acceptors>,
}

/// What the files held when last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Contents([u8; 32]),
    Unreadable(Error),
}

/// What the files hold now, where that is not what was seen.
type Change = (Seen, Result<Certificate, Error>);

impl Reloader {
    /// Reads for the first time, before anything is served; this alone may fail.
    pub(crate) fn start(files: Files, metrics: &Metrics) -> Result<Self, Error> {
        let contents = Contents::read(&files)?;
        let certificate = contents.certificate()?;
        let seen = Seen::Contents(contents.digest());
        note_expiry(&files, &certificate, metrics);
        Ok(Self {
            acceptors: watch::Sender::new(Acceptors::new(&certificate)),
            seen,
            reading: Reading::new(),
            files: Arc::new(files),
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
        let look = async {
            loop {
                ticks.tick().await;
                self.look(&app.metrics).await;
            }
        };
        stop.run_until_cancelled(look).await;
    }

    /// Says what came of a change, once for each.
    pub(super) async fn look(&mut self, metrics: &Metrics) {
        let Some((seen, certificate)) = self.change().await else {
            return;
        };
        self.seen = seen;
        let result = match certificate {
            Ok(certificate) => {
                tracing::info!(file = %self.files.cert.path.display(), "a new certificate is in use");
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

    async fn change(&mut self) -> Option<Change> {
        let (files, seen) = (Arc::clone(&self.files), self.seen.clone());
        let read = self.reading.of(move || change_since(&seen, &files));
        match read.await {
            Ok(change) => change,
            Err(unread) => {
                let error = Error::of_either(&self.files, &unread.to_string());
                let seen = Seen::Unreadable(error.clone());
                (self.seen != seen).then_some((seen, Err(error)))
            }
        }
    }
}

fn change_since(seen: &Seen, files: &Files) -> Option<Change> {
    let contents = Contents::read(files);
    let now = match &contents {
        Ok(contents) => Seen::Contents(contents.digest()),
        Err(error) => Seen::Unreadable(error.clone()),
    };
    if *seen == now {
        return None;
    }
    Some((now, contents.and_then(|contents| contents.certificate())))
}

fn note_expiry(files: &Files, certificate: &Certificate, metrics: &Metrics) {
    metrics.certificate_expires(certificate.expires);
    if certificate.is_expired() {
        tracing::warn!(file = %files.cert.path.display(), "the certificate has expired");
    }
}
