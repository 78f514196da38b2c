-- What each room takes at most, as JSON; what it leaves out is up to the node's configuration.
ALTER TABLE rooms ADD COLUMN limits TEXT NOT NULL DEFAULT '{}' CHECK (limits::json IS NOT NULL);
