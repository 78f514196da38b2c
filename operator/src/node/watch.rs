//! One watch: a stream of lines from a node, and the picture that they draw.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use isocast_admin::{RoomId, WatchLine, random};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::live::{Changed, Key, lock};

/// A node says something every 5 s; one that has been silent for three times that is not there.
pub(super) const SILENCE: Duration = Duration::from_secs(15);
/// A watch that has lasted so long was a good one.
const LASTING: Duration = Duration::from_secs(30);
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LAST: Duration = Duration::from_secs(5);
/// A line is an id of 64 and a time, or a node's three names.
const LINE_BYTES_MAX: usize = 4 << 10;
/// 100,000 rooms of at most 64 bytes are about 15 MB.
const ROOMS_MAX: usize = 100_000;

pub(super) struct Watch {
    pub(super) key: Key,
    /// The pod that is to answer: its address may be another one's by now.
    pub(super) pod: String,
    pub(super) client: Client,
    pub(super) picture: Arc<Mutex<Picture>>,
    pub(super) changed: mpsc::Sender<Changed>,
}

/// Why a watch has to begin again.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Call(#[from] super::Error),
    #[error("the node has ended the watch")]
    Ended,
    #[error("the watch broke: {0}")]
    Cut(#[from] hyper::Error),
    #[error("the node has said nothing for {} s", SILENCE.as_secs())]
    Silent,
    #[error("another node answers at the address of {0}")]
    Another(String),
    #[error("the node says what is no watch: {0}")]
    Malformed(String),
}

impl Watch {
    /// Until `stop`. When only this watch ends, and not all (`close`), that it does is announced.
    pub(super) async fn run(self, stop: CancellationToken, close: CancellationToken) {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.follow() => {}
        }
        if lock(&self.picture).lose() {
            tokio::select! {
                () = close.cancelled() => {}
                () = self.announce(Changed::Node(self.key.clone())) => {}
            }
        }
    }

    async fn follow(&self) {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let broken = match self.listen().await {
                Err(broken) => broken,
                Ok(never) => match never {},
            };
            if lock(&self.picture).lose() {
                tracing::warn!(livecluster = %self.key, %broken, "no word from the node any more");
                // A node that breaks off again and again is not asked as often as it likes.
                if began.elapsed() >= LASTING {
                    failures = 0;
                }
                self.announce(Changed::Node(self.key.clone())).await;
            } else {
                tracing::debug!(livecluster = %self.key, %broken, failures, "no word from the node");
            }
            sleep(pause(failures, random::bytes::<1>()[0])).await;
            failures += 1;
        }
    }

    async fn listen(&self) -> Result<std::convert::Infallible, Broken> {
        let mut body = self.client.watch().await?;
        let mut lines = Lines::default();
        let mut heard = Picture::default();
        loop {
            let frame = timeout(SILENCE, body.frame()).await;
            let frame = frame.map_err(|_| Broken::Silent)?.ok_or(Broken::Ended)??;
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            for line in lines.take(&bytes)? {
                if let WatchLine::Hello(node) = &line
                    && node.node_id != self.pod
                {
                    return Err(Broken::Another(self.pod.clone()));
                }
                self.hear(line, &mut heard).await?;
            }
        }
    }

    /// Until it is synced, what is heard goes into `heard`; what everybody reads changes at once.
    async fn hear(&self, line: WatchLine, heard: &mut Picture) -> Result<(), Broken> {
        let mut changes = [None, None];
        {
            let mut picture = lock(&self.picture);
            match line {
                WatchLine::Synced if !picture.is_synced() && heard.store_id.is_some() => {
                    *picture = std::mem::take(heard);
                    picture.synced = true;
                    changes[0] = Some(Changed::Node(self.key.clone()));
                }
                line if picture.is_synced() => {
                    let before = picture.live.len();
                    let room = picture.draw(line)?;
                    changes[0] = room.map(|room| Changed::Room(self.key.clone(), room));
                    if picture.live.len() != before {
                        changes[1] = Some(Changed::Cluster(self.key.clone()));
                    }
                }
                line => {
                    heard.draw(line)?;
                }
            }
        }
        for change in changes.into_iter().flatten() {
            self.announce(change).await;
        }
        Ok(())
    }

    async fn announce(&self, change: Changed) {
        // Where nobody hears it any more, the operator is ending.
        let _ = self.changed.send(change).await;
    }
}

/// Doubles from 200 ms to 5 s, less up to a half by chance.
fn pause(failures: u32, chance: u8) -> Duration {
    let full = RETRY_FIRST
        .saturating_mul(1 << failures.min(10))
        .min(RETRY_LAST);
    full - full.mul_f64(f64::from(chance) / 256.0 / 2.0)
}

/// What a node has told.
#[derive(Debug, Default)]
pub(super) struct Picture {
    store_id: Option<String>,
    synced: bool,
    /// Since when, in milliseconds since 1970.
    live: HashMap<RoomId, i64>,
    /// More rooms were live than are kept.
    cut: bool,
}

impl Picture {
    pub(super) fn store_id(&self) -> Option<&str> {
        self.store_id.as_deref()
    }

    pub(super) fn is_synced(&self) -> bool {
        self.synced
    }

    /// Since when the room is live: `None` where nobody knows, `Some(None)` where it is not.
    pub(super) fn since_ms(&self, room: &RoomId) -> Option<Option<i64>> {
        let since_ms = self.live.get(room).copied();
        (self.synced && (since_ms.is_some() || !self.cut)).then_some(since_ms)
    }

    pub(super) fn live_count(&self) -> Option<usize> {
        self.synced.then_some(self.live.len())
    }

    /// The watch is broken: whether that changes anything.
    fn lose(&mut self) -> bool {
        self.live = HashMap::new();
        std::mem::take(&mut self.synced)
    }

    /// Takes a line in; the room that it changed.
    fn draw(&mut self, line: WatchLine) -> Result<Option<RoomId>, Broken> {
        let is_hello = matches!(line, WatchLine::Hello(_));
        if is_hello == self.store_id.is_some() {
            let what = "it has to begin with one hello";
            return Err(Broken::Malformed(what.to_owned()));
        }
        match line {
            WatchLine::Hello(node) => self.store_id = Some(node.store_id),
            WatchLine::Live { room, since_ms } => {
                if self.live.len() >= ROOMS_MAX && !self.live.contains_key(&room) {
                    self.cut = true;
                    return Ok(Some(room));
                }
                if self.live.insert(room.clone(), since_ms) != Some(since_ms) {
                    return Ok(Some(room));
                }
            }
            WatchLine::Ended { room } => {
                if self.live.remove(&room).is_some() {
                    return Ok(Some(room));
                }
            }
            WatchLine::Synced | WatchLine::Beat => {}
        }
        Ok(None)
    }
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    fn take(&mut self, mut bytes: &[u8]) -> Result<Vec<WatchLine>, Broken> {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.begin(&bytes[..end])?;
            bytes = &bytes[end + 1..];
            let line = serde_json::from_slice(&self.begun);
            lines.push(line.map_err(|error| Broken::Malformed(error.to_string()))?);
            self.begun.clear();
        }
        self.begin(bytes)?;
        Ok(lines)
    }

    fn begin(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if self.begun.len() + bytes.len() > LINE_BYTES_MAX {
            let what = format!("a line of more than {LINE_BYTES_MAX} bytes");
            return Err(Broken::Malformed(what));
        }
        self.begun.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isocast_admin::NodeIs;

    fn live(number: usize) -> WatchLine {
        WatchLine::Live {
            room: room(number),
            since_ms: 1,
        }
    }

    fn room(number: usize) -> RoomId {
        RoomId::parse(&format!("r{number}")).expect("an id")
    }

    fn hello() -> WatchLine {
        WatchLine::Hello(NodeIs {
            node_id: "n".into(),
            version: "1".into(),
            store_id: "s".into(),
        })
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let text = b"{\"type\":\"beat\"}\n{\"type\":\"ended\",\"room\":\"r1\"}\n{\"type\":\"synced\"}\n{\"ty";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let chunks = text
                .chunks(size)
                .map(|chunk| lines.take(chunk).expect("lines"));
            let heard: Vec<_> = chunks.flatten().collect();
            let ended = WatchLine::Ended { room: room(1) };
            assert_eq!(heard, [WatchLine::Beat, ended, WatchLine::Synced], "{size}");
            assert_eq!(lines.begun, b"{\"ty");
        }
        let mut lines = Lines::default();
        lines
            .take(&[b' '; LINE_BYTES_MAX])
            .expect("as long as may be");
        assert!(lines.take(b" ").is_err());
    }

    #[test]
    fn only_so_many_rooms_are_kept_and_the_others_are_unknown() {
        let mut picture = Picture::default();
        assert!(picture.draw(live(0)).is_err(), "no hello");
        picture.draw(hello()).expect("the first");
        assert!(picture.draw(hello()).is_err(), "twice");
        for number in 0..ROOMS_MAX {
            picture.draw(live(number)).expect("a room");
        }
        assert_eq!(picture.since_ms(&room(0)), None, "not yet synced");
        picture.synced = true;
        assert_eq!(picture.since_ms(&room(ROOMS_MAX)), Some(None));
        picture.draw(live(ROOMS_MAX)).expect("one too many");
        assert_eq!(picture.live_count(), Some(ROOMS_MAX));
        assert_eq!(picture.since_ms(&room(ROOMS_MAX)), None);
        assert_eq!(picture.since_ms(&room(0)), Some(Some(1)));
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let pauses: Vec<_> = (0..7)
            .map(|failures| pause(failures, 0).as_millis())
            .collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!(pause(u32::MAX, 255) > RETRY_LAST / 2);
    }
}
