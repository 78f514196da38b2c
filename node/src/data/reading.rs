//! Reading files beside the runtime: a mount that hangs takes one thread, and nobody waits for it for long.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// Whoever asks is a request or an encoder that connects.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// A reading of the same files again and again, at most one at a time.
#[derive(Debug)]
pub(crate) struct Reading<T> {
    under_way: Option<UnderWay<T>>,
}

#[derive(Debug)]
struct UnderWay<T> {
    reading: JoinHandle<T>,
    until: Instant,
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

    /// What `read` returns now. A reading that is late, or whose caller has gone, goes on, and no
    /// other begins beside it. What it returns is as old as it is, so the next call reads anew.
    pub(crate) async fn of(
        &mut self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unread> {
        if let Some(before) = &mut self.under_way {
            let _: Result<T, Unread> = before.end().await?;
        }
        let begun = self.under_way.insert(UnderWay {
            reading: tokio::task::spawn_blocking(read),
            until: Instant::now() + READ_WITHIN,
        });
        let done = begun.end().await?;
        self.under_way = None;
        done
    }
}

impl<T> UnderWay<T> {
    /// What it returns, unless it is late.
    async fn end(&mut self) -> Result<Result<T, Unread>, Unread> {
        let ended = timeout_at(self.until, &mut self.reading).await;
        let ended = ended.map_err(|_| Unread::Late)?;
        Ok(ended.map_err(|_| Unread::BrokeOff))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;

    use futures_util::poll;
    use tokio::time::advance;

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
        assert_eq!(first, Ok(2), "the late one is older than the call");
        assert_eq!(reading.of(|| 3).await, Ok(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_whose_caller_has_gone_is_waited_for_and_not_taken() {
        let (answer, answered) = mpsc::channel();
        let mut reading = Reading::new();
        let gone = reading.of(move || answered.recv().unwrap());
        assert!(poll!(pin!(gone)).is_pending());
        advance(READ_WITHIN / 2).await;
        let mut next = pin!(reading.of(|| 2));
        assert!(poll!(&mut next).is_pending(), "it may still end in time");
        answer.send(1).unwrap();
        assert_eq!(next.await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_ended_long_ago_is_not_taken() {
        let (answer, answered) = mpsc::channel();
        let mut reading = Reading::new();
        let gone = reading.of(move || answered.recv().unwrap());
        assert!(poll!(pin!(gone)).is_pending());
        answer.send(1).unwrap();
        let give_up = std::time::Instant::now() + Duration::from_secs(10);
        let has_ended =
            |reading: &Reading<_>| reading.under_way.as_ref().unwrap().reading.is_finished();
        while !has_ended(&reading) {
            assert!(std::time::Instant::now() < give_up, "it was answered");
            tokio::task::yield_now().await;
        }
        advance(10 * READ_WITHIN).await;
        assert_eq!(reading.of(|| 2).await, Ok(2));
    }

    #[tokio::test]
    async fn a_reading_that_panics_is_over() {
        let mut reading = Reading::new();
        let broken = reading.of(|| panic!("on purpose")).await;
        assert_eq!(broken, Err::<u32, _>(Unread::BrokeOff));
        assert_eq!(reading.of(|| 1).await, Ok(1));
    }
}
