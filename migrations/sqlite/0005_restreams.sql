-- Where a room's stream is also sent, in the order in which the targets were given.
CREATE TABLE restreams (
    room       TEXT    NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    name       TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 32),
    place      INTEGER NOT NULL,
    url        TEXT    NOT NULL,
    enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    -- The target's stream key: a nonce, and AES-256-GCM under a key of the data folder's secret.
    sealed_key BLOB    NOT NULL,
    PRIMARY KEY (room, name)
) STRICT, WITHOUT ROWID;
