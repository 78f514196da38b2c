use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::feed::{Feed, Unfit};
use super::origin::Origin;
use super::peer::{Ask, Failure, Reply};
use super::wire::Object;
use crate::error::Refusal;
use crate::outbound::Backoff;

/// How long an owner holds a call back where it has nothing newer. Longer ones would notice later that it has
/// gone, shorter ones ask more often: segments last 2 s.
pub(crate) const POLL: Duration = Duration::from_secs(2);
/// An answer may come this much later.
const POLL_GRACE: Duration = Duration::from_secs(1);
/// Two calls are begun with so much between them, whatever the owner does.
const CALL_EVERY_MIN: Duration = Duration::from_millis(100);
/// Those who wait for a first playlist are told that there is none when all calls have failed for so long.
const FAILS_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked for an owner where there is none: while one may come back, and otherwise.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOK_EVERY_IDLE: Duration = Duration::from_secs(1);

/// Keeps a feed up to date, by one call at a time to the room's owner, until nobody asks for it any more. However
/// many watch here, the owner hears of this node once in a segment.
pub(super) async fn run(feed: &Feed, origin: &Origin) {
    let mut backoff = backoff();
    let mut failing: Option<Failing> = None;
    while feed.goes_on() {
        let begun = Instant::now();
        let failures = failing.as_ref().map_or(0, |it| it.times);
        let step = step(feed, origin, failures).await;
        feed.awaits(matches!(step, Step::Told));
        let wait = match step {
            Step::Failed => {
                let failing = failing.get_or_insert(Failing {
                    since: begun,
                    times: 0,
                });
                failing.times += 1;
                if failing.since.elapsed() >= FAILS_AFTER {
                    feed.absent(Refusal::Unavailable("the node that has this room"));
                }
                backoff.failed()
            }
            step => {
                backoff = self::backoff();
                failing = None;
                match step {
                    Step::Absent(refusal) => {
                        feed.absent(refusal);
                        match feed.last() {
                            Some(_) => LOOK_EVERY,
                            None => LOOK_EVERY_IDLE,
                        }
                    }
                    Step::ToldByOther => LOOK_EVERY,
                    // It should have waited itself.
                    _ => CALL_EVERY_MIN.saturating_sub(begun.elapsed()),
                }
            }
        };
        sleep(wait).await;
    }
}

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(50), Duration::from_secs(1))
}

struct Failing {
    since: Instant,
    times: usize,
}

enum Step {
    /// The owner has answered, and holds the next call back.
    Told,
    /// So it has, but it has no playlist yet.
    NotYet,
    /// Somebody else has, who does not know what comes next.
    ToldByOther,
    Absent(Refusal),
    Failed,
}

/// One call: to the owner, or after failures to whoever else has the room.
async fn step(feed: &Feed, origin: &Origin, failures: usize) -> Step {
    let room = feed.room();
    let holders = origin.holders().of(room).await;
    let Some(place) = failures.checked_rem(holders.len()) else {
        return Step::Absent(Refusal::NotLive);
    };
    let holder = &holders[place];
    let ask = Ask {
        room: room.clone(),
        object: Object::Playlist,
        after: Some((feed.etag(), POLL)),
    };
    let unfit = match origin.wait(holder, &ask, POLL + POLL_GRACE).await {
        Ok(Reply::Found(found)) => feed.offer(found, |pair| origin.holders().admit(room, pair)),
        // Who says so may have lost the room meanwhile.
        Ok(Reply::Unchanged(pair)) => {
            let admitted = origin.holders().admit(room, &pair).map_err(Unfit::from);
            admitted.inspect(|()| feed.confirm())
        }
        Ok(Reply::NotYet(pair)) => match origin.holders().admit(room, &pair) {
            Ok(()) => {
                feed.begins();
                return Step::NotYet;
            }
            Err(rejected) => Err(rejected.into()),
        },
        Ok(Reply::Absent(refusal)) if place == 0 => return Step::Absent(refusal),
        Ok(Reply::Absent(_)) => return Step::Failed,
        Err(failure) => {
            if failure != Failure::Nobody {
                tracing::debug!(node = %holder.node, %room, why = %failure, "no playlist");
            }
            return Step::Failed;
        }
    };
    match unfit {
        Ok(()) if place == 0 => Step::Told,
        Ok(()) => Step::ToldByOther,
        Err(why) => {
            origin.count_unfit(&why);
            tracing::debug!(node = %holder.node, %room, %why, "a playlist is not taken");
            Step::Failed
        }
    }
}
