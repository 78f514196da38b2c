use std::os::unix::fs::MetadataExt;

use isocast_media::UnixMs;
use sqlx::{Connection, Executor, SqliteConnection};

use super::*;
use crate::data::Secret;
use crate::data::scratch::Scratch;
use crate::rooms::{NewRoom, OnConflict, Playback, PublishKey, RoomId, RoomLimits, Rooms};

const NOW: UnixMs = UnixMs(1_800_000_000_000);

fn hasher() -> KeyHasher {
    KeyHasher::new(Secret::new([7; 32]))
}

fn new_room(id: &str) -> NewRoom {
    NewRoom {
        id: RoomId::parse(id).expect("an id"),
        playback: Playback::Public,
        on_conflict: OnConflict::Takeover,
        limits: RoomLimits::default(),
        created_at: UnixMs(1_700_000_000_123),
    }
}

#[tokio::test]
async fn rooms_outlive_the_process_and_no_key_is_on_disk() {
    let scratch = Scratch::new();
    let path = scratch.path().join("rooms.sqlite");
    let store = Sqlite::open(&path, hasher()).await.expect("opens");
    let (room, key) = store.create(new_room("demo")).await.expect("made");
    for entry in std::fs::read_dir(scratch.path()).expect("readable") {
        let path = entry.expect("readable").path();
        assert_eq!(
            std::fs::metadata(&path).expect("there").mode() & 0o777,
            0o600,
            "{path:?}"
        );
        let bytes = std::fs::read(&path).expect("readable");
        let secret = key
            .reveal()
            .rsplit_once('_')
            .expect("our own form")
            .1
            .as_bytes();
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret),
            "{path:?}"
        );
    }
    store.close().await;

    let store = Sqlite::open(&path, hasher()).await.expect("opens again");
    assert_eq!(
        store.authenticate(&key, NOW).await.expect("answers"),
        Some(room)
    );
    let other = KeyHasher::new(Secret::new([8; 32]));
    let line = Sqlite::open(&path, other)
        .await
        .expect_err("no key would work");
    assert!(line.to_string().contains("another secret"), "{line}");
}

#[tokio::test]
async fn a_store_is_known_by_its_name_until_it_is_made_anew() {
    let scratch = Scratch::new();
    let mut names = std::collections::BTreeSet::new();
    for file in ["a.sqlite", "a.sqlite", "b.sqlite"] {
        let store = Sqlite::open(&scratch.path().join(file), hasher()).await;
        let store = store.expect("opens");
        names.insert(store.store_id().await.expect("answers"));
        store.close().await;
    }
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test]
async fn rooms_made_by_the_first_release_are_kept() {
    let scratch = Scratch::new();
    let path = scratch.path().join("rooms.sqlite");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let old = SqlitePoolOptions::new().max_connections(1);
    let old = old.connect_with(options).await.expect("opens");
    let mut first_release = sqlite_migrations();
    first_release.migrations.to_mut().truncate(1);
    first_release.run(&old).await.expect("made");
    let key = PublishKey::parse("room_old_key_x").expect("a key");
    let room = new_room("old").into_room();
    let insert = "INSERT INTO rooms VALUES ('old', 'public', 'takeover', ?, 1, ?)";
    sqlx::query(insert)
        .bind(room.created_at.0)
        .bind(hasher().hash(&key).0.to_vec())
        .execute(&old)
        .await
        .expect("made");
    old.close().await;

    let store = Sqlite::open(&path, hasher()).await.expect("opens");
    assert_eq!(
        store.authenticate(&key, NOW).await.expect("answers"),
        Some(room)
    );
    assert!(!store.store_id().await.expect("answers").is_empty());
}

#[tokio::test]
async fn a_file_that_others_could_read_is_closed_to_them() {
    let scratch = Scratch::new();
    let path = scratch.path().join("rooms.sqlite");
    scratch.write("rooms.sqlite", b"");
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("ours");
    Sqlite::open(&path, hasher()).await.expect("opens");
    assert_eq!(
        std::fs::metadata(&path).expect("there").mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a_writer_that_does_not_let_go_is_unavailable_and_readers_go_on() {
    let scratch = Scratch::new();
    let path = scratch.path().join("rooms.sqlite");
    // What has to work has all the time it needs; what must not work would wait for ever.
    let deadline = Duration::from_secs(60);
    let store = Sqlite::open_within(&path, hasher(), deadline)
        .await
        .expect("opens");
    let hasty = Sqlite {
        readers: store.readers.clone(),
        writers: store.writers.clone(),
        hasher: hasher(),
        deadline: Duration::from_millis(50),
        dialect: File,
    };
    let (room, key) = store.create(new_room("demo")).await.expect("made");

    let options = SqliteConnectOptions::new().filename(&path);
    let mut other = SqliteConnection::connect_with(&options)
        .await
        .expect("opens");
    other
        .execute("BEGIN IMMEDIATE")
        .await
        .expect("takes the write lock");
    let id = room.id.clone();
    assert!(matches!(
        hasty.create(new_room("b")).await,
        Err(Error::Unavailable(_))
    ));
    assert!(matches!(
        hasty.rotate_key(&id, None).await,
        Err(Error::Unavailable(_))
    ));
    assert!(matches!(
        hasty.delete(&id).await,
        Err(Error::Unavailable(_))
    ));
    let other_key = PublishKey::generate(&id);
    assert!(matches!(
        hasty.put(new_room("demo"), &other_key).await,
        Err(Error::Unavailable(_))
    ));
    assert_eq!(
        store.authenticate(&key, NOW).await.expect("answers"),
        Some(room)
    );

    other.execute("ROLLBACK").await.expect("lets go");
    // What timed out may still be under way on the one writer: this waits its turn.
    store.create(new_room("c")).await.expect("made");
}

#[tokio::test]
async fn what_is_no_database_is_unavailable() {
    let scratch = Scratch::new();
    scratch.write("rooms.sqlite", &[b'x'; 4096]);
    let opened = Sqlite::open(&scratch.path().join("rooms.sqlite"), hasher()).await;
    assert!(matches!(opened, Err(Error::Unavailable(_))));
    let opened = Sqlite::open(&scratch.path().join("no-such/rooms.sqlite"), hasher()).await;
    assert!(matches!(opened, Err(Error::Unavailable(_))));
}
