//! What is asked of both databases. Columns are named, so that a later schema may have more.

/// The columns of a room.
macro_rules! room {
    () => {
        "id, playback, on_conflict, created_at_ms, key_generation, key_hash, limits,
         previous_key_hash, previous_key_until_ms"
    };
}

macro_rules! select {
    () => {
        concat!("SELECT ", room!(), " FROM rooms WHERE id = $1")
    };
}

pub(in crate::rooms) const SELECT: &str = select!();
/// SQLite knows no such lock and needs none.
pub(in crate::rooms) const SELECT_FOR_UPDATE: &str = concat!(select!(), " FOR UPDATE");
pub(super) const LIST: &str = concat!(
    "SELECT ",
    room!(),
    " FROM rooms WHERE id > $1 ORDER BY id LIMIT $2"
);
/// Makes no row where there is one.
pub(super) const CREATE: &str =
    "INSERT INTO rooms (id, playback, on_conflict, limits, created_at_ms, key_generation, key_hash)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (id) DO NOTHING";
pub(super) const CHANGE: &str =
    "UPDATE rooms SET playback = $2, on_conflict = $3, limits = $4 WHERE id = $1";
/// Another key ends the one before it too. All right sides see the row as it was.
pub(super) const UPDATE: &str = "UPDATE rooms
     SET playback = $2, on_conflict = $3, limits = $4, created_at_ms = $5, key_generation = $6,
         key_hash = $7,
         previous_key_hash = CASE WHEN key_hash = $7 THEN previous_key_hash END,
         previous_key_until_ms = CASE WHEN key_hash = $7 THEN previous_key_until_ms END
     WHERE id = $1";
pub(super) const ROTATE_KEY: &str = "UPDATE rooms
     SET key_hash = $2, key_generation = key_generation + 1,
         previous_key_hash = CASE WHEN $3 IS NOT NULL THEN key_hash END,
         previous_key_until_ms = $3
     WHERE id = $1";
pub(super) const DELETE: &str = "DELETE FROM rooms WHERE id = $1";

pub(super) const TARGETS: &str =
    "SELECT name, url, enabled, sealed_key FROM restreams WHERE room = $1 ORDER BY place";
pub(super) const REMOVE_TARGETS: &str = "DELETE FROM restreams WHERE room = $1";
pub(super) const PUT_TARGET: &str =
    "INSERT INTO restreams (room, name, place, url, enabled, sealed_key)
     VALUES ($1, $2, $3, $4, $5, $6)";

pub(super) const STORE_ID: &str = "SELECT id FROM store";
