//! What the columns of a row mean.

use isocast_media::UnixMs;

use super::values::{Columns, Value};
use crate::rooms::key::{KeyHash, Stored};
use crate::rooms::seal::Sealer;
use crate::rooms::{OnConflict, Playback, PushUrl, Room, RoomId, RoomLimits, Target, TargetName};

/// A whole room, for a statement that writes it.
pub(super) fn values<'a>(room: &'a Room, hash: KeyHash, limits: &'a str) -> [Value<'a>; 7] {
    let [id, playback, on_conflict, limits] = changed_values(room, limits);
    [
        id,
        playback,
        on_conflict,
        limits,
        Value::Number(room.created_at.0),
        Value::Number(room.key_generation.into()),
        Value::Bytes(hash.0.to_vec()),
    ]
}

/// What a change can have made different, for a statement that writes it.
pub(super) fn changed_values<'a>(room: &'a Room, limits: &'a str) -> [Value<'a>; 4] {
    [
        Value::Text(room.id.as_str()),
        Value::Text(playback_word(room.playback)),
        Value::Text(on_conflict_word(room.on_conflict)),
        Value::Text(limits),
    ]
}

pub(super) fn room(row: &impl Columns) -> Result<Room, sqlx::Error> {
    let id = row.text("id")?;
    Ok(Room {
        id: RoomId::parse(id).map_err(|error| sqlx::Error::Decode(error.into()))?,
        playback: match row.text("playback")? {
            "private" => Playback::Private,
            "signed" => Playback::Signed,
            "public" => Playback::Public,
            other => return Err(sqlx::Error::Decode(format!("playback {other:?}").into())),
        },
        on_conflict: match row.text("on_conflict")? {
            "refuse" => OnConflict::Refuse,
            "takeover" => OnConflict::Takeover,
            other => return Err(sqlx::Error::Decode(format!("on_conflict {other:?}").into())),
        },
        limits: serde_json::from_str(row.text("limits")?)
            .map_err(|error| sqlx::Error::Decode(error.into()))?,
        created_at: UnixMs(row.number("created_at_ms")?),
        key_generation: u32::try_from(row.number("key_generation")?)
            .map_err(|error| sqlx::Error::Decode(error.into()))?,
        previous_key_until: row.maybe_number("previous_key_until_ms")?.map(UnixMs),
    })
}

pub(super) fn target(
    row: &impl Columns,
    room: &RoomId,
    sealer: &Sealer,
) -> Result<Target, sqlx::Error> {
    let wrong = |what: &str| sqlx::Error::Decode(what.into());
    let name: TargetName = row.text("name")?.parse().map_err(wrong)?;
    let url: PushUrl = row.text("url")?.parse().map_err(wrong)?;
    let key = sealer.open(row.bytes("sealed_key")?, &bound_to(room, &name, &url));
    let key = key.ok_or_else(|| wrong("a target's stream key was sealed under another secret"))?;
    Ok(Target {
        name,
        url,
        stream_key: key,
        enabled: row.flag("enabled")?,
    })
}

pub(super) fn target_values<'a>(
    target: &'a Target,
    room: &'a RoomId,
    place: usize,
    sealer: &Sealer,
) -> [Value<'a>; 6] {
    let bound_to = bound_to(room, &target.name, &target.url);
    [
        Value::Text(room.as_str()),
        Value::Text(target.name.as_str()),
        Value::Number(place as i64),
        Value::Text(target.url.as_str()),
        Value::Flag(target.enabled),
        Value::Bytes(sealer.seal(&target.stream_key, &bound_to)),
    ]
}

/// A stream key opens for its own target only: with another URL it would be told to somebody else.
fn bound_to(room: &RoomId, name: &TargetName, url: &PushUrl) -> String {
    format!("{room}\0{name}\0{}", url.as_str())
}

pub(super) fn stored(row: &impl Columns) -> Result<Stored, sqlx::Error> {
    let previous_hash = row.maybe_bytes("previous_key_hash")?;
    Ok(Stored {
        room: room(row)?,
        hash: key_hash(row.bytes("key_hash")?)?,
        previous_hash: previous_hash.map(key_hash).transpose()?,
    })
}

pub(super) fn store_id(row: &impl Columns) -> Result<String, sqlx::Error> {
    Ok(row.text("id")?.to_owned())
}

fn key_hash(bytes: &[u8]) -> Result<KeyHash, sqlx::Error> {
    let bytes = bytes
        .try_into()
        .map_err(|_| sqlx::Error::Decode("a key's hash is not 32 bytes".into()))?;
    Ok(KeyHash(bytes))
}

pub(super) fn limits_text(limits: &RoomLimits) -> String {
    serde_json::to_string(limits).expect("numbers and words have a JSON form")
}

fn playback_word(playback: Playback) -> &'static str {
    match playback {
        Playback::Private => "private",
        Playback::Signed => "signed",
        Playback::Public => "public",
    }
}

fn on_conflict_word(on_conflict: OnConflict) -> &'static str {
    match on_conflict {
        OnConflict::Refuse => "refuse",
        OnConflict::Takeover => "takeover",
    }
}
