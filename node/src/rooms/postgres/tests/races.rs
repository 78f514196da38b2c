//! Two nodes change the same room at the same time.

use futures_util::future::join_all;
use isocast_media::UnixMs;

use super::*;
use crate::rooms::{Change, Error, PublishKey, Rooms, Target};

/// How many calls each node makes at once.
const CALLS: usize = 8;

async fn two_nodes() -> ([Postgres; 2], Arc<Server>) {
    let server = Server::shared();
    let database = server.database();
    migrated(&server, &database).await;
    let url = server.url(&database);
    ([opened(&url, None).await, opened(&url, None).await], server)
}

#[tokio::test]
async fn one_of_them_makes_the_room() {
    let (nodes, _server) = two_nodes().await;
    let calls = nodes
        .iter()
        .flat_map(|node| (0..CALLS).map(|_| node.create(new("a"))));
    let made = join_all(calls).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    for refused in made.iter().filter_map(|made| made.as_ref().err()) {
        assert!(matches!(refused, Error::AlreadyExists(_)), "{refused}");
    }
}

#[tokio::test]
async fn one_puts_the_room_and_the_other_changes_it() {
    let (nodes, _server) = two_nodes().await;
    for round in 0..CALLS {
        let name = format!("r{round}");
        let keys = [(); 2].map(|()| PublishKey::generate(&id(&name)));
        let puts = nodes
            .iter()
            .zip(&keys)
            .map(|(node, key)| node.put(new(&name), key));
        let puts: Vec<_> = join_all(puts)
            .await
            .into_iter()
            .map(|put| put.expect("put"))
            .collect();
        let made = puts.iter().filter(|put| put.before.is_none()).count();
        assert_eq!(made, 1, "{puts:?}");
        let last = puts.iter().max_by_key(|put| put.room.key_generation);
        let last = &last.expect("there are two").room;
        assert_eq!(last.key_generation, 2, "the other had another key");
        assert_eq!(
            nodes[0].get(&id(&name)).await.expect("answers").as_ref(),
            Some(last)
        );
        let mut opens = 0;
        for key in &keys {
            let opened = nodes[1].authenticate(key, NOW).await.expect("answers");
            opens += usize::from(opened.is_some());
        }
        assert_eq!(opens, 1);
    }
}

#[tokio::test]
async fn every_new_key_counts_and_the_last_one_opens() {
    let (nodes, _server) = two_nodes().await;
    nodes[0].create(new("a")).await.expect("made");
    let room = id("a");
    let until = Some(UnixMs(NOW.0 + 1000));
    let calls = nodes
        .iter()
        .flat_map(|node| (0..CALLS).map(|_| node.rotate_key(&room, until)));
    let keys = join_all(calls).await;
    let stored = nodes[0].get(&room).await.expect("answers").expect("there");
    assert_eq!(stored.key_generation as usize, 1 + keys.len());
    let mut opens = 0;
    for key in keys {
        let key = key.expect("replaced");
        let opened = nodes[1].authenticate(&key, NOW).await.expect("answers");
        opens += usize::from(opened.is_some());
    }
    assert_eq!(
        opens, 2,
        "the last one, and the one before while they overlap"
    );
}

#[tokio::test]
async fn neither_loses_what_the_other_has_changed() {
    let (nodes, _server) = two_nodes().await;
    nodes[0].create(new("a")).await.expect("made");
    let room = id("a");
    for viewers in 1..=CALLS {
        let playback = [Playback::Public, Playback::Signed][viewers % 2];
        let open = Change {
            playback: Some(playback),
            ..Change::default()
        };
        let limits = serde_json::json!({"viewers_max": viewers});
        let limits = serde_json::from_value(limits).expect("a change");
        let narrow = Change {
            limits,
            ..Change::default()
        };
        let (open, narrow) =
            tokio::join!(nodes[0].change(&room, open), nodes[1].change(&room, narrow));
        assert!(open.expect("changed").has_changed() && narrow.expect("changed").has_changed());
        let stored = nodes[0].get(&room).await.expect("answers").expect("there");
        assert_eq!(stored.playback, playback);
        assert_eq!(
            stored.limits.viewers_max.map(|max| max.get() as usize),
            Some(viewers)
        );
    }
}

#[tokio::test]
async fn targets_are_those_of_one_of_them() {
    let (nodes, _server) = two_nodes().await;
    nodes[0].create(new("a")).await.expect("made");
    let room = id("a");
    let sets = ["x", "y"].map(|key| ["t1", "t2", "t3"].map(|name| target(name, key)));
    for _ in 0..CALLS {
        let (one, other) = tokio::join!(
            nodes[0].put_restreams(&room, &sets[0]),
            nodes[1].put_restreams(&room, &sets[1])
        );
        one.and(other).expect("both in turn");
        let kept = nodes[0].restreams(&room).await.expect("answers");
        let is_of = |set: &[Target]| {
            kept.iter()
                .zip(set)
                .all(|(kept, put)| kept.is_same_push(put))
        };
        assert_eq!(kept.len(), 3);
        assert!(is_of(&sets[0]) || is_of(&sets[1]), "{kept:?}");
    }
}

#[tokio::test]
async fn a_room_that_is_deleted_meanwhile_leaves_nothing() {
    let (nodes, _server) = two_nodes().await;
    let room = id("a");
    let targets = [target("t", "x")];
    for _ in 0..CALLS {
        nodes[0].create(new("a")).await.expect("made");
        let (deleted, put, rotated) = tokio::join!(
            nodes[0].delete(&room),
            nodes[1].put_restreams(&room, &targets),
            nodes[1].rotate_key(&room, None)
        );
        deleted.expect("it was there");
        for late in [put.err(), rotated.err()].into_iter().flatten() {
            assert!(matches!(late, Error::NotFound(_)), "{late}");
        }
        assert_eq!(nodes[0].get(&room).await.expect("answers"), None);
        assert!(nodes[1].restreams(&room).await.expect("answers").is_empty());
    }
}

fn target(name: &str, key: &str) -> Target {
    Target {
        name: name.parse().expect("a name"),
        url: "rtmp://a.example/live".parse().expect("a URL"),
        stream_key: Secret::new(key.to_owned()),
        enabled: true,
    }
}
