use std::time::Instant;

use isocast_media::rtmp::Event;
use isocast_media::rtmp::session::status;

use super::{Connection, End, PROTOCOL};
use crate::error::Refusal;
use crate::hub::Revocation;
use crate::ingest::{self, Admitted, Import, Importer};
use crate::metrics::TrafficLabels;
use crate::rooms::PublishKey;
use crate::webhooks::Reason;

impl Connection {
    /// Takes a publisher in, and its media until it is done or has to go.
    pub(super) async fn publish(&mut self, application: &str, key: &str) -> Result<(), End> {
        let admitted = self.admit(application, key).await;
        let Admitted {
            publisher,
            stream,
            held,
        } = match admitted {
            Ok(admitted) => admitted,
            Err(Refusal::CrowdedOut) => return Err(End::Hangup), // the port counts it
            Err(refusal) => {
                if refusal == Refusal::KeyRefused {
                    let now = Instant::now();
                    self.app.key_attempts.add(self.peer.ip(), now);
                }
                let code = refusal.publish_status();
                return self.refuse(&refusal, code);
            }
        };
        // From here on either the hub's end ends this stream too, or it was over before.
        if self.app.stop.is_parting() {
            return self.say_draining();
        }
        self.app.packager.follow(&stream);
        self.app.restreams.follow(&stream);
        let claim = publisher.claim().clone();
        let revoked = publisher.revocation();
        tracing::info!(room = %claim.room, epoch = claim.pair.epoch, peer = %self.peer, "publishing began");
        let told = self.app.webhooks.publishing(&claim, fingerprint(key));
        let _session = self.app.stop.session();
        self.session.accept_publish(Instant::now());
        let end = self.import(Importer::new(publisher)).await;
        drop(held);
        told.ended(self.reason(&end, &revoked));
        let reason = end.as_ref().err().map_or("unpublished", End::reason);
        tracing::info!(room = %claim.room, epoch = claim.pair.epoch, peer = %self.peer, reason, "publishing ended");
        end
    }

    /// Why a publisher is gone, in webhooks' words.
    fn reason(&self, end: &Result<(), End>, revoked: &Revocation) -> Reason {
        match end {
            Ok(()) => Reason::Ended,
            Err(End::Hangup) => Reason::HungUp,
            Err(_) if revoked.is_by_operator() => Reason::Kicked,
            _ if self.app.stop.is_parting() => Reason::Stopped,
            Err(_) if revoked.has_come() => Reason::Revoked,
            Err(End::Broken(_) | End::Told | End::Stopped) => Reason::Error,
        }
    }

    async fn admit(&mut self, application: &str, key: &str) -> Result<Admitted, Refusal> {
        self.check_application(application)?;
        if self.app.stop.is_parting() {
            return Err(Refusal::Draining);
        }
        self.app.load.check_new_publisher()?;
        let publish_keys = self.app.publish_keys.now().await;
        let mut keep_place = || self.socket.leave_ip();
        let address = self.peer.ip();
        let admission = self.app.admission(&publish_keys, address, &mut keep_place);
        // The key may come with a query, as some encoders append one.
        let key = key.split('?').next().unwrap_or_default();
        ingest::admit(admission, key).await
    }

    /// Takes media until the publisher is done or has to go.
    async fn import(&mut self, mut importer: Importer) -> Result<(), End> {
        let revoked = importer.publisher().revocation();
        let bytes_in = self
            .app
            .metrics
            .media_bytes
            .get_or_create_owned(&TrafficLabels {
                protocol: PROTOCOL,
                direction: "in",
            });
        loop {
            let event = tokio::select! {
                event = self.event() => match event {
                    // It cannot be asked to connect anew, or was and has not.
                    Err(End::Stopped) => return self.say_draining(),
                    event => event?,
                },
                () = revoked.comes() => return self.say_revoked(&revoked),
            };
            let Event::Media(media) = event else {
                return Ok(()); // Unpublish: the same connection may publish again
            };
            bytes_in.inc_by(media.body.len() as u64);
            let now = Instant::now();
            let import = importer.take(media, now);
            self.app
                .metrics
                .packet_processing
                .observe(now.elapsed().as_secs_f64());
            match import {
                Ok(Import::Sent | Import::Empty) => {}
                Ok(Import::Malformed) => {
                    if self.app.metrics.refused("ingest", "malformed_media") {
                        tracing::debug!(peer = %self.peer, "a media message is malformed and left out");
                    }
                }
                Ok(Import::TooManyTracks) => {
                    self.app.metrics.refused("ingest", "too_many_tracks");
                }
                Ok(Import::Revoked) => return self.say_revoked(&revoked),
                Err(refusal) => return self.refuse(&refusal, refusal.publish_status()),
            }
        }
    }

    fn say_revoked(&mut self, revoked: &Revocation) -> Result<(), End> {
        if revoked.is_by_operator() {
            return self.refuse(&Refusal::Kicked, Refusal::Kicked.publish_status());
        }
        if self.app.stop.is_parting() {
            return self.say_draining();
        }
        self.session.refuse(
            status::PUBLISH_BAD_NAME,
            "Another encoder has taken the room over, its keys were revoked, or it was deleted.",
        );
        Err(End::Told)
    }

    fn say_draining(&mut self) -> Result<(), End> {
        self.refuse(&Refusal::Draining, Refusal::Draining.publish_status())
    }
}

/// What logs and webhooks show of a publish key, which may come with a query.
fn fingerprint(key: &str) -> Option<String> {
    let key = PublishKey::parse(key.split('?').next()?).ok()?;
    Some(key.fingerprint())
}
