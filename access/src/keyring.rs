//! Secrets that several nodes share, and that are replaced without a gap.

use hmac::{Hmac, KeyInit, Mac};
use isocast_admin::Secret;
use sha2::Sha256;

/// One to four secrets, each with a name. The first signs, all verify: a new one goes below at
/// first, then to the top, and the old one is taken away once nothing signed by it is in use.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    secret: Secret<String>,
}

/// The text is no keyring. It is not repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyring {
    /// There is nothing to sign with.
    #[error("holds no secret: write a line `<name> <secret>`")]
    Empty,
    /// More are in use at once than a replacement needs.
    #[error("holds more than 4 secrets")]
    TooMany,
    /// A line is of another form.
    #[error(
        "has a line that is not `<name> <secret>`: a name of 1 to 4 letters and digits, and a secret of 32 to 256 characters without spaces"
    )]
    Line,
    /// A name does not tell which secret is meant.
    #[error("uses a name twice")]
    NameTwice,
}

const KEYS_MAX: usize = 4;
pub(crate) const ID_CHARS_MAX: usize = 4;

impl Keyring {
    /// Reads lines `<name> <secret>`; empty ones and those that start with `#` say nothing.
    pub fn parse(text: &str) -> Result<Self, BadKeyring> {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut keys: Vec<Key> = Vec::new();
        for line in lines {
            let key = Key::parse(line).ok_or(BadKeyring::Line)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(BadKeyring::NameTwice);
            }
            if keys.len() == KEYS_MAX {
                return Err(BadKeyring::TooMany);
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(BadKeyring::Empty);
        }
        Ok(Self { keys })
    }

    pub(crate) fn signer(&self) -> &Key {
        self.keys.first().expect("a keyring is never empty")
    }

    pub(crate) fn named(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }
}

impl Key {
    fn parse(line: &str) -> Option<Self> {
        let (id, secret) = line.split_once(char::is_whitespace)?;
        let secret = secret.trim_start();
        let is_id = (1..=ID_CHARS_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_secret = (32..=256).contains(&secret.len())
            && secret.bytes().all(|byte| byte.is_ascii_graphic());
        (is_id && is_secret).then(|| Self {
            id: id.to_owned(),
            secret: Secret::new(secret.to_owned()),
        })
    }

    /// HMAC-SHA256 (RFC 2104) over what the message is for and its fields, each with its length
    /// before it, so that no two messages have the same bytes.
    pub(crate) fn mac(&self, purpose: &str, fields: &[&[u8]]) -> Hmac<Sha256> {
        let secret = self.secret.reveal().as_bytes();
        let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of every length");
        let all = std::iter::once(purpose.as_bytes()).chain(fields.iter().copied());
        all.fold(mac, |mac, field| {
            mac.chain_update((field.len() as u64).to_be_bytes())
                .chain_update(field)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_or_refused() {
        let secret = "s".repeat(32);
        let one = format!("a1 {secret}");
        let four: String = (1..=4).map(|n| format!("k{n} {secret}\n")).collect();
        for (text, expected) in [
            (one.clone(), Ok(vec!["a1"])),
            (
                format!("\n# new since May\n  b\t{secret}  \r\n\n{one}\n"),
                Ok(vec!["b", "a1"]),
            ),
            (four.clone(), Ok(vec!["k1", "k2", "k3", "k4"])),
            (format!("{four}{one}"), Err(BadKeyring::TooMany)),
            (String::new(), Err(BadKeyring::Empty)),
            ("# nothing\n".into(), Err(BadKeyring::Empty)),
            (secret.clone(), Err(BadKeyring::Line)),
            ("a1 short".into(), Err(BadKeyring::Line)),
            (format!("a1 {}", "s".repeat(257)), Err(BadKeyring::Line)),
            (format!("{one} more"), Err(BadKeyring::Line)),
            (format!("a-1 {secret}"), Err(BadKeyring::Line)),
            (format!("abcde {secret}"), Err(BadKeyring::Line)),
            (format!("a1 é{secret}"), Err(BadKeyring::Line)),
            (format!("{one}\n{one}"), Err(BadKeyring::NameTwice)),
        ] {
            let read = Keyring::parse(&text);
            let names = read.as_ref().map(|ring| {
                let names = ring.all().map(|key| key.id.as_str());
                names.collect::<Vec<_>>()
            });
            assert_eq!(names.map_err(|error| *error), expected, "{text:?}");
            assert!(!format!("{read:?}").contains("sss"));
        }
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let ring = Keyring::parse(&format!("a {}", "s".repeat(32))).expect("a keyring");
        let mac = |purpose, fields: &[&[u8]]| {
            let mac = ring.signer().mac(purpose, fields).finalize();
            mac.into_bytes().to_vec()
        };
        let all = [
            mac("p", &[b"ab", b"c"]),
            mac("p", &[b"a", b"bc"]),
            mac("p", &[b"abc"]),
            mac("pa", &[b"b", b"c"]),
            mac("p", &[b"ab", b"c", b""]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| one != other), "{at}");
        }
    }
}
