-- Rooms that are watched by signed addresses, and keys that are replaced with an overlap.
-- SQLite changes no CHECK of a table, so the table is made anew.
CREATE TABLE rooms_next (
    id                    TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    playback              TEXT    NOT NULL CHECK (playback IN ('private', 'signed', 'public')),
    on_conflict           TEXT    NOT NULL CHECK (on_conflict IN ('refuse', 'takeover')),
    created_at_ms         INTEGER NOT NULL,
    key_generation        INTEGER NOT NULL CHECK (key_generation >= 1),
    -- HMAC-SHA256 of the publish key.
    key_hash              BLOB    NOT NULL CHECK (length(key_hash) = 32),
    -- The key of the generation before, and until when it opens the room as well.
    previous_key_hash     BLOB    CHECK (length(previous_key_hash) = 32),
    previous_key_until_ms INTEGER,
    CHECK ((previous_key_hash IS NULL) = (previous_key_until_ms IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO rooms_next (id, playback, on_conflict, created_at_ms, key_generation, key_hash)
    SELECT id, playback, on_conflict, created_at_ms, key_generation, key_hash FROM rooms;
DROP TABLE rooms;
ALTER TABLE rooms_next RENAME TO rooms;
