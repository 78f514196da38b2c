//! What the registry holds of a room, and how it is written there: the fields of the hash `stream:room_<id>`.

use std::collections::BTreeMap;

use isocast_admin::RoomId;

use crate::pair::{Incarnation, NodeId, Owner, Pair};

/// The hash as the registry has it. Values are bytes: others may have written them.
pub type Hash = BTreeMap<String, Vec<u8>>;

/// How long a hash outlives its last write, in seconds. Whether its owner lives is told by the heartbeat.
pub const KEPT_S: u64 = 300;

/// Where the record of a room lies, below the cluster's prefix.
#[must_use]
pub fn key(room: &RoomId) -> String {
    format!("stream:{}", room.stream_name())
}

/// A claim as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `epoch`, `publisher_node` and `incarnation`.
    pub pair: Pair,
    /// `started_at`: when the claim was taken, in milliseconds since 1970 by its owner's clock.
    pub started_at_ms: u64,
    /// `status`.
    pub status: Status,
    /// `last_heartbeat`: the last write by the owner, in milliseconds since 1970. The registry's clock, for
    /// those of the nodes may be an hour apart; whoever writes a record leaves it to the registry.
    pub last_heartbeat_ms: u64,
    /// `viewer_count`: viewers on all nodes.
    pub viewer_count: u64,
    /// `key_fingerprint`: 16 hex digits that tell publish keys apart; never the key.
    pub key_fingerprint: String,
    /// What the next owner needs to go on; `None` until the first segment.
    pub continuation: Option<Continuation>,
}

/// What becomes of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is published.
    Live,
    /// Its publisher is gone and may come back.
    Interrupted,
    /// The broadcast is over.
    Ended,
}

/// Where HLS and the room's timeline stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// `next_msn`: the media sequence number after the last that a playlist has named.
    pub next_msn: u64,
    /// `reserved`: the owner may have named any below this one.
    pub reserved: u64,
    /// `target_duration`, in seconds.
    pub target_duration_s: u64,
    /// `discontinuity_sequence` of the playlist (RFC 8216 §4.3.3.3).
    pub discontinuity_sequence: u64,
    /// `program_date_time` at which the next segment begins, in milliseconds since 1970.
    pub program_date_time_ms: u64,
    /// `source_dts`: the last timestamp of the encoder, in milliseconds.
    pub source_dts_ms: i64,
    /// `source_offset`: room time minus the encoder's, in milliseconds.
    pub source_offset_ms: i64,
}

/// Why a hash is no record. The field is ours or missing, so its name may be logged; its value is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// It is not there.
    #[error("the record has no `{0}`")]
    Missing(&'static str),
    /// It holds something else than what is written there.
    #[error("`{0}` of the record cannot be read")]
    Unreadable(&'static str),
    /// No clock can be that wrong.
    #[error("the record's epoch is more than 24 h ahead of this node's clock")]
    EpochAhead,
}

impl Record {
    /// The fields that are written for it.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, String)> {
        let always = [
            ("epoch", self.pair.epoch.to_string()),
            ("publisher_node", self.pair.owner.node.to_string()),
            ("incarnation", self.pair.owner.incarnation.0.to_string()),
            ("started_at", self.started_at_ms.to_string()),
            ("status", self.status.as_str().to_owned()),
            ("last_heartbeat", self.last_heartbeat_ms.to_string()),
            ("viewer_count", self.viewer_count.to_string()),
            ("key_fingerprint", self.key_fingerprint.clone()),
        ];
        let continuation = self.continuation.iter().flat_map(|it| it.fields());
        always.into_iter().chain(continuation)
    }

    /// Reads a hash. Fields of other versions are left alone.
    pub fn read(hash: &Hash) -> Result<Self, Corrupt> {
        let continuation = match hash.contains_key("next_msn") {
            true => Some(Continuation::read(hash)?),
            false => None,
        };
        Ok(Self {
            pair: read_pair(hash)?,
            started_at_ms: number(hash, "started_at")?,
            status: Status::parse(text(hash, "status")?).ok_or(Corrupt::Unreadable("status"))?,
            last_heartbeat_ms: number(hash, "last_heartbeat")?,
            viewer_count: number(hash, "viewer_count")?,
            key_fingerprint: fingerprint(hash)?,
            continuation,
        })
    }

    /// Whether its owner was heard of within `dead_after_ms`. For lists and for readers that prune: no claim
    /// is decided by it, for an owner that has lost the registry goes on.
    #[must_use]
    pub fn is_alive(&self, registry_ms: u64, dead_after_ms: u64) -> bool {
        let silent_ms = registry_ms.saturating_sub(self.last_heartbeat_ms);
        self.status == Status::Live && silent_ms < dead_after_ms
    }
}

impl Status {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Interrupted => "interrupted",
            Self::Ended => "ended",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::Live, Self::Interrupted, Self::Ended];
        all.into_iter().find(|status| status.as_str() == text)
    }
}

impl Continuation {
    /// The fields that are written for it.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, String)> + use<> {
        [
            ("next_msn", self.next_msn.to_string()),
            ("reserved", self.reserved.to_string()),
            ("target_duration", self.target_duration_s.to_string()),
            (
                "discontinuity_sequence",
                self.discontinuity_sequence.to_string(),
            ),
            ("program_date_time", self.program_date_time_ms.to_string()),
            ("source_dts", self.source_dts_ms.to_string()),
            ("source_offset", self.source_offset_ms.to_string()),
        ]
        .into_iter()
    }

    fn read(hash: &Hash) -> Result<Self, Corrupt> {
        Ok(Self {
            next_msn: number(hash, "next_msn")?,
            reserved: number(hash, "reserved")?,
            target_duration_s: number(hash, "target_duration")?,
            discontinuity_sequence: number(hash, "discontinuity_sequence")?,
            program_date_time_ms: number(hash, "program_date_time")?,
            source_dts_ms: number(hash, "source_dts")?,
            source_offset_ms: number(hash, "source_offset")?,
        })
    }
}

/// Reads what names a claim, and no more: it counts though the rest of the record is garbage, or a lower
/// claim would be put in the place of a higher one.
pub fn read_pair(hash: &Hash) -> Result<Pair, Corrupt> {
    let node = NodeId::parse(text(hash, "publisher_node")?);
    Ok(Pair {
        epoch: number(hash, "epoch")?,
        owner: Owner {
            node: node.map_err(|_| Corrupt::Unreadable("publisher_node"))?,
            incarnation: Incarnation(number(hash, "incarnation")?),
        },
    })
}

fn text<'h>(hash: &'h Hash, field: &'static str) -> Result<&'h str, Corrupt> {
    let value = hash.get(field).ok_or(Corrupt::Missing(field))?;
    std::str::from_utf8(value).map_err(|_| Corrupt::Unreadable(field))
}

/// A number exactly as this crate writes it: no sign of plus, no leading zeros.
fn number<N: std::str::FromStr + ToString>(hash: &Hash, field: &'static str) -> Result<N, Corrupt> {
    let written = text(hash, field)?;
    let number = written.parse::<N>().ok();
    let number = number.filter(|number| number.to_string() == written);
    number.ok_or(Corrupt::Unreadable(field))
}

fn fingerprint(hash: &Hash) -> Result<String, Corrupt> {
    const FIELD: &str = "key_fingerprint";
    let written = text(hash, FIELD)?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_one = written.len() == 16 && written.bytes().all(is_hex);
    is_one
        .then(|| written.to_owned())
        .ok_or(Corrupt::Unreadable(FIELD))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pair::tests::pair;

    pub(crate) fn record(pair: Pair) -> Record {
        Record {
            pair,
            started_at_ms: 1_700_000_000_000,
            status: Status::Live,
            last_heartbeat_ms: 1_700_000_002_000,
            viewer_count: 3,
            key_fingerprint: "0123456789abcdef".to_owned(),
            continuation: None,
        }
    }

    pub(crate) fn hash(record: &Record) -> Hash {
        let written = record.fields();
        written
            .map(|(field, value)| (field.to_owned(), value.into_bytes()))
            .collect()
    }

    const CONTINUATION: Continuation = Continuation {
        next_msn: 8,
        reserved: 16,
        target_duration_s: 2,
        discontinuity_sequence: 1,
        program_date_time_ms: 1_700_000_001_500,
        source_dts_ms: -40,
        source_offset_ms: 12_040,
    };

    /// What the releases to come will find in registries.
    const WRITTEN: [(&str, &str); 15] = [
        ("epoch", "1700000000001"),
        ("publisher_node", "node-1"),
        ("incarnation", "1699999999000"),
        ("started_at", "1700000000000"),
        ("status", "live"),
        ("last_heartbeat", "1700000002000"),
        ("viewer_count", "3"),
        ("key_fingerprint", "0123456789abcdef"),
        ("next_msn", "8"),
        ("reserved", "16"),
        ("target_duration", "2"),
        ("discontinuity_sequence", "1"),
        ("program_date_time", "1700000001500"),
        ("source_dts", "-40"),
        ("source_offset", "12040"),
    ];
    const FIRST_OF_CONTINUATION: usize = 8;

    fn golden() -> (Record, Hash) {
        let record = Record {
            continuation: Some(CONTINUATION),
            ..record(pair(1_700_000_000_001, "node-1", 1_699_999_999_000))
        };
        let hash = WRITTEN.map(|(field, value)| (field.to_owned(), value.into()));
        (record, hash.into())
    }

    #[test]
    fn records_are_written_and_read_as_ever() {
        let (record, golden) = golden();
        assert_eq!(hash(&record), golden);
        assert_eq!(Record::read(&golden), Ok(record.clone()));

        let first = WRITTEN[..FIRST_OF_CONTINUATION].iter();
        let young: Hash = first.map(|&(f, v)| (f.to_owned(), v.into())).collect();
        let before = Record {
            continuation: None,
            ..record
        };
        assert_eq!(hash(&before), young);
        assert_eq!(Record::read(&young), Ok(before));
    }

    #[test]
    fn fields_of_other_versions_are_left_alone() {
        let (record, mut hash) = golden();
        hash.insert("renditions".to_owned(), b"\xff 3".to_vec());
        assert_eq!(Record::read(&hash), Ok(record));
    }

    #[test]
    fn a_missing_field_is_named() {
        for (field, _) in WRITTEN {
            let (_, mut hash) = golden();
            hash.remove(field);
            let read = Record::read(&hash);
            if field == "next_msn" {
                assert_eq!(read.expect("a young record").continuation, None);
            } else {
                assert_eq!(read, Err(Corrupt::Missing(field)));
            }
        }
    }

    #[test]
    fn garbage_is_refused_with_the_field() {
        let huge = "9".repeat(1 << 20);
        for (field, value) in [
            ("epoch", ""),
            ("epoch", "-1"),
            ("epoch", "+1"),
            ("epoch", "01"),
            ("epoch", "1 "),
            ("epoch", "1e3"),
            ("epoch", "18446744073709551616"),
            ("epoch", &huge),
            ("publisher_node", ""),
            ("publisher_node", "a b"),
            ("publisher_node", &huge),
            ("incarnation", "x"),
            ("started_at", "2026-01-01"),
            ("status", "LIVE"),
            ("status", ""),
            ("last_heartbeat", "-5"),
            ("viewer_count", "3.0"),
            ("key_fingerprint", "0123456789ABCDEF"),
            ("key_fingerprint", "room_a_key_b"),
            ("next_msn", "null"),
            ("source_dts", "--4"),
            ("source_dts", "-0"),
        ] {
            let (_, mut hash) = golden();
            hash.insert(field.to_owned(), value.into());
            assert_eq!(
                Record::read(&hash),
                Err(Corrupt::Unreadable(field)),
                "{value:.20}"
            );
        }
        let (_, mut hash) = golden();
        hash.insert("status".to_owned(), vec![0xff, 0xfe]);
        assert_eq!(Record::read(&hash), Err(Corrupt::Unreadable("status")));
    }

    #[test]
    fn a_record_is_alive_while_its_heartbeat_is() {
        let mut record = record(pair(1, "a", 1));
        let written = record.last_heartbeat_ms;
        assert!(record.is_alive(written + 5999, 6000));
        assert!(!record.is_alive(written + 6000, 6000));
        assert!(
            record.is_alive(0, 6000),
            "a clock that went back kills nobody"
        );
        record.status = Status::Interrupted;
        assert!(!record.is_alive(written, 6000));
    }

    #[test]
    fn a_key_names_the_stream() {
        let room = RoomId::parse("demo").expect("an id");
        assert_eq!(key(&room), "stream:room_demo");
    }

    fn any_continuation() -> impl Strategy<Value = Continuation> {
        (any::<[u64; 5]>(), any::<[i64; 2]>()).prop_map(
            |([next_msn, reserved, target, sequence, date], [dts, offset])| Continuation {
                next_msn,
                reserved,
                target_duration_s: target,
                discontinuity_sequence: sequence,
                program_date_time_ms: date,
                source_dts_ms: dts,
                source_offset_ms: offset,
            },
        )
    }

    proptest! {
        #[test]
        fn any_record_is_read_as_it_was_written(
            [epoch, incarnation, started_at_ms, last_heartbeat_ms, viewer_count] in any::<[u64; 5]>(),
            node in "[A-Za-z0-9._-]{1,253}",
            key_fingerprint in "[0-9a-f]{16}",
            status in prop::sample::select(vec![Status::Live, Status::Interrupted, Status::Ended]),
            continuation in prop::option::of(any_continuation()),
        ) {
            let record = Record {
                pair: pair(epoch, &node, incarnation),
                started_at_ms, status, last_heartbeat_ms, viewer_count, key_fingerprint, continuation,
            };
            prop_assert_eq!(Record::read(&hash(&record)), Ok(record));
        }

        #[test]
        fn what_is_read_is_written_the_same(
            at in 0..WRITTEN.len(),
            value in prop::collection::vec(any::<u8>(), 0..24),
        ) {
            let (_, mut changed) = golden();
            changed.insert(WRITTEN[at].0.to_owned(), value);
            if let Ok(record) = Record::read(&changed) {
                prop_assert_eq!(hash(&record), changed);
            }
        }
    }
}
