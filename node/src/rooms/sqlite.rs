//! Rooms in a SQLite file of the data folder, for a node that is alone.

mod migrations;
mod rows;

#[cfg(test)]
mod tests;

use std::fs::{OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use isocast_media::UnixMs;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::key::Stored;
use super::{
    Answer, Change, Error, KeyHasher, LIST_MAX, NewRoom, PublishKey, Put, Room, RoomId, Rooms,
    Target,
};
use migrations::migrations;

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
        row.as_ref()
            .map(rows::stored)
            .transpose()
            .map_err(unavailable)
    }
}

impl Rooms for Sqlite {
    fn create(&self, new: NewRoom) -> Answer<'_, (Room, PublishKey)> {
        Box::pin(async move {
            let room = new.into_room();
            let key = PublishKey::generate(&room.id);
            let insert =
                rows::with_all(INSERT, &room, self.hasher.hash(&key)).execute(&self.writer);
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
                        let Stored { room, hash, .. } = rows::stored(&row)?;
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
                    let change = rows::with_all(statement, &put.room, self.hasher.hash(key));
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
                let stored = rows::room(&row)?;
                let put = Put {
                    room: change.of(&stored),
                    before: Some(stored),
                };
                if put.has_changed() {
                    let change = sqlx::query(CHANGE)
                        .bind(id.as_str())
                        .bind(rows::playback_word(put.room.playback))
                        .bind(rows::on_conflict_word(put.room.on_conflict))
                        .bind(rows::limits_text(&put.room.limits));
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
                .map(rows::room)
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
            let targets = rows.iter().map(|row| rows::target(row, id, &sealer));
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
                    sqlx::query(
                        "INSERT INTO restreams (room, name, place, url, enabled, sealed_key)
                         VALUES (?, ?, ?, ?, ?, ?)",
                    )
                    .bind(id.as_str())
                    .bind(target.name.as_str())
                    .bind(place as i64)
                    .bind(target.url.as_str())
                    .bind(target.enabled)
                    .bind(rows::sealed_key(target, id, &sealer))
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

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unavailable(error.into())
}
