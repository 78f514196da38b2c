//! What the columns of a row mean.

use isocast_media::UnixMs;
use sqlx::Row;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use crate::rooms::key::{KeyHash, Stored};
use crate::rooms::seal::Sealer;
use crate::rooms::{OnConflict, Playback, PushUrl, Room, RoomId, RoomLimits, Target, TargetName};

/// A statement that writes a whole room.
pub(super) fn with_all<'q>(
    statement: &'static str,
    room: &'q Room,
    hash: KeyHash,
) -> Query<'q, sqlx::Sqlite, SqliteArguments> {
    sqlx::query(statement)
        .bind(room.id.as_str())
        .bind(playback_word(room.playback))
        .bind(on_conflict_word(room.on_conflict))
        .bind(room.created_at.0)
        .bind(room.key_generation)
        .bind(hash.0.to_vec())
        .bind(limits_text(&room.limits))
}

pub(super) fn room(row: &SqliteRow) -> Result<Room, sqlx::Error> {
    let id: &str = row.try_get("id")?;
    Ok(Room {
        id: RoomId::parse(id).map_err(|error| sqlx::Error::Decode(error.into()))?,
        playback: match row.try_get("playback")? {
            "private" => Playback::Private,
            "signed" => Playback::Signed,
            "public" => Playback::Public,
            other => return Err(sqlx::Error::Decode(format!("playback {other:?}").into())),
        },
        on_conflict: match row.try_get("on_conflict")? {
            "refuse" => OnConflict::Refuse,
            "takeover" => OnConflict::Takeover,
            other => return Err(sqlx::Error::Decode(format!("on_conflict {other:?}").into())),
        },
        limits: serde_json::from_str(row.try_get("limits")?)
            .map_err(|error| sqlx::Error::Decode(error.into()))?,
        created_at: UnixMs(row.try_get("created_at_ms")?),
        key_generation: row.try_get("key_generation")?,
        previous_key_until: row
            .try_get::<Option<_>, _>("previous_key_until_ms")?
            .map(UnixMs),
    })
}

pub(super) fn target(
    row: &SqliteRow,
    room: &RoomId,
    sealer: &Sealer,
) -> Result<Target, sqlx::Error> {
    let wrong = |what: &str| sqlx::Error::Decode(what.into());
    let name: TargetName = row.try_get::<&str, _>("name")?.parse().map_err(wrong)?;
    let url: PushUrl = row.try_get::<&str, _>("url")?.parse().map_err(wrong)?;
    let key = sealer.open(row.try_get("sealed_key")?, &bound_to(room, &name, &url));
    let key = key.ok_or_else(|| wrong("a target's stream key was sealed under another secret"))?;
    Ok(Target {
        name,
        url,
        stream_key: key,
        enabled: row.try_get("enabled")?,
    })
}

pub(super) fn sealed_key(target: &Target, room: &RoomId, sealer: &Sealer) -> Vec<u8> {
    sealer.seal(
        &target.stream_key,
        &bound_to(room, &target.name, &target.url),
    )
}

/// A stream key opens for its own target only: with another URL it would be told to somebody else.
fn bound_to(room: &RoomId, name: &TargetName, url: &PushUrl) -> String {
    format!("{room}\0{name}\0{}", url.as_str())
}

pub(super) fn stored(row: &SqliteRow) -> Result<Stored, sqlx::Error> {
    let previous_hash: Option<&[u8]> = row.try_get("previous_key_hash")?;
    Ok(Stored {
        room: room(row)?,
        hash: key_hash(row.try_get("key_hash")?)?,
        previous_hash: previous_hash.map(key_hash).transpose()?,
    })
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

pub(super) fn playback_word(playback: Playback) -> &'static str {
    match playback {
        Playback::Private => "private",
        Playback::Signed => "signed",
        Playback::Public => "public",
    }
}

pub(super) fn on_conflict_word(on_conflict: OnConflict) -> &'static str {
    match on_conflict {
        OnConflict::Refuse => "refuse",
        OnConflict::Takeover => "takeover",
    }
}
