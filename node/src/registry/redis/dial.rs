//! Connecting to Redis, however it is run.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    Pipeline, RedisConnectionInfo, RedisError, RedisFuture, RedisResult, TlsCertificates, TlsMode,
    Value, cmd,
};
use tokio::task::spawn_blocking;

use super::IN_FLIGHT_MAX;
use crate::config::{HostPort, Redis, RedisMode};
use crate::data::{self, Secret};

/// For each step of connecting, and for each answer.
const DEADLINE: Duration = Duration::from_secs(1);
/// A command that a redirection sends elsewhere is sent there so often.
const REDIRECTIONS_MAX: u32 = 3;
const CA_FILE_BYTES_MAX: u64 = 4 << 20;

/// Everything there is to know to connect.
#[derive(Debug)]
pub(super) struct Dial {
    mode: RedisMode,
    endpoints: Vec<HostPort>,
    master_name: String,
    user: String,
    /// Read for each connection, for it may be replaced.
    password_file: Option<PathBuf>,
    /// Whom to believe; `None` without TLS.
    trust: Option<TlsCertificates>,
}

impl Dial {
    /// Says which key is wrong where a file cannot be read.
    pub(super) fn new(config: &Redis) -> anyhow::Result<Self> {
        let file = |path: &Path| (!path.as_os_str().is_empty()).then(|| path.to_owned());
        let dial = Self {
            mode: config.mode,
            endpoints: config.endpoints.clone(),
            master_name: config.master_name.clone(),
            user: config.user.clone(),
            password_file: file(&config.password_file),
            trust: match config.tls {
                true => Some(trust(&config.ca_file).context("redis.ca_file")?),
                false => None,
            },
        };
        if let Some(path) = &dial.password_file {
            read_password(path).context("redis.password_file")?;
        }
        Ok(dial)
    }

    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        let settings = self.settings().await?;
        match self.mode {
            RedisMode::Standalone => match self.endpoints.first() {
                Some(endpoint) => self.one(endpoint, settings).await,
                None => Err(failed("redis.endpoints is empty")),
            },
            RedisMode::Sentinel => {
                let master = self.master().await?;
                self.one(&master, settings).await
            }
            RedisMode::Cluster => self.cluster(&settings).await,
        }
    }

    async fn one(
        &self,
        endpoint: &HostPort,
        settings: RedisConnectionInfo,
    ) -> RedisResult<Connection> {
        let mut connection = self.open(endpoint, settings).await?;
        // A server that still loads its data accepts connections.
        cmd("PING").exec_async(&mut connection).await?;
        Ok(Connection::One(connection))
    }

    /// Where the present master is, by the first Sentinel that knows. They have no users.
    async fn master(&self) -> RedisResult<HostPort> {
        let mut last = failed("redis.endpoints is empty");
        for sentinel in &self.endpoints {
            match self.ask(sentinel).await {
                Ok(Some((host, port))) => return Ok(HostPort { host, port }),
                Ok(None) => last = failed("Sentinel knows no redis.master_name of this name"),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask(&self, sentinel: &HostPort) -> RedisResult<Option<(String, u16)>> {
        let nobody = RedisConnectionInfo::default().set_skip_set_lib_name();
        let mut connection = self.open(sentinel, nobody).await?;
        let mut question = cmd("SENTINEL");
        let question = question.arg("GET-MASTER-ADDR-BY-NAME");
        question
            .arg(&self.master_name)
            .query_async(&mut connection)
            .await
    }

    async fn open(
        &self,
        endpoint: &HostPort,
        settings: RedisConnectionInfo,
    ) -> RedisResult<MultiplexedConnection> {
        let info = self.info(endpoint, settings)?;
        let client = match &self.trust {
            Some(trust) => Client::build_with_tls(info, trust.clone())?,
            None => Client::open(info)?,
        };
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        client
            .get_multiplexed_async_connection_with_config(&limits)
            .await
    }

    async fn cluster(&self, settings: &RedisConnectionInfo) -> RedisResult<Connection> {
        let infos = self.endpoints.iter();
        let infos: RedisResult<Vec<_>> = infos
            .map(|endpoint| self.info(endpoint, settings.clone()))
            .collect();
        let mut builder = ClusterClient::builder(infos?)
            .connection_timeout(DEADLINE)
            .response_timeout(DEADLINE)
            .connection_concurrency_limit(IN_FLIGHT_MAX)
            .retries(REDIRECTIONS_MAX);
        if let Some(trust) = &self.trust {
            builder = builder.tls(TlsMode::Secure).certs(trust.clone());
        }
        let connection = builder.build()?.get_async_connection().await?;
        Ok(Connection::Cluster(connection))
    }

    fn info(
        &self,
        endpoint: &HostPort,
        settings: RedisConnectionInfo,
    ) -> RedisResult<ConnectionInfo> {
        let HostPort { host, port } = endpoint.clone();
        let address = match self.trust {
            Some(_) => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            None => ConnectionAddr::Tcp(host, port),
        };
        Ok(address.into_connection_info()?.set_redis_settings(settings))
    }

    /// Who this node is to Redis.
    async fn settings(&self) -> RedisResult<RedisConnectionInfo> {
        let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        if !self.user.is_empty() {
            settings = settings.set_username(&self.user);
        }
        if let Some(path) = self.password_file.clone() {
            let read = spawn_blocking(move || read_password(&path)).await;
            let password = read.map_err(io::Error::other)?;
            let password = password.map_err(|error| failed(format!("{error:#}")))?;
            settings = settings.set_password(password.reveal());
        }
        Ok(settings)
    }
}

/// One server's connection, or those of a cluster. Cheap to clone; clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "One",
            Self::Cluster(_) => "Cluster",
        })
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// The authorities in a file; none named, the public ones that are built in.
fn trust(ca_file: &Path) -> anyhow::Result<TlsCertificates> {
    let root_cert = match ca_file.as_os_str().is_empty() {
        true => None,
        false => {
            let name = || ca_file.display().to_string();
            let text = data::read_file(ca_file, CA_FILE_BYTES_MAX).with_context(name)?;
            let has_one = text.windows(11).any(|part| part == b"-----BEGIN ");
            ensure!(has_one, "{}: holds no PEM certificate", name());
            Some(text)
        }
    };
    Ok(TlsCertificates {
        client_tls: None,
        root_cert,
    })
}

fn read_password(path: &Path) -> anyhow::Result<Secret<String>> {
    let text = data::read_password(path)?;
    let password = text.reveal().trim_end_matches(['\r', '\n']);
    ensure!(!password.is_empty(), "{}: is empty", path.display());
    Ok(Secret::new(password.to_owned()))
}

fn failed(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RedisError {
    RedisError::from(io::Error::other(what))
}
