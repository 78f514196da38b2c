//! The registry in Redis, one server or many. What several nodes could do at once is a script that Redis runs in
//! one step, over one key, so that it does not matter where in a cluster that lies.

mod claim;
mod dial;
mod link;
mod lists;
mod script;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::FutureExt;
use isocast_claims::NodeId;
use isocast_claims::store::{Reply, Request};
use redis::{FromRedisValue, ToRedisArgs};
use tokio_util::sync::CancellationToken;

use super::{Answer, Directory, Listed, Registry, Scan, Unavailable};
use crate::clock::unix_ms;
use crate::config::{self, RedisMode};
use crate::metrics::Metrics;
use crate::rooms::RoomId;
use dial::Dial;
use link::Link;
use script::{Script, Scripts};

/// Calls that each server of a cluster is asked at once; one server alone is asked all that there are, in a row.
const IN_FLIGHT_MAX: usize = 64;
/// Of a cluster's servers one may be gone while the others answer: so many calls in a row fail before all do.
const CLUSTER_FAILURES_MAX: u32 = 16;

#[derive(Debug)]
pub(crate) struct Redis {
    link: Arc<Link>,
    scripts: Scripts,
    prefix: String,
    is_cluster: bool,
    /// How far its clock was ahead of this node's when it last told the time, in milliseconds.
    ahead_ms: AtomicI64,
}

impl Redis {
    /// Not connected yet. It is an error only where the configuration names a file that cannot be read.
    pub(crate) fn new(config: &config::Redis, metrics: &Metrics) -> anyhow::Result<Self> {
        let is_cluster = config.mode == RedisMode::Cluster;
        let failures_max = if is_cluster { CLUSTER_FAILURES_MAX } else { 1 };
        Ok(Self {
            link: Arc::new(Link::new(Dial::new(config)?, failures_max, metrics)),
            scripts: Scripts::new(),
            prefix: config.key_prefix.clone(),
            is_cluster,
            ahead_ms: AtomicI64::new(0),
        })
    }

    /// Connects, and again whenever that breaks, until it is told to stop.
    pub(crate) fn keep_connected(
        &self,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.link).keep(stop)
    }

    fn key(&self, below: &str) -> String {
        format!("{}{below}", self.prefix)
    }

    async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        below: &str,
        arguments: impl ToRedisArgs,
    ) -> Result<T, Unavailable> {
        let key = self.key(below);
        let work =
            |mut connection| async move { script.run(&mut connection, &key, arguments).await };
        self.link.run(work).await
    }
}

impl Registry for Redis {
    fn call<'a>(&'a self, room: &'a RoomId, request: Request) -> Answer<'a, Reply> {
        async move { self.call_one(room, &request).await }.boxed()
    }

    fn stamp<'a>(
        &'a self,
        directory: &'a Directory,
        node: &'a NodeId,
        entry: String,
    ) -> Answer<'a, String> {
        async move { self.put_entry(directory, node, &entry).await }.boxed()
    }

    fn scan<'a>(&'a self, directory: &'a Directory) -> Answer<'a, Scan> {
        self.entries(directory).boxed()
    }

    fn strike<'a>(
        &'a self,
        directory: &'a Directory,
        node: &'a str,
        seen: &'a str,
    ) -> Answer<'a, ()> {
        self.remove_entry(directory, node, seen).boxed()
    }

    fn activate<'a>(&'a self, rooms: &'a [RoomId]) -> Answer<'a, ()> {
        self.add_rooms(rooms).boxed()
    }

    fn deactivate<'a>(&'a self, rooms: &'a [RoomId]) -> Answer<'a, ()> {
        self.remove_rooms(rooms).boxed()
    }

    fn listed(&self) -> Answer<'_, Listed> {
        self.rooms().boxed()
    }

    fn have_records<'a>(&'a self, rooms: &'a [RoomId]) -> Answer<'a, Vec<bool>> {
        self.exist(rooms).boxed()
    }

    fn is_reachable(&self) -> bool {
        self.link.is_up()
    }

    fn now_ms(&self) -> u64 {
        unix_ms().saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed))
    }
}
