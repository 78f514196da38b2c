ALTER TABLE store
    -- Under which secret the keys here are hashed and sealed: an HMAC of it, kept by the first node that comes.
    ADD COLUMN secret_check BYTEA CHECK (length(secret_check) = 32),
    -- Releases whose own schema is this one, or a later one, work on this schema. A step that takes away
    -- what an older release uses sets it anew.
    ADD COLUMN serves_from BIGINT NOT NULL DEFAULT 6;
