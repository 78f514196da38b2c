use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::FutureExt;
use futures_util::future::ready;
use isocast_claims::NodeId;
use isocast_claims::record::{Hash, KEPT_S, Record, Status};
use isocast_claims::store::{self, Reply, Request};

use super::{Answer, Directory, Listed, Registry, Scan, directory};
use crate::clock::unix_ms;
use crate::rooms::RoomId;
use crate::sync::Mutex;

/// What nobody renews is looked for once this many more rooms are kept than were left the last time.
const SWEEP_AFTER: usize = 64;

/// A registry in this process only.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    kept: Mutex<Kept>,
    /// Its clock is this far ahead of the node's, in milliseconds: only in tests it is.
    ahead_ms: i64,
}

#[derive(Debug, Default)]
struct Kept {
    rooms: HashMap<RoomId, Option<Hash>>,
    sweep_at: usize,
    directories: HashMap<Directory, BTreeMap<String, String>>,
    active: BTreeSet<RoomId>,
}

impl Memory {
    fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut Kept) -> T) -> Answer<'_, T> {
        let mut kept = self.kept.lock();
        ready(Ok(work(&mut kept))).boxed()
    }
}

impl Kept {
    fn call(&mut self, room: &RoomId, request: &Request, now_ms: u64) -> Reply {
        if matches!(request, Request::Read) {
            return Reply::Found(store::read(self.rooms.get(room).and_then(Option::as_ref)));
        }
        self.sweep(now_ms);
        let stored = self.rooms.entry(room.clone()).or_default();
        store::apply(stored, request, now_ms)
    }

    /// Forgets the rooms that nobody has published for a while. A claim that is held needs no renewal here: it
    /// cannot outlive its owner.
    fn sweep(&mut self, now_ms: u64) {
        if self.rooms.len() < self.sweep_at {
            return;
        }
        self.rooms.retain(|_, stored| {
            let record = stored.as_ref().map(Record::read).and_then(Result::ok);
            record.is_some_and(|record| {
                let age_ms = now_ms.saturating_sub(record.last_heartbeat_ms);
                record.status == Status::Live || age_ms < KEPT_S * 1000
            })
        });
        self.sweep_at = self.rooms.len() + SWEEP_AFTER;
    }
}

impl Registry for Memory {
    fn call<'a>(&'a self, room: &'a RoomId, request: Request) -> Answer<'a, Reply> {
        self.with(|kept| kept.call(room, &request, self.now_ms()))
    }

    fn stamp<'a>(
        &'a self,
        directory: &'a Directory,
        node: &'a NodeId,
        entry: String,
    ) -> Answer<'a, String> {
        self.with(|kept| {
            let stamped = directory::stamped(&entry, self.now_ms());
            let entries = kept.directories.entry(directory.clone()).or_default();
            entries.insert(node.to_string(), stamped.clone());
            stamped
        })
    }

    fn scan<'a>(&'a self, directory: &'a Directory) -> Answer<'a, Scan> {
        self.with(|kept| {
            let entries = kept.directories.get(directory).into_iter().flatten();
            Scan {
                registry_ms: self.now_ms(),
                entries: entries.map(|(n, e)| (n.clone(), e.clone())).collect(),
                corrupt: 0,
            }
        })
    }

    fn strike<'a>(
        &'a self,
        directory: &'a Directory,
        node: &'a str,
        seen: &'a str,
    ) -> Answer<'a, ()> {
        self.with(|kept| {
            let Some(entries) = kept.directories.get_mut(directory) else {
                return;
            };
            if entries.get(node).is_some_and(|entry| entry == seen) {
                entries.remove(node);
            }
            if entries.is_empty() {
                kept.directories.remove(directory);
            }
        })
    }

    fn activate<'a>(&'a self, rooms: &'a [RoomId]) -> Answer<'a, ()> {
        self.with(|kept| kept.active.extend(rooms.iter().cloned()))
    }

    fn deactivate<'a>(&'a self, rooms: &'a [RoomId]) -> Answer<'a, ()> {
        self.with(|kept| kept.active.retain(|room| !rooms.contains(room)))
    }

    fn listed(&self) -> Answer<'_, Listed> {
        self.with(|kept| Listed {
            rooms: kept.active.iter().cloned().collect(),
            corrupt: 0,
        })
    }

    fn have_records<'a>(&'a self, rooms: &'a [RoomId]) -> Answer<'a, Vec<bool>> {
        self.with(|kept| {
            let has = |room| kept.rooms.get(room).is_some_and(Option::is_some);
            rooms.iter().map(has).collect()
        })
    }

    fn is_reachable(&self) -> bool {
        true
    }

    fn now_ms(&self) -> u64 {
        unix_ms().saturating_add_signed(self.ahead_ms)
    }
}

#[cfg(test)]
impl Memory {
    /// One whose clock is not the nodes'.
    pub(crate) fn ahead(ahead_ms: i64) -> Self {
        let kept = Mutex::default();
        Self { kept, ahead_ms }
    }
}
