-- What most messages are is not written down: a line of the user's, of dialogue. The rows are copied once, so that there must be room
-- for them a second time; what they leave is written over by later changes.
DROP INDEX messages_stream;
DROP INDEX messages_kind;
DROP INDEX messages_at;
DROP INDEX messages_tick;
DROP INDEX messages_space;
ALTER TABLE messages RENAME TO messages_before;
CREATE TABLE messages (
    id          INTEGER PRIMARY KEY,
    space       INTEGER NOT NULL,
    stream      INTEGER NOT NULL,
    role        TEXT,
    kind        TEXT,
    speaker     TEXT    NOT NULL DEFAULT '',
    at          INTEGER NOT NULL,
    tick        INTEGER,
    importance  REAL,
    tokens      INTEGER,
    length      INTEGER NOT NULL DEFAULT 0,
    began       INTEGER NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0,
    crc         INTEGER NOT NULL,
    body        BLOB    NOT NULL,
    block       INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO messages (id, space, stream, role, kind, speaker, at, tick, importance, tokens, length, began, ended, crc, body, block)
SELECT id, space, stream, nullif(role, 'user'), nullif(kind, 'dialogue'), speaker, at, tick, importance, tokens, length, began, ended, crc, body, block
FROM messages_before ORDER BY id;
DROP TABLE messages_before;
CREATE INDEX messages_stream ON messages (stream, id, space, began, ended);
CREATE INDEX messages_kind ON messages (stream, kind, id) WHERE kind <> 'dialogue';
CREATE INDEX messages_at ON messages (stream, at);
CREATE INDEX messages_tick ON messages (stream, tick) WHERE tick IS NOT NULL;
CREATE INDEX messages_space ON messages (space, id) WHERE space > 1;
