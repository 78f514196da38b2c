//! Cutting streams into HLS. One task a stream walks the hub's ring like a viewer, and keeps a
//! [`Channel`] that any number of requests read.

mod audience;
mod channel;
mod cutter;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use isocast_media::hls::SegmenterConfig;
use isocast_media::{Codec, ts};
use tokio_util::task::TaskTracker;

pub(crate) use audience::Audience;
pub(crate) use channel::{Channel, Playlists};

use crate::config;
use crate::hub::{Protocol, State, Stream};
use crate::rooms::RoomId;
use crate::sync::Mutex;

/// The codec for which a stream has no HLS; `None` where all of it can be cut. A stream is not cut
/// in part: who hears nothing would not know why.
pub(crate) fn not_in_hls(stream: &Stream) -> Option<Codec> {
    stream.codecs().find(|&codec| !ts::carries(codec))
}

/// All channels of this node, and the tasks that fill them.
#[derive(Debug)]
pub(crate) struct Packager {
    settings: config::Hls,
    channels: Arc<Mutex<HashMap<RoomId, Arc<Channel>>>>,
    tasks: TaskTracker,
}

impl Packager {
    pub(crate) fn new(settings: config::Hls, tasks: TaskTracker) -> Self {
        Self {
            settings,
            channels: Arc::default(),
            tasks,
        }
    }

    /// Cuts this stream until it is forgotten, where that is not under way. Whoever needs the
    /// channel asks for it so: a stream is live a moment before its publisher's task comes here.
    /// `None` where HLS is off, the stream is no longer remembered, or it has its publisher elsewhere.
    pub(crate) fn follow(&self, stream: &Arc<Stream>) -> Option<Arc<Channel>> {
        if !self.settings.enabled {
            return None;
        }
        let mut channels = self.channels.lock();
        let known = channels.get(stream.room());
        if let Some(channel) = known.filter(|channel| channel.is_of(stream)) {
            return Some(Arc::clone(channel));
        }
        // Another stream may have taken its place; and one from another node is cut there.
        if stream.state() == State::Gone || stream.upstream().is_some() {
            return None;
        }
        let channel = Arc::new(Channel::new(stream, self.settings.window_segments));
        channels.insert(stream.room().clone(), Arc::clone(&channel));
        drop(channels);

        let config = SegmenterConfig {
            target_ms: self.settings.target_ms,
            ..SegmenterConfig::default()
        };
        let subscriber = stream.subscribe(Protocol::Packager);
        let channels = Arc::clone(&self.channels);
        let filled = Arc::clone(&channel);
        self.tasks.spawn(async move {
            cutter::run(subscriber, &filled, config).await;
            let mut channels = channels.lock();
            let room = filled.room();
            if channels
                .get(room)
                .is_some_and(|present| Arc::ptr_eq(present, &filled))
            {
                channels.remove(room);
            }
        });
        Some(channel)
    }

    /// Those who watch a room by HLS now.
    pub(crate) fn viewers(&self, room: &RoomId) -> usize {
        let channel = self.channel(room);
        channel.map_or(0, |channel| channel.viewers(Instant::now()))
    }

    /// Those who watch any room by HLS now.
    pub(crate) fn viewers_total(&self) -> usize {
        let now = Instant::now();
        let channels = self.channels.lock();
        channels.values().map(|channel| channel.viewers(now)).sum()
    }

    pub(crate) fn channel(&self, room: &RoomId) -> Option<Arc<Channel>> {
        self.channels.lock().get(room).cloned()
    }
}

#[cfg(test)]
mod tests;
