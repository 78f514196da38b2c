-- Which store this is. A store that is made anew has another id, so that whoever keeps rooms here
-- learns that they are gone.
CREATE TABLE store (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id  TEXT    NOT NULL
);
INSERT INTO store (one, id) VALUES (1, replace(gen_random_uuid()::text, '-', ''));
