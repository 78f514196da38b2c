//! Values on their way into both databases and out of them.

use futures_util::future::BoxFuture;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Database, Row};

#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Number(i64),
    MaybeNumber(Option<i64>),
    Flag(bool),
    Bytes(Vec<u8>),
}

/// The columns of a row, by name.
pub(crate) trait Columns {
    fn text(&self, name: &str) -> Result<&str, sqlx::Error>;
    fn number(&self, name: &str) -> Result<i64, sqlx::Error>;
    fn maybe_number(&self, name: &str) -> Result<Option<i64>, sqlx::Error>;
    fn flag(&self, name: &str) -> Result<bool, sqlx::Error>;
    fn bytes(&self, name: &str) -> Result<&[u8], sqlx::Error>;
    fn maybe_bytes(&self, name: &str) -> Result<Option<&[u8]>, sqlx::Error>;
}

/// Runs statements with such values.
pub(crate) trait Speaks: Database<Row: Columns> {
    fn rows<'c>(
        connection: &'c mut Self::Connection,
        statement: &'static str,
        values: &'c [Value<'c>],
    ) -> BoxFuture<'c, Result<Vec<Self::Row>, sqlx::Error>>;

    /// The number of rows that it has changed.
    fn execute<'c>(
        connection: &'c mut Self::Connection,
        statement: &'static str,
        values: &'c [Value<'c>],
    ) -> BoxFuture<'c, Result<u64, sqlx::Error>>;
}

macro_rules! speaks {
    ($database:ty, $row:ty) => {
        impl Speaks for $database {
            fn rows<'c>(
                connection: &'c mut Self::Connection,
                statement: &'static str,
                values: &'c [Value<'c>],
            ) -> BoxFuture<'c, Result<Vec<Self::Row>, sqlx::Error>> {
                Box::pin(bound!(statement, values).fetch_all(connection))
            }

            fn execute<'c>(
                connection: &'c mut Self::Connection,
                statement: &'static str,
                values: &'c [Value<'c>],
            ) -> BoxFuture<'c, Result<u64, sqlx::Error>> {
                Box::pin(async move {
                    let done = bound!(statement, values).execute(connection).await?;
                    Ok(done.rows_affected())
                })
            }
        }

        impl Columns for $row {
            fn text(&self, name: &str) -> Result<&str, sqlx::Error> {
                self.try_get(name)
            }

            fn number(&self, name: &str) -> Result<i64, sqlx::Error> {
                self.try_get(name)
            }

            fn maybe_number(&self, name: &str) -> Result<Option<i64>, sqlx::Error> {
                self.try_get(name)
            }

            fn flag(&self, name: &str) -> Result<bool, sqlx::Error> {
                self.try_get(name)
            }

            fn bytes(&self, name: &str) -> Result<&[u8], sqlx::Error> {
                self.try_get(name)
            }

            fn maybe_bytes(&self, name: &str) -> Result<Option<&[u8]>, sqlx::Error> {
                self.try_get(name)
            }
        }
    };
}

macro_rules! bound {
    ($statement:expr, $values:expr) => {
        $values
            .iter()
            .fold(sqlx::query($statement), |query, value| match value {
                Value::Text(text) => query.bind(*text),
                Value::Number(number) => query.bind(*number),
                Value::MaybeNumber(number) => query.bind(*number),
                Value::Flag(flag) => query.bind(*flag),
                Value::Bytes(bytes) => query.bind(bytes.as_slice()),
            })
    };
}

speaks!(sqlx::Sqlite, SqliteRow);
speaks!(sqlx::Postgres, PgRow);
