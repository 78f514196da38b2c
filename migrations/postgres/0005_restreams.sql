-- Where a room's stream is also sent, in the order in which the targets were given.
CREATE TABLE restreams (
    room       TEXT COLLATE "C" NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    name       TEXT COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 1 AND 32),
    place      BIGINT  NOT NULL,
    url        TEXT    NOT NULL,
    enabled    BOOLEAN NOT NULL,
    -- The target's stream key: a nonce, and AES-256-GCM under a key of the nodes' secret.
    sealed_key BYTEA   NOT NULL,
    PRIMARY KEY (room, name)
);
