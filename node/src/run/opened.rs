use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use isocast_access::{KeySet, Keyring};

use crate::config::{Config, HttpUrl};
use crate::data::{self, Folder, KeyringFile, Lock, Reread, Token, TokenFile};
use crate::peers::Credential;
use crate::rooms::Store;
use crate::webhooks;

/// A room command holds the data folder for a moment; another node holds it for long.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// What a node keeps between its lives, and the secrets that it is given, wherever they are.
pub(super) struct Opened {
    pub lock: Lock,
    pub store: Store,
    pub secrets: Secrets,
}

pub(crate) struct Secrets {
    pub api_token: Token,
    pub admin_token: Token,
    pub play_keys: Reread<Keyring>,
    pub publish_keys: Reread<Keyring>,
    /// Where the public keys are of whoever else signs tokens.
    pub key_set: Option<KeySetAt>,
    /// Where webhooks go, and what signs them; `None` where they are not configured.
    pub webhooks: Option<(HttpUrl, webhooks::Secrets)>,
    /// By what other nodes are known; `None` where there are none.
    pub peers: Option<Credential>,
}

pub(crate) enum KeySetAt {
    File(Reread<KeySet>),
    Url(HttpUrl),
}

impl Opened {
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        let folder = Folder::open(&config.data_dir)?;
        let Some(lock) = folder.lock_within(LOCK_WAIT).await? else {
            bail!(
                "the data folder {} is in use by another node; give this one its own with --data-dir",
                config.data_dir.display()
            );
        };
        let own = own_secrets(config);
        if config.postgres.is_on() && !own.is_empty() {
            let keys = own.join(", ");
            tracing::warn!(
                keys,
                "other nodes on the database do not know this node's own secrets; name shared files"
            );
        }
        let secrets = Secrets::read(config, &lock)?;
        let store = Store::open(config, &lock).await?;
        Ok(Self {
            lock,
            store,
            secrets,
        })
    }
}

/// Keys of the files without which callers who were let in by one node are strangers to the next.
fn own_secrets(config: &Config) -> Vec<&'static str> {
    let files = [
        ("api.token_file", &config.api.token_file),
        ("play.secret_file", &config.play.secret_file),
        ("publish.secret_file", &config.publish.secret_file),
    ];
    let own = files
        .into_iter()
        .filter(|(_, file)| file.as_os_str().is_empty());
    own.map(|(key, _)| key).collect()
}

impl Secrets {
    fn read(config: &Config, lock: &Lock) -> anyhow::Result<Self> {
        let folder = lock.folder();
        let api = folder.api_token(&config.api.token_file);
        let admin = folder.admin_token(&config.admin.token_file);
        let play = folder.play_secret(&config.play.secret_file);
        let publish = folder.publish_secret(&config.publish.secret_file);
        let webhooks = (!config.webhooks.url.is_empty())
            .then(|| folder.webhook_secret(&config.webhooks.secret_file));
        let mut paths = vec![api.path(), admin.path(), play.path(), publish.path()];
        paths.push(&config.tls.key_file);
        paths.extend([&*config.rooms.secret_file, &*config.postgres.url_file]);
        paths.extend([&*config.peers.token_file, &*config.peers.tls_key_file]);
        paths.push(&config.redis.password_file);
        paths.extend(webhooks.as_ref().map(TokenFile::path));
        for path in folder.exposed(&paths) {
            tracing::warn!(path = %path.display(), "others on this machine can read this secret; make it mode 0600");
        }
        Ok(Self {
            api_token: token("api.token_file", api, lock)?,
            admin_token: token("admin.token_file", admin, lock)?,
            play_keys: keyring("play.secret_file", play, lock)?,
            publish_keys: keyring("publish.secret_file", publish, lock)?,
            key_set: key_set(config)?,
            peers: Credential::read(&config.peers)?,
            webhooks: match webhooks {
                Some(file) => Some(webhook_signer(config, file, lock)?),
                None => None,
            },
        })
    }
}

fn token(key: &'static str, file: TokenFile, lock: &Lock) -> anyhow::Result<Token> {
    let token = lock.token(&file).context(key)?;
    Ok(Token::new(file, token))
}

fn keyring(key: &'static str, file: KeyringFile, lock: &Lock) -> anyhow::Result<Reread<Keyring>> {
    lock.make_keyring(&file).context(key)?;
    Reread::open(move || file.read_existing()).context(key)
}

fn key_set(config: &Config) -> anyhow::Result<Option<KeySetAt>> {
    let auth = &config.auth;
    if !auth.jwks_url.is_empty() {
        let url = HttpUrl::parse(&auth.jwks_url);
        let url = url.map_err(|wrong| anyhow!("auth.jwks_url: {wrong}"))?;
        return Ok(Some(KeySetAt::Url(url)));
    }
    let path = auth.jwks_file.clone();
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let key_set = Reread::open(move || data::read_key_set(&path)).context("auth.jwks_file")?;
    Ok(Some(KeySetAt::File(key_set)))
}

fn webhook_signer(
    config: &Config,
    file: TokenFile,
    lock: &Lock,
) -> anyhow::Result<(HttpUrl, webhooks::Secrets)> {
    let url = HttpUrl::parse(&config.webhooks.url);
    let url = url.map_err(|wrong| anyhow!("webhooks.url: {wrong}"))?;
    let secrets = lock.tokens(&file).context("webhooks.secret_file")?;
    Ok((url, webhooks::Secrets::new(file, secrets)))
}
