//! Rooms in a SQLite file of the data folder, for a node that is alone.

#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::sql::statements::SELECT;
use super::sql::{Dialect, Sql, check_secret, sqlite_migrations, unavailable};
use super::{Error, KeyHasher};

/// How long a call may take. A local disk answers in milliseconds; a publisher waits this long.
const DEADLINE: Duration = Duration::from_secs(2);
/// Readers do not block each other or the one writer (SQLite's write-ahead log).
const READERS: u32 = 4;

/// The store that a node alone uses.
pub(crate) type Sqlite = Sql<File>;

#[derive(Clone, Copy, Debug)]
pub(crate) struct File;

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
        sqlite_migrations()
            .run(&writer)
            .await
            .map_err(unavailable)?;
        let mut connection = writer.acquire().await.map_err(unavailable)?;
        let secret = check_secret::<sqlx::Sqlite>(&mut connection, &hasher).await;
        secret.map_err(unavailable)?.map_err(unavailable)?;
        drop(connection);
        let readers = pool(READERS)
            .connect_with(options.read_only(true))
            .await
            .map_err(unavailable)?;
        Ok(Self {
            readers,
            writers: writer,
            hasher,
            deadline,
            dialect: File,
        })
    }
}

/// One process alone writes, by one connection: nothing changes between a look and a change.
impl Dialect for File {
    type Db = sqlx::Sqlite;
    type Place = ();

    const SELECT_LOCKED: &'static str = SELECT;

    fn enter(&self) -> Result<(), Box<dyn StdError + Send + Sync>> {
        Ok(())
    }

    fn failed(&self, _: &sqlx::Error) {}
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
