use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fetch::{Error, Fetched, Source};
use super::*;
use crate::metrics::ResultLabel;

const FRESH: Duration = Duration::from_secs(600);

fn key_set(kids: &[&str]) -> KeySet {
    // The public key of RFC 8037 §A.2.
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let key = |kid| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x});
    let keys: Vec<_> = kids.iter().map(key).collect();
    KeySet::parse(&json!({ "keys": keys }).to_string()).expect("a key set")
}

/// A server whose keys a test changes. Each answer takes a second.
#[derive(Clone, Debug, Default)]
struct Server(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// `None`: it cannot be reached.
    kids: Option<Vec<&'static str>>,
    fetches: Vec<Instant>,
}

impl Server {
    fn has(&self, kids: &[&'static str]) {
        self.lock().kids = Some(kids.to_vec());
    }

    fn is_gone(&self) {
        self.lock().kids = None;
    }

    fn fetches(&self) -> usize {
        self.lock().fetches.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Server {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, Error>> {
        Box::pin(async {
            self.lock().fetches.push(Instant::now());
            sleep(Duration::from_secs(1)).await;
            match &self.lock().kids {
                Some(kids) => Ok(Fetched {
                    key_set: key_set(kids),
                    fresh_for: FRESH,
                }),
                None => Err(Error::Status {
                    host: "id.example".into(),
                    status: 503,
                }),
            }
        })
    }
}

struct Running {
    server: Server,
    keys: FetchedKeys,
    fetches: Family<ResultLabel, Counter>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    fn start(kids: Option<&[&'static str]>) -> Self {
        let server = Server::default();
        if let Some(kids) = kids {
            server.has(kids);
        }
        let (fetches, stop) = (Family::default(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let counted = Family::clone(&fetches);
        let keys = FetchedKeys::start(server.clone(), counted, stop.clone(), &tasks);
        Self {
            server,
            keys,
            fetches,
            stop,
            tasks,
        }
    }

    /// Whether the newest set has this key, for somebody who comes with a token of it.
    async fn knows(&self, kid: &str) -> bool {
        let set = self.keys.with(kid.to_owned()).await;
        set.expect("there was one").has(kid)
    }

    fn counted(&self, result: &'static str) -> u64 {
        self.fetches.get_or_create(&ResultLabel { result }).get()
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_is_fetched_at_the_start_and_when_it_is_no_longer_fresh() {
    let running = Running::start(Some(&["a"]));
    let begun = Instant::now();
    assert!(running.knows("a").await, "who comes at once waits");
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    for kid in ["a"; 100] {
        assert!(running.knows(kid).await);
    }
    sleep(FRESH - Duration::from_secs(1)).await;
    assert_eq!(running.server.fetches(), 1);
    running.server.has(&["b"]);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(running.server.fetches(), 2);
    assert!(running.knows("b").await && running.counted("ok") == 2);
    sleep(FRESH * 10).await;
    assert_eq!(running.server.fetches(), 11, "as long as nobody asks");
}

#[tokio::test(start_paused = true)]
async fn a_set_is_fetched_for_keys_that_are_not_known_three_times_a_minute() {
    let running = Running::start(Some(&["a"]));
    assert!(running.knows("a").await);
    assert!(!running.knows("never").await);
    running.server.has(&["a", "b"]);
    // Those who come together wait for one fetch.
    let (one, other) = tokio::join!(running.knows("b"), running.knows("b"));
    assert!(one && other && running.server.fetches() == 3);
    assert!(!running.knows("never").await);
    assert_eq!(running.server.fetches(), 4);
    running.server.has(&["c"]);
    for second in 4..60 {
        assert!(!running.knows("c").await, "{second}");
        assert!(!running.knows("never").await, "{second}");
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(running.server.fetches(), 4);
    sleep(Duration::from_secs(2)).await;
    assert!(running.knows("c").await);
    assert_eq!(running.server.fetches(), 5);
    assert!(!running.knows("a").await, "it was taken back");
}

#[tokio::test(start_paused = true)]
async fn keys_stay_while_their_server_is_gone() {
    let running = Running::start(Some(&["a"]));
    assert!(running.knows("a").await);
    running.server.is_gone();
    sleep(FRESH + Duration::from_secs(3600)).await;
    assert!(running.knows("a").await);
    // 1, 2, 4 … 60 s apart, and less by up to a quarter.
    let failures = running.counted("status");
    assert!((60..=90).contains(&failures), "{failures}");
    running.server.has(&["b"]);
    sleep(Duration::from_secs(62)).await;
    assert!(running.knows("b").await);
    assert_eq!(running.counted("ok"), 2);
}

#[tokio::test(start_paused = true)]
async fn until_there_is_a_set_tokens_wait_and_what_is_none_is_refused() {
    let running = Running::start(None);
    // {"alg":"EdDSA","kid":"a"}, and nothing behind it that anybody reads.
    let token = "eyJhbGciOiJFZERTQSIsImtpZCI6ImEifQ.e30.AA";
    let Running { server, keys, .. } = running;
    let issuer = Issuer::new(Keys::Url(keys), &config::Auth::default());
    let unavailable = Refusal::Unavailable("the server with the keys of tokens");
    assert_eq!(issuer.verify(token).await.err(), Some(unavailable));
    let begun = Instant::now();
    for text in ["", "wrong", "a.b.c", "e30.e30.AA"] {
        let refused = issuer.verify(text).await.err();
        assert_eq!(refused, Some(Refusal::Unauthorized), "{text}");
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "for those nobody asks");
    server.has(&["a"]);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(
        issuer.verify(token).await.err(),
        Some(Refusal::Unauthorized)
    );
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_its_node_and_nobody_waits_for_it_any_more() {
    for at_ms in [500, 5000] {
        let running = Running::start(Some(&["a"]));
        sleep(Duration::from_millis(at_ms)).await;
        running.stop.cancel();
        running.tasks.close();
        running.tasks.wait().await;
        let _ = running.keys.with("b".into()).await;
    }
}
