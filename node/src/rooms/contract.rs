//! What every store of rooms does, run on each of them.

use isocast_media::UnixMs;

use super::memory::Memory;
use super::postgres::tests::{migrated, opened, role};
use super::{
    Change, Error, KeyHasher, LIST_MAX, NewRoom, OnConflict, Playback, PublishKey, Put, Room,
    RoomId, RoomLimits, Rooms, Sqlite, Target,
};
use crate::data::Secret;
use crate::data::scratch::Scratch;

/// Stamps the suite over one store. `$open` gives the store and what must outlive it.
macro_rules! contract {
    ($store:ident, $open:expr) => {
        contract!($store, $open, [
            a_room_is_what_was_asked_for,
            ids_are_taken_once,
            lists_are_in_byte_order_and_paged,
            a_deleted_room_is_gone_with_its_key,
            a_new_key_replaces_the_old_one,
            an_old_key_opens_the_room_while_it_overlaps,
            a_put_room_is_made_then_changed_where_it_differs,
            a_room_put_again_stays_as_it_is,
            a_change_touches_what_it_names_and_no_key,
            a_store_goes_by_one_name,
            only_the_rooms_own_key_opens_it,
            many_at_once_make_one_room,
            targets_are_kept_in_order_with_their_keys,
        ]);
    };
    ($store:ident, $open:expr, [$($name:ident),* $(,)?]) => {
        mod $store {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                let (store, _scratch) = $open.await;
                super::$name(&store).await;
            })*
        }
    };
}

contract!(memory, async { (Memory::new(), ()) });
contract!(sqlite, async {
    let scratch = Scratch::new();
    let hasher = KeyHasher::new(Secret::new([3; 32]));
    let store = Sqlite::open(&scratch.path().join("rooms.sqlite"), hasher).await;
    (store.expect("opens"), scratch)
});

contract!(postgres, async {
    let server = isocast_harness::Postgres::shared();
    let database = server.database();
    migrated(&server, &database).await;
    (opened(&server.url(&database), None).await, server)
});
contract!(postgres_by_tls, async {
    let server = isocast_harness::Postgres::shared();
    let database = server.database();
    migrated(&server, &database).await;
    let url = role(&server, &database);
    let certificate = server.certificate.pem();
    (opened(&url, Some(&certificate)).await, server)
});

async fn a_room_is_what_was_asked_for(store: &dyn Rooms) {
    for (at, (playback, on_conflict)) in [
        (Playback::Private, OnConflict::Refuse),
        (Playback::Private, OnConflict::Takeover),
        (Playback::Signed, OnConflict::Refuse),
        (Playback::Public, OnConflict::Refuse),
        (Playback::Public, OnConflict::Takeover),
    ]
    .into_iter()
    .enumerate()
    {
        let created_at = UnixMs(1_700_000_000_001 + at as i64);
        let new = NewRoom {
            id: id(&format!("r{at}")),
            playback,
            on_conflict,
            limits: RoomLimits::default(),
            created_at,
        };
        let (room, key) = store.create(new).await.expect("made");
        let expected = Room {
            id: id(&format!("r{at}")),
            playback,
            on_conflict,
            limits: RoomLimits::default(),
            created_at,
            key_generation: 1,
            previous_key_until: None,
        };
        assert_eq!(room, expected);
        assert_eq!(key.room(), &room.id);
        assert_eq!(store.get(&room.id).await.expect("answers"), Some(expected));
    }
    assert_eq!(store.get(&id("other")).await.expect("answers"), None);
}

async fn ids_are_taken_once(store: &dyn Rooms) {
    let (room, key) = store.create(new("a")).await.expect("made");
    let again = NewRoom {
        playback: Playback::Public,
        ..new("a")
    };
    assert!(
        matches!(store.create(again).await, Err(Error::AlreadyExists(taken)) if taken == room.id)
    );
    assert_eq!(
        store.authenticate(&key, NOW).await.expect("answers"),
        Some(room),
        "nothing has changed"
    );
    store
        .create(new("A"))
        .await
        .expect("capitals make another id");
}

async fn lists_are_in_byte_order_and_paged(store: &dyn Rooms) {
    assert_eq!(names(store, None, 10).await, Vec::<String>::new());
    for name in ["b", "a", "_", "-", "B", "ab", "0"] {
        store.create(new(name)).await.expect("made");
    }
    let all = ["-", "0", "B", "_", "a", "ab", "b"];
    assert_eq!(names(store, None, LIST_MAX).await, all);
    assert_eq!(names(store, None, usize::MAX).await, all);
    assert_eq!(names(store, None, 0).await, Vec::<String>::new());
    assert_eq!(names(store, Some("B"), 2).await, ["_", "a"]);
    assert_eq!(
        names(store, Some("aa"), 9).await,
        ["ab", "b"],
        "the id after need not exist"
    );
    assert_eq!(names(store, Some("b"), 9).await, Vec::<String>::new());
}

async fn a_change_touches_what_it_names_and_no_key(store: &dyn Rooms) {
    let (room, key) = store.create(new("a")).await.expect("made");
    let limits = |json| serde_json::from_value(json).expect("a change");
    let viewers = Change {
        limits: limits(serde_json::json!({"viewers_max": 7, "codecs": ["h264"]})),
        ..Change::default()
    };
    let put = store
        .change(&room.id, viewers.clone())
        .await
        .expect("there");
    let expected = Room {
        limits: serde_json::from_value(serde_json::json!({"viewers_max": 7, "codecs": ["h264"]}))
            .expect("limits"),
        ..room.clone()
    };
    assert_eq!(put.before.as_ref(), Some(&room));
    assert_eq!(put.room, expected);
    assert!(put.has_changed() && !put.has_new_key());
    let again = store.change(&room.id, viewers).await.expect("there");
    assert!(!again.has_changed());

    let open = Change {
        playback: Some(Playback::Public),
        limits: limits(serde_json::json!({"codecs": null})),
        ..Change::default()
    };
    let put = store.change(&room.id, open).await.expect("there");
    assert_eq!(put.room.playback, Playback::Public);
    assert_eq!(put.room.on_conflict, room.on_conflict);
    assert_eq!(put.room.limits.viewers_max.map(u32::from), Some(7));
    assert!(put.room.limits.codecs.is_empty());
    let stored = store.authenticate(&key, NOW).await.expect("answers");
    assert_eq!(stored, Some(put.room), "the key is the same");

    let nobody = store.change(&id("other"), Change::default()).await;
    assert!(matches!(nobody, Err(Error::NotFound(_))));
}

async fn a_deleted_room_is_gone_with_its_key(store: &dyn Rooms) {
    let (room, key) = store.create(new("a")).await.expect("made");
    let (kept, kept_key) = store.create(new("b")).await.expect("made");
    store.delete(&room.id).await.expect("deleted");
    assert!(matches!(store.delete(&room.id).await, Err(Error::NotFound(gone)) if gone == room.id));
    assert_eq!(store.get(&room.id).await.expect("answers"), None);
    assert_eq!(store.authenticate(&key, NOW).await.expect("answers"), None);
    assert_eq!(
        store.authenticate(&kept_key, NOW).await.expect("answers"),
        Some(kept)
    );

    store.create(new("a")).await.expect("its id is free again");
    assert_eq!(
        store.authenticate(&key, NOW).await.expect("answers"),
        None,
        "the old key stays dead"
    );
}

async fn a_new_key_replaces_the_old_one(store: &dyn Rooms) {
    let (room, old) = store.create(new("a")).await.expect("made");
    let (other, others_key) = store.create(new("b")).await.expect("made");
    for generation in 2..5 {
        let key = store.rotate_key(&room.id, None).await.expect("changed");
        assert_ne!(key.reveal(), old.reveal());
        let expected = Room {
            key_generation: generation,
            ..room.clone()
        };
        assert_eq!(
            store.authenticate(&key, NOW).await.expect("answers"),
            Some(expected)
        );
        assert_eq!(store.authenticate(&old, NOW).await.expect("answers"), None);
    }
    assert_eq!(
        store.authenticate(&others_key, NOW).await.expect("answers"),
        Some(other)
    );
    assert!(matches!(
        store.rotate_key(&id("c"), None).await,
        Err(Error::NotFound(_))
    ));
}

async fn an_old_key_opens_the_room_while_it_overlaps(store: &dyn Rooms) {
    let (room, first) = store.create(new("a")).await.expect("made");
    let until = UnixMs(NOW.0 + 1000);
    let opens = async |key: &PublishKey, now| {
        let opened = store.authenticate(key, now).await.expect("answers");
        let kept = store.get(&room.id).await.expect("answers");
        assert!(opened.is_none() || opened == kept, "the room as it is");
        opened.is_some()
    };
    let rotate = async |until| store.rotate_key(&room.id, until).await.expect("changed");
    let generations = async |now| {
        let room = store.get(&room.id).await.expect("answers").expect("there");
        (0..5)
            .filter(|n| room.takes_keys_of(*n, now))
            .collect::<Vec<_>>()
    };

    let second = rotate(Some(until)).await;
    let kept = store.get(&room.id).await.expect("answers").expect("there");
    assert_eq!(kept.previous_key_until, Some(until));
    assert!(opens(&first, NOW).await && opens(&second, NOW).await);
    assert_eq!(generations(NOW).await, [1, 2]);
    assert!(!opens(&first, until).await && opens(&second, until).await);
    assert_eq!(generations(until).await, [2]);

    let again = NewRoom {
        playback: Playback::Public,
        ..new("a")
    };
    let put = store.put(again, &second).await.expect("changed");
    assert_eq!(put.room.previous_key_until, Some(until));
    assert!(opens(&first, NOW).await, "what is put has the same key");

    let third = rotate(Some(until)).await;
    assert!(!opens(&first, NOW).await, "it is the last but one");
    assert!(opens(&second, NOW).await && opens(&third, NOW).await);
    assert_eq!(generations(NOW).await, [2, 3]);

    let fourth = rotate(None).await;
    assert!(!opens(&second, NOW).await && !opens(&third, NOW).await);
    assert!(opens(&fourth, NOW).await);
    assert_eq!(generations(NOW).await, [4]);

    rotate(Some(until)).await;
    assert!(opens(&fourth, NOW).await);
    let own = PublishKey::generate(&room.id);
    let put = store.put(new("a"), &own).await.expect("changed");
    assert_eq!(put.room.previous_key_until, None);
    assert!(!opens(&fourth, NOW).await && opens(&own, NOW).await);
}

async fn a_put_room_is_made_then_changed_where_it_differs(store: &dyn Rooms) {
    let (first, second) = (
        PublishKey::generate(&id("a")),
        PublishKey::generate(&id("a")),
    );
    let made = store.put(new("a"), &first).await.expect("made");
    let mut before = Room {
        id: id("a"),
        playback: Playback::Private,
        on_conflict: OnConflict::Refuse,
        limits: RoomLimits::default(),
        created_at: new("a").created_at,
        key_generation: 1,
        previous_key_until: None,
    };
    let expected = Put {
        room: before.clone(),
        before: None,
    };
    assert_eq!(made, expected);
    assert!(made.has_changed() && !made.has_new_key());

    for (playback, on_conflict, key, generation) in [
        (Playback::Public, OnConflict::Refuse, &first, 1),
        (Playback::Public, OnConflict::Takeover, &first, 1),
        (Playback::Public, OnConflict::Takeover, &second, 2),
        (Playback::Signed, OnConflict::Takeover, &second, 2),
        (Playback::Public, OnConflict::Takeover, &second, 2),
        (Playback::Private, OnConflict::Refuse, &first, 3),
        (Playback::Signed, OnConflict::Refuse, &first, 3),
        (Playback::Private, OnConflict::Refuse, &first, 3),
    ] {
        let asked = NewRoom {
            id: id("a"),
            playback,
            on_conflict,
            limits: RoomLimits::default(),
            created_at: UnixMs(1_800_000_000_000),
        };
        let put = store.put(asked, key).await.expect("changed");
        let room = Room {
            playback,
            on_conflict,
            key_generation: generation,
            ..before.clone()
        };
        let expected = Put {
            room: room.clone(),
            before: Some(before.clone()),
        };
        assert_eq!(put, expected);
        assert!(put.has_changed());
        assert_eq!(put.has_new_key(), before.key_generation != generation);
        let closes = matches!(
            (before.playback, playback),
            (Playback::Public, Playback::Signed | Playback::Private)
                | (Playback::Signed, Playback::Private)
        );
        assert_eq!(put.is_closed_to_viewers(), closes, "{put:?}");
        assert_eq!(
            store.get(&room.id).await.expect("answers"),
            Some(room.clone())
        );
        for known in [&first, &second] {
            let opens = known.reveal() == key.reveal();
            assert_eq!(
                store.authenticate(known, NOW).await.expect("answers"),
                opens.then(|| room.clone())
            );
        }
        before = room;
    }
}

async fn a_room_put_again_stays_as_it_is(store: &dyn Rooms) {
    let (room, key) = store.create(new("a")).await.expect("made");
    let puts = futures_util::future::join_all((0..8).map(|_| store.put(new("a"), &key))).await;
    for put in puts {
        let put = put.expect("answers");
        assert!(!put.has_changed(), "{put:?}");
        assert_eq!(put.room, room);
    }
    let new_key = PublishKey::generate(&room.id);
    let puts = futures_util::future::join_all((0..8).map(|_| store.put(new("a"), &new_key))).await;
    let changes = puts
        .iter()
        .filter(|put| put.as_ref().expect("answers").has_changed());
    assert_eq!(changes.count(), 1, "one of many changes it");
    let now = store.get(&room.id).await.expect("answers").expect("there");
    assert_eq!(now.key_generation, 2);
}

async fn a_store_goes_by_one_name(store: &dyn Rooms) {
    let name = store.store_id().await.expect("answers");
    assert!(name.len() >= 32, "{name}: long enough to be the only one");
    assert_eq!(store.store_id().await.expect("answers"), name);
}

async fn only_the_rooms_own_key_opens_it(store: &dyn Rooms) {
    let (_, a) = store.create(new("a")).await.expect("made");
    store.create(new("b")).await.expect("made");
    let secret = a.reveal().rsplit_once('_').expect("our own form").1;
    let last = if secret.ends_with('0') { '1' } else { '0' };
    for wrong in [
        format!("room_b_key_{secret}"),
        format!("room_c_key_{secret}"),
        format!("room_a_key_{}{last}", &secret[..secret.len() - 1]),
        format!("room_a_key_{}", &secret[..secret.len() - 1]),
        format!("room_a_key_{secret}0"),
        "room_a_key_0".to_owned(),
    ] {
        let key = PublishKey::parse(&wrong).expect("the right form");
        assert_eq!(
            store.authenticate(&key, NOW).await.expect("answers"),
            None,
            "{wrong}"
        );
    }
    assert!(
        store
            .authenticate(&a, NOW)
            .await
            .expect("answers")
            .is_some()
    );
}

async fn targets_are_kept_in_order_with_their_keys(store: &dyn Rooms) {
    store.create(new("a")).await.expect("made");
    store.create(new("b")).await.expect("made");
    let target = |name: &str, key: &str, enabled| Target {
        name: name.parse().expect("a name"),
        url: format!("rtmp://{name}.example/live")
            .parse()
            .expect("a URL"),
        stream_key: Secret::new(key.to_owned()),
        enabled,
    };
    let first = [target("z", "key-z", true), target("a", "key-a", false)];
    let other = [target("z", "other", true)];
    let second = [target("a", "key-2", true)];
    store.put_restreams(&id("a"), &first).await.expect("put");
    store.put_restreams(&id("b"), &other).await.expect("put");
    for (room, expected) in [("a", &first[..]), ("b", &other), ("c", &[])] {
        are_kept(store, room, expected).await;
    }
    store.put_restreams(&id("a"), &second).await.expect("put");
    are_kept(store, "a", &second).await;
    store.put_restreams(&id("a"), &[]).await.expect("put");
    are_kept(store, "a", &[]).await;
    are_kept(store, "b", &other).await;

    let nowhere = store.put_restreams(&id("c"), &first).await;
    assert!(matches!(nowhere, Err(Error::NotFound(_))));
    are_kept(store, "c", &[]).await;
    store.delete(&id("b")).await.expect("deleted");
    store.create(new("b")).await.expect("made again");
    are_kept(store, "b", &[]).await;
}

async fn are_kept(store: &dyn Rooms, room: &str, expected: &[Target]) {
    let kept = store.restreams(&id(room)).await.expect("answers");
    assert_eq!(kept.len(), expected.len(), "{room}: {kept:?}");
    for (kept, expected) in kept.iter().zip(expected) {
        assert!(kept.is_same_push(expected), "{kept:?} {expected:?}");
    }
}

async fn many_at_once_make_one_room(store: &dyn Rooms) {
    let tries = futures_util::future::join_all((0..16).map(|_| store.create(new("a")))).await;
    assert_eq!(tries.iter().filter(|made| made.is_ok()).count(), 1);
    for refused in tries.iter().filter_map(|made| made.as_ref().err()) {
        assert!(matches!(refused, Error::AlreadyExists(_)), "{refused}");
    }
}

const NOW: UnixMs = UnixMs(1_800_000_000_000);

async fn names(store: &dyn Rooms, after: Option<&str>, limit: usize) -> Vec<String> {
    let after = after.map(id);
    let rooms = store.list(after.as_ref(), limit).await.expect("answers");
    rooms.into_iter().map(|room| room.id.into()).collect()
}

fn new(name: &str) -> NewRoom {
    NewRoom {
        id: id(name),
        playback: Playback::Private,
        on_conflict: OnConflict::Refuse,
        limits: RoomLimits::default(),
        created_at: UnixMs(1_700_000_000_000),
    }
}

fn id(text: &str) -> RoomId {
    RoomId::parse(text).expect("a room id")
}
