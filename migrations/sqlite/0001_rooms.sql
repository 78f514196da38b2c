-- Rooms and the hash of each one's publish key.
-- Ids compare byte by byte (SQLite's BINARY collation), which is the order lists are paged in.
CREATE TABLE rooms (
    id             TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    playback       TEXT    NOT NULL CHECK (playback IN ('private', 'public')),
    on_conflict    TEXT    NOT NULL CHECK (on_conflict IN ('refuse', 'takeover')),
    created_at_ms  INTEGER NOT NULL,
    key_generation INTEGER NOT NULL CHECK (key_generation >= 1),
    -- HMAC-SHA256 of the publish key.
    key_hash       BLOB    NOT NULL CHECK (length(key_hash) = 32)
) STRICT, WITHOUT ROWID;
