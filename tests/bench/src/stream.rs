//! The synthetic stream: when each message is due, and its bytes.
//!
//! 30 video frames a second with a key frame every 2 s, and AAC at 44.1 kHz. Sizes and headers are
//! an encoder's; behind the headers and the stamp there is only filling, which no server reads.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use isocast_media::Track;
use isocast_media::rtmp::Media;

use crate::stamp::{STAMP_BYTES, Stamp};

pub(crate) const FRAMES_PER_SECOND: u32 = 30;
pub(crate) const GOP: Duration = Duration::from_secs(2);
const FRAMES_PER_GOP: u32 = FRAMES_PER_SECOND * GOP.as_secs() as u32;
/// A key frame is as large as so many others.
const KEY_FRAME_WEIGHT: u32 = 8;

/// An AAC frame is 1024 samples (ISO/IEC 14496-3 §4.5.1.1): 43 a second.
const SAMPLES_PER_FRAME: u32 = 1024;
const SAMPLES_PER_SECOND: u32 = 44_100;
const AUDIO_BITS_PER_SECOND: u32 = 96_000;

/// FLV tag body headers (FLV 10.1 §E.4.2.1, §E.4.3.1): AAC and AVC, configuration and media.
const AUDIO_CONFIG_HEADER: [u8; 2] = [0xAF, 0];
const AUDIO_HEADER: [u8; 2] = [0xAF, 1];
const VIDEO_CONFIG_HEADER: [u8; 5] = [0x17, 0, 0, 0, 0];
const KEY_FRAME_HEADER: [u8; 5] = [0x17, 1, 0, 0, 0];
const FRAME_HEADER: [u8; 5] = [0x27, 1, 0, 0, 0];
/// Length (4 bytes) and first byte of a frame's one NAL unit (ISO/IEC 14496-10 §7.3.1).
const NAL_HEADER_BYTES: usize = 4 + 1;
const NAL_IDR: u8 = 0x65;
const NAL_NON_IDR: u8 = 0x41;
/// Where a stamp begins in a video and in an audio body.
pub(crate) const VIDEO_STAMP_AT: usize = FRAME_HEADER.len() + NAL_HEADER_BYTES;
pub(crate) const AUDIO_STAMP_AT: usize = AUDIO_HEADER.len();
/// What a viewer has to see of a body to find the stamp.
pub(crate) const PREFIX_BYTES: usize = VIDEO_STAMP_AT + STAMP_BYTES;

/// AAC-LC, 44.1 kHz, stereo (ISO/IEC 14496-3 §1.6.2.1).
const AUDIO_CONFIG: [u8; 2] = [0x12, 0x10];
/// An `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1) of x264's: constrained baseline,
/// level 3.1, 1280 × 720 at 30 frames a second.
const VIDEO_CONFIG: [u8; 41] = [
    0x01, 0x42, 0xc0, 0x1f, 0xff, 0xe1, 0x00, 0x19, 0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05,
    0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24,
    0x80, 0x01, 0x00, 0x05, 0x68, 0xcb, 0x83, 0xcb, 0x20,
];
const FILLING: u8 = 0xA5;

/// A stream of a certain bitrate, audio included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    frame_bytes: usize,
}

/// A message that is to be sent `at` so long after the stream's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at: Duration,
    pub(crate) track: Track,
    pub(crate) key: bool,
    pub(crate) sequence: u32,
}

impl Stream {
    pub(crate) fn new(bits_per_second: u32) -> Self {
        let video_bytes_per_second = bits_per_second.saturating_sub(AUDIO_BITS_PER_SECOND) / 8;
        let bytes_per_gop = video_bytes_per_second * GOP.as_secs() as u32;
        let frame_bytes = bytes_per_gop / (FRAMES_PER_GOP - 1 + KEY_FRAME_WEIGHT);
        Self {
            frame_bytes: (frame_bytes as usize).max(PREFIX_BYTES),
        }
    }

    /// What an encoder sends before its first frame.
    pub(crate) fn configs() -> [Media; 2] {
        let config = |track, header: &[u8], record: &[u8]| Media {
            track,
            timestamp: 0,
            body: Bytes::from([header, record].concat()),
        };
        [
            config(Track::Video, &VIDEO_CONFIG_HEADER, &VIDEO_CONFIG),
            config(Track::Audio, &AUDIO_CONFIG_HEADER, &AUDIO_CONFIG),
        ]
    }

    /// All media messages, in the order of their times, without end.
    pub(crate) fn schedule() -> impl Iterator<Item = Due> {
        let (mut frames, mut audio_frames) = (0, 0);
        (0..).map(move |sequence| {
            let video_at = time_of(frames, 1, FRAMES_PER_SECOND);
            let audio_at = time_of(audio_frames, SAMPLES_PER_FRAME, SAMPLES_PER_SECOND);
            let video = video_at <= audio_at;
            let due = Due {
                at: video_at.min(audio_at),
                track: if video { Track::Video } else { Track::Audio },
                key: video && frames % FRAMES_PER_GOP == 0,
                sequence,
            };
            *(if video {
                &mut frames
            } else {
                &mut audio_frames
            }) += 1;
            due
        })
    }

    /// The message of `due`, stamped with the time it is sent at.
    pub(crate) fn message(&self, due: &Due, sent_ns: u64) -> Media {
        let stamp = Stamp {
            sequence: due.sequence,
            sent_ns,
        };
        Media {
            track: due.track,
            timestamp: due.at.as_millis() as u32,
            body: match due.track {
                Track::Audio | Track::Data => audio_body(stamp),
                Track::Video => self.video_body(due.key, stamp),
            },
        }
    }

    fn video_body(&self, key: bool, stamp: Stamp) -> Bytes {
        let (header, nal, weight) = match key {
            true => (KEY_FRAME_HEADER, NAL_IDR, KEY_FRAME_WEIGHT as usize),
            false => (FRAME_HEADER, NAL_NON_IDR, 1),
        };
        let len = self.frame_bytes * weight;
        let mut body = BytesMut::with_capacity(len);
        body.put_slice(&header);
        body.put_u32((len - header.len() - 4) as u32);
        body.put_u8(nal);
        body.put_slice(&stamp.bytes());
        body.resize(len, FILLING);
        body.freeze()
    }
}

fn audio_body(stamp: Stamp) -> Bytes {
    const LEN: usize =
        (AUDIO_BITS_PER_SECOND / 8 * SAMPLES_PER_FRAME / SAMPLES_PER_SECOND) as usize;
    let mut body = BytesMut::with_capacity(LEN);
    body.put_slice(&AUDIO_HEADER);
    body.put_slice(&stamp.bytes());
    body.resize(LEN, FILLING);
    body.freeze()
}

/// When the `index`th of frames begins that are `length / rate` seconds long.
fn time_of(index: u32, length: u32, rate: u32) -> Duration {
    let ns = u64::from(index) * u64::from(length) * 1_000_000_000 / u64::from(rate);
    Duration::from_nanos(ns)
}

#[cfg(test)]
mod tests {
    use isocast_media::flv::{self, TagType};
    use isocast_media::{Codec, Kind, MediaMs};

    use super::*;
    use crate::viewer::{FLV_AUDIO, FLV_VIDEO, stamp_in};

    #[test]
    fn a_stream_has_the_bitrate_and_the_rates_it_says() {
        for bits_per_second in [500_000, 1_000_000, 2_000_000] {
            let stream = Stream::new(bits_per_second);
            let seconds = 10;
            let (mut bits, mut frames, mut keys, mut audio_frames) = (0, 0, 0, 0);
            for due in Stream::schedule().take_while(|due| due.at.as_secs() < seconds) {
                bits += 8 * stream.message(&due, 0).body.len() as u64;
                keys += u32::from(due.key);
                match due.track {
                    Track::Video => frames += 1,
                    _ => audio_frames += 1,
                }
            }
            assert_eq!((frames, keys, audio_frames), (300, 5, 431));
            let asked = u64::from(bits_per_second) * seconds;
            assert!(bits.abs_diff(asked) * 100 <= asked, "{bits} for {asked}");
        }
    }

    #[test]
    fn the_schedule_never_goes_back_and_begins_with_a_key_frame() {
        let all: Vec<Due> = Stream::schedule().take(1000).collect();
        assert!(all[0].key);
        assert!(all.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(
            all.iter()
                .enumerate()
                .all(|(index, due)| due.sequence == index as u32)
        );
    }

    #[test]
    fn every_body_is_an_flv_body_with_a_stamp_where_viewers_look() {
        let stream = Stream::new(2_000_000);
        let import = |media: &Media| {
            let (tag, type_id) = match media.track {
                Track::Video => (TagType::Video, FLV_VIDEO),
                _ => (TagType::Audio, FLV_AUDIO),
            };
            let frames = flv::import(tag, MediaMs(0), media.body.clone());
            (frames.expect("a body").remove(0), type_id)
        };
        for (config, codec) in Stream::configs().iter().zip([Codec::Avc, Codec::Aac]) {
            let (frame, type_id) = import(config);
            assert_eq!((frame.codec, frame.kind), (codec, Kind::Config));
            assert_eq!(stamp_in(type_id, &config.body), None);
        }
        for due in Stream::schedule().take(300) {
            let media = stream.message(&due, 77);
            let (frame, type_id) = import(&media);
            let key = due.key || due.track == Track::Audio;
            assert_eq!(frame.kind, Kind::Media { key });
            let prefix = &media.body[..PREFIX_BYTES.min(media.body.len())];
            let stamp = Stamp {
                sequence: due.sequence,
                sent_ns: 77,
            };
            assert_eq!(stamp_in(type_id, prefix), Some(stamp));
        }
    }
}
