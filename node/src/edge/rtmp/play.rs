use std::time::Instant;

use bytes::Bytes;
use isocast_media::rtmp::Event;

use super::{Connection, End, PROTOCOL, receive};
use crate::delivery::{self, Credential, Outflow};
use crate::error::Refusal;
use crate::hub::{Delivery, Item, Protocol, Subscriber, Tracks};
use crate::rooms::RoomId;

impl Connection {
    /// Lets a player watch until it or the stream is done.
    pub(super) async fn play(&mut self, application: &str, name: &str) -> Result<(), End> {
        let subscriber = match self.subscribe(application, name).await {
            Ok(subscriber) => subscriber,
            Err(refusal) => {
                let code = refusal.play_status();
                return self.refuse(&refusal, code);
            }
        };
        if !self.socket.leave_ip() {
            return Err(End::Hangup); // the port counts it
        }
        let _session = self.app.stop.session();
        self.session.accept_play();
        self.flush().await?;
        self.deliver(subscriber).await
    }

    async fn subscribe(&self, application: &str, name: &str) -> Result<Subscriber, Refusal> {
        self.check_application(application)?;
        if !self.app.config.rtmp.play {
            return Err(Refusal::ProtocolOff("playing over RTMP"));
        }
        let (name, query) = name.split_once('?').unwrap_or((name, ""));
        let room = RoomId::from_stream_name(name).map_err(|_| Refusal::PlaybackDenied)?;
        let credential = Credential::from_query(query)?;
        let stream = delivery::joinable(&self.app, &room, &credential).await?;
        // Whatever codecs it lists, it gets the stream: many players list none and play it.
        let tracks = match self.session.peer().multitrack {
            true => Tracks::All,
            false => Tracks::Default,
        };
        Ok(stream.subscribe(Protocol::Rtmp).with(tracks))
    }

    async fn deliver(&mut self, mut subscriber: Subscriber) -> Result<(), End> {
        let outflow = Outflow::new(&self.app, subscriber.stream(), Protocol::Rtmp);
        let mut skips_counted = 0;
        loop {
            let delivery = tokio::select! {
                delivery = subscriber.next() => delivery,
                read = receive(&mut self.socket, &mut self.session) => {
                    read?;
                    if self.has_stopped().await? {
                        return Ok(());
                    }
                    continue;
                }
                () = self.departure.due() => {
                    self.send_away()?;
                    self.flush().await?;
                    continue;
                }
                () = self.app.stop.closing() => return Err(End::Stopped),
            };
            match delivery {
                Delivery::Items(items) => {
                    outflow.count(self.send(&items, &subscriber).await?);
                    skips_counted =
                        self.app
                            .count_skips(Protocol::Rtmp, &subscriber, skips_counted);
                }
                Delivery::Interrupted => {}
                Delivery::Ended | Delivery::Gone => {
                    self.session.end_play();
                    return Err(End::Told);
                }
                Delivery::SentAway => {
                    let refusal = Refusal::Overloaded;
                    self.session
                        .refuse(refusal.play_status(), &refusal.to_string());
                    return Err(End::Told);
                }
                Delivery::TooSlow => {
                    self.app.metrics.refused(PROTOCOL, "slow_viewer");
                    return Err(End::Hangup);
                }
            }
        }
    }

    /// Answers what a player has said: whether it wants no more.
    pub(super) async fn has_stopped(&mut self) -> Result<bool, End> {
        let event = self.session.next_event(Instant::now());
        if let Some(Event::Stop) = event.map_err(End::Broken)? {
            return Ok(true);
        }
        self.flush().await?;
        Ok(false)
    }

    /// How many bytes it was.
    async fn send(&mut self, items: &[Item], to: &Subscriber) -> Result<usize, End> {
        let bytes = |item| delivery::rtmp::bytes(item, to.tracks());
        let pieces: Vec<_> = items.iter().map(bytes).collect();
        self.send_pieces(&pieces, to).await?;
        Ok(pieces.iter().map(|piece| piece.len()).sum())
    }

    /// Sends what a subscriber is given, unless it is sent away.
    pub(super) async fn send_pieces(
        &mut self,
        pieces: &[Bytes],
        to: &Subscriber,
    ) -> Result<(), End> {
        let hangup = to.hangup();
        tokio::select! {
            written = self.socket.write_all_vectored(pieces) => Ok(written?),
            () = self.app.stop.closing() => Err(End::Stopped),
            () = hangup.cancelled() => Err(End::Hangup),
        }
    }
}
