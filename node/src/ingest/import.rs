use std::time::{Duration, Instant};

use isocast_media::codec;
use isocast_media::flv::{self, TagType};
use isocast_media::rtmp::Media;
use isocast_media::time::Unwrapper;
use isocast_media::{Frame, Kind, Track};

use super::allowance::Allowance;
use super::tracks::Tracks;
use crate::error::Refusal;
use crate::hub::Publisher;

/// Makes frames of a publisher's RTMP messages, which carry FLV tag bodies (RTMP 1.0 §7.1.4,
/// §7.1.5), and sends them to the hub.
#[derive(Debug)]
pub(crate) struct Importer {
    publisher: Publisher,
    /// One clock for all tracks: RTMP's timestamps are of the connection, not of a track.
    clock: Unwrapper,
    tracks: Tracks,
    pictures: Pictures,
    allowance: Allowance,
}

/// What became of a message; of one with several tracks, the gravest of what became of them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Import {
    /// It carried nothing to send on.
    Empty,
    Sent,
    /// It is not what its type says; the stream goes on without it.
    Malformed,
    /// It is of one track more than are carried; the stream goes on without it.
    TooManyTracks,
    /// Another publisher has the room.
    Revoked,
}

impl Importer {
    pub(crate) fn new(publisher: Publisher) -> Self {
        Self {
            allowance: Allowance::new(publisher.room_limits()),
            publisher,
            clock: Unwrapper::default(),
            tracks: Tracks::default(),
            pictures: Pictures::default(),
        }
    }

    pub(crate) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    pub(crate) fn take(&mut self, media: Media, now: Instant) -> Result<Import, Refusal> {
        let dts = self.clock.unwrap(media.timestamp);
        let frames = match flv::import(tag_type(media.track), dts, media.body) {
            Ok(frames) => frames,
            Err(flv::Error::UnsupportedCodec { name }) => {
                return Err(Refusal::UnsupportedCodec(name.to_string()));
            }
            Err(_) => return Ok(Import::Malformed),
        };
        let mut import = Import::Empty;
        for frame in frames {
            import = import.max(self.send(frame, now)?);
        }
        Ok(import)
    }

    fn send(&mut self, frame: Frame, now: Instant) -> Result<Import, Refusal> {
        let is_config = frame.kind == Kind::Config;
        if is_config && codec::describe(frame.codec, Some(&frame.data), None).is_none() {
            return Ok(Import::Malformed);
        }
        if !self.tracks.carry(&frame, now)? {
            return Ok(Import::TooManyTracks);
        }
        self.allowance.check(&frame, now)?;
        if frame.track() == Track::Video && frame.is_media() && frame.track_id == 0 {
            self.pictures.see(frame.is_key(), now)?;
        }
        Ok(match self.publisher.push(frame, now) {
            Ok(()) => Import::Sent,
            Err(_) => Import::Revoked,
        })
    }
}

/// Video that has had no key frame for so long is worth a warning; nobody can join it.
const KEY_FRAME_LATE: Duration = Duration::from_secs(20);
/// And for so long, it has to go.
const KEY_FRAME_MISSING: Duration = Duration::from_secs(60);

/// Watches that key frames come.
#[derive(Debug, Default)]
struct Pictures {
    last_key: Option<Instant>,
    warned: bool,
}

impl Pictures {
    fn see(&mut self, is_key: bool, now: Instant) -> Result<(), Refusal> {
        let last_key = *self.last_key.get_or_insert(now);
        if is_key {
            self.last_key = Some(now);
            self.warned = false;
            return Ok(());
        }
        let without = now.saturating_duration_since(last_key);
        if without > KEY_FRAME_MISSING {
            return Err(Refusal::NoKeyFrame);
        }
        if without > KEY_FRAME_LATE && !self.warned {
            self.warned = true;
            tracing::warn!("video comes without key frames: nobody can start to watch it");
        }
        Ok(())
    }
}

fn tag_type(track: Track) -> TagType {
    match track {
        Track::Audio => TagType::Audio,
        Track::Video => TagType::Video,
        Track::Data => TagType::Script,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::hub::tests::LIMITS;
    use crate::hub::{Delivery, Hub, Item, Limits, Protocol, Source, Stream, Subscriber};
    use crate::registry::Claim;
    use crate::rooms::RoomId;

    const AVC_CONFIG: &[u8] = b"\x17\x00\x00\x00\x00\x01\x42\xc0\x1e\xff\xe1\x00\x17\x67\x42\xc0\x1e\xd9\x00\xa0\x47\xfe\x88\x00\x00\x03\x00\x08\x00\x00\x03\x01\x90\x78\xb1\x75\x01\x00\x04\x68\xcb\x8c\xb2";
    const KEY: &[u8] = b"\x17\x01\x00\x00\x00\x00\x00\x00\x02\x65\x88";
    const DELTA: &[u8] = b"\x27\x01\x00\x00\x00\x00\x00\x00\x02\x41\x9a";
    const AAC_CONFIG: &[u8] = b"\xaf\x00\x12\x10";
    const AAC: &[u8] = b"\xaf\x01\x21\x10\x04";

    fn hub() -> Hub {
        Hub::new(Limits {
            lag_bytes_max: 1 << 20,
            ..LIMITS
        })
    }

    fn publish(hub: &Hub, epoch: u64) -> (Importer, Arc<Stream>) {
        let claim = Claim::of(RoomId::parse("a").unwrap(), epoch);
        let (publisher, stream) = hub
            .publish(claim, Source::anyone(), Instant::now())
            .unwrap();
        (Importer::new(publisher), stream)
    }

    fn media(track: Track, timestamp: u32, body: &'static [u8]) -> Media {
        Media {
            track,
            timestamp,
            body: Bytes::from_static(body),
        }
    }

    async fn times(subscriber: &mut Subscriber) -> Vec<i64> {
        let Delivery::Items(items) = subscriber.next().await else {
            panic!("no frames");
        };
        let time = |item: &Item| match item {
            Item::Frame(slot) if slot.frame.is_media() => Some(slot.frame.dts.0),
            _ => None,
        };
        items.iter().filter_map(time).collect()
    }

    use Track::{Audio, Data, Video};

    #[test]
    fn each_message_has_its_answer() {
        let unsupported = |name: &str| Err(Refusal::UnsupportedCodec(name.into()));
        let hub = hub();
        let (mut importer, _stream) = publish(&hub, 1);
        for (name, track, body, expected) in [
            ("configuration", Video, AVC_CONFIG, Ok(Import::Sent)),
            ("key frame", Video, KEY, Ok(Import::Sent)),
            ("audio configuration", Audio, AAC_CONFIG, Ok(Import::Sent)),
            ("audio", Audio, AAC, Ok(Import::Sent)),
            ("nothing", Video, b"", Ok(Import::Empty)),
            (
                "a tag cut short",
                Video,
                b"\x17\x01\x00",
                Ok(Import::Malformed),
            ),
            (
                "no SPS",
                Video,
                b"\x17\x00\x00\x00\x00\x01\x42\xc0\x1e\xff\xe0\x00",
                Ok(Import::Malformed),
            ),
            (
                "a video configuration without data",
                Video,
                b"\x17\x00\x00\x00\x00",
                Ok(Import::Malformed),
            ),
            (
                "an audio configuration without data",
                Audio,
                b"\xaf\x00",
                Ok(Import::Malformed),
            ),
            (
                "a configuration by FourCC without data",
                Video,
                b"\x90hvc1",
                Ok(Import::Malformed),
            ),
            (
                "a configuration cut short",
                Audio,
                b"\xaf\x00\x12",
                Ok(Import::Malformed),
            ),
            ("script without a name", Data, b"\x05", Ok(Import::Empty)),
            ("MP3", Audio, b"\x2f\xff\xfb", Ok(Import::Sent)),
            (
                "two tracks, one with an AAC configuration cut short",
                Audio,
                b"\x95\x10mp4a\x00\0\0\x02\x12\x10\x01\0\0\x01\x12",
                Ok(Import::Malformed),
            ),
        ] {
            let got = importer.take(media(track, 0, body), Instant::now());
            assert_eq!(got, expected, "{name}");
        }
        let speex = importer.take(media(Audio, 0, b"\xbf\xff\xfb"), Instant::now());
        assert_eq!(speex, unsupported("Speex"));
    }

    #[test]
    fn a_stream_without_its_default_track_is_refused() {
        let hub = hub();
        let (mut importer, _stream) = publish(&hub, 1);
        let start = Instant::now();
        for (second, body, expected) in [
            (0, b"\x95\x01.mp3\x01\xFF", Ok(Import::Sent)),
            (9, b"\x95\x01.mp3\x02\xFF", Ok(Import::Sent)),
            (
                11,
                b"\x95\x01.mp3\x01\xFF",
                Err(Refusal::NoDefaultTrack("audio")),
            ),
        ] {
            let now = start + Duration::from_secs(second);
            let got = importer.take(media(Audio, 0, body), now);
            assert_eq!(got, expected, "after {second} s");
        }
    }

    #[tokio::test]
    async fn the_tracks_share_one_clock_across_its_wrap() {
        let hub = hub();
        let (mut importer, stream) = publish(&hub, 1);
        let mut viewer = stream.subscribe(Protocol::Rtmp);
        let now = Instant::now();
        for (track, timestamp, body) in [
            (Video, 0xFFFF_FFF0, KEY),
            (Audio, 0xFFFF_FFF8, AAC),
            (Video, 0x0000_0018, DELTA),
            (Audio, 0xFFFF_FFFF, AAC),
            (Audio, 0x0000_0020, AAC),
        ] {
            importer.take(media(track, timestamp, body), now).unwrap();
        }
        assert_eq!(times(&mut viewer).await, [1000, 1008, 1040, 1015, 1048]);
    }

    #[test]
    fn who_lost_the_room_learns_it() {
        let hub = hub();
        let (mut old, _) = publish(&hub, 1);
        let (_new, _) = publish(&hub, 2);
        let got = old.take(media(Video, 0, KEY), Instant::now());
        assert_eq!(got, Ok(Import::Revoked));
    }

    #[test]
    fn video_without_key_frames_ends_after_a_minute() {
        let hub = hub();
        let (mut importer, _) = publish(&hub, 1);
        let start = Instant::now();
        for (second, body, expected) in [
            (0, DELTA, Ok(Import::Sent)),
            (59, DELTA, Ok(Import::Sent)),
            (60, KEY, Ok(Import::Sent)),
            (120, DELTA, Ok(Import::Sent)),
            (121, DELTA, Err(Refusal::NoKeyFrame)),
        ] {
            let now = start + Duration::from_secs(second);
            let got = importer.take(media(Video, 0, body), now);
            assert_eq!(got, expected, "after {second} s");
        }
    }
}
