//! Rooms in a SQLite file of the data folder, for a node that is alone.

use std::fs::{OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use isocast_media::UnixMs;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, SqlSafeStr};

use super::key::{KeyHash, Stored};
use super::seal::Sealer;
use super::{
    Answer, Change, Error, KeyHasher, LIST_MAX, NewRoom, OnConflict, Playback, PublishKey, PushUrl,
    Put, Room, RoomId, RoomLimits, Rooms, Target, TargetName,
};

/// How long a call may take. A local disk answers in milliseconds; a publisher waits this long.
const DEADLINE: Duration = Duration::from_secs(2);
/// Readers do not block each other or the one writer (SQLite's write-ahead log).
const READERS: u32 = 4;

/// The store that a node alone uses.
#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    hasher: KeyHasher,
    deadline: Duration,
}

impl Sqlite {
    /// Opens the file, makes it (mode 0600) if there is none, and brings its tables up to date.
    pub(crate) async fn open(path: &Path, hasher: KeyHasher) -> Result<Self, Error> {
        Self::open_within(path, hasher, DEADLINE).await
    }

    async fn open_within(
        path: &Path,
        hasher: KeyHasher,
        deadline: Duration,
    ) -> Result<Self, Error> {
        make_private(path).map_err(unavailable)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // With a write-ahead log NORMAL keeps the file whole; only a power cut can lose the last change.
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(deadline);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(deadline)
        };
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .map_err(unavailable)?;
        migrations().run(&writer).await.map_err(unavailable)?;
        let readers = pool(READERS)
            .connect_with(options.read_only(true))
            .await
            .map_err(unavailable)?;
        Ok(Self {
            writer,
            readers,
            hasher,
            deadline,
        })
    }

    /// Ends all connections and folds the log into the file.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        tokio::time::timeout(self.deadline, call)
            .await
            .unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
    }

    async fn find(&self, id: &RoomId) -> Result<Option<Stored>, Error> {
        let row = sqlx::query(SELECT)
            .bind(id.as_str())
            .fetch_optional(&self.readers);
        let row = self.within(row).await.map_err(unavailable)?;
        row.as_ref().map(stored).transpose().map_err(unavailable)
    }
}

impl Rooms for Sqlite {
    fn create(&self, new: NewRoom) -> Answer<'_, (Room, PublishKey)> {
        Box::pin(async move {
            let room = new.into_room();
            let key = PublishKey::generate(&room.id);
            let insert = with_all(INSERT, &room, self.hasher.hash(&key)).execute(&self.writer);
            match self.within(insert).await {
                Ok(_) => Ok((room, key)),
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                    Err(Error::AlreadyExists(room.id))
                }
                Err(error) => Err(unavailable(error)),
            }
        })
    }

    fn put<'a>(&'a self, new: NewRoom, key: &'a PublishKey) -> Answer<'a, Put> {
        Box::pin(async move {
            let put = async {
                // The one writer's turn: nothing changes between the look and the change.
                let mut turn = self.writer.begin().await?;
                let row = sqlx::query(SELECT).bind(new.id.as_str());
                let row = row.fetch_optional(&mut *turn).await?;
                let put = match row {
                    Some(row) => {
                        let Stored { room, hash, .. } = stored(&row)?;
                        let same_key = self.hasher.is_of(&hash, key);
                        Put {
                            room: new.instead_of(&room, same_key),
                            before: Some(room),
                        }
                    }
                    None => Put {
                        room: new.into_room(),
                        before: None,
                    },
                };
                if put.has_changed() {
                    let statement = if put.before.is_some() { UPDATE } else { INSERT };
                    let change = with_all(statement, &put.room, self.hasher.hash(key));
                    change.execute(&mut *turn).await?;
                    turn.commit().await?;
                }
                Ok(put)
            };
            self.within(put).await.map_err(unavailable)
        })
    }

    fn change<'a>(&'a self, id: &'a RoomId, change: Change) -> Answer<'a, Put> {
        Box::pin(async move {
            let change = async {
                let mut turn = self.writer.begin().await?;
                let row = sqlx::query(SELECT).bind(id.as_str());
                let Some(row) = row.fetch_optional(&mut *turn).await? else {
                    return Ok(None);
                };
                let stored = room(&row)?;
                let put = Put {
                    room: change.of(&stored),
                    before: Some(stored),
                };
                if put.has_changed() {
                    let change = sqlx::query(CHANGE)
                        .bind(id.as_str())
                        .bind(playback_word(put.room.playback))
                        .bind(on_conflict_word(put.room.on_conflict))
                        .bind(limits_text(&put.room.limits));
                    change.execute(&mut *turn).await?;
                    turn.commit().await?;
                }
                Ok(Some(put))
            };
            let put = self.within(change).await.map_err(unavailable)?;
            put.ok_or_else(|| Error::NotFound(id.clone()))
        })
    }

    fn get<'a>(&'a self, id: &'a RoomId) -> Answer<'a, Option<Room>> {
        Box::pin(async move { Ok(self.find(id).await?.map(|stored| stored.room)) })
    }

    fn list<'a>(&'a self, after: Option<&'a RoomId>, limit: usize) -> Answer<'a, Vec<Room>> {
        Box::pin(async move {
            // No id is empty, so every id is greater than the empty text.
            let rows = sqlx::query("SELECT * FROM rooms WHERE id > ? ORDER BY id LIMIT ?")
                .bind(after.map_or("", RoomId::as_str))
                .bind(limit.min(LIST_MAX) as i64)
                .fetch_all(&self.readers);
            let rows = self.within(rows).await.map_err(unavailable)?;
            rows.iter()
                .map(room)
                .collect::<Result<_, _>>()
                .map_err(unavailable)
        })
    }

    fn delete<'a>(&'a self, id: &'a RoomId) -> Answer<'a, ()> {
        Box::pin(async move {
            let delete = sqlx::query("DELETE FROM rooms WHERE id = ?")
                .bind(id.as_str())
                .execute(&self.writer);
            match self
                .within(delete)
                .await
                .map_err(unavailable)?
                .rows_affected()
            {
                0 => Err(Error::NotFound(id.clone())),
                _ => Ok(()),
            }
        })
    }

    fn rotate_key<'a>(
        &'a self,
        id: &'a RoomId,
        overlap_until: Option<UnixMs>,
    ) -> Answer<'a, PublishKey> {
        Box::pin(async move {
            let key = PublishKey::generate(id);
            let update = sqlx::query(ROTATE_KEY)
                .bind(id.as_str())
                .bind(self.hasher.hash(&key).0.to_vec())
                .bind(overlap_until.map(|until| until.0))
                .execute(&self.writer);
            match self
                .within(update)
                .await
                .map_err(unavailable)?
                .rows_affected()
            {
                0 => Err(Error::NotFound(id.clone())),
                _ => Ok(key),
            }
        })
    }

    fn authenticate<'a>(&'a self, key: &'a PublishKey, now: UnixMs) -> Answer<'a, Option<Room>> {
        Box::pin(async move { Ok(self.hasher.admit(key, self.find(key.room()).await?, now)) })
    }

    fn restreams<'a>(&'a self, id: &'a RoomId) -> Answer<'a, Vec<Target>> {
        Box::pin(async move {
            let rows = sqlx::query("SELECT * FROM restreams WHERE room = ? ORDER BY place")
                .bind(id.as_str())
                .fetch_all(&self.readers);
            let rows = self.within(rows).await.map_err(unavailable)?;
            let sealer = self.hasher.sealer();
            let targets = rows.iter().map(|row| target(row, id, &sealer));
            targets.collect::<Result<_, _>>().map_err(unavailable)
        })
    }

    fn put_restreams<'a>(&'a self, id: &'a RoomId, targets: &'a [Target]) -> Answer<'a, ()> {
        Box::pin(async move {
            let sealer = self.hasher.sealer();
            let put = async {
                let mut turn = self.writer.begin().await?;
                sqlx::query("DELETE FROM restreams WHERE room = ?")
                    .bind(id.as_str())
                    .execute(&mut *turn)
                    .await?;
                let exists = sqlx::query("SELECT 1 FROM rooms WHERE id = ?").bind(id.as_str());
                if exists.fetch_optional(&mut *turn).await?.is_none() {
                    return Ok(false);
                }
                for (place, target) in targets.iter().enumerate() {
                    let sealed =
                        sealer.seal(&target.stream_key, &bound_to(id, &target.name, &target.url));
                    sqlx::query(
                        "INSERT INTO restreams (room, name, place, url, enabled, sealed_key)
                         VALUES (?, ?, ?, ?, ?, ?)",
                    )
                    .bind(id.as_str())
                    .bind(target.name.as_str())
                    .bind(place as i64)
                    .bind(target.url.as_str())
                    .bind(target.enabled)
                    .bind(sealed)
                    .execute(&mut *turn)
                    .await?;
                }
                turn.commit().await?;
                Ok(true)
            };
            match self.within(put).await.map_err(unavailable)? {
                true => Ok(()),
                false => Err(Error::NotFound(id.clone())),
            }
        })
    }

    fn store_id(&self) -> Answer<'_, String> {
        Box::pin(async move {
            let id = sqlx::query_scalar("SELECT id FROM store").fetch_one(&self.readers);
            self.within(id).await.map_err(unavailable)
        })
    }
}

const SELECT: &str = "SELECT * FROM rooms WHERE id = ?";
const INSERT: &str =
    "INSERT INTO rooms (id, playback, on_conflict, created_at_ms, key_generation, key_hash, limits)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const CHANGE: &str = "UPDATE rooms SET playback = ?2, on_conflict = ?3, limits = ?4 WHERE id = ?1";
/// Another key ends the one before it too. All right sides see the row as it was.
const UPDATE: &str = "UPDATE rooms
     SET playback = ?2, on_conflict = ?3, created_at_ms = ?4, key_generation = ?5, key_hash = ?6,
         limits = ?7, previous_key_hash = iif(key_hash = ?6, previous_key_hash, NULL),
         previous_key_until_ms = iif(key_hash = ?6, previous_key_until_ms, NULL)
     WHERE id = ?1";
const ROTATE_KEY: &str = "UPDATE rooms
     SET key_hash = ?2, key_generation = key_generation + 1,
         previous_key_hash = iif(?3 IS NULL, NULL, key_hash), previous_key_until_ms = ?3
     WHERE id = ?1";

/// A statement that writes a whole room.
fn with_all<'q>(
    statement: &'static str,
    room: &'q Room,
    hash: KeyHash,
) -> Query<'q, sqlx::Sqlite, SqliteArguments> {
    sqlx::query(statement)
        .bind(room.id.as_str())
        .bind(playback_word(room.playback))
        .bind(on_conflict_word(room.on_conflict))
        .bind(room.created_at.0)
        .bind(room.key_generation)
        .bind(hash.0.to_vec())
        .bind(limits_text(&room.limits))
}

/// Migrations are only added, never changed: each is checked against what the file has seen.
fn migrations() -> Migrator {
    let step = |version, name: &'static str, sql: &'static str| {
        let sql = sql.into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(vec![
        step(
            1,
            "rooms",
            include_str!("../../../migrations/sqlite/0001_rooms.sql"),
        ),
        step(
            2,
            "store",
            include_str!("../../../migrations/sqlite/0002_store.sql"),
        ),
        step(
            3,
            "play",
            include_str!("../../../migrations/sqlite/0003_play.sql"),
        ),
        step(
            4,
            "limits",
            include_str!("../../../migrations/sqlite/0004_limits.sql"),
        ),
        step(
            5,
            "restreams",
            include_str!("../../../migrations/sqlite/0005_restreams.sql"),
        ),
    ])
}

/// SQLite gives its log files the mode of the file itself.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

fn room(row: &SqliteRow) -> Result<Room, sqlx::Error> {
    let id: &str = row.try_get("id")?;
    Ok(Room {
        id: RoomId::parse(id).map_err(|error| sqlx::Error::Decode(error.into()))?,
        playback: match row.try_get("playback")? {
            "private" => Playback::Private,
            "signed" => Playback::Signed,
            "public" => Playback::Public,
            other => return Err(sqlx::Error::Decode(format!("playback {other:?}").into())),
        },
        on_conflict: match row.try_get("on_conflict")? {
            "refuse" => OnConflict::Refuse,
            "takeover" => OnConflict::Takeover,
            other => return Err(sqlx::Error::Decode(format!("on_conflict {other:?}").into())),
        },
        limits: serde_json::from_str(row.try_get("limits")?)
            .map_err(|error| sqlx::Error::Decode(error.into()))?,
        created_at: UnixMs(row.try_get("created_at_ms")?),
        key_generation: row.try_get("key_generation")?,
        previous_key_until: row
            .try_get::<Option<_>, _>("previous_key_until_ms")?
            .map(UnixMs),
    })
}

fn target(row: &SqliteRow, room: &RoomId, sealer: &Sealer) -> Result<Target, sqlx::Error> {
    let wrong = |what: &str| sqlx::Error::Decode(what.into());
    let name: TargetName = row.try_get::<&str, _>("name")?.parse().map_err(wrong)?;
    let url: PushUrl = row.try_get::<&str, _>("url")?.parse().map_err(wrong)?;
    let key = sealer.open(row.try_get("sealed_key")?, &bound_to(room, &name, &url));
    let key = key.ok_or_else(|| wrong("a target's stream key was sealed under another secret"))?;
    Ok(Target {
        name,
        url,
        stream_key: key,
        enabled: row.try_get("enabled")?,
    })
}

/// A stream key opens for its own target only: with another URL it would be told to somebody else.
fn bound_to(room: &RoomId, name: &TargetName, url: &PushUrl) -> String {
    format!("{room}\0{name}\0{}", url.as_str())
}

fn stored(row: &SqliteRow) -> Result<Stored, sqlx::Error> {
    let previous_hash: Option<&[u8]> = row.try_get("previous_key_hash")?;
    Ok(Stored {
        room: room(row)?,
        hash: key_hash(row.try_get("key_hash")?)?,
        previous_hash: previous_hash.map(key_hash).transpose()?,
    })
}

fn key_hash(bytes: &[u8]) -> Result<KeyHash, sqlx::Error> {
    let bytes = bytes
        .try_into()
        .map_err(|_| sqlx::Error::Decode("a key's hash is not 32 bytes".into()))?;
    Ok(KeyHash(bytes))
}

fn limits_text(limits: &RoomLimits) -> String {
    serde_json::to_string(limits).expect("numbers and words have a JSON form")
}

fn playback_word(playback: Playback) -> &'static str {
    match playback {
        Playback::Private => "private",
        Playback::Signed => "signed",
        Playback::Public => "public",
    }
}

fn on_conflict_word(on_conflict: OnConflict) -> &'static str {
    match on_conflict {
        OnConflict::Refuse => "refuse",
        OnConflict::Takeover => "takeover",
    }
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unavailable(error.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use sqlx::{Connection, Executor, SqliteConnection};

    use super::*;
    use crate::data::Secret;
    use crate::data::scratch::Scratch;

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
        let store = Sqlite::open(&path, other)
            .await
            .expect("opens under another secret");
        assert_eq!(store.authenticate(&key, NOW).await.expect("answers"), None);
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
        let mut first_release = migrations();
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
            deadline: Duration::from_millis(50),
            ..store.clone()
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
}
