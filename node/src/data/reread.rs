//! What a file holds, read again when somebody replaces it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Reading;

/// How old what was read may be: so soon a new content counts, and an old one no more.
const READ_EVERY: Duration = Duration::from_secs(1);

/// A value and the way to read it again. What cannot be read leaves the value as it was.
pub(crate) struct Reread<T> {
    read: Arc<dyn Fn() -> Result<T, String> + Send + Sync>,
    known: Mutex<Known<T>>,
}

struct Known<T> {
    value: Arc<T>,
    read_at: Instant,
    reading: Reading<Result<T, String>>,
    /// A trouble is logged when it comes, and not each second that it lasts.
    is_stale: bool,
}

impl<T: Send + Sync + 'static> Reread<T> {
    /// Reads for the first time; this alone may fail.
    pub(crate) fn open<E: fmt::Display>(
        read: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let known = Known {
            value: Arc::new(read()?),
            read_at: Instant::now(),
            reading: Reading::new(),
            is_stale: false,
        };
        Ok(Self {
            read: Arc::new(move || read().map_err(|error| error.to_string())),
            known: Mutex::new(known),
        })
    }

    /// The value as it is now; whoever asks while it is read waits for that.
    pub(crate) async fn now(&self) -> Arc<T> {
        let mut known = self.known.lock().await;
        if known.read_at.elapsed() >= READ_EVERY {
            let asked_at = Instant::now();
            let read = Arc::clone(&self.read);
            let value = known.reading.of(move || read()).await;
            // Not before: a request that is given up here has read nothing.
            known.read_at = asked_at;
            let trouble = match value {
                Ok(Ok(value)) => {
                    known.value = Arc::new(value);
                    known.is_stale = false;
                    None
                }
                Ok(Err(error)) => Some(error),
                Err(unread) => Some(format!("a file {unread}")),
            };
            if let Some(error) = trouble
                && !std::mem::replace(&mut known.is_stale, true)
            {
                tracing::warn!(error, "what was read before stays");
            }
        }
        Arc::clone(&known.value)
    }
}

impl<T> fmt::Debug for Reread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reread(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;

    use futures_util::poll;
    use tokio::time::advance;

    use super::super::scratch::Scratch;
    use super::super::{Error, private};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_new_content_counts_within_a_second_and_a_bad_one_never() {
        let scratch = Scratch::new();
        scratch.write("number", b"1");
        let path = scratch.path().join("number");
        let read = move || {
            let text = private::read(&path)?;
            let number = text.and_then(|text| text.reveal().parse::<u32>().ok());
            number.ok_or_else(|| Error::Content {
                path: path.clone(),
                what: "is no number",
            })
        };
        let number = Reread::open(read).expect("readable");
        assert_eq!(*number.now().await, 1);
        scratch.write("number", b"2");
        assert_eq!(*number.now().await, 1, "read a moment ago");
        advance(READ_EVERY).await;
        assert_eq!(*number.now().await, 2);
        for bad in [Some(&b"x"[..]), None, Some(b"")] {
            match bad {
                Some(bad) => scratch.write("number", bad),
                None => std::fs::remove_file(scratch.path().join("number")).expect("ours"),
            }
            advance(READ_EVERY).await;
            assert_eq!(*number.now().await, 2, "{bad:?}");
        }
        scratch.write("number", b"3");
        advance(READ_EVERY).await;
        assert_eq!(*number.now().await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_given_up_while_it_is_read_delays_no_other() {
        let (write, written) = mpsc::channel();
        let written = std::sync::Mutex::new(written);
        write.send(1).unwrap();
        let read = move || Ok::<_, Error>(written.lock().unwrap().recv().unwrap());
        let number = Reread::open(read).expect("readable");
        advance(READ_EVERY).await;
        assert!(poll!(pin!(number.now())).is_pending());
        write.send(2).unwrap();
        write.send(3).unwrap();
        assert_eq!(*number.now().await, 3);
    }

    #[tokio::test]
    async fn what_cannot_be_read_at_first_is_told() {
        let read = || -> Result<u32, Error> {
            Err(Error::Content {
                path: "nowhere".into(),
                what: "is missing",
            })
        };
        assert!(Reread::open(read).is_err());
    }
}
