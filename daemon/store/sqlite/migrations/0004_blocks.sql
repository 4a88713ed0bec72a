-- Archived messages are packed together; counting a stream's messages touches no row.
ALTER TABLE messages ADD COLUMN block INTEGER NOT NULL DEFAULT 0;
DROP INDEX messages_stream;
CREATE INDEX messages_stream ON messages (stream, id, space, began, ended);
CREATE TABLE blocks (
    id          INTEGER PRIMARY KEY,
    space       INTEGER NOT NULL,
    stream      INTEGER NOT NULL,
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    crc         INTEGER NOT NULL,
    body        BLOB    NOT NULL
) STRICT;
CREATE INDEX blocks_stream ON blocks (stream, first);
