use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnection, PgPool};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Schema, Source, Trouble};
use crate::outbound::Backoff;
use crate::rooms::KeyHasher;
use crate::rooms::sql::check_secret;
use crate::sync::Mutex;

/// How often a database that serves is looked at: for a later schema, and for one that went in silence.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The first and the longest wait before one that does not serve is looked at again.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];

/// Says whether the database serves, and why not; once in the log whenever that changes.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(super) source: Source,
    pub(super) hasher: KeyHasher,
    pub(super) deadline: Duration,
    pub(super) pool: PgPool,
    pub(super) lately: Arc<Lately>,
    pub(super) tell: watch::Sender<Result<(), Trouble>>,
    /// A call has failed: worth a look.
    pub(super) look: Arc<Notify>,
    pub(super) connection: Option<PgConnection>,
}

impl Keeper {
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let [first, last] = LOOK_AGAIN;
        let mut backoff = Backoff::new(first, last);
        loop {
            let serves = self.tell.borrow().is_ok();
            if serves {
                backoff.reset();
            }
            let pause = if serves { LOOK_EVERY } else { backoff.failed() };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.look.notified(), if serves => {}
                () = stop.cancelled() => return,
            }
            // What has come out is in the log and told to all calls.
            let _: Result<(), Trouble> = self.look().await;
        }
    }

    /// Looks once, within the deadline.
    pub(crate) async fn look(&mut self) -> Result<(), Trouble> {
        let looked = timeout(self.deadline, self.ask()).await;
        let state = looked.unwrap_or_else(|_| {
            let waited = format!("not within {} ms", self.deadline.as_millis());
            Err(Trouble::NoAnswer(waited))
        });
        if matches!(state, Err(Trouble::NoAnswer(_))) {
            self.connection = None;
        }
        self.is_now(state.clone());
        state
    }

    async fn ask(&mut self) -> Result<(), Trouble> {
        let no_answer = |error: sqlx::Error| Trouble::NoAnswer(error.to_string());
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let schema = Schema::read(&mut connection).await.map_err(no_answer)?;
        schema.serves_us()?;
        let secret = check_secret::<sqlx::Postgres>(&mut connection, &self.hasher).await;
        secret.map_err(no_answer)??;
        self.connection = Some(connection);
        Ok(())
    }

    /// As the files say now: a password may have been replaced. What they said before stays where
    /// they are of no use.
    async fn connect(&mut self) -> Result<PgConnection, Trouble> {
        let known = self.source.clone();
        let read = tokio::task::spawn_blocking(move || known.read_again()).await;
        let unread = match read {
            Ok(Ok(source)) => {
                self.source = source;
                None
            }
            Ok(Err(bad)) => Some(bad.to_string()),
            Err(broken) => Some(broken.to_string()),
        };
        let options = self.source.within(self.deadline);
        self.pool.set_connect_options(options.clone());
        let connected = options.connect().await;
        connected.map_err(|error| {
            let texts = [Some(error.to_string()), unread];
            let texts: Vec<_> = texts.into_iter().flatten().collect();
            Trouble::NoAnswer(texts.join("; "))
        })
    }

    fn is_now(&self, state: Result<(), Trouble>) {
        let kind = |state: &Result<(), Trouble>| state.as_ref().err().map(std::mem::discriminant);
        let has_changed = kind(&self.tell.borrow()) != kind(&state);
        if has_changed {
            match &state {
                Ok(()) => {
                    self.lately.is_now();
                    tracing::info!("rooms are in PostgreSQL, which serves them");
                }
                Err(trouble) => {
                    tracing::warn!(%trouble, "rooms cannot be had: nobody can publish and no room be changed; trying again");
                }
            }
        }
        self.tell.send_modify(|told| *told = state);
    }
}

/// When the database was last found to serve again: connections from before may lead to a server that
/// is gone without a word, and each would cost a call its deadline.
#[derive(Debug)]
pub(super) struct Lately(Mutex<Instant>);

impl Default for Lately {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Lately {
    fn is_now(&self) {
        *self.0.lock() = Instant::now();
    }

    /// Whether what is so old was there before.
    pub(super) fn is_before(&self, age: Duration) -> bool {
        age > self.0.lock().elapsed()
    }
}
