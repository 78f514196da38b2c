//! Secrets that may change: each is asked for by turns, by its name.
//!
//! The operator may not list or watch Secrets, so that it cannot read all of them. It asks for the
//! metadata alone: what it compares is the resource version, and the data stays where it is. A
//! Secret with many users is asked for once. There are at most [`GETS_PER_S`] requests a second for
//! each watched namespace, or for all of them together where all are watched: 250 Secrets of users can be looked at every 5 s; with more, every look comes later, and a
//! thousand of them are looked at every 20 s.
//!
//! [`Schedule`] decides whose turn it is and knows no API; [`Poller`]'s one task asks.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use isocast_admin::random;
use isocast_crds::{LiveCluster, LiveRoom};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::apply::within;

const GETS_PER_S: u32 = 50;
/// So that some that hang do not stop the others.
const GETS_AT_ONCE_MAX: usize = 16;
/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Changes that wait to be heard. Whoever hears them only passes them on.
const QUEUE_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SecretRef {
    pub namespace: String,
    pub name: String,
}

/// The resource version; `None` where there is no such Secret.
pub(crate) type Seen = Option<String>;

/// How soon a change must be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pace {
    /// 5 s: a Secret that people write.
    Soon,
    /// 60 s: one of ours, which nobody should touch.
    Slow,
}

/// Who has to be looked at again when a Secret changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    Cluster(ObjectRef<LiveCluster>),
    Room(ObjectRef<LiveRoom>),
}

/// A Secret that somebody depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    pub secret: SecretRef,
    pub pace: Pace,
    /// As its user has read it: anything else is a change.
    pub seen: Seen,
}

pub(crate) struct Poller {
    turns: Arc<Turns>,
    task: TaskTracker,
    stop: CancellationToken,
}

struct Turns {
    client: Client,
    schedule: Mutex<Schedule>,
    changed: mpsc::Sender<Who>,
    /// There may be an earlier turn than the one that is waited for.
    woken: Notify,
}

impl Poller {
    /// Starts; it asks for nothing yet. Where those come out who have to be looked at.
    pub(crate) fn new(client: Client) -> (Self, mpsc::Receiver<Who>) {
        let (changed, changes) = mpsc::channel(QUEUE_MAX);
        let turns = Arc::new(Turns {
            client,
            schedule: Mutex::default(),
            changed,
            woken: Notify::new(),
        });
        let (task, stop) = (TaskTracker::new(), CancellationToken::new());
        task.spawn({
            let (turns, stop) = (Arc::clone(&turns), stop.clone());
            async move { turns.run(stop).await }
        });
        (Self { turns, task, stop }, changes)
    }

    /// `who` depends on these Secrets from now on, and on no others.
    pub(crate) fn want(&self, who: &Who, wants: Vec<Want>) {
        self.turns.lock().want(who, wants, Instant::now());
        self.turns.woken.notify_one();
    }

    /// `who` is gone.
    pub(crate) fn forget(&self, who: &Who) {
        self.want(who, Vec::new());
    }

    /// Asks for nothing any more.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.task.close();
        self.task.wait().await;
    }
}

impl Turns {
    /// Asks until `stop`.
    async fn run(&self, stop: CancellationToken) {
        let mut asked = FuturesUnordered::new();
        loop {
            let turn = self
                .lock()
                .turn()
                .filter(|_| asked.len() < GETS_AT_ONCE_MAX);
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.woken.notified() => {}
                () = sleep_until(turn.unwrap_or_else(Instant::now)), if turn.is_some() => {
                    let next = self.lock().take(Instant::now());
                    if let Some(secret) = next {
                        asked.push(self.ask(secret));
                    }
                }
                Some((secret, found)) = asked.next() => {
                    let chance = random::bytes::<1>()[0];
                    let changed = self.lock().done(&secret, found, Instant::now(), chance);
                    for who in changed {
                        tokio::select! {
                            () = stop.cancelled() => return,
                            // Where nobody hears it any more, the operator is ending.
                            _ = self.changed.send(who) => {}
                        }
                    }
                }
            }
        }
    }

    /// `None` in place of an answer is a failure.
    async fn ask(&self, secret: SecretRef) -> (SecretRef, Option<Seen>) {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &secret.namespace);
        let asked = api.get_metadata_opt(&secret.name);
        let found = match within(format!("Secret {}", secret.name), asked).await {
            Ok(found) => {
                Some(found.map(|found| found.metadata.resource_version.unwrap_or_default()))
            }
            Err(error) => {
                tracing::warn!(namespace = secret.namespace, %error, "Secret not read");
                None
            }
        };
        (secret, found)
    }

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    const fn period(self) -> Duration {
        match self {
            Self::Soon => Duration::from_secs(5),
            Self::Slow => Duration::from_secs(60),
        }
    }
}

/// Whose turn it is.
#[derive(Debug, Default)]
struct Schedule {
    secrets: HashMap<SecretRef, Entry>,
    wanted: HashMap<Who, Vec<SecretRef>>,
    /// Those that are not being asked for right now, by when they are due.
    turns: BTreeSet<(Instant, SecretRef)>,
    /// Not before: see [`GETS_PER_S`].
    free: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    users: HashMap<Who, (Pace, Seen)>,
    /// `None` while it is being asked for.
    due: Option<Instant>,
    failures: u32,
}

impl Entry {
    fn period(&self) -> Duration {
        let pace = self.users.values().map(|(pace, _)| *pace).min();
        pace.unwrap_or(Pace::Slow).period()
    }
}

impl Schedule {
    fn want(&mut self, who: &Who, wants: Vec<Want>, now: Instant) {
        let secrets: Vec<_> = wants.iter().map(|want| want.secret.clone()).collect();
        let before = if secrets.is_empty() {
            self.wanted.remove(who)
        } else {
            self.wanted.insert(who.clone(), secrets.clone())
        };
        let mut dropped = before.unwrap_or_default();
        dropped.retain(|secret| !secrets.contains(secret));
        for secret in dropped {
            self.unwant(who, secret);
        }
        for Want { secret, pace, seen } in wants {
            // Its user has just read it, so it is not due at once.
            let latest = now + pace.period();
            let entry = self.secrets.entry(secret.clone()).or_insert_with(|| {
                self.turns.insert((latest, secret.clone()));
                Entry {
                    users: HashMap::new(),
                    due: Some(latest),
                    failures: 0,
                }
            });
            entry.users.insert(who.clone(), (pace, seen));
            if entry.failures == 0
                && let Some(due) = entry.due
                && due > latest
            {
                self.turns.remove(&(due, secret.clone()));
                self.turns.insert((latest, secret));
                entry.due = Some(latest);
            }
        }
    }

    fn unwant(&mut self, who: &Who, secret: SecretRef) {
        let Some(entry) = self.secrets.get_mut(&secret) else {
            return;
        };
        entry.users.remove(who);
        if !entry.users.is_empty() {
            return;
        }
        let due = entry.due;
        self.secrets.remove(&secret);
        if let Some(due) = due {
            self.turns.remove(&(due, secret));
        }
    }

    /// When the next turn is.
    fn turn(&self) -> Option<Instant> {
        let (due, _) = self.turns.first()?;
        Some(self.free.map_or(*due, |free| free.max(*due)))
    }

    /// Whose turn it is; that one has to be [`done`](Self::done) before it comes again.
    fn take(&mut self, now: Instant) -> Option<SecretRef> {
        if self.turn()? > now {
            return None;
        }
        let (_, secret) = self.turns.pop_first()?;
        self.free = Some(now + Duration::from_secs(1) / GETS_PER_S);
        if let Some(entry) = self.secrets.get_mut(&secret) {
            entry.due = None;
        }
        Some(secret)
    }

    /// What came of it (`None`: a failure); who has seen something else.
    fn done(
        &mut self,
        secret: &SecretRef,
        found: Option<Seen>,
        now: Instant,
        chance: u8,
    ) -> Vec<Who> {
        // It may be wanted no more, or wanted anew since then and have its turn already.
        let Some(entry) = self.secrets.get_mut(secret) else {
            return Vec::new();
        };
        entry.failures = match found {
            Some(_) => 0,
            None => entry.failures.saturating_add(1),
        };
        if entry.due.is_none() {
            let full = entry.period().saturating_mul(1 << entry.failures.min(6));
            // Less up to a tenth by chance, so that what began together does not stay together.
            let full = full.min(PAUSE_MAX);
            let due = now + full - full.mul_f64(f64::from(chance) / 256.0 / 10.0);
            entry.due = Some(due);
            self.turns.insert((due, secret.clone()));
        }
        let Some(found) = found else {
            return Vec::new();
        };
        let users = entry.users.iter_mut();
        let differs = users.filter_map(|(who, (_, seen))| {
            let changed = *seen != found;
            seen.clone_from(&found);
            changed.then(|| who.clone())
        });
        differs.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_api::FakeApi;
    use serde_json::json;

    fn room(name: &str) -> Who {
        Who::Room(ObjectRef::new(name).within("n"))
    }

    fn secret(name: &str) -> SecretRef {
        SecretRef {
            namespace: "n".into(),
            name: name.into(),
        }
    }

    fn want(name: &str, pace: Pace, seen: Option<&str>) -> Want {
        Want {
            secret: secret(name),
            pace,
            seen: seen.map(str::to_owned),
        }
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn a_secret_is_asked_for_once_however_many_use_it() {
        let (mut schedule, begin) = (Schedule::default(), Instant::now());
        assert_eq!(schedule.turn(), None);
        schedule.want(&room("a"), vec![want("s", Pace::Slow, Some("1"))], begin);
        assert_eq!(schedule.turn(), Some(begin + seconds(60)));
        schedule.want(&room("b"), vec![want("s", Pace::Soon, None)], begin);
        assert_eq!(schedule.turn(), Some(begin + seconds(5)));

        let now = begin + seconds(5);
        assert_eq!(schedule.take(begin + seconds(4)), None);
        assert_eq!(schedule.take(now), Some(secret("s")));
        assert_eq!(
            (schedule.turn(), schedule.take(now)),
            (None, None),
            "it is asked for"
        );
        let found = Some(Some("1".to_owned()));
        assert_eq!(
            schedule.done(&secret("s"), found.clone(), now, 0),
            [room("b")]
        );
        assert_eq!(schedule.turn(), Some(now + seconds(5)));
        assert!(
            schedule.done(&secret("s"), found, now, 0).is_empty(),
            "told once"
        );
        assert_eq!(
            schedule.done(&secret("s"), Some(None), now, 0).len(),
            2,
            "deleted"
        );
    }

    #[test]
    fn what_is_wanted_no_more_is_forgotten() {
        let (mut schedule, begin) = (Schedule::default(), Instant::now());
        let both = vec![want("s", Pace::Soon, None), want("t", Pace::Soon, None)];
        schedule.want(&room("a"), both, begin);
        schedule.want(&room("a"), vec![want("t", Pace::Slow, None)], begin);
        let now = begin + seconds(5);
        assert_eq!(schedule.take(now), Some(secret("t")));
        schedule.want(&room("a"), Vec::new(), now);
        // The answer comes when nobody asks any more, or somebody else does.
        assert!(
            schedule
                .done(&secret("t"), Some(Some("1".into())), now, 0)
                .is_empty()
        );
        assert!(schedule.secrets.is_empty() && schedule.turns.is_empty());
        assert!(schedule.wanted.is_empty());
    }

    #[test]
    fn failures_come_later_and_later_and_want_does_not_hurry_them() {
        let (mut schedule, begin) = (Schedule::default(), Instant::now());
        schedule.want(&room("a"), vec![want("s", Pace::Soon, None)], begin);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let now = schedule.turn().expect("a turn");
            schedule.take(now).expect("it is due");
            assert!(schedule.done(&secret("s"), None, now, 0).is_empty());
            schedule.want(&room("a"), vec![want("s", Pace::Soon, None)], now);
            pauses.push((schedule.turn().expect("a turn") - now).as_secs());
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300, 300]);
        let now = schedule.turn().expect("a turn");
        schedule.take(now).expect("it is due");
        schedule.done(&secret("s"), Some(None), now, 255);
        let pause = schedule.turn().expect("a turn") - now;
        assert!(
            (Duration::from_millis(4500)..seconds(5)).contains(&pause),
            "{pause:?}"
        );
    }

    #[test]
    fn a_thousand_secrets_are_asked_for_by_turns_fifty_a_second() {
        let (mut schedule, begin) = (Schedule::default(), Instant::now());
        for number in 0..1000 {
            let name = format!("s{number}");
            schedule.want(&room(&name), vec![want(&name, Pace::Soon, None)], begin);
        }
        let mut asked: HashMap<SecretRef, Vec<Instant>> = HashMap::new();
        let mut now = begin;
        while now < begin + seconds(105) {
            now = schedule.turn().expect("a turn");
            let secret = schedule.take(now).expect("its turn");
            schedule.done(&secret, Some(None), now, 0);
            asked.entry(secret).or_default().push(now);
        }
        let count: usize = asked.values().map(Vec::len).sum();
        assert!((4990..=5001).contains(&count), "{count} in 100 s");
        assert_eq!(asked.len(), 1000);
        for (secret, times) in &asked {
            let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
            let longest = gaps.max().expect("more than one");
            assert!(longest <= seconds(21), "{secret:?} {longest:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_uses_a_secret_hears_of_its_changes() {
        let api = FakeApi::new();
        let path = "/api/v1/namespaces/n/secrets/s";
        api.put(
            path,
            json!({"metadata": {"name": "s"}, "data": {"k": "c2VjcmV0"}}),
        );
        let (poller, mut changes) = Poller::new(api.client());
        poller.want(&room("a"), vec![want("s", Pace::Soon, Some("1"))]);
        let quiet = tokio::time::timeout(seconds(60), changes.recv()).await;
        assert!(quiet.is_err(), "nothing has changed");
        assert!((11..=14).contains(&api.calls().len()));

        for change in [true, false] {
            let began = Instant::now();
            if change {
                api.change(path, |secret| secret["data"]["k"] = json!("bmV3"));
            } else {
                api.remove(path);
            }
            assert_eq!(changes.recv().await, Some(room("a")));
            assert!(began.elapsed() <= seconds(5));
        }

        // An API server that hangs is asked later, and ending does not wait for it.
        api.hang(true);
        let quiet = tokio::time::timeout(seconds(60), changes.recv()).await;
        assert!(quiet.is_err());
        assert!(api.calls().len() < 15);
        poller.close().await;
    }
}
