use std::future::Future;

use futures_util::FutureExt;
use futures_util::future::join_all;
use isocast_claims::Pair;
use tokio::time::{advance, sleep};

use super::*;
use crate::metrics::Metrics;
use double::{Does, Double, name, pair, playlist};
use latency::DEADLINE_MAX;
use peer::{Failure, Holders};

mod double;

/// A node that owns nothing, and two others: `a`, which owns the room, and `b`, which has it too.
struct Edge {
    fetcher: Fetcher,
    others: Arc<Double>,
    room: RoomId,
    a: Pair,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Edge {
    fn new() -> Self {
        let edge = Self::without_owner();
        edge.others.node(&edge.a, Some(playlist(&edge.a, 10)));
        edge
    }

    fn without_owner() -> Self {
        let (others, tasks) = (Arc::<Double>::default(), TaskTracker::new());
        let stop = CancellationToken::new();
        let counted = Metrics::new().fetches.clone();
        let (holders, calls) = (Arc::clone(&others), Arc::clone(&others));
        let origin = Origin::new(holders, calls, counted.clone());
        let settings = Settings {
            cache_bytes_max: 1 << 20,
            hold: Duration::from_secs(15),
        };
        let fetcher = Fetcher::new(origin, settings, counted, tasks.clone(), stop.clone());
        Self {
            fetcher,
            others,
            room: RoomId::parse("a").unwrap(),
            a: pair(1000, "a"),
            stop,
            tasks,
        }
    }

    async fn playlist(&self) -> Result<Fetched, Refusal> {
        let feed = self.fetcher.feed(&self.room)?;
        self.fetcher.playlist(&feed).await
    }

    async fn segment(&self, msn: u64) -> Result<Fetched, Refusal> {
        self.fetcher.segment(&self.room, name(&self.a, msn)).await
    }
}

fn text(fetched: &Result<Fetched, Refusal>) -> String {
    let body = &fetched.as_ref().expect("a playlist").body;
    String::from_utf8(body.to_vec()).unwrap()
}

async fn took<F: Future>(of: F) -> (Duration, F::Output) {
    let begun = Instant::now();
    let output = of.await;
    (begun.elapsed(), output)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test(start_paused = true)]
async fn however_many_watch_the_owner_hears_of_this_node_once() {
    let edge = Edge::new();
    for second in 0..20 {
        let answers = join_all((0..50).map(|_| edge.playlist())).await;
        assert!(answers.iter().all(|it| text(it) == playlist(&edge.a, 10)));
        let answers = join_all((0..50).map(|_| edge.segment(11))).await;
        assert!(
            answers
                .iter()
                .all(|it| it.as_ref().unwrap().body[..] == [11; 100])
        );
        assert!(second == 0 || answers.iter().all(|it| it.as_ref().unwrap().is_hit));
        sleep(Duration::from_secs(1)).await;
    }
    let segment = Object::Segment(name(&edge.a, 11));
    assert_eq!(edge.others.calls_for(segment), 1);
    let polls = edge.others.calls_for(Object::Playlist);
    assert!((10..=12).contains(&polls), "{polls}");
}

#[tokio::test(start_paused = true)]
async fn a_new_playlist_is_here_as_soon_as_it_exists() {
    let edge = Edge::new();
    let first = edge.playlist().await.unwrap();
    assert!(!first.is_hit && first.publisher.as_str() == "a");
    sleep(ms(700)).await;
    edge.others.tells("a", playlist(&edge.a, 11));
    sleep(ms(1)).await;
    let (waited, next) = took(edge.playlist()).await;
    assert_eq!(text(&next), playlist(&edge.a, 11));
    assert!(waited.is_zero() && next.unwrap().is_hit);
}

#[tokio::test(start_paused = true)]
async fn who_comes_before_the_first_segment_waits_for_it() {
    let edge = Edge::without_owner();
    edge.others.node(&edge.a, None);
    let others = Arc::clone(&edge.others);
    let first = playlist(&edge.a, 1);
    let told = first.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(5)).await;
        others.tells("a", told);
    });
    let (waited, answer) = took(edge.playlist()).await;
    assert_eq!(text(&answer), first);
    assert_eq!(waited.as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn between_two_owners_the_last_playlist_goes_on() {
    let edge = Edge::new();
    let last = text(&edge.playlist().await);
    edge.others
        .does("a", Does::Fail(Failure::Unreachable("gone".into())));
    sleep(Duration::from_secs(3)).await;
    for _ in 0..4 {
        assert_eq!(text(&edge.playlist().await), last);
        sleep(Duration::from_secs(2)).await;
    }
    let b = pair(2000, "b");
    edge.others.no_holders();
    assert_eq!(text(&edge.playlist().await), last);
    edge.others.node(&b, None);
    assert_eq!(text(&edge.playlist().await), last, "it has no segment yet");
    edge.others.tells("b", playlist(&b, 13));
    sleep(Duration::from_secs(1)).await;
    let next = edge.playlist().await;
    assert_eq!(text(&next), playlist(&b, 13));
    assert_eq!(next.unwrap().publisher.as_str(), "b");
}

#[tokio::test(start_paused = true)]
async fn after_the_hold_the_room_is_not_live() {
    let edge = Edge::new();
    edge.playlist().await.unwrap();
    edge.others.no_holders();
    let gone = Instant::now();
    let refused = loop {
        match edge.playlist().await {
            Ok(_) => sleep(ms(500)).await,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, Refusal::NotLive);
    // The call that the owner held back when it went still confirmed the playlist.
    assert!((15..=18).contains(&gone.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_stale_owner_is_not_believed() {
    let edge = Edge::new();
    edge.others.admit(&edge.room, &pair(2000, "b")).unwrap();
    let refused = edge.playlist().await.unwrap_err();
    assert_eq!(refused.code(), "unavailable");
}

#[tokio::test(start_paused = true)]
async fn a_room_that_nobody_has_is_refused_at_once_and_asked_about_once_a_second() {
    let edge = Edge::without_owner();
    for _ in 0..100 {
        let (waited, answer) = took(edge.playlist()).await;
        assert_eq!(answer.unwrap_err(), Refusal::NotLive);
        assert!(waited.is_zero());
    }
    sleep(Duration::from_secs(4)).await;
    assert!(edge.tasks.is_empty(), "nobody asks any more");
}

#[tokio::test(start_paused = true)]
async fn what_the_owner_says_of_the_room_is_said_here() {
    for refusal in [Refusal::CodecNotInHls("Opus"), Refusal::Ended] {
        let edge = Edge::new();
        edge.others.does("a", Does::Deny(refusal.clone()));
        assert_eq!(edge.playlist().await.unwrap_err(), refusal);
    }
}

#[tokio::test(start_paused = true)]
async fn invented_names_do_not_come_through() {
    let edge = Edge::new();
    edge.playlist().await.unwrap();
    for msn in [1, 5, 14, 1_000_000] {
        let refused = edge.segment(msn).await.unwrap_err();
        assert_eq!(refused, Refusal::NoSegment, "{msn}");
    }
    let other = name(&pair(1001, "a"), 11);
    assert!(edge.fetcher.segment(&edge.room, other).await.is_err());
    assert!(
        edge.others
            .calls()
            .iter()
            .all(|it| it.1 == Object::Playlist)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_asked_for_once_a_second() {
    let edge = Edge::new();
    edge.playlist().await.unwrap();
    edge.others.does("a", Does::Deny(Refusal::NoSegment));
    let begun = Instant::now();
    while begun.elapsed() < ms(900) {
        assert_eq!(edge.segment(11).await.unwrap_err(), Refusal::NoSegment);
        advance(ms(50)).await;
    }
    assert_eq!(edge.others.calls_for(Object::Segment(name(&edge.a, 11))), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_owner_costs_a_hedge_and_no_more() {
    let edge = Edge::new();
    edge.others.node(&pair(1000, "b"), None);
    edge.playlist().await.unwrap();
    edge.others.does("a", Does::Hang);
    let (waited, answer) = took(edge.segment(11)).await;
    assert!(answer.is_ok());
    assert_eq!(waited, ms(500), "while nothing is measured");
    assert_eq!(edge.others.calls_to("b"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_follows_what_was_measured() {
    let edge = Edge::new();
    edge.playlist().await.unwrap();
    edge.others.does("a", Does::Late(ms(100)));
    for first in 11..31 {
        edge.others.tells("a", playlist(&edge.a, first));
        sleep(ms(300)).await;
        assert!(edge.segment(first).await.is_ok());
    }
    edge.others.does("a", Does::Hang);
    let before = Instant::now();
    let refused = edge.segment(31).await.unwrap_err();
    assert_eq!(refused.code(), "unavailable");
    assert!(before.elapsed() <= DEADLINE_MAX);
    let segment = Object::Segment(name(&edge.a, 31));
    let calls: Vec<_> = edge
        .others
        .calls()
        .into_iter()
        .filter(|it| it.1 == segment)
        .collect();
    assert!(
        calls[1].2 - calls[0].2 <= ms(250 + 50),
        "the least deadline"
    );
    assert!(calls.len() > 3, "it was tried again");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_be_reached_is_left_alone() {
    let edge = Edge::new();
    edge.others
        .node(&pair(1000, "b"), Some(playlist(&edge.a, 10)));
    edge.playlist().await.unwrap();
    edge.others.does("a", Does::Fail(Failure::Status(500)));
    for msn in 9..=13 {
        assert!(edge.segment(msn).await.is_ok(), "b has it");
    }
    let segments = |node: &str| {
        let calls = edge.others.calls();
        let is_one = |it: &&(_, Object, _)| matches!(it.1, Object::Segment(_));
        calls
            .iter()
            .filter(is_one)
            .filter(|it| it.0.as_str() == node)
            .count()
    };
    assert_eq!((segments("a"), segments("b")), (3, 5));
}

#[tokio::test(start_paused = true)]
async fn what_only_another_has_is_fetched_there() {
    let edge = Edge::new();
    edge.others.node(&pair(1000, "b"), None);
    edge.playlist().await.unwrap();
    edge.others.does("a", Does::Deny(Refusal::NoSegment));
    assert_eq!(edge.segment(11).await.unwrap().publisher.as_str(), "b");
    edge.others.does("b", Does::Fail(Failure::Late));
    assert_eq!(
        edge.segment(12).await.unwrap_err(),
        Refusal::NoSegment,
        "the owner knows"
    );
}

#[tokio::test(start_paused = true)]
async fn the_multivariant_playlist_outlives_its_owner_too() {
    let edge = Edge::new();
    let feed = edge.fetcher.feed(&edge.room).unwrap();
    assert!(!edge.fetcher.multivariant(&feed).await.unwrap().is_hit);
    edge.others
        .does("a", Does::Fail(Failure::Unreachable("gone".into())));
    sleep(Duration::from_secs(4)).await;
    assert!(edge.fetcher.multivariant(&feed).await.unwrap().is_hit);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_and_kept_that_nobody_watches() {
    let edge = Edge::new();
    edge.playlist().await.unwrap();
    edge.segment(11).await.unwrap();
    let feed = edge.fetcher.feed(&edge.room).unwrap();
    assert!(feed.note_viewer([127, 0, 0, 1].into(), b"browser", true));
    assert_eq!(
        (
            edge.fetcher.viewers(&edge.room),
            edge.fetcher.viewers_total()
        ),
        (1, 1)
    );
    sleep(Duration::from_secs(20)).await;
    let calls = edge.others.calls().len();
    assert!(edge.tasks.is_empty());
    assert_eq!(edge.fetcher.viewers(&edge.room), 0);
    sleep(Duration::from_secs(41)).await;
    edge.fetcher.tick();
    assert!(edge.fetcher.0.feeds.lock().is_empty());
    assert!(edge.fetcher.0.segments.lock().bytes() > 0);
    sleep(SEGMENT_KEPT).await;
    edge.fetcher.tick();
    assert_eq!(edge.fetcher.0.segments.lock().bytes(), 0);
    assert_eq!(edge.others.calls().len(), calls);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_node() {
    let edge = Edge::new();
    edge.playlist().await.unwrap();
    edge.others.does("a", Does::Hang);
    assert!(edge.segment(11).now_or_never().is_none());
    edge.stop.cancel();
    edge.tasks.close();
    edge.tasks.wait().await;
}
