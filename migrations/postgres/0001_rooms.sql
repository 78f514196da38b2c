-- Rooms and the hash of each one's publish key.
-- Ids compare byte by byte, whatever the database's collation: lists are paged in that order.
CREATE TABLE rooms (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    playback       TEXT    NOT NULL CONSTRAINT rooms_playback_check CHECK (playback IN ('private', 'public')),
    on_conflict    TEXT    NOT NULL CHECK (on_conflict IN ('refuse', 'takeover')),
    created_at_ms  BIGINT  NOT NULL,
    key_generation BIGINT  NOT NULL CHECK (key_generation >= 1),
    -- HMAC-SHA256 of the publish key.
    key_hash       BYTEA   NOT NULL CHECK (length(key_hash) = 32)
);
