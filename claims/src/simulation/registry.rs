//! A registry that can be slow, cut off, wiped, and lose its last writes.

use std::collections::VecDeque;

use crate::record::{Hash, Record, Status, read_pair};
use crate::store::{self, Reply, Request};
use crate::{EPOCH_AHEAD_MAX_MS, Pair};

/// How far back a failover can throw it.
const HISTORY: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Registry {
    stored: Option<Hash>,
    /// What was stored before, and until when.
    history: VecDeque<(u64, Option<Hash>)>,
    pub(super) is_down: bool,
    /// Each call takes so much longer, in milliseconds.
    pub(super) slow_ms: u64,
    /// So many replies of a hundred are lost.
    pub(super) replies_lost_percent: u64,
}

impl Registry {
    pub(super) fn apply(&mut self, request: &Request, now_ms: u64, unix_ms: u64) -> Reply {
        if *request != Request::Read {
            self.remember(now_ms);
        }
        store::apply(&mut self.stored, request, unix_ms)
    }

    /// The claim that lies there, if nodes can believe it.
    pub(super) fn pair(&self, unix_ms: u64) -> Option<Pair> {
        let pair = read_pair(self.stored.as_ref()?).ok()?;
        (pair.epoch <= unix_ms + EPOCH_AHEAD_MAX_MS / 2).then_some(pair)
    }

    /// The claim that everybody who reads it finds live.
    pub(super) fn live(&self) -> Option<Pair> {
        let record = Record::read(self.stored.as_ref()?).ok()?;
        (record.status == Status::Live).then_some(record.pair)
    }

    pub(super) fn wipe(&mut self) {
        self.stored = None;
        self.history.clear();
    }

    /// A replica takes over that had not heard of the writes since then.
    pub(super) fn fail_over(&mut self, to_ms: u64) {
        while let Some((until_ms, stored)) = self.history.pop_back() {
            if until_ms < to_ms {
                break;
            }
            self.stored = stored;
        }
    }

    pub(super) fn spoil(&mut self, field: &str, value: &[u8]) {
        let hash = self.stored.get_or_insert_default();
        hash.insert(field.to_owned(), value.to_vec());
    }

    fn remember(&mut self, now_ms: u64) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back((now_ms, self.stored.clone()));
    }
}
