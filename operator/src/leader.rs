//! One operator works, the others wait: an election on a Lease, as client-go holds it.
//!
//! The Lease names who leads and is renewed by that one. Others take it over when they have seen no
//! change of it for as long as it says. Only the time since this process saw the last change
//! counts, by its own monotonic clock: what clocks of two machines say is never compared. All
//! writes are guarded by the resource version, so that of two who take the Lease one fails.
//!
//! [`Election`] decides and knows no API; [`lead`] reads, writes and waits.

use std::time::Duration;

use isocast_admin::random;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::apply::{self, within};

/// Others wait for so long after the last renewal they saw.
const LEASE_S: i32 = 15;
/// Who cannot renew for so long leads no more; it must be over before others may begin.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);

/// Waits until this operator leads. `None` where `stop` came first.
pub(crate) async fn lead(
    client: Client,
    namespace: &str,
    lease: &str,
    identity: &str,
    stop: &CancellationToken,
) -> Option<Leadership> {
    let mut seat = Seat {
        api: Api::namespaced(client, namespace),
        name: lease.to_owned(),
        election: Election::new(identity),
    };
    loop {
        let turn = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            turn = seat.turn() => turn,
        };
        match turn {
            Ok(Standing::Leads) => break,
            Ok(Standing::Waits | Standing::Lost) => {}
            Err(error) => tracing::warn!(lease, %error, "cannot stand for leader"),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = sleep(pause()) => {}
        }
    }
    tracing::info!(lease, identity, "leads");
    let (resign, lost) = (CancellationToken::new(), CancellationToken::new());
    let keeping = keep(seat, resign.clone(), lost.clone());
    Some(Leadership {
        resign,
        lost,
        task: tokio::spawn(keeping),
    })
}

/// This operator leads, until [`lost`](Self::lost). Who has lost it must write nothing more.
#[derive(Debug)]
pub(crate) struct Leadership {
    resign: CancellationToken,
    lost: CancellationToken,
    task: JoinHandle<()>,
}

impl Leadership {
    /// Resolves when this operator leads no more.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Gives the Lease back, so that the next one need not wait for it to end. For when nothing
    /// will be written any more.
    pub(crate) async fn release(self) {
        self.resign.cancel();
        // The task ends with its one call to the API server, which has a deadline.
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the renewal of the Lease has failed");
        }
    }
}

/// Renews until it is lost or `resign` asks to give it back.
async fn keep(mut seat: Seat, resign: CancellationToken, lost: CancellationToken) {
    // However this ends, it is over.
    let _over = lost.drop_guard();
    loop {
        let Some(deadline) = seat.election.deadline() else {
            return;
        };
        tokio::select! {
            biased;
            () = resign.cancelled() => return seat.release().await,
            () = sleep_until(deadline.min(Instant::now() + RETRY)) => {}
        }
        if Instant::now() >= deadline {
            return too_late();
        }
        // A renewal that is under way is not cut off by `resign`: its outcome has to be known.
        match timeout_at(deadline, seat.turn()).await {
            Ok(Ok(Standing::Leads)) => {}
            Ok(Ok(Standing::Waits | Standing::Lost)) => {
                return tracing::error!("another operator leads");
            }
            Ok(Err(error)) => tracing::warn!(%error, "Lease not renewed"),
            Err(_) => return too_late(),
        }
    }
}

fn too_late() {
    let seconds = RENEW_DEADLINE.as_secs();
    tracing::error!("Lease not renewed for {seconds} s: leads no more");
}

/// 2 to 2.4 s, so that those who wait do not all come at once.
fn pause() -> Duration {
    RETRY + RETRY.mul_f64(f64::from(random::bytes::<1>()[0]) / 256.0 * 0.2)
}

struct Seat {
    api: Api<Lease>,
    name: String,
    election: Election,
}

impl Seat {
    async fn turn(&mut self) -> Result<Standing, apply::Error> {
        let what = format!("Lease {}", self.name);
        let found = within(&what, self.api.get_opt(&self.name)).await?;
        let params = PostParams::default();
        let sent = Instant::now();
        let written = match self.election.decide(found, sent, Timestamp::now()) {
            Step::Wait => return Ok(Standing::Waits),
            Step::Lost => return Ok(Standing::Lost),
            Step::Create(spec) => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(self.name.clone()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(*spec),
                };
                within(&what, self.api.create(&params, &lease)).await?
            }
            Step::Update(lease) => {
                within(&what, self.api.replace(&self.name, &params, &lease)).await?
            }
        };
        self.election.won(written, sent);
        Ok(Standing::Leads)
    }

    async fn release(&self) {
        let Some(lease) = self.election.release(Timestamp::now()) else {
            return;
        };
        let params = PostParams::default();
        let replaced = self.api.replace(&self.name, &params, &lease);
        match within(format!("Lease {}", self.name), replaced).await {
            Ok(_) => tracing::info!(lease = self.name, "given back"),
            Err(error) => tracing::warn!(%error, "Lease not given back; it will end by itself"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Leads,
    Waits,
    Lost,
}

/// What one process knows of the election, and what it should do.
#[derive(Debug)]
struct Election {
    identity: String,
    /// The Lease as it was seen last, and when its spec was first seen so.
    seen: Option<(Lease, Instant)>,
    /// When the last write was sent that made or kept us leader.
    renewed: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Wait,
    /// We led and another one leads now.
    Lost,
    Create(Box<LeaseSpec>),
    /// Guarded by the resource version that it carries.
    Update(Box<Lease>),
}

impl Election {
    fn new(identity: &str) -> Self {
        Self {
            identity: identity.to_owned(),
            seen: None,
            renewed: None,
        }
    }

    /// What to do about the Lease that was found. `clock` is only written for people to read.
    fn decide(&mut self, found: Option<Lease>, now: Instant, clock: Timestamp) -> Step {
        let Some(mut found) = found else {
            return Step::Create(Box::new(self.claim(&LeaseSpec::default(), clock)));
        };
        let changed = match &self.seen {
            Some((seen, at)) if seen.spec == found.spec => *at,
            _ => now,
        };
        self.seen = Some((found.clone(), changed));

        let spec = found.spec.take().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder != self.identity {
            if self.renewed.is_some() {
                return Step::Lost;
            }
            let lasts_s = spec.lease_duration_seconds.unwrap_or(LEASE_S).max(0);
            let lasts = Duration::from_secs(lasts_s.unsigned_abs().into());
            if !holder.is_empty() && now.duration_since(changed) < lasts {
                return Step::Wait;
            }
        }
        found.spec = Some(self.claim(&spec, clock));
        Step::Update(Box::new(found))
    }

    /// The write that [`decide`](Self::decide) asked for was done. It was sent at `sent`: what
    /// counts is when others may have seen it at the earliest.
    fn won(&mut self, written: Lease, sent: Instant) {
        self.seen = Some((written, sent));
        self.renewed = Some(sent);
    }

    /// When leadership is over unless it is renewed before. `None`: we do not lead.
    fn deadline(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + RENEW_DEADLINE)
    }

    /// The Lease without a holder, if we hold it.
    fn release(&self, clock: Timestamp) -> Option<Lease> {
        self.renewed?;
        let (mut lease, _) = self.seen.clone()?;
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.acquire_time = Some(MicroTime(clock));
        spec.renew_time = Some(MicroTime(clock));
        Some(lease)
    }

    /// The spec `before`, held by us.
    fn claim(&self, before: &LeaseSpec, clock: Timestamp) -> LeaseSpec {
        let is_ours = before.holder_identity.as_ref() == Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or_default();
        let had_holder = before.holder_identity.is_some();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(LEASE_S),
            acquire_time: match &before.acquire_time {
                Some(acquired) if is_ours => Some(acquired.clone()),
                _ => Some(MicroTime(clock)),
            },
            renew_time: Some(MicroTime(clock)),
            lease_transitions: Some(if is_ours || !had_holder {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..before.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_api::FakeApi;
    use serde_json::json;

    fn clock(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn lease(holder: &str, version: u32, renewed: i64, lasts_s: i32, transitions: i32) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some("l".into()),
                resource_version: Some(version.to_string()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.into()),
                lease_duration_seconds: Some(lasts_s),
                acquire_time: Some(MicroTime(clock(1))),
                renew_time: Some(MicroTime(clock(renewed))),
                lease_transitions: Some(transitions),
                ..LeaseSpec::default()
            }),
        }
    }

    /// The step in a word: holder and transitions of what would be written.
    fn word(step: &Step) -> String {
        let spec = match step {
            Step::Wait => return "wait".into(),
            Step::Lost => return "lost".into(),
            Step::Create(spec) => spec,
            Step::Update(lease) => lease.spec.as_ref().expect("a spec"),
        };
        let of = |time: &Option<MicroTime>| time.as_ref().expect("a time").0.as_second();
        let verb = if matches!(step, Step::Create(_)) {
            "create"
        } else {
            "update"
        };
        format!(
            "{verb} {} {} acquired {} renewed {}",
            spec.holder_identity.as_deref().expect("a holder"),
            spec.lease_transitions.expect("a count"),
            of(&spec.acquire_time),
            of(&spec.renew_time),
        )
    }

    #[test]
    fn who_waits_takes_over_only_what_has_not_changed_for_its_whole_length() {
        let mut election = Election::new("us");
        let begin = Instant::now();
        for (second, found, step) in [
            (0, None, "create us 0 acquired 1000 renewed 1000"),
            // Its wall clock is far behind or ahead: that says nothing.
            (1, Some(lease("b", 1, 5, 15, 3)), "wait"),
            (15, Some(lease("b", 1, 5, 15, 3)), "wait"),
            (15, Some(lease("b", 2, 999_999, 15, 3)), "wait"),
            // Somebody's label is a new version and no renewal.
            (29, Some(lease("b", 3, 999_999, 15, 3)), "wait"),
            (
                30,
                Some(lease("b", 3, 999_999, 15, 3)),
                "update us 4 acquired 1030 renewed 1030",
            ),
            // Another one was faster.
            (31, Some(lease("c", 4, 7, 15, 4)), "wait"),
            // Given back.
            (
                32,
                Some(lease("", 5, 8, 1, 4)),
                "update us 5 acquired 1032 renewed 1032",
            ),
            // It lasts as long as its holder says.
            (33, Some(lease("d", 6, 9, 40, 5)), "wait"),
            (72, Some(lease("d", 6, 9, 40, 5)), "wait"),
            (
                73,
                Some(lease("d", 6, 9, 40, 5)),
                "update us 6 acquired 1073 renewed 1073",
            ),
            (
                74,
                Some(lease("d", 6, 9, -1, 5)),
                "update us 6 acquired 1074 renewed 1074",
            ),
            // Ours, from before this process began.
            (
                75,
                Some(lease("us", 7, 9, 15, 6)),
                "update us 6 acquired 1 renewed 1075",
            ),
        ] {
            let now = begin + Duration::from_secs(second);
            let decided = election.decide(found.clone(), now, clock(1000 + second as i64));
            assert_eq!(word(&decided), step, "second {second}");
            if let Step::Update(update) = decided {
                let found = found.expect("found");
                assert_eq!(update.metadata, found.metadata, "guarded by the version");
            }
            assert_eq!(election.deadline(), None);
        }
    }

    #[test]
    fn who_leads_keeps_it_until_another_has_it() {
        let mut election = Election::new("us");
        let begin = Instant::now();
        assert_eq!(election.release(clock(0)), None);
        election.won(lease("us", 1, 1, 15, 2), begin);
        assert_eq!(election.deadline(), Some(begin + RENEW_DEADLINE));

        let later = begin + Duration::from_secs(2);
        let step = election.decide(Some(lease("us", 1, 1, 15, 2)), later, clock(3));
        assert_eq!(word(&step), "update us 2 acquired 1 renewed 3");
        assert_eq!(election.deadline(), Some(begin + RENEW_DEADLINE), "not yet");
        election.won(lease("us", 2, 3, 15, 2), later);
        assert_eq!(election.deadline(), Some(later + RENEW_DEADLINE));

        let step = election.decide(None, later, clock(4));
        assert_eq!(word(&step), "create us 0 acquired 4 renewed 4");

        let free = election.release(clock(9)).expect("we hold it");
        assert_eq!(free.metadata.resource_version.as_deref(), Some("2"));
        let spec = free.spec.expect("a spec");
        assert_eq!(spec.holder_identity.as_deref(), Some(""));
        assert_eq!(spec.lease_transitions, Some(2));

        for taken in [lease("b", 3, 4, 15, 3), lease("", 3, 4, 1, 2)] {
            assert_eq!(election.decide(Some(taken), later, clock(5)), Step::Lost);
        }
    }

    const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/n/leases/l";

    fn holder(api: &FakeApi) -> Option<String> {
        let lease = api.object(PATH)?;
        Some(lease["spec"]["holderIdentity"].as_str()?.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn one_leads_at_a_time_and_gives_it_back() {
        let api = FakeApi::new();
        let stop = CancellationToken::new();
        let first = lead(api.client(), "n", "l", "first", &stop).await;
        let first = first.expect("nobody else is there");
        assert_eq!(holder(&api).as_deref(), Some("first"));
        let text = api.object(PATH).expect("a lease")["spec"]["renewTime"].to_string();
        assert_eq!(
            text.len(),
            "\"2026-01-02T03:04:05.000000Z\"".len(),
            "{text}"
        );

        let began = Instant::now();
        let waiting = lead(api.client(), "n", "l", "second", &stop);
        let mut waiting = std::pin::pin!(waiting);
        let minute = Duration::from_secs(60);
        let waited = tokio::time::timeout(minute, &mut waiting).await;
        assert!(waited.is_err(), "the first one renews");
        first.release().await;
        assert_eq!(holder(&api).as_deref(), Some(""));
        let second = waiting.await.expect("it is free");
        assert!(began.elapsed() < minute + Duration::from_secs(5));
        assert_eq!(holder(&api).as_deref(), Some("second"));
        assert_eq!(
            api.object(PATH).expect("a lease")["spec"]["leaseTransitions"],
            json!(1)
        );
        second.release().await;

        stop.cancel();
        let stopped = lead(api.client(), "n", "l", "third", &stop).await;
        assert!(stopped.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_renew_is_over_before_another_begins() {
        let api = FakeApi::new();
        let stop = CancellationToken::new();
        let first = lead(api.client(), "n", "l", "first", &stop).await;
        let first = first.expect("nobody else is there");
        let began = Instant::now();
        // The API server takes calls and answers none.
        api.hang(true);
        first.lost().await;
        assert_eq!(began.elapsed(), RENEW_DEADLINE);
        api.hang(false);
        let second = lead(api.client(), "n", "l", "second", &stop).await;
        assert!(
            began.elapsed() >= Duration::from_secs(15),
            "{:?}",
            began.elapsed()
        );
        // Who has lost it does not give back what another holds.
        first.release().await;
        assert_eq!(holder(&api).as_deref(), Some("second"));
        second.expect("it has ended").release().await;
    }

    #[tokio::test(start_paused = true)]
    async fn failures_between_renewals_do_not_make_a_term_longer() {
        let api = FakeApi::new();
        let stop = CancellationToken::new();
        let first = lead(api.client(), "n", "l", "first", &stop).await;
        let first = first.expect("nobody else is there");
        let began = Instant::now();
        // One call hangs from second 2 to 7, the next one fails at second 9.
        api.hang(true);
        let eight_s = Duration::from_secs(8);
        assert!(tokio::time::timeout(eight_s, first.lost()).await.is_err());
        api.hang(false);
        api.fail(true);
        first.lost().await;
        assert_eq!(began.elapsed(), RENEW_DEADLINE);
        first.release().await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_sees_another_holder_leads_no_more() {
        let api = FakeApi::new();
        let stop = CancellationToken::new();
        let first = lead(api.client(), "n", "l", "first", &stop).await;
        let first = first.expect("nobody else is there");
        let began = Instant::now();
        api.change(PATH, |lease| {
            lease["spec"]["holderIdentity"] = json!("other")
        });
        first.lost().await;
        assert!(began.elapsed() <= RETRY * 2, "{:?}", began.elapsed());
        first.release().await;
        assert_eq!(holder(&api).as_deref(), Some("other"));
    }
}
