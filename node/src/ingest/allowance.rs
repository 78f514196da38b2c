use std::sync::Arc;
use std::time::Instant;

use isocast_media::codec::{self, Description};
use isocast_media::{Codec, Frame, Kind, Track};
use tokio::sync::watch;

use crate::error::Refusal;
use crate::rooms::{CodecName, RoomLimits};

/// What the publisher of a room may send: watches that it does.
#[derive(Debug)]
pub(super) struct Allowance {
    limits: watch::Receiver<Arc<RoomLimits>>,
    now: Arc<RoomLimits>,
    /// The newest configuration of the first video track: it says the size, for limits that change
    /// meanwhile too, or else a key frame after it does.
    config: Option<Frame>,
    bits: Overrun,
    pictures: Overrun,
}

/// A rate that is said, in a record, may differ from the limit by rounding.
const FRAME_RATE_SLACK: f64 = 1.01;

impl Allowance {
    pub(super) fn new(mut limits: watch::Receiver<Arc<RoomLimits>>) -> Self {
        let now = limits.borrow_and_update().clone();
        Self {
            limits,
            now,
            config: None,
            bits: Overrun::default(),
            pictures: Overrun::default(),
        }
    }

    pub(super) fn check(&mut self, frame: &Frame, now: Instant) -> Result<(), Refusal> {
        // It fails once the stream is gone, which ends the publisher another way.
        if self.limits.has_changed().unwrap_or(false) {
            self.now = self.limits.borrow_and_update().clone();
            if let Some(config) = &self.config {
                check_picture(&self.now, config.codec, Some(&config.data), None)?;
            }
        }
        if frame.track() == Track::Data {
            return Ok(());
        }
        check_codec(&self.now, frame.codec)?;
        if frame.track() == Track::Video {
            self.check_video(frame, now)?;
        }
        if let Some(max) = self.now.bitrate_kbps_max {
            let bits = frame.data.len() as f64 * 8.0;
            if !self.bits.add(bits, f64::from(max.get()) * 1000.0, now) {
                return Err(Refusal::BitrateTooHigh(max.get()));
            }
        }
        Ok(())
    }

    fn check_video(&mut self, frame: &Frame, now: Instant) -> Result<(), Refusal> {
        if frame.kind == Kind::Config {
            check_picture(&self.now, frame.codec, Some(&frame.data), None)?;
            if frame.track_id == 0 {
                self.config = Some(frame.clone());
            }
        }
        if !frame.is_media() {
            return Ok(());
        }
        if frame.is_key() && frame.track_id == 0 {
            let config = self.config.as_ref().map(|config| config.data.as_ref());
            let first = &frame.data[..frame.data.len().min(codec::FIRST_BYTES)];
            check_picture(&self.now, frame.codec, config, Some(first))?;
        }
        if let Some(max) = self.now.frame_rate_max
            && frame.track_id == 0
            && !self.pictures.add(1.0, f64::from(max.get()), now)
        {
            return Err(Refusal::FrameRateTooHigh(max.get()));
        }
        Ok(())
    }
}

/// Whether pictures are of the size and the rate that the room takes, where that can be told.
fn check_picture(
    limits: &RoomLimits,
    codec: Codec,
    config: Option<&[u8]>,
    first: Option<&[u8]>,
) -> Result<(), Refusal> {
    let Some(Description::Video(video)) = codec::describe(codec, config, first) else {
        return Ok(());
    };
    if let (Some((width_max, height_max)), Some((width, height))) = (limits.frame_max(), video.size)
    {
        let fits = |width, height| width <= width_max && height <= height_max;
        if !fits(width, height) && !fits(height, width) {
            return Err(Refusal::PictureTooLarge(width_max, height_max));
        }
    }
    if let (Some(max), Some(rate)) = (limits.frame_rate_max, video.frame_rate)
        && rate.per_second() > f64::from(max.get()) * FRAME_RATE_SLACK
    {
        return Err(Refusal::FrameRateTooHigh(max.get()));
    }
    Ok(())
}

fn check_codec(limits: &RoomLimits, codec: Codec) -> Result<(), Refusal> {
    let Some(name) = name(codec) else {
        return Ok(());
    };
    if limits.codecs.is_empty() || limits.codecs.contains(&name) {
        return Ok(());
    }
    let allowed: Vec<_> = limits.codecs.iter().map(ToString::to_string).collect();
    Err(Refusal::CodecNotAllowed(allowed.join(", ")))
}

fn name(codec: Codec) -> Option<CodecName> {
    Some(match codec {
        Codec::Avc => CodecName::H264,
        Codec::Hevc => CodecName::H265,
        Codec::Av1 => CodecName::Av1,
        Codec::Vp9 => CodecName::Vp9,
        Codec::Aac => CodecName::Aac,
        Codec::Opus => CodecName::Opus,
        Codec::Flac => CodecName::Flac,
        Codec::Ac3 => CodecName::Ac3,
        Codec::Eac3 => CodecName::Eac3,
        Codec::Mp3 => CodecName::Mp3,
        Codec::Script => return None,
    })
}

/// How much has come beyond a rate: a bucket that leaks as fast as the rate allows.
///
/// It holds what an encoder sends at once after its network stood still for some seconds. At twice
/// the rate it runs over after 7 s, at 1.25 times the rate never.
#[derive(Debug, Default)]
struct Overrun {
    held: f64,
    at: Option<Instant>,
}

const TOLERANCE: f64 = 1.25;
const HELD_S: f64 = 5.0;

impl Overrun {
    /// Adds to it; false once it runs over.
    fn add(&mut self, count: f64, per_s_max: f64, now: Instant) -> bool {
        let since = self.at.replace(now).unwrap_or(now);
        let leaked = now.saturating_duration_since(since).as_secs_f64() * per_s_max * TOLERANCE;
        self.held = (self.held - leaked).max(0.0) + count;
        self.held <= per_s_max * HELD_S
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use isocast_media::MediaMs;
    use serde_json::{Value, from_value, json};

    use super::*;

    fn limits(value: Value) -> Arc<RoomLimits> {
        Arc::new(from_value(value).unwrap())
    }

    fn frame(codec: Codec, kind: Kind, data: Bytes) -> Frame {
        Frame {
            codec,
            kind,
            track_id: 0,
            dts: MediaMs(0),
            pts_offset_ms: 0,
            data,
        }
    }

    fn media(codec: Codec, len: usize) -> Frame {
        let kind = Kind::Media { key: true };
        frame(codec, kind, Bytes::from(vec![0; len]))
    }

    /// 1280x720, 25 pictures a second.
    const AVC: &[u8] = b"\x01\x4d\x40\x1f\xff\xe1\x00\x19\x67\x4d\x40\x1f\xec\xa0\x28\x02\xdd\x80\x88\x00\x00\x03\x00\x08\x00\x00\x03\x01\x90\x78\xc1\x8c\xb0\x01\x00\x04\x68\xef\x8f\xc8";

    fn config() -> Frame {
        frame(Codec::Avc, Kind::Config, Bytes::from_static(AVC))
    }

    /// What becomes of a publisher that says what it sends, then sends this much every 40 ms.
    fn told(value: Value, bytes: usize, seconds: u64) -> Result<(), &'static str> {
        let (_sender, limits) = watch::channel(limits(value));
        let mut allowance = Allowance::new(limits);
        let start = Instant::now();
        let mut check = |frame: &Frame, at| {
            let checked = allowance.check(frame, start + Duration::from_millis(at));
            checked.map_err(|refusal| refusal.code())
        };
        check(&config(), 0)?;
        for at in (0..seconds * 1000).step_by(40) {
            check(&media(Codec::Avc, bytes), at)?;
            check(&media(Codec::Aac, 10), at)?;
        }
        Ok(())
    }

    #[test]
    fn each_limit_has_its_refusal() {
        for (value, expected) in [
            (json!({}), Ok(())),
            (
                json!({"width_max": 1280, "height_max": 720, "frame_rate_max": 25, "codecs": ["h264", "aac"]}),
                Ok(()),
            ),
            (json!({"width_max": 720, "height_max": 1280}), Ok(())),
            (json!({"width_max": 1280}), Ok(())),
            (json!({"width_max": 1279, "height_max": 2000}), Ok(())),
            (
                json!({"width_max": 1280, "height_max": 719}),
                Err("picture_too_large"),
            ),
            (json!({"height_max": 1000}), Err("picture_too_large")),
            (json!({"frame_rate_max": 24}), Err("frame_rate_too_high")),
            (json!({"codecs": ["h265", "aac"]}), Err("codec_not_allowed")),
            (json!({"codecs": ["h264"]}), Err("codec_not_allowed")),
        ] {
            assert_eq!(told(value.clone(), 1, 1), expected, "{value}");
        }
    }

    #[test]
    fn the_rate_is_what_comes_over_some_seconds() {
        // 5,000 and 10 bytes every 40 ms are 1,002 kbit/s.
        for (kbps_max, seconds, expected) in [
            (1002, 600, Ok(())),
            (802, 600, Ok(())),
            (700, 4, Ok(())),
            (700, 600, Err("bitrate_too_high")),
            (500, 4, Ok(())),
            (500, 10, Err("bitrate_too_high")),
            (100, 1, Err("bitrate_too_high")),
        ] {
            let value = json!({"bitrate_kbps_max": kbps_max});
            assert_eq!(
                told(value, 5000, seconds),
                expected,
                "{kbps_max} for {seconds} s"
            );
        }
    }

    #[test]
    fn what_was_held_up_may_come_at_once() {
        let mut overrun = Overrun::default();
        let start = Instant::now();
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            // Nothing for four seconds of five, then all of it.
            let count = if second % 5 == 4 { 5.0 } else { 0.0 };
            assert!(overrun.add(count, 1.0, now), "{second}");
        }
    }

    #[test]
    fn a_limit_that_changes_holds_at_once() {
        let (sender, receiver) = watch::channel(limits(json!({})));
        let mut allowance = Allowance::new(receiver);
        let now = Instant::now();
        assert_eq!(allowance.check(&config(), now), Ok(()));
        sender.send_replace(limits(json!({"width_max": 320})));
        let refused = allowance.check(&media(Codec::Avc, 1), now);
        assert_eq!(refused, Err(Refusal::PictureTooLarge(320, 320)));
        sender.send_replace(limits(json!({"codecs": ["av1"]})));
        let refused = allowance.check(&media(Codec::Aac, 1), now);
        assert!(matches!(refused, Err(Refusal::CodecNotAllowed(_))));
    }
}
