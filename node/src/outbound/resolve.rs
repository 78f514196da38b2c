use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// Asks for the addresses of a name.
pub(crate) trait Resolve: Send + Sync + std::fmt::Debug {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// Questions under way at once. Each holds a thread until the system gives up on it, however soon
/// the asker did.
const QUESTIONS_MAX: usize = 16;

/// The system's resolver.
#[derive(Debug)]
pub(super) struct System {
    questions: Arc<Semaphore>,
}

impl Default for System {
    fn default() -> Self {
        Self {
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
        }
    }
}

impl Resolve for System {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let turn = Arc::clone(&self.questions).acquire_owned().await;
            let turn = turn.map_err(io::Error::other)?;
            let host = host.to_owned();
            let question = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let answers = (host.as_str(), 0).to_socket_addrs()?;
                Ok(answers.map(|address| address.ip()).collect())
            });
            question.await.map_err(io::Error::other)?
        })
    }
}
