use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use isocast_media::codec;
use isocast_media::{Codec, Frame, Kind, Track};
use tokio::sync::watch;

use crate::error::Refusal;
use crate::rooms::{CodecName, RoomLimits};

/// What the publisher of a room may send: watches that it does.
#[derive(Debug)]
pub(super) struct Allowance {
    limits: watch::Receiver<Arc<RoomLimits>>,
    now: Arc<RoomLimits>,
    bits: Overrun,
    /// By track id: as many as the importer takes.
    video: BTreeMap<u8, Video>,
}

/// One video track.
#[derive(Debug, Default)]
struct Video {
    /// Its newest configuration: it says the size, for limits that change meanwhile too, or else a
    /// key frame after it does.
    config: Option<Frame>,
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
            bits: Overrun::default(),
            video: BTreeMap::new(),
        }
    }

    pub(super) fn check(&mut self, frame: &Frame, now: Instant) -> Result<(), Refusal> {
        // It fails once the stream is gone, which ends the publisher another way.
        if self.limits.has_changed().unwrap_or(false) {
            self.now = self.limits.borrow_and_update().clone();
            for config in self.video.values().filter_map(|it| it.config.as_ref()) {
                check_picture(&self.now, config.codec, Some(config), None)?;
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
        let video = self.video.entry(frame.track_id).or_default();
        if frame.kind == Kind::Config {
            video.config = Some(frame.clone());
        }
        if frame.kind == Kind::Config || frame.is_key() {
            let key_frame = frame.is_key().then_some(frame);
            check_picture(&self.now, frame.codec, video.config.as_ref(), key_frame)?;
        }
        if let Some(max) = self.now.frame_rate_max
            && frame.is_media()
            && !video.pictures.add(1.0, f64::from(max.get()), now)
        {
            return Err(Refusal::FrameRateTooHigh(max.get()));
        }
        Ok(())
    }
}

/// Whether pictures are of the size and the rate that the room takes, where that can be told: by a
/// configuration of this codec, or by a key frame without one.
fn check_picture(
    limits: &RoomLimits,
    codec: Codec,
    config: Option<&Frame>,
    key_frame: Option<&Frame>,
) -> Result<(), Refusal> {
    let (frame_max, frame_rate_max) = (limits.frame_max(), limits.frame_rate_max);
    if frame_max.is_none() && frame_rate_max.is_none() {
        return Ok(());
    }
    let config = config.filter(|config| config.codec == codec);
    let config = config.map(|config| config.data.as_ref());
    let key_frame = key_frame.map(|key_frame| key_frame.data.as_ref());
    let Some(picture) = codec::picture(codec, config, key_frame) else {
        return Ok(());
    };
    if let (Some((width_max, height_max)), (width, height)) = (frame_max, picture.size) {
        let fits = |width, height| width <= width_max && height <= height_max;
        if !fits(width, height) && !fits(height, width) {
            return Err(Refusal::PictureTooLarge(width_max, height_max));
        }
    }
    if let (Some(max), Some(rate)) = (frame_rate_max, picture.frame_rate)
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

    /// 854x480 in AV1's sequence header, 640x360 in VP9's; neither has a configuration before it.
    const AV1_KEY: &[u8] =
        b"\x12\x00\x0a\x0e\x00\x00\x00\xfa\x63\x55\xef\x88\x42\xa2\x04\x04\x04\x28\x32\xf8";
    const VP9_KEY: &[u8] = b"\x82\x49\x83\x42\x00\x27\xf0\x16\x76\x06\x38\x24";
    /// Slices behind parameter sets of 320x240.
    const AVC_KEY: &[u8] = b"\x00\x00\x00\x19\x67\x6e\x00\x0d\xa6\xcd\x94\x14\x1f\xb0\x11\x00\x00\x03\x00\x01\x00\x00\x03\x00\x3c\x0f\x14\x29\x96\x00\x00\x00\x02\x65\x88";

    #[test]
    fn key_frames_say_their_size_on_every_track() {
        let key = Kind::Media { key: true };
        let inter = Kind::Media { key: false };
        for (codec, data, width, height) in [
            (Codec::Av1, AV1_KEY, 854, 480),
            (Codec::Vp9, VP9_KEY, 640, 360),
            (Codec::Avc, AVC_KEY, 320, 240),
        ] {
            for track_id in [0, 1, 200] {
                let of_track = |frame| Frame { track_id, ..frame };
                let check = |kind, width_max: u32| {
                    let value = json!({"width_max": width_max, "height_max": height});
                    let (_sender, limits) = watch::channel(limits(value));
                    let mut allowance = Allowance::new(limits);
                    let now = Instant::now();
                    if codec == Codec::Avc {
                        allowance.video.entry(track_id).or_default().config = Some(config());
                    }
                    let frame = frame(codec, kind, Bytes::from_static(data));
                    allowance.check(&of_track(frame), now)
                };
                assert_eq!(check(key, width), Ok(()), "{codec:?} {track_id}");
                let refused = Err(Refusal::PictureTooLarge(width - 1, height));
                assert_eq!(check(key, width - 1), refused, "{codec:?} {track_id}");
                assert_eq!(check(inter, width - 1), Ok(()), "{codec:?} {track_id}");
            }
        }
    }

    #[test]
    fn a_configuration_of_another_codec_says_nothing_of_a_key_frame() {
        let (_sender, limits) = watch::channel(limits(json!({"width_max": 1280})));
        let mut allowance = Allowance::new(limits);
        let now = Instant::now();
        assert_eq!(allowance.check(&config(), now), Ok(()));
        let vp9 = frame(
            Codec::Vp9,
            Kind::Media { key: true },
            Bytes::from_static(VP9_KEY),
        );
        assert_eq!(allowance.check(&vp9, now), Ok(()));
    }

    #[test]
    fn each_video_track_has_its_own_frame_rate() {
        let (_sender, limits) = watch::channel(limits(json!({"frame_rate_max": 30})));
        let mut allowance = Allowance::new(limits);
        let start = Instant::now();
        let mut refused_after_s = |track_id, per_s: u64| {
            (0..per_s * 60).find_map(|count| {
                let at = start + Duration::from_millis(count * 1000 / per_s);
                let frame = Frame {
                    track_id,
                    ..media(Codec::Avc, 1)
                };
                let checked = allowance.check(&frame, at);
                checked.is_err().then_some((checked, count / per_s))
            })
        };
        // Three of 30 a second are no track of 90.
        for track_id in [0, 1, 2] {
            assert_eq!(refused_after_s(track_id, 30), None, "{track_id}");
        }
        let too_high = Err(Refusal::FrameRateTooHigh(30));
        assert_eq!(refused_after_s(3, 60), Some((too_high, 6)));
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
