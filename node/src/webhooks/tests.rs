//! Delivery on a clock that jumps.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::mpsc;

use super::*;
use crate::outbound::Rules;

/// What each try comes to, by turns; then 204.
#[derive(Debug)]
struct Script {
    answers: Mutex<VecDeque<Result<u16, Error>>>,
    tries: mpsc::Sender<(Instant, Value)>,
}

impl Carrier for Script {
    fn carry<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<StatusCode, Error>> {
        let body = serde_json::from_slice(&event.body).expect("JSON");
        let answer = self.answers.lock().pop_front().unwrap_or(Ok(204));
        Box::pin(async move {
            let _ = self.tries.send((Instant::now(), body)).await;
            match answer {
                Ok(status) => Ok(StatusCode::from_u16(status).expect("a status")),
                Err(error) => Err(error),
            }
        })
    }
}

fn unresolved() -> Error {
    Error::Unresolved {
        host: "example.com".into(),
    }
}

struct Place {
    webhooks: Webhooks,
    tries: mpsc::Receiver<(Instant, Value)>,
    outcomes: Family<ResultLabel, Counter>,
    stop: Stop,
    tasks: TaskTracker,
}

impl Place {
    fn new(answers: impl IntoIterator<Item = Result<u16, Error>>) -> Self {
        let (sender, tries) = mpsc::channel(1000);
        let carrier = Script {
            answers: Mutex::new(answers.into_iter().collect()),
            tries: sender,
        };
        let (outcomes, stop, tasks) = (Family::default(), Stop::default(), TaskTracker::new());
        let webhooks = Webhooks::new(
            "n1".into(),
            EventKind::ALL.to_vec(),
            carrier,
            outcomes.clone(),
            stop.clone(),
            tasks.clone(),
        );
        Self {
            webhooks,
            tries,
            outcomes,
            stop,
            tasks,
        }
    }

    fn tell(&self, room: &str, epoch: u64) {
        let room = RoomId::parse(room).expect("an id");
        self.webhooks.tell(&room, epoch, Happening::FirstViewer);
    }

    /// When each try was, and of which event, until all is done.
    async fn tries(mut self) -> (Vec<(Instant, u64)>, Family<ResultLabel, Counter>) {
        self.tasks.close();
        self.tasks.wait().await;
        drop(self.webhooks);
        let mut tries = Vec::new();
        while let Some((at, body)) = self.tries.recv().await {
            tries.push((at, body["epoch"].as_u64().expect("a number")));
        }
        (tries, self.outcomes)
    }
}

fn count(outcomes: &Family<ResultLabel, Counter>, result: &'static str) -> u64 {
    outcomes.get_or_create(&ResultLabel { result }).get()
}

#[tokio::test(start_paused = true)]
async fn a_rooms_events_come_in_order_whatever_fails() {
    let failures = [
        Err(unresolved()),
        Ok(500),
        Ok(302),
        Ok(429),
        Ok(408),
        Ok(425),
        Ok(503),
    ];
    let place = Place::new(failures);
    let started = Instant::now();
    for epoch in 1..=3 {
        place.tell("a", epoch);
    }
    let (tries, outcomes) = place.tries().await;
    let epochs: Vec<_> = tries.iter().map(|(_, epoch)| *epoch).collect();
    assert_eq!(epochs, [1, 1, 1, 1, 1, 1, 1, 1, 2, 3]);
    // 1 + 2 + … + 64 s, less a quarter at most by chance.
    let took = tries[7].0 - started;
    assert!((95..=127).contains(&took.as_secs()), "{took:?}");
    assert_eq!(tries[9].0, tries[7].0, "what comes after has not to wait");
    assert_eq!(count(&outcomes, "delivered"), 3);
    assert_eq!(count(&outcomes, "retried"), 7);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_tried_again() {
    let place = Place::new([Ok(400), Ok(410), Ok(404)]);
    for epoch in 1..=4 {
        place.tell("a", epoch);
    }
    let (tries, outcomes) = place.tries().await;
    assert_eq!(tries.len(), 4);
    assert_eq!(count(&outcomes, "refused"), 3);
    assert_eq!(count(&outcomes, "delivered"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_rules_do_not_allow_is_given_up_at_once() {
    let address = [127, 0, 0, 1].into();
    let denied = Error::Denied {
        host: "127.0.0.1".into(),
        address,
        reserved: Rules::new(Vec::new()).check(address).unwrap_err(),
    };
    let plain = Error::Plain {
        host: "example.com".into(),
    };
    let place = Place::new([Err(denied), Err(plain)]);
    for epoch in 1..=3 {
        place.tell("a", epoch);
    }
    let (tries, outcomes) = place.tries().await;
    let epochs: Vec<_> = tries.iter().map(|(_, epoch)| *epoch).collect();
    assert_eq!(epochs, [1, 2, 3]);
    assert_eq!(count(&outcomes, "given_up"), 2);
    assert_eq!(count(&outcomes, "retried"), 0);
}

#[tokio::test(start_paused = true)]
async fn after_an_hour_an_event_is_given_up_and_the_next_has_its_try() {
    let place = Place::new(vec![Err(unresolved()); 22]);
    let started = Instant::now();
    place.tell("a", 1);
    let (tries, outcomes) = place.tries().await;
    let last = tries.last().expect("some").0 - started;
    assert!(last <= GIVE_UP, "{last:?}");
    assert!(last > GIVE_UP - RETRY_LAST * 2, "{last:?}");
    assert!((16..23).contains(&tries.len()), "{}", tries.len());
    assert_eq!(count(&outcomes, "given_up"), 1);
}

#[tokio::test(start_paused = true)]
async fn one_rooms_failures_do_not_hold_up_another() {
    let place = Place::new([Err(unresolved())]);
    let started = Instant::now();
    place.tell("a", 1);
    tokio::task::yield_now().await;
    place.tell("b", 2);
    let (tries, _) = place.tries().await;
    let of_b = tries.iter().find(|(_, epoch)| *epoch == 2).expect("there");
    assert_eq!(of_b.0, started);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_node_tries_once_more_and_ends() {
    let place = Place::new(vec![Err(unresolved()); 100]);
    place.tell("a", 1);
    place.tell("a", 2);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let closed = Instant::now();
    place.stop.close();
    let (tries, outcomes) = place.tries().await;
    assert_eq!(closed.elapsed(), FAREWELL);
    assert!(tries.iter().any(|(at, _)| *at == closed), "at once");
    assert_eq!(count(&outcomes, "abandoned"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_is_told_of_at_both_ends() {
    let mut place = Place::new([]);
    let claim = Claim::of(RoomId::parse("a").expect("an id"), 7);
    let publishing = place.webhooks.publishing(&claim, Some("ab".into()));
    let (_, body) = place.tries.recv().await.expect("told");
    assert_eq!(body["type"], "publish");
    assert_eq!(body["key_fingerprint"], "ab");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    publishing.ended(Reason::Revoked);
    let (_, body) = place.tries.recv().await.expect("told");
    assert_eq!(body["type"], "unpublish");
    assert_eq!(body["reason"], "revoked");
    assert_eq!(body["duration_ms"], 1500);
    // One that breaks off says so too.
    drop(place.webhooks.publishing(&claim, None));
    let (_, _) = place.tries.recv().await.expect("told");
    let (_, body) = place.tries.recv().await.expect("told");
    assert_eq!(body["reason"], "error");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_is_not_told() {
    let place = Place::new([]);
    let Some(delivery) = &place.webhooks.0 else {
        panic!("configured");
    };
    let quiet = Webhooks::new(
        "n1".into(),
        vec![EventKind::Publish],
        Script {
            answers: Mutex::default(),
            tries: mpsc::channel(1).0,
        },
        place.outcomes.clone(),
        delivery.stop.clone(),
        delivery.tasks.clone(),
    );
    let room = RoomId::parse("a").expect("an id");
    quiet.tell(&room, 1, Happening::LastViewer);
    Webhooks::default().tell(&room, 1, Happening::LastViewer);
    let (tries, _) = place.tries().await;
    assert!(tries.is_empty());
}
