use std::future::Future;
use std::time::Duration;

use futures_util::{FutureExt, poll};
use isocast_claims::Pair;
use isocast_media::UnixMs;
use prometheus_client::metrics::counter::Counter;
use tokio::time::advance;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::hub::tests::{LIMITS, audio};
use crate::hub::{Limits, State};
use crate::ownership::{self, Alone};
use crate::registry::{self, Claim};
use crate::rooms::failing::Failing;
use crate::rooms::memory::Memory;
use crate::rooms::{Change, NewRoom, Playback, RoomId, RoomLimits};

struct Place {
    ownership: Arc<Ownership>,
    rooms: Arc<Memory>,
    known_rooms: rooms::Cache,
    publish_keys: Keyring,
    hub: Arc<Hub>,
    limits: config::Limits,
    bans: Bans,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Place {
    fn new() -> Self {
        let limits = Limits {
            lag_bytes_max: 1 << 20,
            ..LIMITS
        };
        let rooms = Arc::new(Memory::new());
        let (hub, tasks) = (Arc::new(Hub::new(limits)), TaskTracker::new());
        let ownership = Ownership::new(ownership::Parts {
            me: Claim::of(RoomId::parse("a").unwrap(), 1).pair.owner,
            settings: isocast_claims::Settings::default(),
            dead_after_ms: 6000,
            registry: Arc::new(registry::Memory::default()),
            peers: Arc::new(Alone),
            hub: Arc::clone(&hub),
            corrupt: Counter::default(),
            tasks: tasks.clone(),
        });
        let stop = CancellationToken::new();
        tasks.spawn(Arc::clone(&ownership).run(stop.clone()));
        Self {
            ownership,
            known_rooms: rooms::Cache::new(rooms.clone()),
            rooms,
            publish_keys: Keyring::parse(&format!("k1 {}", "s".repeat(32))).unwrap(),
            hub,
            limits: config::Limits::default(),
            bans: Bans::default(),
            tasks,
            stop,
        }
    }

    async fn room(&self, id: &str, on_conflict: OnConflict) -> PublishKey {
        let new = NewRoom {
            id: RoomId::parse(id).unwrap(),
            playback: Playback::Private,
            on_conflict,
            limits: RoomLimits::default(),
            created_at: UnixMs(1),
        };
        self.rooms.create(new).await.unwrap().1
    }

    fn admission<'a>(&'a self, keep_place: &'a mut (dyn FnMut() -> bool + Send)) -> Admission<'a> {
        Admission {
            rooms: &*self.rooms,
            known_rooms: &self.known_rooms,
            publish_keys: &self.publish_keys,
            ownership: &self.ownership,
            hub: &self.hub,
            limits: &self.limits,
            bans: &self.bans,
            address: [192, 0, 2, 1].into(),
            keep_place,
        }
    }

    async fn admit(&self, key: &str) -> Result<Admitted, Refusal> {
        admit(self.admission(&mut || true), key).await
    }

    async fn all_given_back(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn claimed(&self, room: &RoomId) -> Option<Pair> {
        self.ownership.publisher(room).await.unwrap()
    }
}

impl std::ops::Deref for Admitted {
    type Target = Publisher;

    fn deref(&self) -> &Publisher {
        &self.publisher
    }
}

/// After so long without a frame a publisher has lost its room to a newcomer.
const SILENCE: Duration = Duration::from_secs(1);
/// How late that may be noticed.
const LATE: Duration = Duration::from_millis(50);

fn send(publisher: &Publisher) {
    publisher.push(audio(0), Instant::now().into_std()).unwrap();
}

const ALREADY_LIVE: Option<Refusal> = Some(Refusal::AlreadyLive);

#[tokio::test]
async fn only_the_right_key_opens_a_room() {
    let place = Place::new();
    let right = place.room("a", OnConflict::Refuse).await;
    let wrong = PublishKey::generate(right.room());
    let unknown = PublishKey::generate(&RoomId::parse("b").unwrap());
    for key in ["", "a", "no key at all", wrong.reveal(), unknown.reveal()] {
        assert_eq!(
            place.admit(key).await.err(),
            Some(Refusal::KeyRefused),
            "{key}"
        );
    }
    let admitted = place.admit(right.reveal()).await.unwrap();
    let claim = admitted.publisher.claim();
    assert_eq!(
        place.claimed(right.room()).await.as_ref(),
        Some(&claim.pair)
    );
    assert_eq!(claim.pair.owner.node.as_str(), "node-1");
    drop(admitted);
    place.all_given_back().await;
    assert_eq!(place.claimed(right.room()).await, None);
}

#[tokio::test]
async fn who_has_lost_its_place_takes_no_room() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Takeover).await;
    let present = place.admit(key.reveal()).await.unwrap();
    let refused = admit(place.admission(&mut || false), key.reveal()).await;
    assert_eq!(refused.err(), Some(Refusal::CrowdedOut));
    assert!(!present.publisher.revocation().has_come());
    let claim = place.claimed(key.room()).await;
    assert_eq!(claim.as_ref(), Some(&present.publisher.claim().pair));
}

/// Sends this publisher away and all who come with such a key, for a while.
fn kick(place: &Place, stream: &Stream, length: Duration) {
    let now = Instant::now().into_std();
    let source = stream.kick(now).unwrap();
    let banned = Banned::of(stream.room(), &source);
    place.bans.add(banned, length, now);
}

#[tokio::test(start_paused = true)]
async fn a_banned_key_is_refused_until_its_time_is_over() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Refuse).await;
    let admitted = place.admit(key.reveal()).await.unwrap();
    kick(&place, &admitted.stream, 10 * SILENCE);
    let refused = place.admit(key.reveal()).await.err();
    assert_eq!(refused, Some(Refusal::Banned { left_s: 11 }));
    let wrong = place.admit("room_a_key_wrong").await.err();
    assert_eq!(wrong, Some(Refusal::KeyRefused));
    advance(10 * SILENCE).await;
    assert!(place.admit(key.reveal()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_is_sent_away_with_a_minted_key_does_not_come_back_with_the_next() {
    let place = Place::new();
    let [own, other] = [
        place.room("a", OnConflict::Takeover).await,
        place.room("b", OnConflict::Takeover).await,
    ];
    let mint = |own: &PublishKey| {
        let says = Minted {
            generation: 1,
            expires_at_s: u64::try_from(unix_now().0 / 1000).unwrap() + 1000,
        };
        says.mint(&place.publish_keys, own.room())
    };
    let admitted = place.admit(mint(&own).reveal()).await.unwrap();
    kick(&place, &admitted.stream, 10 * SILENCE);
    let admit = async |key: &PublishKey| place.admit(key.reveal()).await.err();
    let refused = admit(&mint(&own)).await;
    assert_eq!(refused, Some(Refusal::Banned { left_s: 11 }));
    assert_eq!(admit(&mint(&other)).await, None, "another room");
    assert_eq!(admit(&own).await, None, "the key of the room itself");
    advance(10 * SILENCE).await;
    assert_eq!(admit(&mint(&own)).await, None);

    let admitted = place.admit(own.reveal()).await.unwrap();
    kick(&place, &admitted.stream, 10 * SILENCE);
    assert!(matches!(admit(&own).await, Some(Refusal::Banned { .. })));
    assert_eq!(
        admit(&mint(&own)).await,
        None,
        "only the own key was sent away"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_sent_away_with_a_minted_key_stays_away_while_others_get_keys_under_the_next() {
    let place = Place::new();
    let own = place.room("a", OnConflict::Takeover).await;
    let mint = |generation| {
        let says = Minted {
            generation,
            expires_at_s: u64::try_from(unix_now().0 / 1000).unwrap() + 1000,
        };
        says.mint(&place.publish_keys, own.room())
    };
    let admitted = place.admit(mint(1).reveal()).await.unwrap();
    kick(&place, &admitted.stream, 10 * SILENCE);
    let until = Some(UnixMs(unix_now().0 + 1_000_000));
    place.rooms.rotate_key(own.room(), until).await.unwrap();
    place.known_rooms.forget(own.room());
    let old = place.admit(mint(1).reveal()).await.err();
    assert_eq!(old, Some(Refusal::Banned { left_s: 11 }));
    assert_eq!(place.admit(mint(2).reveal()).await.err(), None);
}

#[tokio::test]
async fn limits_changed_meanwhile_hold() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Refuse).await;
    let viewers_max = std::num::NonZeroU32::new(7);
    let mut change_limits = || {
        let mut change = Change::default();
        change.limits.viewers_max = Some(viewers_max);
        let changed = place.rooms.change(key.room(), change).now_or_never();
        changed.expect("it is in memory").is_ok()
    };
    let admitted = admit(place.admission(&mut change_limits), key.reveal()).await;
    assert_eq!(admitted.unwrap().stream.viewers_max(), Some(7));
}

#[tokio::test]
async fn a_key_or_room_that_goes_meanwhile_opens_nothing() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Refuse).await;
    let mut replace_key = || {
        let replaced = place.rooms.rotate_key(key.room(), None).now_or_never();
        replaced.expect("it is in memory").is_ok()
    };
    let refused = admit(place.admission(&mut replace_key), key.reveal()).await;
    assert_eq!(refused.err(), Some(Refusal::KeyRefused));

    let key = place.room("b", OnConflict::Refuse).await;
    let mut delete_room = || {
        let deleted = place.rooms.delete(key.room()).now_or_never();
        deleted.expect("it is in memory").is_ok()
    };
    let refused = admit(place.admission(&mut delete_room), key.reveal()).await;
    assert_eq!(refused.err(), Some(Refusal::KeyRefused));
    assert!(place.hub.stream(key.room()).is_none());
}

#[tokio::test]
async fn a_minted_key_opens_its_room_until_it_expires_or_its_generation_ends() {
    let place = Place::new();
    let own = place.room("a", OnConflict::Takeover).await;
    let room = own.room();
    let now_s = u64::try_from(unix_now().0 / 1000).unwrap();
    let mint = |generation, expires_at_s| {
        let says = Minted {
            generation,
            expires_at_s,
        };
        says.mint(&place.publish_keys, room)
    };
    let admit = async |key: &PublishKey| place.admit(key.reveal()).await.map(drop);
    let good = mint(1, now_s + 100);
    assert_eq!(admit(&good).await, Ok(()));
    assert_eq!(admit(&own).await, Ok(()), "the room's own key stays");
    assert_eq!(admit(&mint(1, now_s)).await, Err(Refusal::KeyExpired));
    for other in [
        mint(2, now_s + 100),
        mint(0, now_s + 100),
        PublishKey::with_secret(&RoomId::parse("b").unwrap(), good.secret()).unwrap(),
    ] {
        assert_eq!(admit(&other).await, Err(Refusal::KeyRefused));
    }

    let rotate = async |overlap_ms| {
        let until = UnixMs(unix_now().0 + overlap_ms);
        let until = Some(until).filter(|_| overlap_ms > 0);
        place.rooms.rotate_key(room, until).await.unwrap();
        place.known_rooms.forget(room);
    };
    rotate(100_000).await;
    assert_eq!(admit(&good).await, Ok(()), "while it overlaps");
    assert_eq!(admit(&mint(2, now_s + 100)).await, Ok(()));
    rotate(0).await;
    assert_eq!(admit(&good).await, Err(Refusal::KeyRefused));
    assert_eq!(admit(&mint(3, now_s + 100)).await, Ok(()));
    place.rooms.delete(room).await.unwrap();
    place.known_rooms.forget(room);
    let gone = admit(&mint(3, now_s + 100)).await;
    assert_eq!(gone, Err(Refusal::KeyRefused));
}

#[tokio::test]
async fn without_its_store_the_node_says_so() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Refuse).await;
    let mut keep_place = || true;
    let admission = Admission {
        rooms: &Failing,
        ..place.admission(&mut keep_place)
    };
    let refused = admit(admission, key.reveal()).await.err();
    assert_eq!(refused, Some(Refusal::Unavailable("the room store")));
    assert!(place.hub.streams().is_empty());
}

#[tokio::test]
async fn a_full_node_takes_no_new_room() {
    let place = Place::new();
    let mut publishers = Vec::new();
    for id in ["a", "b"] {
        let key = place.room(id, OnConflict::Takeover).await;
        publishers.push(place.admit(key.reveal()).await.unwrap());
    }
    let key = place.room("c", OnConflict::Refuse).await;
    assert_eq!(place.admit(key.reveal()).await.err(), Some(Refusal::Full));
    place.all_given_back().await;
    assert_eq!(place.claimed(key.room()).await, None);
}

#[tokio::test(start_paused = true)]
async fn where_newcomers_win_they_win_at_once() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Takeover).await;
    let old = place.admit(key.reveal()).await.unwrap();
    send(&old);
    let started = Instant::now();
    let new = place.admit(key.reveal()).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert!(old.revocation().has_come() && !new.revocation().has_come());
    assert!(new.claim().pair.epoch > old.claim().pair.epoch);
}

/// A live room, and a newcomer that has begun to wait for it.
async fn contest<'a>(
    place: &'a Place,
    key: &'a PublishKey,
) -> (
    Admitted,
    std::pin::Pin<Box<dyn Future<Output = Result<Admitted, Refusal>> + 'a>>,
) {
    let present = place.admit(key.reveal()).await.unwrap();
    send(&present);
    let mut newcomer: std::pin::Pin<Box<dyn Future<Output = _> + 'a>> =
        Box::pin(place.admit(key.reveal()));
    assert!(poll!(&mut newcomer).is_pending());
    (present, newcomer)
}

#[tokio::test(start_paused = true)]
async fn who_comes_with_a_new_key_need_not_wait() {
    let place = Place::new();
    let old_key = place.room("a", OnConflict::Refuse).await;
    let present = place.admit(old_key.reveal()).await.unwrap();
    let new_key = place.rooms.rotate_key(old_key.room(), None).await.unwrap();
    place.hub.stream(old_key.room()).unwrap().give_way();
    send(&present);
    assert!(!present.revocation().has_come(), "nobody else is there yet");
    let refused = place.admit(old_key.reveal()).await.err();
    assert_eq!(refused, Some(Refusal::KeyRefused));

    let started = Instant::now();
    let new = place.admit(new_key.reveal()).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert!(present.revocation().has_come() && !new.revocation().has_come());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_sends_keeps_its_room() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Refuse).await;
    let (present, newcomer) = contest(&place, &key).await;
    advance(Duration::from_millis(900)).await;
    send(&present);
    assert_eq!(newcomer.await.err(), ALREADY_LIVE);
    assert!(!present.revocation().has_come());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_is_silent_for_a_second_loses_it() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Refuse).await;
    let (present, newcomer) = contest(&place, &key).await;
    let started = Instant::now();
    let new = newcomer.await.unwrap();
    assert!((SILENCE..SILENCE + LATE).contains(&started.elapsed()));
    assert!(present.revocation().has_come());

    // And at once where the silence has lasted already.
    advance(SILENCE).await;
    let started = Instant::now();
    place.admit(key.reveal()).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert!(new.revocation().has_come());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_ends_meanwhile_leaves_it() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Refuse).await;
    let (present, newcomer) = contest(&place, &key).await;
    let started = Instant::now();
    drop(present);
    let publisher = newcomer.await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    let stream = place.hub.stream(&publisher.claim().room).unwrap();
    assert_eq!(stream.state(), State::Live);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_deleted_meanwhile_is_nobodys() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Refuse).await;
    let (_present, newcomer) = contest(&place, &key).await;
    place.rooms.delete(key.room()).await.unwrap();
    place.hub.remove(key.room());
    assert_eq!(newcomer.await.err(), Some(Refusal::KeyRefused));
    assert!(place.hub.stream(key.room()).is_none());
}

#[tokio::test(start_paused = true)]
async fn who_is_sent_away_meanwhile_is_not_let_in_by_a_second_connection() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Refuse).await;
    let (_present, newcomer) = contest(&place, &key).await;
    let stream = place.hub.stream(key.room()).unwrap();
    kick(&place, &stream, 10 * SILENCE);
    let refused = newcomer.await.err();
    assert!(
        matches!(refused, Some(Refusal::Banned { .. })),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_banned_while_the_room_is_claimed_does_not_keep_it() {
    let place = Place::new();
    let key = place.room("a", OnConflict::Takeover).await;
    let present = place.admit(key.reveal()).await.unwrap();
    let mut sent_away = || {
        kick(&place, &present.stream, 10 * SILENCE);
        true
    };
    let refused = admit(place.admission(&mut sent_away), key.reveal()).await;
    assert_eq!(refused.err(), Some(Refusal::Banned { left_s: 11 }));
    assert_eq!(present.stream.state(), State::Interrupted);
}
