//! What is live, told as it changes, for whoever has the admin token.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use isocast_admin::{NodeIs, WatchLine};
use tokio::time::{Instant, sleep, sleep_until};

use super::admin::node_is;
use super::auth::Admin;
use crate::app::App;
use crate::error::Refusal;
use crate::rooms::RoomId;

/// How often what is live is compared with what was told.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After so long without a line one says that the node is there.
const BEAT_AFTER: Duration = Duration::from_secs(5);

/// `GET /admin/v1/watch`: lines until the node closes.
pub(super) async fn watch(_: Admin, State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let hello = node_is(&app).await?;
    let lines = stream::unfold(Watch::new(&app, hello), |mut watch| async {
        let lines = watch.next().await?;
        Some((Ok::<_, Infallible>(lines), watch))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// One watcher. Nothing is queued for it: each look tells the difference between what is live and
/// what it was told, so a slow reader misses what came and went, and costs no more than the rooms
/// that are live.
struct Watch {
    app: Arc<App>,
    hello: Option<NodeIs>,
    /// When the publisher of each live room began, as it was told.
    told: BTreeMap<RoomId, i64>,
    last_line: Instant,
}

impl Watch {
    fn new(app: &Arc<App>, hello: NodeIs) -> Self {
        Self {
            app: Arc::clone(app),
            hello: Some(hello),
            told: BTreeMap::new(),
            last_line: Instant::now(),
        }
    }

    /// The next lines; `None` once the node closes.
    async fn next(&mut self) -> Option<Bytes> {
        let lines = match self.hello.take() {
            Some(hello) => self.all(hello),
            None => self.news().await?,
        };
        self.last_line = Instant::now();
        Some(text(&lines))
    }

    fn all(&mut self, hello: NodeIs) -> Vec<WatchLine> {
        let mut lines = vec![WatchLine::Hello(hello)];
        lines.extend(self.changes());
        lines.push(WatchLine::Synced);
        lines
    }

    async fn news(&mut self) -> Option<Vec<WatchLine>> {
        loop {
            tokio::select! {
                biased;
                () = self.app.stop.closing() => return None,
                () = sleep_until(self.last_line + BEAT_AFTER) => return Some(vec![WatchLine::Beat]),
                () = sleep(LOOK_EVERY) => {}
            }
            let changes = self.changes();
            if !changes.is_empty() {
                return Some(changes);
            }
        }
    }

    /// What was not told yet. It counts as told from here on.
    fn changes(&mut self) -> Vec<WatchLine> {
        let live: BTreeMap<RoomId, i64> = self
            .app
            .hub
            .streams()
            .iter()
            .filter_map(|stream| Some((stream.room().clone(), stream.live_since()?.0)))
            .collect();
        let told = std::mem::replace(&mut self.told, live);
        let ended = told.keys().filter(|room| !self.told.contains_key(*room));
        let ended = ended.map(|room| WatchLine::Ended { room: room.clone() });
        let is_news = |(room, since): &(&RoomId, &i64)| told.get(*room) != Some(*since);
        let begun = self.told.iter().filter(is_news);
        let begun = begun.map(|(room, since)| WatchLine::Live {
            room: room.clone(),
            since_ms: *since,
        });
        ended.chain(begun).collect()
    }
}

fn text(lines: &[WatchLine]) -> Bytes {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).expect("words and numbers are JSON");
        text.push(b'\n');
    }
    text.into()
}
