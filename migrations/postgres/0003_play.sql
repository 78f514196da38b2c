-- Rooms that are watched by signed addresses, and keys that are replaced with an overlap.
ALTER TABLE rooms
    DROP CONSTRAINT rooms_playback_check,
    ADD CONSTRAINT rooms_playback_check CHECK (playback IN ('private', 'signed', 'public')),
    -- The key of the generation before, and until when it opens the room as well.
    ADD COLUMN previous_key_hash BYTEA CHECK (length(previous_key_hash) = 32),
    ADD COLUMN previous_key_until_ms BIGINT,
    ADD CHECK ((previous_key_hash IS NULL) = (previous_key_until_ms IS NULL));
