//! What Redis runs in one step. A script touches the one key that it is given, and text of others comes to it as
//! arguments only.

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, ToRedisArgs, cmd};

#[derive(Debug)]
pub(super) struct Script {
    text: &'static str,
    /// By which Redis knows it once it has run there.
    hash: String,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Scripts {
    pub claim: Script,
    pub stamp: Script,
    pub scan: Script,
    pub strike: Script,
    pub activate: Script,
    pub listed: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            claim: Script::new(include_str!("claim.lua")),
            stamp: Script::new(include_str!("stamp.lua")),
            scan: Script::new(include_str!("scan.lua")),
            strike: Script::new(include_str!("strike.lua")),
            activate: Script::new(include_str!("activate.lua")),
            listed: Script::new(include_str!("listed.lua")),
        }
    }
}

impl Script {
    fn new(text: &'static str) -> Self {
        let hash = redis::Script::new(text).get_hash().to_owned();
        Self { text, hash }
    }

    /// The command that runs it where it is known.
    pub(super) fn known(&self, key: &str, arguments: impl ToRedisArgs) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(&self.hash).arg(1).arg(key).arg(arguments);
        command
    }

    /// Runs it, whether it is known there or not.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        connection: &mut impl ConnectionLike,
        key: &str,
        arguments: impl ToRedisArgs,
    ) -> RedisResult<T> {
        const UNKNOWN: ErrorKind = ErrorKind::Server(ServerErrorKind::NoScript);
        match self.known(key, &arguments).query_async(connection).await {
            Err(error) if error.kind() == UNKNOWN => {
                let mut whole = cmd("EVAL");
                let whole = whole.arg(self.text).arg(1).arg(key).arg(arguments);
                whole.query_async(connection).await
            }
            result => result,
        }
    }
}
