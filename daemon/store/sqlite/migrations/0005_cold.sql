-- Cold storage: files beside the store, and which entity lies in which.
CREATE TABLE cold_files (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    at          INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    sha256      TEXT    NOT NULL,
    due         INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE cold_entities (
    space       INTEGER NOT NULL,
    entity      INTEGER NOT NULL,
    file        INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    versions    INTEGER NOT NULL,
    messages    INTEGER NOT NULL,
    living      INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (space, entity, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX cold_entities_file ON cold_entities (file);
