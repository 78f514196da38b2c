use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection, Row};

use super::Source;
use crate::rooms::sql::postgres_migrations;

/// A person waits for that.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// A database that is brought up to date may have to copy tables.
const MIGRATE_WITHIN: Duration = Duration::from_secs(600);

/// How far a database's tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schema {
    /// 0 where there are none.
    pub number: i64,
    /// Releases that need this one, or a later one, work on it.
    pub serves_from: i64,
}

/// Why this release cannot work on a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misfit {
    #[error(
        "schema {number}, this release needs {}: run `isocast-node migrate`",
        Schema::needed()
    )]
    Older { number: i64 },
    #[error(
        "schema {number}, which serves releases that need {serves_from} or more, this one needs {}: run a later release",
        Schema::needed()
    )]
    Later { number: i64, serves_from: i64 },
}

impl Schema {
    /// What this release brings a database to.
    pub(crate) fn needed() -> i64 {
        let migrations = postgres_migrations();
        migrations
            .iter()
            .map(|step| step.version)
            .max()
            .unwrap_or(0)
    }

    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        const HAS_ANY: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
        const NUMBER: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
        const SERVES_FROM: &str = "SELECT serves_from FROM store";
        let has_any = sqlx::query(HAS_ANY).fetch_one(&mut *connection).await?;
        if !has_any.try_get::<bool, _>(0)? {
            return Ok(Self {
                number: 0,
                serves_from: 0,
            });
        }
        let number = sqlx::query(NUMBER)
            .fetch_one(&mut *connection)
            .await?
            .try_get(0)?;
        let serves_from = match number < Self::needed() {
            true => 0,
            false => sqlx::query(SERVES_FROM)
                .fetch_one(connection)
                .await?
                .try_get(0)?,
        };
        Ok(Self {
            number,
            serves_from,
        })
    }

    pub(crate) fn serves_us(self) -> Result<(), Misfit> {
        let Self {
            number,
            serves_from,
        } = self;
        let needed = Self::needed();
        if number < needed {
            return Err(Misfit::Older { number });
        }
        match serves_from <= needed {
            true => Ok(()),
            false => Err(Misfit::Later {
                number,
                serves_from,
            }),
        }
    }

    /// That of the database that is configured.
    pub(crate) async fn of(source: &Source) -> Result<Self, sqlx::Error> {
        let looked = async {
            let mut connection = source.without_deadline().connect().await?;
            let schema = Self::read(&mut connection).await?;
            connection.close().await?;
            Ok(schema)
        };
        within(LOOK_WITHIN, looked).await
    }
}

/// Brings a database to this release's schema, unless it is there already or further; what it was
/// before. Of several that do so at once one works, and the others wait for it.
pub(crate) async fn migrate(source: &Source) -> Result<Schema, sqlx::Error> {
    let before = Schema::of(source).await?;
    if before.number < Schema::needed() {
        let brought = async {
            let mut connection = source.without_deadline().connect().await?;
            postgres_migrations().run(&mut connection).await?;
            connection.close().await
        };
        within(MIGRATE_WITHIN, brought).await?;
    }
    Ok(before)
}

async fn within<T>(
    time: Duration,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(time, call)
        .await
        .unwrap_or_else(|_| Err(late()))
}
