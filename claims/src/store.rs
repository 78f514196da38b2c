//! What a registry does with a claim: the one text for all of them, whether they are a map in memory or a
//! script that Redis runs.
//!
//! To claim, to renew and to release are one thing: [`put`] writes a whole record where the claim still lies
//! that its caller names. A newcomer names what it has found, an owner its own. The comparison is of bytes;
//! which claim is the higher one is the nodes' to judge, so a script needs no numbers.

use crate::defences;
use crate::pair::{Owner, Pair};
use crate::record::{self, Corrupt, Hash, Record, Status};

/// What changes may be conditional on: the fields that name a claim, or nothing where none lies.
const MARK: [&str; 3] = ["epoch", "publisher_node", "incarnation"];
/// More than any of them is long; of garbage this much is compared.
const MARK_BYTES_MAX: usize = 256;

/// Which claim lies at a key, whether it can be read or not: `epoch`, `publisher_node` and `incarnation`, byte
/// by byte, each cut at 256 bytes, a missing one empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark(pub [Vec<u8>; 3]);

/// What was found at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Names it in the next change.
    pub mark: Mark,
    /// The claim, which may be readable though the record is not.
    pub pair: Option<Pair>,
    /// `None` where nothing lies there.
    pub record: Option<Result<Record, Corrupt>>,
}

/// A call of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// See [`read`].
    Read,
    /// See [`put`].
    Put {
        /// What was found, or what is held.
        expected: Mark,
        /// What is to lie there.
        record: Box<Record>,
    },
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// What lies there.
    Found(Found),
    /// The change was made.
    Written,
    /// Another claim lies there, or none.
    Conflict(Found),
}

/// Does what is asked at `registry_ms`, the registry's clock in milliseconds since 1970.
pub fn apply(stored: &mut Option<Hash>, request: &Request, registry_ms: u64) -> Reply {
    match request {
        Request::Read => Reply::Found(read(stored.as_ref())),
        Request::Put { expected, record } => put(stored, expected, record, registry_ms),
    }
}

/// What lies there.
#[must_use]
pub fn read(stored: Option<&Hash>) -> Found {
    Found {
        mark: Mark::of(stored),
        pair: stored.and_then(|hash| record::read_pair(hash).ok()),
        record: stored.map(Record::read),
    }
}

/// Puts a record where what was found still lies, and removes every field of that. The heartbeat is stamped,
/// and the key lives for [`KEPT_S`](crate::record::KEPT_S) from now.
pub fn put(stored: &mut Option<Hash>, expected: &Mark, record: &Record, registry_ms: u64) -> Reply {
    if Mark::of(stored.as_ref()) != *expected && defences::compare_and_set() {
        return Reply::Conflict(read(stored.as_ref()));
    }
    let stamped = Record {
        last_heartbeat_ms: registry_ms,
        ..record.clone()
    };
    let fields = stamped.fields();
    let hash = fields.map(|(field, value)| (field.to_owned(), value.into_bytes()));
    *stored = Some(hash.collect());
    Reply::Written
}

impl Request {
    /// Claims the room from whoever was found there.
    #[must_use]
    pub fn claim(expected: Mark, record: Record) -> Self {
        let record = Box::new(record);
        Self::Put { expected, record }
    }

    /// Renews a claim that is held.
    #[must_use]
    pub fn renew(record: Record) -> Self {
        Self::claim(Mark::of_pair(&record.pair), record)
    }

    /// Gives a claim back. The record stays, for the next owner goes on from it.
    #[must_use]
    pub fn release(record: Record, status: Status) -> Self {
        Self::renew(Record { status, ..record })
    }
}

impl Mark {
    /// What names the claim in a hash.
    #[must_use]
    pub fn of(stored: Option<&Hash>) -> Self {
        let value = |field| stored.and_then(|hash| hash.get(field));
        let cut = |value: &Vec<u8>| value.iter().take(MARK_BYTES_MAX).copied().collect();
        Self(MARK.map(|field| value(field).map(cut).unwrap_or_default()))
    }

    /// What names this claim.
    #[must_use]
    pub fn of_pair(pair: &Pair) -> Self {
        let Owner { node, incarnation } = &pair.owner;
        Self([
            pair.epoch.to_string().into_bytes(),
            node.as_str().into(),
            incarnation.0.to_string().into_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::tests::pair;
    use crate::record::tests::{hash, record};

    fn held(pair: &Pair) -> Option<Hash> {
        let mut stored = None;
        let claim = Request::claim(Mark::default(), record(pair.clone()));
        assert_eq!(apply(&mut stored, &claim, 10), Reply::Written);
        stored
    }

    fn stored_record(stored: &Option<Hash>) -> Record {
        Record::read(stored.as_ref().expect("a hash")).expect("a record")
    }

    #[test]
    fn a_claim_replaces_only_what_its_caller_found() {
        let (old, new, late) = (pair(1, "a", 1), pair(2, "b", 1), pair(3, "c", 1));
        let mut stored = held(&old);
        let found = read(stored.as_ref());
        assert_eq!(found.mark, Mark::of_pair(&old));
        let claim = Request::claim(found.mark.clone(), record(new.clone()));
        assert_eq!(apply(&mut stored, &claim, 20), Reply::Written);
        assert_eq!(stored_record(&stored).last_heartbeat_ms, 20);

        for stale in [found.mark, Mark::default()] {
            let claim = Request::claim(stale, record(late.clone()));
            let reply = apply(&mut stored, &claim, 30);
            assert_eq!(reply, Reply::Conflict(read(stored.as_ref())));
            assert_eq!(stored_record(&stored).pair, new);
        }
    }

    #[test]
    fn only_the_holder_renews_and_releases() {
        let (holder, other) = (record(pair(2, "a", 2)), record(pair(2, "a", 1)));
        let mut stored = held(&holder.pair);
        let before = stored.clone();
        for request in [
            Request::renew(other.clone()),
            Request::release(other, Status::Ended),
        ] {
            let reply = apply(&mut stored, &request, 20);
            assert_eq!(reply, Reply::Conflict(read(before.as_ref())));
            assert_eq!(stored, before);
        }
        let busier = Record {
            viewer_count: 9,
            ..holder.clone()
        };
        let reply = apply(&mut stored, &Request::renew(busier), 20);
        assert_eq!(reply, Reply::Written);
        let renewed = stored_record(&stored);
        assert_eq!((renewed.viewer_count, renewed.last_heartbeat_ms), (9, 20));
        let release = Request::release(holder.clone(), Status::Ended);
        assert_eq!(apply(&mut stored, &release, 30), Reply::Written);
        let ended = stored_record(&stored);
        assert_eq!((ended.status, ended.pair), (Status::Ended, holder.pair));
    }

    #[test]
    fn nothing_is_renewed_where_nothing_lies() {
        let nothing = Reply::Conflict(Found {
            mark: Mark::default(),
            pair: None,
            record: None,
        });
        let mut stored = None;
        let renewal = Request::renew(record(pair(1, "a", 1)));
        assert_eq!(apply(&mut stored, &renewal, 1), nothing);
        assert_eq!(stored, None);
    }

    #[test]
    fn a_renewal_mends_a_record() {
        let holder = record(pair(1, "a", 1));
        let mut stored = held(&holder.pair);
        let garbage = ("status".to_owned(), vec![0xff]);
        stored.as_mut().expect("a hash").extend([garbage]);
        apply(&mut stored, &Request::renew(holder.clone()), 1);
        assert_eq!(stored_record(&stored).pair, holder.pair);
    }

    #[test]
    fn garbage_is_replaced_by_whoever_found_it() {
        let mut garbage = hash(&record(pair(1, "a", 1)));
        garbage.insert("epoch".to_owned(), vec![b'9'; 1 << 20]);
        garbage.insert("more".to_owned(), vec![0xff]);
        let found = read(Some(&garbage));
        assert_eq!(found.record, Some(Err(Corrupt::Unreadable("epoch"))));
        assert_eq!(found.mark.0[0].len(), MARK_BYTES_MAX);

        let (new, mut stored) = (record(pair(2, "b", 1)), Some(garbage));
        let blind = put(&mut stored, &Mark::default(), &new, 5);
        assert_eq!(blind, Reply::Conflict(found.clone()));
        assert_eq!(
            put(&mut stored, &found.mark, &new, new.last_heartbeat_ms),
            Reply::Written
        );
        assert_eq!(stored, Some(hash(&new)), "nothing of it is left");
    }

    #[test]
    fn a_claim_counts_though_the_rest_is_garbage() {
        let mut stored = hash(&record(pair(7, "a", 1)));
        stored.insert("viewer_count".to_owned(), b"-1".to_vec());
        let found = read(Some(&stored));
        assert_eq!(found.pair, Some(pair(7, "a", 1)));
        assert_eq!(found.record, Some(Err(Corrupt::Unreadable("viewer_count"))));
    }
}
