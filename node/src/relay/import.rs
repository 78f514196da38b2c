use std::time::Instant;

use isocast_media::flv::{self, TagType};
use isocast_media::rtmp::Media;
use isocast_media::rtmp::session::relay::Mark;
use isocast_media::time::Unwrapper;
use isocast_media::{MediaMs, Track};
use prometheus_client::metrics::histogram::Histogram;

use crate::clock::unix_now;
use crate::hub::{Carrier, Replaced};

/// Makes frames of what another node sends, at the times at which it has them.
#[derive(Debug)]
pub(super) struct Importer {
    carrier: Carrier,
    clock: Unwrapper,
    /// Where the stream has come to, for what has no time of its own.
    time: MediaMs,
    /// The next frame need not go on where the last one was.
    breaks: bool,
    hop_delay: Histogram,
}

impl Importer {
    pub(super) fn new(carrier: Carrier, hop_delay: Histogram) -> Self {
        Self {
            carrier,
            clock: Unwrapper::default(),
            time: MediaMs(0),
            breaks: false,
            hop_delay,
        }
    }

    pub(super) fn take(&mut self, media: Media) -> Result<(), Replaced> {
        let now = Instant::now();
        if let Some(mark) = Mark::read(&media) {
            self.heed(mark, now);
            return Ok(());
        }
        let tag = match media.track {
            Track::Audio => TagType::Audio,
            Track::Video => TagType::Video,
            Track::Data => TagType::Script,
        };
        // Descriptions are sent at time 0 (hub/gop.rs).
        let dts = match media.track {
            Track::Data => self.time,
            Track::Audio | Track::Video => self.clock.unwrap(media.timestamp),
        };
        self.time = dts;
        // What its node let pass passes here too; of a newer release there may be more.
        let frames = flv::import(tag, dts, media.body).unwrap_or_default();
        for frame in frames {
            let breaks = frame.is_media() && std::mem::take(&mut self.breaks);
            self.carrier.push(frame, breaks, now)?;
        }
        Ok(())
    }

    /// The stream is over.
    pub(super) fn end(self) {
        self.carrier.end(Instant::now());
    }

    fn heed(&mut self, mark: Mark, now: Instant) {
        self.clock = Unwrapper::at(mark.time);
        self.time = mark.time;
        self.breaks |= mark.discontinuity;
        if mark.is_held {
            self.carrier.hold(now);
        }
        // By both nodes' clocks: what these differ by is in it.
        let delay_ms = (unix_now() - mark.sent_at).max(0);
        self.hop_delay.observe(delay_ms as f64 / 1000.0);
    }
}
