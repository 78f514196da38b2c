//! Pictures of what is live, for lists of rooms: the newest key frame, as ffmpeg decodes it.
//!
//! A stranger's stream may break a decoder. This one is another process: what crashes is not the node. It
//! gets one picture's bytes and no environment, and has a deadline and bounds on its memory and on what
//! it may say. It is no sandbox: it runs as the node's user, with the files and the network of the node in reach.

mod elementary;
mod ffmpeg;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::hub::Stream;
use crate::load::Level;
use crate::rooms::RoomId;
use crate::sync::Mutex;

/// A picture is given out for so long, and a room gets no other one meanwhile.
pub(crate) const FRESH: Duration = Duration::from_secs(10);
/// Pictures made at once: thumbnails may take no more of a machine than this.
const MAKING_MAX: usize = 1;
/// For one picture, from the wish to its last byte.
const DEADLINE: Duration = Duration::from_secs(5);

/// The newest pictures, made when someone asks.
#[derive(Clone, Debug)]
pub(crate) struct Thumbnails(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` where no pictures are made.
    ffmpeg: Option<PathBuf>,
    pictures: Mutex<HashMap<RoomId, Picture>>,
    places: Semaphore,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Clone, Debug)]
struct Picture {
    begun_at: Instant,
    /// `None` while it is made, and where none could be.
    jpeg: Option<Bytes>,
    /// Closes when it is made.
    making: watch::Receiver<()>,
}

impl Thumbnails {
    pub(crate) fn new(
        settings: config::Thumbnail,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let ffmpeg = settings
            .enabled
            .then(|| ffmpeg::find(&settings.ffmpeg))
            .flatten();
        if settings.enabled && ffmpeg.is_none() {
            let program = settings.ffmpeg.display();
            tracing::info!(%program, "there is no such ffmpeg: rooms have no thumbnails");
        }
        Self(Arc::new(Inner {
            ffmpeg,
            pictures: Mutex::default(),
            places: Semaphore::new(MAKING_MAX),
            tasks,
            stop,
        }))
    }

    /// Whether rooms with video have pictures here.
    pub(crate) fn are_made(&self) -> bool {
        self.0.ffmpeg.is_some()
    }

    /// A picture of this stream, a few seconds old at most; `None` where there is none to be had. A node that takes
    /// no new viewers makes no new ones.
    pub(crate) async fn of(&self, stream: &Arc<Stream>, level: Level) -> Option<Bytes> {
        self.0.ffmpeg.as_ref()?;
        let mut making = self.ask(stream, level)?.making;
        // The task that makes it ends in time; the channel never says anything but that.
        let _ = making.changed().await;
        let pictures = self.0.pictures.lock();
        pictures.get(stream.room())?.jpeg.clone()
    }

    /// The fresh picture of a room, or one that is now being made. Whoever asks may leave: the task
    /// goes on, so that those who come and go start no more than one each ten seconds.
    fn ask(&self, stream: &Arc<Stream>, level: Level) -> Option<Picture> {
        let now = Instant::now();
        let mut pictures = self.0.pictures.lock();
        pictures.retain(|_, picture| now.saturating_duration_since(picture.begun_at) < FRESH);
        if let Some(picture) = pictures.get(stream.room()) {
            return Some(picture.clone());
        }
        if level >= Level::NoNewViewers {
            return None;
        }
        let (done, making) = watch::channel(());
        let picture = Picture {
            begun_at: now,
            jpeg: None,
            making,
        };
        pictures.insert(stream.room().clone(), picture.clone());
        let (inner, stream) = (Arc::clone(&self.0), Arc::clone(stream));
        self.0.tasks.spawn(async move {
            let made = tokio::select! {
                made = tokio::time::timeout(DEADLINE, inner.make(&stream)) => made.ok().flatten(),
                () = inner.stop.cancelled() => None,
            };
            if let Some(picture) = inner.pictures.lock().get_mut(stream.room()) {
                picture.jpeg = made;
            }
            drop(done);
        });
        Some(picture)
    }
}

impl Inner {
    async fn make(&self, stream: &Stream) -> Option<Bytes> {
        let program = self.ffmpeg.as_ref()?;
        let frames = stream.newest_picture()?;
        if ffmpeg::is_too_large(&frames) {
            return None;
        }
        let _place = self.places.acquire().await.ok()?;
        ffmpeg::jpeg(program, &frames).await
    }
}

#[cfg(test)]
mod tests;
