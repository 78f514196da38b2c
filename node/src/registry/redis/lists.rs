//! Lists that readers check: the calls, and what their scripts answer.

use std::sync::atomic::Ordering;

use futures_util::{StreamExt, TryStreamExt, stream};
use isocast_claims::{NodeId, record};
use redis::{Cmd, RedisResult, Value, cmd, pipe};

use super::{IN_FLIGHT_MAX, Redis};
use crate::clock::unix_ms;
use crate::registry::directory::{self, ENTRIES_MAX, ENTRY_BYTES_MAX};
use crate::registry::{Directory, Listed, Scan, Unavailable, active};
use crate::rooms::RoomId;

/// Rooms in one command; a script's arguments have to fit its stack.
const ROOMS_AT_ONCE: usize = 1000;
/// No node's name and no room's id is longer.
const NAME_BYTES_MAX: usize = 253;

impl Redis {
    pub(super) async fn put_entry(
        &self,
        directory: &Directory,
        node: &NodeId,
        entry: &str,
    ) -> Result<String, Unavailable> {
        let fields = entry.strip_prefix('{').unwrap_or(entry);
        let arguments = (node.as_str(), fields, directory::KEPT_S);
        self.run(&self.scripts.stamp, &directory.key(), arguments)
            .await
    }

    pub(super) async fn entries(&self, directory: &Directory) -> Result<Scan, Unavailable> {
        let bounds = (ENTRIES_MAX, NAME_BYTES_MAX, ENTRY_BYTES_MAX);
        let found = self
            .run(&self.scripts.scan, &directory.key(), bounds)
            .await?;
        let scan = scanned(found).map_err(|error| Unavailable(error.into()))?;
        let ahead_ms = scan
            .registry_ms
            .cast_signed()
            .wrapping_sub(unix_ms().cast_signed());
        self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
        Ok(scan)
    }

    pub(super) async fn remove_entry(
        &self,
        directory: &Directory,
        node: &str,
        seen: &str,
    ) -> Result<(), Unavailable> {
        self.run(&self.scripts.strike, &directory.key(), (node, seen))
            .await
    }

    pub(super) async fn add_rooms(&self, rooms: &[RoomId]) -> Result<(), Unavailable> {
        for rooms in rooms.chunks(ROOMS_AT_ONCE) {
            let () = self
                .run(&self.scripts.activate, active::KEY, names(rooms))
                .await?;
        }
        Ok(())
    }

    pub(super) async fn remove_rooms(&self, rooms: &[RoomId]) -> Result<(), Unavailable> {
        for rooms in rooms.chunks(ROOMS_AT_ONCE) {
            let mut command = cmd("SREM");
            command.arg(self.key(active::KEY)).arg(names(rooms));
            let work = |mut connection| async move { command.exec_async(&mut connection).await };
            self.link.run(work).await?;
        }
        Ok(())
    }

    pub(super) async fn rooms(&self) -> Result<Listed, Unavailable> {
        let bounds = (active::ROOMS_MAX, NAME_BYTES_MAX);
        let found = self.run(&self.scripts.listed, active::KEY, bounds).await?;
        Ok(listed(found))
    }

    pub(super) async fn exist(&self, rooms: &[RoomId]) -> Result<Vec<bool>, Unavailable> {
        if self.is_cluster {
            let commands: Vec<_> = rooms.iter().map(|room| self.exists(room)).collect();
            let each = commands.into_iter().map(|command| {
                let work = |mut connection| async move {
                    command.query_async::<bool>(&mut connection).await
                };
                self.link.run(work)
            });
            return stream::iter(each)
                .buffered(IN_FLIGHT_MAX)
                .try_collect()
                .await;
        }
        let mut all = Vec::with_capacity(rooms.len());
        for rooms in rooms.chunks(ROOMS_AT_ONCE) {
            let mut batch = pipe();
            for room in rooms {
                batch.add_command(self.exists(room));
            }
            let work = |mut connection| async move { batch.query_async(&mut connection).await };
            let has: Vec<bool> = self.link.run(work).await?;
            all.extend(has);
        }
        Ok(all)
    }

    fn exists(&self, room: &RoomId) -> Cmd {
        let mut command = cmd("EXISTS");
        command.arg(self.key(&record::key(room)));
        command
    }
}

fn names(rooms: &[RoomId]) -> Vec<&str> {
    rooms.iter().map(RoomId::as_str).collect()
}

/// The time, how much cannot be entries, then names and entries by turns.
fn scanned(value: Value) -> RedisResult<Scan> {
    const UNKNOWN: (redis::ErrorKind, &str) = (
        redis::ErrorKind::UnexpectedReturnType,
        "the script of directories answers otherwise",
    );
    let (head, rest) = match value {
        Value::Array(mut values) if values.len() >= 2 => {
            let rest = values.split_off(2);
            (values, rest)
        }
        _ => return Err(UNKNOWN.into()),
    };
    let (registry_ms, mut corrupt): (u64, u64) = redis::from_redis_value(Value::Array(head))?;
    let texts: Vec<Vec<u8>> = redis::from_redis_value(Value::Array(rest))?;
    let mut entries = Vec::with_capacity(texts.len() / 2);
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).ok();
    for pair in texts.chunks_exact(2) {
        match (text(&pair[0]), text(&pair[1])) {
            (Some(name), Some(entry)) => entries.push((name, entry)),
            _ => corrupt += 1,
        }
    }
    Ok(Scan {
        registry_ms,
        entries,
        corrupt,
    })
}

/// How much cannot be rooms, then the rooms.
fn listed(values: Vec<Vec<u8>>) -> Listed {
    let text = |bytes: &Vec<u8>| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let (corrupt, names) = values
        .split_first()
        .map_or((0, &values[..]), |(first, rest)| {
            let count = text(first).and_then(|text| text.parse().ok());
            (count.unwrap_or(0), rest)
        });
    let rooms: Vec<_> = names
        .iter()
        .filter_map(|name| RoomId::parse(&text(name)?).ok())
        .collect();
    Listed {
        corrupt: corrupt + (names.len() - rooms.len()) as u64,
        rooms,
    }
}
