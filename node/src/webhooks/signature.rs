//! Proof for the receiver that an event is ours and fresh: HMAC-SHA256 (RFC 2104) over
//! `<unix seconds>.<body>`, under a secret that it has too.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::Mutex;

use crate::data::{self, Reading, Secret, TokenFile};

/// The secrets in a file, read again for each call: while the file has two lines both sign, so
/// that receivers change over one by one.
#[derive(Debug)]
pub(crate) struct Secrets {
    file: TokenFile,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    secrets: Vec<Secret<String>>,
    reading: Reading<Result<Vec<Secret<String>>, data::Error>>,
}

impl Secrets {
    pub(crate) fn new(file: TokenFile, secrets: Vec<Secret<String>>) -> Self {
        let reading = Reading::new();
        Self {
            file,
            known: Mutex::new(Known { secrets, reading }),
        }
    }

    /// `t=<unix seconds>,v1=<hex>`, with one `v1` for each secret.
    pub(super) async fn sign(&self, unix_s: i64, body: &[u8]) -> String {
        let file = self.file.clone();
        let mut known = self.known.lock().await;
        match known.reading.of(move || file.read_lines()).await {
            Ok(Ok(secrets)) => known.secrets = secrets,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the webhook secret that was read before stays");
            }
            Err(error) => {
                let path = self.file.path().display();
                tracing::warn!(%path, %error, "the webhook secret that was read before stays");
            }
        }
        signatures(&known.secrets, unix_s, body)
    }
}

fn signatures(secrets: &[Secret<String>], unix_s: i64, body: &[u8]) -> String {
    let mut header = format!("t={unix_s}");
    for secret in secrets {
        let mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes());
        let mac = mac.expect("HMAC takes keys of every length");
        let mac = mac.chain_update(format!("{unix_s}.")).chain_update(body);
        header.push_str(",v1=");
        for byte in mac.finalize().into_bytes() {
            header.push_str(&format!("{byte:02x}"));
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '1700000000.{}' | openssl dgst -sha256 -hmac KEY`
    #[test]
    fn signatures_are_what_openssl_makes() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let expected = "t=1700000000,v1=ecfd365ee962a7afeb0b8fd4e37d5d6ae2311302318357da60942d2647b4672e,v1=9439f51ca459ec551ed7c813831d96fbfc8da0619f13f32b833ea9eb1fe5f820";
        let header = signatures(
            &[
                secret("a-secret-of-webhooks"),
                secret("the-next-secret-of-ours"),
            ],
            1_700_000_000,
            b"{}",
        );
        assert_eq!(header, expected);
    }
}
