-- Under which secret the keys here are hashed and sealed: an HMAC of it, kept by the first node that comes.
ALTER TABLE store ADD COLUMN secret_check BLOB CHECK (length(secret_check) = 32);
