use super::*;
use crate::pair::tests::pair;
use crate::record::tests::{hash, record};
use crate::store::{self, Mark};

const SESSION: Session = Session(1);
const UNIX_MS: u64 = 1_700_000_000_000;

/// The room of `node-0` with two peers, at a time of its own.
struct Place {
    room: Room,
    now: Now,
}

impl Place {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let unix_ms = UNIX_MS;
        Self {
            room: Room::new(pair(0, "node-0", 1).owner, settings),
            now: Now {
                monotonic_ms: 0,
                unix_ms,
            },
        }
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.room.poll()).collect()
    }

    fn pass(&mut self, ms: u64) -> Vec<Action> {
        self.now.monotonic_ms += ms;
        self.now.unix_ms += ms;
        self.room.tick(self.now);
        self.actions()
    }

    /// Hands in what comes of the one call among these actions.
    fn reply(&mut self, actions: &[Action], reply: Option<Reply>) -> Vec<Action> {
        let mut calls = actions.iter().filter_map(|action| match action {
            Action::Call(ticket, _) => Some(*ticket),
            _ => None,
        });
        let ticket = calls.next_back().expect("a call");
        self.room.replied(ticket, reply, self.now);
        self.actions()
    }

    /// Both peers answer the question among these actions.
    fn answer(&mut self, actions: &[Action], answers: [Option<Answer>; 2]) -> Vec<Action> {
        let (ticket, peers) = asked(actions);
        for (peer, answer) in peers.iter().zip(answers) {
            self.room.answered(ticket, peer, answer, self.now);
        }
        self.actions()
    }

    /// A newcomer arrives, and the registry has this.
    fn arrive(&mut self, takeover: bool, found: Option<Reply>) -> Vec<Action> {
        let peers = ["node-1", "node-2"].map(|peer| NodeId::parse(peer).expect("a node id"));
        let arrival = Arrival {
            session: SESSION,
            takeover,
            key_fingerprint: "0123456789abcdef".to_owned(),
            peers: peers.into(),
        };
        self.room.arrive(arrival, self.now);
        let read = self.actions();
        assert!(matches!(read[..], [Action::Call(_, Request::Read)]));
        self.reply(&read, found)
    }

    /// As the owner of a room that nobody else wants.
    fn owning() -> Self {
        let mut place = Self::new();
        let asks = place.arrive(false, found(None));
        let claims = place.answer(&asks, [FREE, FREE]);
        place.reply(&claims, Some(Reply::Written));
        assert!(place.room.owns().is_some());
        place
    }
}

const FREE: Option<Answer> = Some(Answer {
    floor: None,
    standing: Standing::Free,
});

fn live(frames: u64, age_ms: u64) -> Option<Answer> {
    let pair = pair(UNIX_MS - 5000, "node-1", 1);
    let standing = Standing::Live {
        pair: pair.clone(),
        frames,
        age_ms,
    };
    Some(Answer {
        floor: Some(pair),
        standing,
    })
}

fn found(pair: Option<Pair>) -> Option<Reply> {
    let stored = pair.map(|pair| hash(&record(pair)));
    Some(Reply::Found(store::read(stored.as_ref())))
}

fn asked(actions: &[Action]) -> (Ticket, Vec<NodeId>) {
    match actions {
        [.., Action::Ask { ticket, peers, .. }] => (*ticket, peers.clone()),
        other => panic!("{other:?} is no question"),
    }
}

fn put(actions: &[Action]) -> (&Mark, &Record) {
    match actions {
        [.., Action::Call(_, Request::Put { expected, record })] => (expected, record),
        other => panic!("{other:?} writes nothing"),
    }
}

fn won(actions: &[Action]) -> bool {
    matches!(actions, [.., Action::Announce(said), Action::Won { pair, .. }] if said == pair)
}

fn refused(actions: &[Action], why: Refusal) -> bool {
    let session = SESSION;
    actions == [Action::Refused { session, why }]
}

#[test]
fn a_room_that_nobody_has_is_read_asked_for_and_claimed() {
    let mut place = Place::new();
    let asks = place.arrive(false, found(None));
    let claims = place.answer(&asks, [FREE, FREE]);
    let (expected, record) = put(&claims);
    assert_eq!(*expected, Mark::default());
    assert_eq!(record.pair, pair(UNIX_MS, "node-0", 1));
    assert!(won(&place.reply(&claims, Some(Reply::Written))));
}

#[test]
fn a_publisher_that_sends_keeps_its_room() {
    let mut place = Place::new();
    let asks = place.arrive(false, found(None));
    assert_eq!(place.answer(&asks, [live(7, 40), FREE]), []);
    assert_eq!(place.pass(249), []);
    let asks = place.pass(1);
    let verdict = place.answer(&asks, [live(8, 10), FREE]);
    assert!(refused(&verdict, Refusal::AlreadyLive), "{verdict:?}");
}

#[test]
fn one_that_falls_silent_loses_it_after_a_second() {
    let mut place = Place::new();
    let mut actions = place.arrive(false, found(None));
    for age_ms in [100, 350, 600, 850] {
        assert_eq!(place.answer(&actions, [FREE, live(7, age_ms)]), []);
        actions = place.pass(250.min(1000 - age_ms));
    }
    let claims = place.answer(&actions, [FREE, live(7, 1000)]);
    assert!(put(&claims).1.pair.epoch >= UNIX_MS);
}

#[test]
fn peers_that_do_not_answer_are_not_waited_for() {
    let mut place = Place::new();
    place.arrive(false, found(None));
    assert_eq!(place.pass(299), []);
    put(&place.pass(1));

    let mut place = Place::new();
    let asks = place.arrive(false, found(None));
    put(&place.answer(&asks, [None, None]));
}

#[test]
fn a_room_can_let_newcomers_win_at_once() {
    let mut place = Place::new();
    let asks = place.arrive(true, found(None));
    put(&place.answer(&asks, [live(7, 0), FREE]));
}

#[test]
fn without_a_registry_asking_is_enough() {
    let mut place = Place::new();
    let asks = place.arrive(false, None);
    let actions = place.answer(&asks, [FREE, FREE]);
    assert!(won(&actions), "{actions:?}");
    let renewal = place.pass(0);
    put(&renewal);
    let own = place.room.owns().cloned().expect("a claim");
    assert_eq!(place.pass(1000), [Action::Announce(own.clone())]);
    assert_eq!(place.room.owns(), Some(&own), "and it goes on");
}

#[test]
fn a_strict_node_refuses_without_a_registry() {
    let strict = Settings {
        strict: true,
        ..Settings::default()
    };
    let mut place = Place::with(strict);
    assert!(refused(&place.arrive(false, None), Refusal::Retry));

    let asks = place.arrive(false, found(None));
    let claims = place.answer(&asks, [FREE, FREE]);
    let actions = place.reply(&claims, None);
    let given_back = put(&actions[..1]).1;
    assert_eq!(given_back.status, Status::Interrupted);
    assert!(refused(&actions[1..], Refusal::Retry), "{actions:?}");
}

#[test]
fn a_floor_that_a_peer_tells_is_minted_above() {
    let mut place = Place::new();
    let asks = place.arrive(false, found(Some(pair(UNIX_MS + 50, "node-9", 1))));
    let floor = pair(UNIX_MS + 3_600_000, "node-2", 1);
    let told = Some(Answer {
        floor: Some(floor.clone()),
        standing: Standing::Free,
    });
    let again = place.answer(&asks, [FREE, told]);
    let claims = place.answer(&again, [FREE, FREE]);
    let (expected, record) = put(&claims);
    assert_eq!(record.pair, pair(floor.epoch + 1, "node-0", 1));
    assert_eq!(*expected, Mark::of_pair(&pair(UNIX_MS + 50, "node-9", 1)));
}

#[test]
fn whoever_wrote_first_is_asked_before_it_is_replaced() {
    let mut place = Place::new();
    let asks = place.arrive(false, found(None));
    let claims = place.answer(&asks, [FREE, FREE]);
    let first = pair(UNIX_MS + 1, "node-1", 1);
    let Some(Reply::Found(stored)) = found(Some(first.clone())) else {
        unreachable!("a reading")
    };
    let asks = place.reply(&claims, Some(Reply::Conflict(stored)));
    let claims = place.answer(&asks, [FREE, FREE]);
    let (expected, record) = put(&claims);
    assert_eq!(*expected, Mark::of_pair(&first));
    assert!(record.pair > first);
}

#[test]
fn of_two_newcomers_the_lower_claim_gives_up() {
    let mut place = Place::new();
    let asks = place.arrive(false, found(None));
    let lower = pair(UNIX_MS - 1, "node-1", 1);
    let answer = place.room.question(&lower, place.now);
    assert_eq!(answer.standing, Standing::Pending);
    let pending = Some(Answer {
        floor: None,
        standing: Standing::Pending,
    });
    let verdict = place.answer(&asks, [pending, FREE]);
    assert!(refused(&verdict, Refusal::AlreadyLive));

    place.arrive(false, found(None));
    let higher = pair(UNIX_MS + 1, "node-1", 1);
    let answer = place.room.question(&higher, place.now);
    assert_eq!(answer.standing, Standing::Free);
    assert!(refused(&place.actions(), Refusal::AlreadyLive));
}

#[test]
fn only_a_higher_claim_ends_an_ownership() {
    let mut place = Place::owning();
    let own = place.room.owns().cloned().expect("a claim");
    let lower = pair(own.epoch, "node", 9);
    let stale = Rejected::Stale { floor: own.clone() };
    assert_eq!(place.room.admit(&lower, place.now), Err(stale));
    assert_eq!(place.room.admit(&own, place.now), Ok(()));
    let ahead = pair(1 << 63, "node-1", 1);
    assert_eq!(
        place.room.admit(&ahead, place.now),
        Err(Rejected::EpochAhead)
    );
    assert_eq!(place.actions(), [Action::Corrupt(Corrupt::EpochAhead)]);
    assert_eq!(place.room.holder(), Some(SESSION));

    let by = pair(own.epoch, "node-1", 0);
    assert_eq!(place.room.admit(&by, place.now), Ok(()));
    let session = SESSION;
    assert_eq!(place.actions(), [Action::Closed { session, by }]);
    assert_eq!(place.room.holder(), None);
}

#[test]
fn a_claim_is_renewed_and_put_back_where_it_was_lost() {
    let own = pair(UNIX_MS, "node-0", 1);
    let mut garbage = hash(&record(own.clone()));
    garbage.insert("epoch".to_owned(), b"x".to_vec());
    let lower = hash(&record(pair(UNIX_MS - 9, "node-1", 1)));
    for (stored, is_corrupt) in [(None, false), (Some(lower), false), (Some(garbage), true)] {
        let mut place = Place::owning();
        assert_eq!(place.pass(1999), []);
        let renewal = place.pass(1);
        assert_eq!(*put(&renewal).0, Mark::of_pair(&own));
        let found = store::read(stored.as_ref());
        let again = place.reply(&renewal, Some(Reply::Conflict(found.clone())));
        let (expected, record) = put(&again);
        assert_eq!((expected, &record.pair), (&found.mark, &own));
        assert_eq!(matches!(again[0], Action::Corrupt(_)), is_corrupt);
    }
    let mut place = Place::owning();
    let renewal = place.pass(2000);
    let higher = pair(UNIX_MS + 9, "node-1", 1);
    let stored = hash(&record(higher.clone()));
    let conflict = Reply::Conflict(store::read(Some(&stored)));
    let (session, by) = (SESSION, higher);
    assert_eq!(
        place.reply(&renewal, Some(conflict)),
        [Action::Closed { session, by }]
    );
}

#[test]
fn a_publisher_that_leaves_gives_its_claim_back() {
    let mut place = Place::owning();
    place.room.leave(Session(9), place.now);
    assert_eq!(place.actions(), []);
    place.room.leave(SESSION, place.now);
    assert_eq!(put(&place.actions()).1.status, Status::Interrupted);
    assert_eq!(place.room.owns(), None);
    place.room.end();
    assert_eq!(put(&place.actions()).1.status, Status::Ended);
    place.room.end();
    assert_eq!(place.actions(), []);
}

#[test]
fn the_next_owner_goes_on_where_the_room_stood() {
    let mut place = Place::new();
    let continuation = Some(Continuation {
        next_msn: 8,
        reserved: 16,
        target_duration_s: 2,
        discontinuity_sequence: 1,
        program_date_time_ms: UNIX_MS,
        source_dts_ms: 40,
        source_offset_ms: -40,
    });
    let before = Record {
        continuation,
        ..record(pair(UNIX_MS - 9, "node-1", 1))
    };
    let stored = hash(&before);
    let asks = place.arrive(false, Some(Reply::Found(store::read(Some(&stored)))));
    let claims = place.answer(&asks, [FREE, FREE]);
    assert_eq!(put(&claims).1.continuation, continuation);
    let actions = place.reply(&claims, Some(Reply::Written));
    let told =
        matches!(&actions[..], [.., Action::Won { before: Some(told), .. }] if **told == before);
    assert!(told, "{actions:?}");
}

#[test]
fn a_node_that_starts_gives_back_what_an_earlier_life_held() {
    for (owner, is_given_back) in [
        (pair(5, "node-0", 9), true),
        (pair(5, "node-0", 1), false),
        (pair(5, "node-1", 9), false),
    ] {
        let mut place = Place::new();
        place.room.start();
        let read = place.actions();
        let actions = place.reply(&read, found(Some(owner)));
        assert_eq!(!actions.is_empty(), is_given_back);
        if is_given_back {
            assert_eq!(put(&actions).1.status, Status::Interrupted);
        }
    }
}

/// Both lives count on from an epoch that is ahead of their clock, and the registry lost what the first wrote.
#[test]
fn two_lives_of_a_node_never_have_the_same_claim() {
    let stored = pair(UNIX_MS + 3_600_000, "node-1", 1);
    let claims = [1, 2].map(|incarnation| {
        let mut place = Place::new();
        place.room.me.incarnation.0 = incarnation;
        let asks = place.arrive(false, found(Some(stored.clone())));
        put(&place.answer(&asks, [FREE, FREE])).1.pair.clone()
    });
    assert_eq!(claims[0].epoch, claims[1].epoch);
    assert!(claims[0] < claims[1]);
    assert_ne!(claims[0].name(), claims[1].name());
}
