use std::net::IpAddr;
use std::time::Instant;

use isocast_claims::Pair;
use isocast_media::{Frame, MediaMs, UnixMs};

use super::life::State;
use super::meter::{Dropped, Meter};
use super::publisher::Revocation;
use super::stream::Stream;
use super::timeline::Place;
use crate::clock::unix_now;
use crate::registry::Claim;

/// Who publishes, for those who look after the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub key_fingerprint: String,
    /// Which of the room's own keys the key was minted under; `None` for such a key itself.
    pub minted_generation: Option<u32>,
    pub address: IpAddr,
}

/// The publisher of a live stream.
#[derive(Debug)]
pub(super) struct Present {
    pair: Pair,
    revoked: Revocation,
    last_frame: Instant,
    /// What has come from it, heard or not.
    frames: u64,
    /// Its key is no longer the room's: it goes on, but a newcomer wins at once.
    gives_way: bool,
}

/// What a publisher has sent so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub frames: u64,
    /// When the last one came, or it began; `None` where it gives way to any newcomer, or has gone.
    pub last: Option<Instant>,
}

impl Present {
    pub(super) fn revoke(&self) {
        self.revoked.revoke();
    }
}

impl Stream {
    /// When the newest publisher began.
    pub(crate) fn started_at(&self) -> UnixMs {
        self.read().started_at
    }

    /// The newest publisher's claim; `None` where there was none.
    pub(crate) fn pair(&self) -> Option<Pair> {
        self.read().pair.clone()
    }

    /// The newest publisher's; 0 where there was none.
    pub(crate) fn epoch(&self) -> u64 {
        self.read().pair.as_ref().map_or(0, |pair| pair.epoch)
    }

    /// Who publishes now.
    pub(crate) fn source(&self) -> Option<Source> {
        let inner = self.read();
        inner.source.clone().filter(|_| inner.present.is_some())
    }

    /// Who publishes now, or did last where the stream is held.
    pub(crate) fn newest_source(&self) -> Option<Source> {
        let inner = self.read();
        let is_held = matches!(inner.state, State::Live | State::Interrupted);
        inner.source.clone().filter(|_| is_held)
    }

    /// What the publisher with this claim has sent; `None` where it is not the newest one.
    pub(crate) fn sent(&self, pair: &Pair) -> Option<Sent> {
        let inner = self.read();
        if inner.pair.as_ref() != Some(pair) {
            return None;
        }
        let present = inner.present.as_ref();
        let stays = present.filter(|present| !present.gives_way);
        Some(Sent {
            frames: present.map_or(0, |present| present.frames),
            last: stays.map(|present| present.last_frame),
        })
    }

    /// The newest publisher's claim, whether it is still there or not, and the room's time at its newest frame.
    pub(crate) fn newest(&self) -> Option<(Pair, MediaMs)> {
        let inner = self.read();
        Some((inner.pair.clone()?, inner.ring.head_time()))
    }

    /// A publisher with a lower claim has lost the room: it is told, and its viewers are held.
    pub(crate) fn revoke_below(&self, pair: &Pair) {
        let mut inner = self.write();
        if let Some(present) = inner.present.take_if(|present| present.pair < *pair) {
            present.revoke();
            self.enter(&mut inner, State::Interrupted, Instant::now());
        }
    }

    /// Makes the claim's holder the publisher; the present one learns that it is no longer.
    pub(super) fn begin(&self, claim: &Claim, source: Source, now: Instant) -> Revocation {
        let revoked = Revocation::default();
        let mut inner = self.write();
        if let Some(old) = inner.present.take() {
            old.revoke();
        }
        inner.stop_carrying();
        inner.carried = None;
        inner.present = Some(Present {
            pair: claim.pair.clone(),
            revoked: revoked.clone(),
            last_frame: now,
            frames: 0,
            gives_way: false,
        });
        inner.ring.restart(false);
        inner.timeline.restart();
        inner.meter = Meter::new(now);
        self.traffic().restart();
        inner.source = Some(source);
        inner.started_at = unix_now();
        inner.pair = Some(claim.pair.clone());
        self.enter(&mut inner, State::Live, now);
        revoked
    }

    /// Takes a frame of the publisher with this claim; false where another one took its place.
    pub(super) fn push(&self, pair: &Pair, frame: Frame, now: Instant) -> bool {
        let mut inner = self.write();
        let inner = &mut *inner;
        let Some(present) = inner
            .present
            .as_mut()
            .filter(|present| present.pair == *pair)
        else {
            return false;
        };
        present.last_frame = now;
        present.frames += 1;
        inner.meter.note(&frame, now);
        let Place::At {
            time,
            discontinuity,
        } = inner.timeline.place(&frame, now)
        else {
            inner.meter.note_dropped(Dropped::Resent);
            return true;
        };
        let is_media = frame.is_media();
        let frame = Frame { dts: time, ..frame };
        if inner.ring.push(frame, pair.clone(), discontinuity) {
            let next = inner.ring.next_sequence();
            self.change_head(|head| head.next = next);
        } else if is_media {
            inner.meter.note_dropped(Dropped::AwaitsKey);
        }
        true
    }

    /// The room has a new key: whoever comes with it replaces the present publisher.
    pub(crate) fn give_way(&self) {
        if let Some(present) = self.write().present.as_mut() {
            present.gives_way = true;
        }
    }

    /// The publisher with this claim has gone: viewers are held.
    pub(super) fn interrupt(&self, pair: &Pair, now: Instant) {
        let mut inner = self.write();
        if inner
            .present
            .as_ref()
            .is_some_and(|present| present.pair == *pair)
        {
            inner.present = None;
            self.enter(&mut inner, State::Interrupted, now);
        }
    }

    /// Sends the publisher away; its viewers are held as if it had lost its connection.
    pub(crate) fn dismiss_publisher(&self) {
        let mut inner = self.write();
        if let Some(present) = inner.present.take() {
            present.revoke();
            self.enter(&mut inner, State::Interrupted, Instant::now());
        }
    }

    /// Sends the present publisher away as an operator wishes; viewers are held. Who it was, where
    /// there was one.
    pub(crate) fn kick(&self, now: Instant) -> Option<Source> {
        let mut inner = self.write();
        let present = inner.present.take()?;
        present.revoked.kick();
        self.enter(&mut inner, State::Interrupted, now);
        inner.source.clone()
    }
}

#[cfg(test)]
impl Source {
    pub(crate) fn anyone() -> Self {
        Self {
            key_fingerprint: "0123456789abcdef".into(),
            minted_generation: None,
            address: IpAddr::from([192, 0, 2, 1]),
        }
    }
}
