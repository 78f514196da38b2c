use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use isocast_media::hls::{Listed, SegmentName};
use isocast_media::{Codec, Frame, Kind, MediaMs};

use super::*;
use crate::hub::{self, Hub, Limits, Publisher, Source};
use crate::registry::Claim;

const LIMITS: Limits = Limits {
    lag_bytes_max: 1 << 20,
    lag_ms_max: 60_000,
    ..hub::tests::LIMITS
};
const WINDOW: usize = 3;

struct Studio {
    hub: Hub,
    packager: Packager,
    tasks: TaskTracker,
    epoch: u64,
    sent_ms: i64,
}

impl Studio {
    fn new() -> Self {
        let tasks = TaskTracker::new();
        let settings = config::Hls {
            target_ms: 1000,
            window_segments: WINDOW,
            ..config::Hls::default()
        };
        Self {
            hub: Hub::new(LIMITS),
            packager: Packager::new(settings, tasks.clone()),
            tasks,
            epoch: 0,
            sent_ms: 0,
        }
    }

    fn publish(&mut self) -> (Publisher, Arc<Channel>) {
        self.epoch += 1;
        let claim = Claim::of(RoomId::parse("a").unwrap(), self.epoch);
        let (publisher, stream) = self
            .hub
            .publish(claim, Source::anyone(), Instant::now())
            .unwrap();
        let channel = self.packager.follow(&stream).unwrap();
        let config = frame(Kind::Config, 0, b"\x12\x10");
        publisher.push(config, Instant::now()).unwrap();
        (publisher, channel)
    }

    /// Sends so many seconds of audio, and lets the packager cut them.
    async fn send(&mut self, publisher: &Publisher, seconds: i64) {
        for _ in 0..seconds {
            for _ in 0..50 {
                let audio = frame(Kind::Media { key: true }, self.sent_ms, b"\x21\x10\x04");
                publisher.push(audio, Instant::now()).unwrap();
                self.sent_ms += 20;
            }
            settle().await;
        }
    }

    async fn end(&self, publisher: Publisher) {
        drop(publisher);
        settle().await;
        self.hub.tick(Instant::now() + LIMITS.hold);
        settle().await;
    }
}

fn frame(kind: Kind, dts: i64, data: &'static [u8]) -> Frame {
    Frame {
        codec: Codec::Aac,
        track_id: 0,
        kind,
        dts: MediaMs(dts),
        pts_offset_ms: 0,
        data: Bytes::from_static(data),
    }
}

/// The packager's task is the only other one: it goes on until it waits.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn playlist(channel: &Channel) -> String {
    let playlists = channel.playlists().expect("there are segments");
    String::from_utf8(playlists.media.to_vec()).unwrap()
}

fn listed(playlist: &str) -> Vec<SegmentName> {
    Listed::read(playlist.as_bytes()).unwrap().names
}

fn tag(playlist: &str, name: &str) -> u64 {
    let value = playlist.lines().find_map(|line| line.strip_prefix(name));
    value.expect("the tag is there").parse().unwrap()
}

#[tokio::test]
async fn the_first_playlist_comes_with_the_first_segment() {
    let mut studio = Studio::new();
    let (publisher, channel) = studio.publish();
    let mut first = Box::pin(channel.first_playlists());
    assert!(first.as_mut().now_or_never().is_none());
    studio.send(&publisher, 1).await;
    assert!(
        first.as_mut().now_or_never().is_none(),
        "a segment ends when the next one starts"
    );
    studio.send(&publisher, 1).await;
    let playlists = first.await.unwrap();
    assert_eq!(
        listed(std::str::from_utf8(&playlists.media).unwrap()).len(),
        1
    );
    let multivariant = std::str::from_utf8(&playlists.multivariant).unwrap();
    assert!(
        multivariant.contains("CODECS=\"mp4a.40.2\""),
        "{multivariant}"
    );
    assert!(multivariant.ends_with("\nindex.m3u8\n"), "{multivariant}");
}

#[tokio::test]
async fn segments_stay_for_as_long_again_as_they_were_listed() {
    let mut studio = Studio::new();
    let (publisher, channel) = studio.publish();
    let mut seen = Vec::new();
    for _ in 0..20 {
        studio.send(&publisher, 1).await;
        if let Some(now) = channel.playlists() {
            seen.extend(listed(std::str::from_utf8(&now.media).unwrap()));
        }
    }
    seen.dedup();
    seen.sort_unstable_by_key(|name| name.msn);
    seen.dedup();
    let here: Vec<_> = seen
        .iter()
        .filter(|name| channel.segment(**name).is_some())
        .collect();
    let newest = listed(&playlist(&channel));
    assert!(
        newest.iter().all(|it| here.contains(&it)),
        "what is listed is here"
    );
    assert_eq!(here.len(), newest.len() + WINDOW);
    assert!(
        here.windows(2).all(|pair| pair[0].msn + 1 == pair[1].msn),
        "{here:?}"
    );
    let mut other = newest[0];
    other.claim.epoch += 1;
    assert!(channel.segment(other).is_none());
}

#[tokio::test]
async fn a_broadcast_that_is_over_says_so_and_keeps_its_segments() {
    let mut studio = Studio::new();
    let (publisher, channel) = studio.publish();
    studio.send(&publisher, 5).await;
    let before = listed(&playlist(&channel));
    drop(publisher);
    settle().await;
    let held = playlist(&channel);
    assert!(!held.contains("ENDLIST"), "{held}");
    assert!(
        listed(&held).len() >= before.len(),
        "the last piece is listed at once"
    );
    studio.hub.tick(Instant::now() + LIMITS.hold);
    settle().await;
    let ended = playlist(&channel);
    assert!(ended.ends_with("#EXT-X-ENDLIST\n"), "{ended}");
    assert_eq!(listed(&ended), listed(&held));
    assert!(
        listed(&ended)
            .iter()
            .all(|name| channel.segment(*name).is_some())
    );
}

#[tokio::test]
async fn a_publisher_that_comes_back_goes_on_in_the_same_playlist() {
    let mut studio = Studio::new();
    let (publisher, channel) = studio.publish();
    studio.send(&publisher, 4).await;
    drop(publisher);
    settle().await;
    let before = listed(&playlist(&channel));
    studio.sent_ms = 500_000;
    let (publisher, again) = studio.publish();
    assert!(Arc::ptr_eq(&channel, &again));
    studio.send(&publisher, 2).await;
    let text = playlist(&channel);
    let mut next = *before.last().unwrap();
    (next.claim.epoch, next.msn) = (next.claim.epoch + 1, next.msn + 1);
    assert!(listed(&text).contains(&next), "{text}");
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
    assert!(!text.contains("ENDLIST"));
}

#[tokio::test]
async fn a_broadcast_after_an_ended_one_shows_nothing_of_it() {
    const SEQUENCE: &str = "#EXT-X-MEDIA-SEQUENCE:";
    const BREAKS: &str = "#EXT-X-DISCONTINUITY-SEQUENCE:";
    let mut studio = Studio::new();
    let (publisher, channel) = studio.publish();
    studio.send(&publisher, 4).await;
    studio.end(publisher).await;
    let old = playlist(&channel);

    studio.sent_ms = 900_000;
    let (publisher, again) = studio.publish();
    assert!(Arc::ptr_eq(&channel, &again));
    studio.send(&publisher, 1).await;
    assert!(
        channel.playlists().is_none(),
        "who comes now waits for the new broadcast"
    );
    studio.send(&publisher, 3).await;
    let new = playlist(&channel);
    assert!(!new.contains("ENDLIST"), "{new}");
    assert!(
        listed(&new).iter().all(|name| name.claim.epoch == 2),
        "{new}"
    );
    assert_eq!(tag(&new, SEQUENCE), listed(&old).last().unwrap().msn + 1);
    let breaks_in_old = old.matches("#EXT-X-DISCONTINUITY\n").count() as u64;
    assert_eq!(tag(&new, BREAKS), tag(&old, BREAKS) + breaks_in_old);
    assert!(
        listed(&old)
            .iter()
            .all(|name| channel.segment(*name).is_none())
    );
}

#[tokio::test]
async fn a_forgotten_stream_leaves_nothing_behind() {
    let mut studio = Studio::new();
    let (publisher, channel) = studio.publish();
    studio.send(&publisher, 2).await;
    studio.hub.remove(channel.room());
    studio.tasks.close();
    studio.tasks.wait().await;
    assert!(playlist(&channel).ends_with("#EXT-X-ENDLIST\n"));
    assert!(studio.packager.channel(channel.room()).is_none());
    assert!(studio.packager.follow(channel.stream()).is_none());
}

#[tokio::test]
async fn a_stream_has_one_channel_whoever_asks_first() {
    let mut studio = Studio::new();
    let (_publisher, channel) = studio.publish();
    let again = studio.packager.follow(channel.stream()).unwrap();
    assert!(Arc::ptr_eq(&channel, &again));
    assert_eq!(studio.tasks.len(), 1);
}

#[tokio::test]
async fn nothing_is_cut_where_hls_is_off() {
    let mut studio = Studio::new();
    studio.packager.settings.enabled = false;
    let claim = Claim::of(RoomId::parse("a").unwrap(), 1);
    let (_publisher, stream) = studio
        .hub
        .publish(claim, Source::anyone(), Instant::now())
        .unwrap();
    assert!(studio.packager.follow(&stream).is_none());
    assert!(studio.tasks.is_empty() && studio.packager.channel(stream.room()).is_none());
}

const OPUS: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

fn opus(kind: Kind, dts: i64, data: &'static [u8]) -> Frame {
    Frame {
        codec: Codec::Opus,
        ..frame(kind, dts, data)
    }
}

#[tokio::test]
async fn who_waits_learns_at_once_that_a_codec_is_not_in_hls() {
    let mut studio = Studio::new();
    let (publisher, channel) = studio.publish();
    let mut first = Box::pin(channel.first_playlists());
    assert!(first.as_mut().now_or_never().is_none());
    publisher
        .push(opus(Kind::Config, 0, OPUS), Instant::now())
        .unwrap();
    settle().await;
    let refused = first.as_mut().now_or_never().expect("it waits no longer");
    assert_eq!(refused.unwrap_err(), Codec::Opus);
    assert_eq!(channel.not_carried(), Some(Codec::Opus));
}

#[tokio::test]
async fn a_stream_that_turns_to_what_hls_can_carry_is_cut() {
    let mut studio = Studio::new();
    let (publisher, channel) = studio.publish();
    publisher
        .push(opus(Kind::Config, 0, OPUS), Instant::now())
        .unwrap();
    for dts in (0..4_000).step_by(20) {
        let audio = opus(Kind::Media { key: true }, dts, b"\xfc\xff\xfe");
        publisher.push(audio, Instant::now()).unwrap();
    }
    settle().await;
    assert!(channel.playlists().is_none(), "nothing is cut");
    drop(publisher);
    let (publisher, channel) = studio.publish();
    studio.send(&publisher, 3).await;
    assert_eq!(channel.not_carried(), None);
    let text = playlist(&channel);
    assert!(
        listed(&text).iter().all(|name| name.claim.epoch == 2),
        "{text}"
    );
}
