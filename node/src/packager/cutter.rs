use isocast_claims::Pair;
use isocast_media::hls::{ClaimName, Segment, Segmenter, SegmenterConfig};
use isocast_media::{Frame, UnixMs};

use super::Channel;
use crate::clock::unix_now;
use crate::hub::{Delivery, Item, Slot, Subscriber, Tracks};

/// Cuts a stream into its channel until the stream is gone.
pub(super) async fn run(mut subscriber: Subscriber, channel: &Channel, config: SegmenterConfig) {
    let mut cutter = Cutter::new(channel, config, unix_now());
    loop {
        match subscriber.next().await {
            Delivery::Items(items) => {
                cutter.look_at_codecs();
                items.iter().for_each(|item| cutter.take(item));
            }
            Delivery::Interrupted => cutter.finish(),
            Delivery::Ended => {
                cutter.finish();
                channel.end();
            }
            Delivery::Gone | Delivery::TooSlow | Delivery::SentAway => {
                cutter.finish();
                channel.end();
                return;
            }
        }
    }
}

struct Cutter<'a> {
    channel: &'a Channel,
    segmenter: Segmenter,
    pair: Option<Pair>,
    joined: bool,
    /// The stream has a codec that HLS cannot carry: nothing is cut.
    refused: bool,
}

impl<'a> Cutter<'a> {
    /// Without a known predecessor, media sequence numbers start at the seconds since 1970: higher
    /// than those of any broadcast before, which lasted longer than its segments were many.
    fn new(channel: &'a Channel, config: SegmenterConfig, now: UnixMs) -> Self {
        let first_msn = now.whole_seconds();
        Self {
            channel,
            segmenter: Segmenter::new(config, first_msn),
            pair: None,
            joined: false,
            refused: false,
        }
    }

    fn take(&mut self, item: &Item) {
        self.channel.begin();
        match item {
            Item::Join(gop) => {
                // A second joining means that frames were missed.
                if self.joined {
                    let cut = self.segmenter.discontinuity();
                    self.add(cut);
                }
                self.joined = true;
                gop.header_frames(Tracks::Default)
                    .for_each(|frame| self.push(&frame));
            }
            Item::Frame(slot) => self.take_frame(slot),
        }
    }

    fn take_frame(&mut self, slot: &Slot) {
        if self.pair.as_ref() != Some(&slot.pair) {
            self.pair = Some(slot.pair.clone());
            let claim = ClaimName::parse(&slot.pair.name()).expect("a pair has one form of name");
            let cut = self.segmenter.begin(claim, unix_now());
            self.add(cut);
        } else if slot.discontinuity {
            let cut = self.segmenter.discontinuity();
            self.add(cut);
        }
        self.push(&slot.frame);
    }

    fn look_at_codecs(&mut self) {
        let refused = self.channel.not_carried().is_some();
        if refused && !self.refused {
            let cut = self.segmenter.discontinuity();
            self.add(cut);
        }
        self.refused = refused;
    }

    fn push(&mut self, frame: &Frame) {
        if self.refused {
            return;
        }
        match self.segmenter.push(frame) {
            Ok(cut) => self.add(cut),
            Err(error) => tracing::debug!(%error, "a frame is left out of HLS"),
        }
    }

    fn finish(&mut self) {
        let cut = self.segmenter.finish();
        self.add(cut);
    }

    fn add(&self, segment: Option<Segment>) {
        if let Some(segment) = segment {
            self.channel.add(segment);
        }
    }
}
