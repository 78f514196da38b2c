use std::sync::Arc;

use anyhow::Context;

use super::postgres::{Keeper, Postgres, Trouble};
use super::{KeyHasher, Rooms, Sqlite};
use crate::config::Config;
use crate::data::Lock;

/// The store that the configuration names.
#[derive(Debug)]
pub(crate) struct Store {
    pub rooms: Arc<dyn Rooms>,
    /// Why it is of no use yet; its keeper goes on trying.
    pub trouble: Option<Trouble>,
    pub keeper: Option<Keeper>,
}

impl Store {
    pub(crate) async fn open(config: &Config, lock: &Lock) -> anyhow::Result<Self> {
        let secret = lock.secret(&config.rooms.secret_file);
        let hasher = KeyHasher::new(secret.context("rooms.secret_file")?);
        if config.postgres.is_on() {
            let (rooms, mut keeper) = Postgres::open(&config.postgres, hasher)?;
            return Ok(Self {
                rooms: Arc::new(rooms),
                trouble: keeper.look().await.err(),
                keeper: Some(keeper),
            });
        }
        let path = lock.folder().rooms_file();
        let rooms = Sqlite::open(&path, hasher).await;
        let rooms = rooms.with_context(|| path.display().to_string())?;
        Ok(Self {
            rooms: Arc::new(rooms),
            trouble: None,
            keeper: None,
        })
    }
}
