//! Claims: the calls, what the script takes and what it answers.

use isocast_claims::record::{self, Hash, KEPT_S};
use isocast_claims::store::{self, Reply, Request};
use redis::{FromRedisValue, RedisError, RedisResult, Value};

use super::Redis;
use crate::registry::Unavailable;
use crate::rooms::RoomId;

impl Redis {
    pub(super) async fn call_one(
        &self,
        room: &RoomId,
        request: &Request,
    ) -> Result<Reply, Unavailable> {
        let (key, script) = (self.key(&record::key(room)), &self.scripts.claim);
        let arguments = arguments(request);
        let work = |mut connection| async move {
            let value = script.run(&mut connection, &key, arguments).await?;
            reply(request, value)
        };
        self.link.run(work).await
    }
}

/// The fields that the script answers with, in its order.
const FIELDS: [&str; 15] = [
    "epoch",
    "publisher_node",
    "incarnation",
    "started_at",
    "status",
    "last_heartbeat",
    "viewer_count",
    "key_fingerprint",
    "next_msn",
    "reserved",
    "target_duration",
    "discontinuity_sequence",
    "program_date_time",
    "source_dts",
    "source_offset",
];

/// What the script stamps by itself.
const STAMPED: &str = "last_heartbeat";

/// The arguments of the script; none, to read.
fn arguments(request: &Request) -> Vec<Vec<u8>> {
    let Request::Put { expected, record } = request else {
        return Vec::new();
    };
    let mut arguments = expected.0.to_vec();
    arguments.push(KEPT_S.to_string().into_bytes());
    for (field, value) in record.fields().filter(|(field, _)| *field != STAMPED) {
        arguments.extend([field.into(), value.into_bytes()]);
    }
    arguments
}

/// What it answered.
fn reply(request: &Request, value: Value) -> RedisResult<Reply> {
    let found = match value {
        Value::Int(1) => return Ok(Reply::Written),
        found => store::read(hash(found)?.as_ref()),
    };
    Ok(match request {
        Request::Read => Reply::Found(found),
        Request::Put { .. } => Reply::Conflict(found),
    })
}

/// Whether something lies there, then its fields.
fn hash(value: Value) -> RedisResult<Option<Hash>> {
    const UNKNOWN: (redis::ErrorKind, &str) = (
        redis::ErrorKind::UnexpectedReturnType,
        "the script of claims answers otherwise",
    );
    let Value::Array(mut values) = value else {
        return Err(RedisError::from(UNKNOWN));
    };
    if values.len() != 1 + FIELDS.len() {
        return Err(RedisError::from(UNKNOWN));
    }
    let fields = values.split_off(1);
    if values != [Value::Int(1)] {
        return Ok(None);
    }
    let mut hash = Hash::new();
    for (field, value) in FIELDS.into_iter().zip(fields) {
        if let Some(value) = Option::<Vec<u8>>::from_redis_value(value)? {
            hash.insert(field.to_owned(), value);
        }
    }
    Ok(Some(hash))
}
