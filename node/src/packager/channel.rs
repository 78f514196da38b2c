use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::http::HeaderValue;
use bytes::Bytes;
use isocast_media::Codec;
use isocast_media::codec::FrameRate;
use isocast_media::hls::{self, Rendition, Segment, SegmentInfo, SegmentName, Window};
use tokio::sync::watch;

use super::audience::Audience;
use super::not_in_hls;
use crate::hub::{Described, Headers, Stream};
use crate::rooms::RoomId;
use crate::sync::RwLock;

/// The HLS of one stream: its playlists and the segments that they name, or named lately.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: Arc<Stream>,
    inner: RwLock<Inner>,
    audience: Audience,
    /// Counts changes, for requests that wait for the first playlist.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    window: Window,
    window_segments: usize,
    playlists: Option<Arc<Playlists>>,
    /// Oldest first: those the window lists, and as many that it listed before, for players that
    /// read an older playlist (RFC 8216 §6.2.2).
    segments: VecDeque<Segment>,
    bandwidth_bps_max: u64,
    ended: bool,
}

/// Both playlists as they are served.
#[derive(Debug)]
pub(crate) struct Playlists {
    pub media: Bytes,
    pub multivariant: Bytes,
    /// What tells these from all others.
    pub etag: HeaderValue,
}

/// The media playlist beside the multivariant one.
const MEDIA_URI: &str = "index.m3u8";

impl Channel {
    pub(super) fn new(stream: &Arc<Stream>, window_segments: usize) -> Self {
        Self {
            stream: Arc::clone(stream),
            inner: RwLock::new(Inner {
                window: Window::new(window_segments),
                window_segments,
                playlists: None,
                segments: VecDeque::new(),
                bandwidth_bps_max: 0,
                ended: false,
            }),
            audience: Audience::default(),
            changes: watch::Sender::default(),
        }
    }

    /// Someone at this client asks for a playlist. Where no more viewers are taken, false for one
    /// who is new.
    pub(crate) fn note_viewer(
        &self,
        client: IpAddr,
        user_agent: &[u8],
        takes_more: bool,
        now: Instant,
    ) -> bool {
        self.audience.note(client, user_agent, takes_more, now)
    }

    /// Those who asked for a playlist lately.
    pub(crate) fn viewers(&self, now: Instant) -> usize {
        self.audience.count(now)
    }

    pub(crate) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    pub(super) fn room(&self) -> &RoomId {
        self.stream.room()
    }

    pub(super) fn is_of(&self, stream: &Arc<Stream>) -> bool {
        Arc::ptr_eq(&self.stream, stream)
    }

    /// The present playlists; `None` until the first segment is finished.
    pub(crate) fn playlists(&self) -> Option<Arc<Playlists>> {
        self.inner.read().playlists.clone()
    }

    /// The codec that keeps the stream, as it is now, from being cut.
    pub(crate) fn not_carried(&self) -> Option<Codec> {
        not_in_hls(&self.stream)
    }

    /// Waits for the first playlists, or for the codec that keeps the stream from having any. Give
    /// it a deadline.
    pub(crate) async fn first_playlists(&self) -> Result<Arc<Playlists>, Codec> {
        self.playlists_after(None).await
    }

    /// The same for others than the `known` ones.
    pub(crate) async fn playlists_after(
        &self,
        known: Option<&HeaderValue>,
    ) -> Result<Arc<Playlists>, Codec> {
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(codec) = self.not_carried() {
                return Err(codec);
            }
            let playlists = self.playlists();
            if let Some(news) = playlists.filter(|it| Some(&it.etag) != known) {
                return Ok(news);
            }
            tokio::select! {
                // The sender lives in `self`, so this cannot fail.
                _ = changes.changed() => {}
                // It may have told another codec.
                () = self.stream.changed() => {}
            }
        }
    }

    /// The bytes of a segment that is still kept.
    pub(crate) fn segment(&self, name: SegmentName) -> Option<Bytes> {
        let inner = self.inner.read();
        let named = |segment: &&Segment| segment.info.name() == name;
        inner
            .segments
            .iter()
            .rev()
            .find(named)
            .map(|segment| segment.data.clone())
    }

    /// Frames come. After an end they begin a new broadcast: whoever asks now waits for its first
    /// playlist, and is not shown the old one's end.
    pub(super) fn begin(&self) {
        if self.inner.read().ended {
            self.change(Inner::begin_anew);
        }
    }

    /// Adds a finished segment and the playlist that names it.
    pub(super) fn add(&self, segment: Segment) {
        let headers = self.stream.headers();
        self.change(|inner| {
            inner.window.push(segment.info);
            inner.bandwidth_bps_max = inner.bandwidth_bps_max.max(bandwidth_bps(&segment));
            inner.segments.push_back(segment);
            inner.drop_old_segments();
            inner.render(&headers);
        });
    }

    /// No more segments come: says so to players.
    pub(super) fn end(&self) {
        let headers = self.stream.headers();
        self.change(|inner| {
            inner.ended = true;
            inner.render(&headers);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.write());
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Inner {
    /// A broadcast after an ended one, with nothing of that but its place in the count of breaks.
    fn begin_anew(&mut self) {
        let listed = self
            .window
            .segments()
            .filter(|segment| segment.discontinuity)
            .count() as u64;
        let before = self.window.discontinuity_sequence() + listed;
        self.window = Window::resume(self.window_segments, before);
        self.segments.clear();
        self.playlists = None;
        self.bandwidth_bps_max = 0;
        self.ended = false;
    }

    fn drop_old_segments(&mut self) {
        let kept_max = self.window.segments().len() + self.window_segments;
        while self.segments.len() > kept_max {
            self.segments.pop_front();
        }
    }

    fn render(&mut self, headers: &Headers) {
        let Some(media) = self.window.media_playlist(self.ended) else {
            return;
        };
        let listed: Vec<&SegmentInfo> = self.window.segments().collect();
        let duration_ms: u64 = listed.iter().map(|segment| segment.duration_ms).sum();
        let bytes: usize = self
            .segments
            .iter()
            .rev()
            .take(listed.len())
            .map(|it| it.data.len())
            .sum();
        let Described { video, audio } = headers.described();
        let mut rendition = Rendition {
            uri: MEDIA_URI.into(),
            bandwidth_bps: self.bandwidth_bps_max,
            average_bandwidth_bps: Some(bits_per_second(bytes, duration_ms)),
            ..Rendition::default()
        };
        if let Some(video) = video {
            rendition.codecs.push(video.codec_string);
            rendition.resolution = video.size;
            rendition.frame_rate = video.frame_rate.map(FrameRate::per_second);
        }
        rendition
            .codecs
            .extend(audio.map(|audio| audio.codec_string));
        self.playlists = Some(Arc::new(Playlists {
            etag: etag(&media),
            media: media.into(),
            multivariant: hls::multivariant_playlist(&rendition).into(),
        }));
    }
}

/// Compared with what this process has said before, and with nothing else.
fn etag(text: &str) -> HeaderValue {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(text);
    HeaderValue::from_str(&format!("\"{hash:016x}\"")).expect("digits are a header value")
}

fn bandwidth_bps(segment: &Segment) -> u64 {
    bits_per_second(segment.data.len(), segment.info.duration_ms)
}

fn bits_per_second(bytes: usize, duration_ms: u64) -> u64 {
    bytes as u64 * 8000 / duration_ms.max(1)
}
