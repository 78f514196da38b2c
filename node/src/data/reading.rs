//! Reading files beside the runtime: a mount that hangs takes one thread, and nobody waits for it for long.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Whoever asks is a request or an encoder that connects.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// A reading of the same files again and again, at most one at a time.
#[derive(Debug)]
pub(crate) struct Reading<T> {
    under_way: Option<JoinHandle<T>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    #[error("cannot be read within 5 seconds")]
    Late,
    #[error("reading broke off")]
    BrokeOff,
}

impl<T: Send + 'static> Reading<T> {
    pub(crate) fn new() -> Self {
        Self { under_way: None }
    }

    /// What `read` returns. One that is late is not waited for again, and no other begins beside it:
    /// once it has ended, the next call has what it returned.
    pub(crate) async fn of(
        &mut self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unread> {
        let patience = match self.under_way {
            Some(_) => Duration::ZERO,
            None => READ_WITHIN,
        };
        let reading = self
            .under_way
            .get_or_insert_with(|| tokio::task::spawn_blocking(read));
        let done = timeout(patience, reading).await.map_err(|_| Unread::Late)?;
        self.under_way = None;
        done.map_err(|_| Unread::BrokeOff)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::time::{Instant, advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_late_reading_is_waited_for_once_and_is_the_only_one() {
        let (answer, answered) = mpsc::channel();
        let mut reading = Reading::new();
        let late = async {
            let read = move || answered.recv().unwrap();
            assert_eq!(reading.of(read).await, Err(Unread::Late));
        };
        tokio::join!(late, advance(READ_WITHIN));
        let began = Instant::now();
        let second = reading.of(|| unreachable!("the first is under way")).await;
        assert_eq!(second, Err(Unread::Late));
        assert_eq!(began.elapsed(), Duration::ZERO);
        answer.send(1).unwrap();
        // The clock of the runtime stands still.
        let give_up = std::time::Instant::now() + Duration::from_secs(10);
        let first = loop {
            match reading.of(|| 2).await {
                Err(Unread::Late) if std::time::Instant::now() < give_up => {
                    tokio::task::yield_now().await;
                }
                done => break done,
            }
        };
        assert_eq!(first, Ok(1));
        assert_eq!(reading.of(|| 3).await, Ok(3));
    }

    #[tokio::test]
    async fn a_reading_that_panics_is_over() {
        let mut reading = Reading::new();
        let broken = reading.of(|| panic!("on purpose")).await;
        assert_eq!(broken, Err::<u32, _>(Unread::BrokeOff));
        assert_eq!(reading.of(|| 1).await, Ok(1));
    }
}
