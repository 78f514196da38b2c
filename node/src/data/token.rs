//! Tokens in files: our own, and those that somebody else puts there and replaces now and then.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Error, Reading, Secret, private, random};

/// A wrong token makes the file be read again no more often than this.
const READ_EVERY: Duration = Duration::from_secs(1);
/// A token that was taken back opens nothing any more after so long.
const TRUSTED: Duration = Duration::from_secs(5);

/// Where a token is.
#[derive(Clone, Debug)]
pub(crate) struct TokenFile {
    pub(super) path: PathBuf,
    /// In the data folder, and made by the first start.
    pub(super) is_ours: bool,
}

impl TokenFile {
    /// One that the configuration names.
    pub(crate) fn configured(path: &Path) -> Self {
        let (path, is_ours) = (path.to_owned(), false);
        Self { path, is_ours }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The token; `None` where there is no such file.
    pub(crate) fn read(&self) -> Result<Option<Secret<String>>, Error> {
        let Some(text) = private::read(&self.path)? else {
            return Ok(None);
        };
        let token = text.reveal().trim();
        if is_token(token) {
            return Ok(Some(Secret::new(token.to_owned())));
        }
        let what = match self.is_ours {
            true => {
                "holds no token of 16 to 256 characters; remove the file and the next start makes a new one"
            }
            false => "holds no token of 16 to 256 characters without spaces",
        };
        Err(self.error(what))
    }

    /// The token, which somebody else has to have put there.
    pub(crate) fn read_existing(&self) -> Result<Secret<String>, Error> {
        self.read()?.ok_or_else(|| self.error("is missing"))
    }

    /// The tokens of a file that may hold two, a line each, while one takes the other's place.
    pub(crate) fn read_lines(&self) -> Result<Vec<Secret<String>>, Error> {
        let text = private::read(&self.path)?.ok_or_else(|| self.error("is missing"))?;
        let lines: Vec<_> = text.reveal().trim().lines().map(str::trim).collect();
        if !(1..=2).contains(&lines.len()) || !lines.iter().all(|line| is_token(line)) {
            return Err(
                self.error("holds no one or two lines of 16 to 256 characters without spaces")
            );
        }
        let secret = |line: &&str| Secret::new((*line).to_owned());
        Ok(lines.iter().map(secret).collect())
    }

    fn error(&self, what: &'static str) -> Error {
        Error::Content {
            path: self.path.clone(),
            what,
        }
    }
}

fn is_token(text: &str) -> bool {
    (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The token that requests must carry. When its file gets another one, so does this.
#[derive(Debug)]
pub(crate) struct Token {
    file: TokenFile,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    token: Secret<String>,
    read_at: Instant,
    reading: Reading<Result<Secret<String>, Error>>,
}

impl Token {
    pub(crate) fn new(file: TokenFile, token: Secret<String>) -> Self {
        let known = Known {
            token,
            read_at: Instant::now(),
            reading: Reading::new(),
        };
        Self {
            file,
            known: Mutex::new(known),
        }
    }

    /// Whether this is the token. One that is not may be newer than what was read, and one that is
    /// may have been taken back, so the file is read again; whoever asks meanwhile waits for that.
    pub(crate) async fn is(&self, presented: &str) -> bool {
        let mut known = self.known.lock().await;
        let is_known = known.is(presented);
        let good_for = if is_known { TRUSTED } else { READ_EVERY };
        if known.read_at.elapsed() < good_for {
            return is_known;
        }
        let asked_at = Instant::now();
        let file = self.file.clone();
        let read = known.reading.of(move || file.read_existing()).await;
        // Not before: a request that is given up here has read nothing.
        known.read_at = asked_at;
        match read {
            Ok(Ok(token)) => known.token = token,
            Ok(Err(error)) => tracing::warn!(%error, "the token that was read before stays"),
            Err(error) => {
                let path = self.file.path().display();
                tracing::warn!(%path, %error, "the token that was read before stays");
            }
        }
        known.is(presented)
    }
}

impl Known {
    fn is(&self, presented: &str) -> bool {
        same(presented.as_bytes(), self.token.reveal().as_bytes())
    }
}

/// Compares in a time that tells nothing about either, by way of HMACs under a key of the moment.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    let key: [u8; 32] = random::bytes();
    let mac = |bytes| {
        let mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        mac.chain_update(bytes)
    };
    mac(one).verify(&mac(other).finalize().into_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;

    use futures_util::poll;
    use tokio::time::advance;

    use super::super::scratch::Scratch;
    use super::*;

    const OLD: &str = "old-token-of-a-secret";
    const NEW: &str = "new-token-of-a-secret";

    fn mounted(scratch: &Scratch) -> TokenFile {
        TokenFile {
            path: scratch.path().join("token"),
            is_ours: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_was_replaced_counts_within_a_second() {
        let scratch = Scratch::new();
        scratch.write("token", OLD.as_bytes());
        let file = mounted(&scratch);
        let token = Token::new(file.clone(), file.read_existing().expect("there"));
        assert!(token.is(OLD).await);
        assert!(!token.is(NEW).await);

        scratch.write("token", format!("{NEW}\n").as_bytes());
        assert!(token.is(OLD).await, "nobody has come with the new one yet");
        assert!(!token.is(NEW).await, "the file was read a moment ago");
        advance(READ_EVERY).await;
        assert!(token.is(NEW).await);
        assert!(!token.is(OLD).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_was_taken_back_counts_no_more_though_nobody_uses_the_new_one() {
        let scratch = Scratch::new();
        scratch.write("token", OLD.as_bytes());
        let file = mounted(&scratch);
        let token = Token::new(file.clone(), file.read_existing().expect("there"));
        scratch.write("token", NEW.as_bytes());
        assert!(token.is(OLD).await, "for a moment");
        advance(TRUSTED).await;
        assert!(!token.is(OLD).await);
        assert!(token.is(NEW).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_given_up_while_the_file_is_read_delays_no_other() {
        let scratch = Scratch::new();
        scratch.write("token", OLD.as_bytes());
        let file = mounted(&scratch);
        let token = Token::new(file.clone(), file.read_existing().expect("there"));
        advance(TRUSTED).await;
        let (answer, answered) = mpsc::channel();
        {
            let mut known = token.known.lock().await;
            let slow = known.reading.of(move || answered.recv().unwrap());
            assert!(poll!(pin!(slow)).is_pending());
        }
        assert!(poll!(pin!(token.is(NEW))).is_pending());
        answer.send(file.read_existing()).expect("awaited");
        scratch.write("token", NEW.as_bytes());
        assert!(token.is(NEW).await);
        assert!(!token.is(OLD).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_of_no_use_leaves_the_token_as_it_was() {
        let scratch = Scratch::new();
        scratch.write("token", OLD.as_bytes());
        let file = mounted(&scratch);
        let token = Token::new(file.clone(), file.read_existing().expect("there"));
        for content in [None, Some("short"), Some("")] {
            match content {
                Some(content) => scratch.write("token", content.as_bytes()),
                None => std::fs::remove_file(file.path()).expect("ours"),
            }
            advance(READ_EVERY).await;
            assert!(!token.is(NEW).await, "{content:?}");
            assert!(!token.is("").await, "{content:?}");
            assert!(token.is(OLD).await, "{content:?}");
        }
        scratch.write("token", NEW.as_bytes());
        advance(READ_EVERY).await;
        assert!(token.is(NEW).await, "it is looked for again and again");
    }

    #[test]
    fn only_the_very_same_bytes_are_the_same() {
        for (one, other, expected) in [
            ("isocast_a", "isocast_a", true),
            ("isocast_a", "isocast_b", false),
            ("isocast_a", "isocast_", false),
            ("", "isocast_a", false),
        ] {
            assert_eq!(
                same(one.as_bytes(), other.as_bytes()),
                expected,
                "{one} {other}"
            );
        }
    }
}
