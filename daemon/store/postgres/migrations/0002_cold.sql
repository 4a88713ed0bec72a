-- Cold storage: files beside the store, and which entity lies in which.
CREATE TABLE cold_files (
    id          bigint PRIMARY KEY,
    name        text    NOT NULL UNIQUE,
    at          bigint NOT NULL,
    bytes       bigint NOT NULL,
    sha256      text    NOT NULL,
    due         bigint NOT NULL DEFAULT 0
);
CREATE TABLE cold_entities (
    space       bigint NOT NULL,
    entity      bigint NOT NULL,
    file        bigint NOT NULL,
    at          bigint NOT NULL,
    versions    bigint NOT NULL,
    messages    bigint NOT NULL,
    living      bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (space, entity, file)
);
CREATE INDEX cold_entities_file ON cold_entities (file);
