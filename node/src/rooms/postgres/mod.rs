//! Rooms in PostgreSQL, for nodes that share them.
//!
//! A node starts and goes on whether the database answers or not. The [`Keeper`] looks at it again and
//! again, by a connection of its own: while it is of no use, calls are refused at once instead of
//! waiting, so that a dead database costs [`CALLS_MAX`] calls one [`DEADLINE`] each.

mod keeper;
mod schema;
mod source;

#[cfg(test)]
pub(super) mod tests;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::KeyHasher;
use super::sql::statements::SELECT_FOR_UPDATE;
use super::sql::{Dialect, OtherSecret, Sql};
use crate::config;
use keeper::Lately;

pub(crate) use keeper::Keeper;
pub(crate) use schema::{Misfit, Schema, migrate};
pub(crate) use source::{BadSource, Source};

/// How long a call may take; a publisher waits this long.
const DEADLINE: Duration = Duration::from_secs(2);
/// Calls that may wait at once. Each holds some kilobytes: 10 MB in all.
const CALLS_MAX: usize = 1024;

/// The store that several nodes share.
pub(crate) type Postgres = Sql<Shared>;

/// Why the database is of no use now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("PostgreSQL has not been asked yet")]
    Unasked,
    #[error("PostgreSQL does not answer: {0}")]
    NoAnswer(String),
    #[error("PostgreSQL has {0}")]
    Schema(#[from] Misfit),
    #[error("PostgreSQL has another node's rooms: {0}")]
    Secret(#[from] OtherSecret),
    #[error("{CALLS_MAX} calls wait for PostgreSQL already")]
    Crowded,
}

impl Postgres {
    /// Asks nothing yet: that is for the keeper to do.
    pub(crate) fn open(
        settings: &config::Postgres,
        hasher: KeyHasher,
    ) -> Result<(Self, Keeper), BadSource> {
        let source = Source::new(settings)?;
        Ok(Self::open_within(
            source,
            settings.connections_max,
            hasher,
            DEADLINE,
        ))
    }

    fn open_within(
        source: Source,
        connections_max: u32,
        hasher: KeyHasher,
        deadline: Duration,
    ) -> (Self, Keeper) {
        let lately = Arc::new(Lately::default());
        let pool = pool(&source, connections_max, deadline, Arc::clone(&lately));
        let (tell, state) = watch::channel(Err(Trouble::Unasked));
        let look = Arc::new(Notify::new());
        let store = Self {
            readers: pool.clone(),
            writers: pool.clone(),
            hasher: hasher.clone(),
            deadline,
            dialect: Shared {
                state,
                look: Arc::clone(&look),
                places: Arc::new(Semaphore::new(CALLS_MAX)),
            },
        };
        let keeper = Keeper {
            source,
            hasher,
            deadline,
            pool,
            lately,
            tell,
            look,
            connection: None,
        };
        (store, keeper)
    }
}

/// Every connection is tried before it is used: the server may have gone since.
fn pool(source: &Source, connections_max: u32, deadline: Duration, lately: Arc<Lately>) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(deadline)
        .test_before_acquire(false)
        .before_acquire(move |connection: &mut PgConnection, about| {
            let is_old = lately.is_before(about.age);
            Box::pin(async move { Ok(!is_old && connection.ping().await.is_ok()) })
        })
        .connect_lazy_with(source.within(deadline))
}

/// What calls know of the database.
#[derive(Debug)]
pub(crate) struct Shared {
    state: watch::Receiver<Result<(), Trouble>>,
    look: Arc<Notify>,
    places: Arc<Semaphore>,
}

impl Dialect for Shared {
    type Db = sqlx::Postgres;
    type Place = OwnedSemaphorePermit;

    const SELECT_LOCKED: &'static str = SELECT_FOR_UPDATE;

    fn enter(&self) -> Result<OwnedSemaphorePermit, Box<dyn StdError + Send + Sync>> {
        self.state.borrow().clone()?;
        let place = Arc::clone(&self.places).try_acquire_owned();
        Ok(place.map_err(|_| Trouble::Crowded)?)
    }

    fn failed(&self, error: &sqlx::Error) {
        tracing::debug!(%error, "a call to PostgreSQL got no answer");
        self.look.notify_one();
    }
}
