use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::sync::Mutex;

/// A key is fetched once in this time at most; whoever asks meanwhile gets what came of that.
const TOKEN_EVERY: Duration = Duration::from_secs(1);
/// Fetches at once. An entry is some hundred bytes, beside what was fetched.
const FLIGHTS_MAX: usize = 1024;

/// Fetches that are under way, each for everyone who asks for the same.
///
/// A fetch is a task of its own: who asked first may leave, and the others still get their answer. Its outcome is
/// handed out for the rest of its second, whatever it was, so that a key which is not there, or not kept, costs
/// its peer one call a second however many ask.
#[derive(Debug)]
pub(super) struct Flights<K, V> {
    open: Arc<Open<K, V>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

type Open<K, V> = Mutex<HashMap<K, watch::Receiver<Option<V>>>>;

/// How an answer was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// This was the first to ask.
    Led,
    Joined,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Grounded {
    #[error("as much is fetched at once as may be")]
    Crowded,
    #[error("the node is stopping")]
    Stopping,
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + Debug + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            open: Arc::default(),
            tasks,
            stop,
        }
    }

    /// The outcome of the fetch for this key, which is begun where there is none. It has a deadline of its own.
    pub(super) async fn join<F>(
        &self,
        key: &K,
        fetch: impl FnOnce() -> F,
    ) -> Result<(V, Share), Grounded>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (mut outcome, share) = self.board(key, fetch)?;
        let outcome = outcome.wait_for(Option::is_some).await;
        let value = outcome.ok().and_then(|value| value.clone());
        value.map(|value| (value, share)).ok_or(Grounded::Stopping)
    }

    fn board<F>(
        &self,
        key: &K,
        fetch: impl FnOnce() -> F,
    ) -> Result<(watch::Receiver<Option<V>>, Share), Grounded>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut open = self.open.lock();
        if let Some(outcome) = open.get(key) {
            return Ok((outcome.clone(), Share::Joined));
        }
        if open.len() >= FLIGHTS_MAX {
            return Err(Grounded::Crowded);
        }
        let (tell, outcome) = watch::channel(None);
        open.insert(key.clone(), outcome.clone());
        drop(open);
        let (fetch, stop) = (fetch(), self.stop.clone());
        let entry = Entry {
            open: Arc::clone(&self.open),
            key: key.clone(),
        };
        self.tasks.spawn(async move {
            let until = Instant::now() + TOKEN_EVERY;
            let fly = async {
                tell.send_replace(Some(fetch.await));
                sleep_until(until).await;
            };
            tokio::select! {
                () = fly => {}
                () = stop.cancelled() => {}
            }
            drop(entry);
        });
        Ok((outcome, Share::Led))
    }
}

/// A key's place among the fetches, given back also where the fetch panics.
struct Entry<K: Eq + Hash, V> {
    open: Arc<Open<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        self.open.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;

    struct Counted {
        flights: Flights<u32, u32>,
        fetches: Arc<AtomicU32>,
        stop: CancellationToken,
    }

    impl Counted {
        fn new() -> Self {
            let stop = CancellationToken::new();
            Self {
                flights: Flights::new(TaskTracker::new(), stop.clone()),
                fetches: Arc::default(),
                stop,
            }
        }

        /// The number of the fetch that answered.
        async fn ask(&self, key: u32, takes: Duration) -> Result<(u32, Share), Grounded> {
            let fetches = Arc::clone(&self.fetches);
            let fetch = move || async move {
                sleep(takes).await;
                fetches.fetch_add(1, Ordering::Relaxed) + 1
            };
            self.flights.join(&key, fetch).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_fetch_serves_all_who_ask_though_the_first_leaves() {
        let (node, takes) = (Counted::new(), Duration::from_secs(3));
        let first = node.ask(7, takes);
        assert!(first.now_or_never().is_none(), "it has left");
        let answers = join_all((0..100).map(|_| node.ask(7, takes))).await;
        assert!(answers.iter().all(|it| *it == Ok((1, Share::Joined))));
        assert_eq!(node.ask(8, takes).await, Ok((2, Share::Led)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_fetched_once_a_second_at_most() {
        let node = Counted::new();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            node.ask(7, Duration::from_millis(10)).await.unwrap();
            advance(Duration::from_millis(10)).await;
        }
        let fetches = node.fetches.load(Ordering::Relaxed);
        assert!((9..=10).contains(&fetches), "{fetches}");
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_bound_and_an_end() {
        let (node, takes) = (Counted::new(), Duration::from_secs(1));
        for key in 0..FLIGHTS_MAX as u32 {
            assert!(node.ask(key, takes).now_or_never().is_none());
        }
        assert_eq!(node.ask(5000, takes).await, Err(Grounded::Crowded));
        let waits = node.ask(1, takes);
        node.stop.cancel();
        assert_eq!(waits.await, Err(Grounded::Stopping));
        node.flights.tasks.close();
        node.flights.tasks.wait().await;
        assert!(node.flights.open.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_panics_leaves_no_place_taken() {
        let node = Counted::new();
        let fetch = || async { panic!("in a fetch") };
        assert_eq!(node.flights.join(&7, fetch).await, Err(Grounded::Stopping));
        assert!(node.ask(7, Duration::ZERO).await.is_ok());
    }
}
