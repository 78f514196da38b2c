//! Rooms in a database that speaks SQL: what SQLite and PostgreSQL do alike.
//!
//! Each call is one statement, or one transaction that looks at a room and keeps others from changing
//! it meanwhile. On PostgreSQL several nodes write at once (READ COMMITTED): there the look takes the
//! row's lock, and a room that somebody else makes just then is no error of `INSERT`, but one row less.

mod migrations;
mod rows;
mod secret;
pub(super) mod statements;
mod values;

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::time::Duration;

use futures_util::future::BoxFuture;
use isocast_media::UnixMs;
use sqlx::{Database, Pool, Transaction};

use super::key::Stored;
use super::{
    Answer, Change, Error, KeyHasher, LIST_MAX, NewRoom, PublishKey, Put, Room, RoomId, Rooms,
    Target,
};
use statements::{
    CHANGE, CREATE, DELETE, LIST, PUT_TARGET, REMOVE_TARGETS, ROTATE_KEY, SELECT, STORE_ID,
    TARGETS, UPDATE,
};
use values::Value;

pub(super) use migrations::{postgres_migrations, sqlite_migrations};
pub(crate) use secret::OtherSecret;
pub(super) use secret::check as check_secret;
pub(crate) use values::Speaks;

/// In what databases differ.
pub(crate) trait Dialect: std::fmt::Debug + Send + Sync + 'static {
    type Db: Speaks;
    /// Kept while a call lasts.
    type Place: Send;

    /// [`statements::SELECT`] so that nobody else changes the row before the transaction ends.
    const SELECT_LOCKED: &'static str;

    /// A place for one more call, where it is worth waiting for an answer.
    fn enter(&self) -> Result<Self::Place, Box<dyn StdError + Send + Sync>>;

    /// A call got no answer.
    fn failed(&self, error: &sqlx::Error);
}

/// A store of rooms in a database.
#[derive(Debug)]
pub(crate) struct Sql<D: Dialect> {
    pub(super) readers: Pool<D::Db>,
    pub(super) writers: Pool<D::Db>,
    pub(super) hasher: KeyHasher,
    pub(super) deadline: Duration,
    pub(super) dialect: D,
}

type Row<D> = <<D as Dialect>::Db as Database>::Row;
type Turn<D> = Transaction<'static, <D as Dialect>::Db>;

impl<D: Dialect> Sql<D> {
    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Error> {
        let _place = self.dialect.enter().map_err(Error::Unavailable)?;
        let answer = tokio::time::timeout(self.deadline, call).await;
        let answer = answer.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())));
        answer.map_err(|error| {
            self.dialect.failed(&error);
            unavailable(error)
        })
    }

    /// Asks once more where the connection breaks: nothing has changed by it.
    async fn read(
        &self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row<D>>, Error> {
        let read = async || {
            let mut connection = self.readers.acquire().await?;
            D::Db::rows(&mut connection, statement, values).await
        };
        self.within(async {
            match read().await {
                Err(error) if has_broken(&error) => read().await,
                answer => answer,
            }
        })
        .await
    }

    /// The number of rows that it has changed.
    async fn write(&self, statement: &'static str, values: &[Value<'_>]) -> Result<u64, Error> {
        self.within(async {
            let mut connection = self.writers.acquire().await?;
            D::Db::execute(&mut connection, statement, values).await
        })
        .await
    }

    async fn find(&self, id: &RoomId) -> Result<Option<Stored>, Error> {
        let rows = self.read(SELECT, &[Value::Text(id.as_str())]).await?;
        let stored = rows.first().map(rows::stored).transpose();
        stored.map_err(unavailable)
    }

    /// The room as it stays until the turn ends.
    async fn look(turn: &mut Turn<D>, id: &RoomId) -> Result<Option<Stored>, sqlx::Error> {
        let rows = D::Db::rows(turn, D::SELECT_LOCKED, &[Value::Text(id.as_str())]).await?;
        rows.first().map(rows::stored).transpose()
    }

    /// `None` where somebody else has made the room since it was looked for.
    async fn try_put(&self, new: NewRoom, key: &PublishKey) -> Result<Option<Put>, sqlx::Error> {
        let mut turn = self.writers.begin().await?;
        let put = match Self::look(&mut turn, &new.id).await? {
            Some(Stored { room, hash, .. }) => {
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
            let statement = if put.before.is_some() { UPDATE } else { CREATE };
            let limits = rows::limits_text(&put.room.limits);
            let values = rows::values(&put.room, self.hasher.hash(key), &limits);
            if D::Db::execute(&mut turn, statement, &values).await? == 0 {
                return Ok(None);
            }
            turn.commit().await?;
        }
        Ok(Some(put))
    }
}

impl<D: Dialect> Rooms for Sql<D> {
    fn create(&self, new: NewRoom) -> Answer<'_, (Room, PublishKey)> {
        Box::pin(async move {
            let room = new.into_room();
            let key = PublishKey::generate(&room.id);
            let limits = rows::limits_text(&room.limits);
            let values = rows::values(&room, self.hasher.hash(&key), &limits);
            match self.write(CREATE, &values).await? {
                0 => Err(Error::AlreadyExists(room.id)),
                _ => Ok((room, key)),
            }
        })
    }

    fn put<'a>(&'a self, new: NewRoom, key: &'a PublishKey) -> Answer<'a, Put> {
        Box::pin(async move {
            self.within(async {
                loop {
                    if let Some(put) = self.try_put(new.clone(), key).await? {
                        return Ok(put);
                    }
                }
            })
            .await
        })
    }

    fn change<'a>(&'a self, id: &'a RoomId, change: Change) -> Answer<'a, Put> {
        Box::pin(async move {
            let change = async {
                let mut turn = self.writers.begin().await?;
                let Some(Stored { room, .. }) = Self::look(&mut turn, id).await? else {
                    return Ok(None);
                };
                let put = Put {
                    room: change.of(&room),
                    before: Some(room),
                };
                if put.has_changed() {
                    let limits = rows::limits_text(&put.room.limits);
                    let values = rows::changed_values(&put.room, &limits);
                    D::Db::execute(&mut turn, CHANGE, &values).await?;
                    turn.commit().await?;
                }
                Ok(Some(put))
            };
            let put = self.within(change).await?;
            put.ok_or_else(|| Error::NotFound(id.clone()))
        })
    }

    fn get<'a>(&'a self, id: &'a RoomId) -> Answer<'a, Option<Room>> {
        Box::pin(async move { Ok(self.find(id).await?.map(|stored| stored.room)) })
    }

    fn list<'a>(&'a self, after: Option<&'a RoomId>, limit: usize) -> Answer<'a, Vec<Room>> {
        Box::pin(async move {
            // No id is empty, so every id is greater than the empty text.
            let after = Value::Text(after.map_or("", RoomId::as_str));
            let limit = Value::Number(limit.min(LIST_MAX) as i64);
            let rows = self.read(LIST, &[after, limit]).await?;
            let rooms = rows.iter().map(rows::room);
            rooms.collect::<Result<_, _>>().map_err(unavailable)
        })
    }

    fn delete<'a>(&'a self, id: &'a RoomId) -> Answer<'a, ()> {
        Box::pin(async move {
            match self.write(DELETE, &[Value::Text(id.as_str())]).await? {
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
            let values = [
                Value::Text(id.as_str()),
                Value::Bytes(self.hasher.hash(&key).0.to_vec()),
                Value::MaybeNumber(overlap_until.map(|until| until.0)),
            ];
            match self.write(ROTATE_KEY, &values).await? {
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
            let rows = self.read(TARGETS, &[Value::Text(id.as_str())]).await?;
            let sealer = self.hasher.sealer();
            let targets = rows.iter().map(|row| rows::target(row, id, &sealer));
            targets.collect::<Result<_, _>>().map_err(unavailable)
        })
    }

    fn put_restreams<'a>(&'a self, id: &'a RoomId, targets: &'a [Target]) -> Answer<'a, ()> {
        Box::pin(async move {
            let sealer = self.hasher.sealer();
            let put = async {
                let mut turn = self.writers.begin().await?;
                // Who else puts some for this room waits here.
                if Self::look(&mut turn, id).await?.is_none() {
                    return Ok(false);
                }
                let room = [Value::Text(id.as_str())];
                D::Db::execute(&mut turn, REMOVE_TARGETS, &room).await?;
                for (place, target) in targets.iter().enumerate() {
                    let values = rows::target_values(target, id, place, &sealer);
                    D::Db::execute(&mut turn, PUT_TARGET, &values).await?;
                }
                turn.commit().await?;
                Ok(true)
            };
            match self.within(put).await? {
                true => Ok(()),
                false => Err(Error::NotFound(id.clone())),
            }
        })
    }

    fn store_id(&self) -> Answer<'_, String> {
        Box::pin(async move {
            let rows = self.read(STORE_ID, &[]).await?;
            let row = rows.first().ok_or_else(|| unavailable("it has no id"))?;
            rows::store_id(row).map_err(unavailable)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.readers.close().await;
            self.writers.close().await;
        })
    }
}

/// Whether the connection has gone in the middle of a call (PostgreSQL's class 57 tells of a server
/// that stops).
fn has_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => {
            let code = error.code();
            code.is_some_and(|code| code.starts_with("57P"))
        }
        _ => false,
    }
}

pub(super) fn unavailable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::Unavailable(error.into())
}
