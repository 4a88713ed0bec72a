-- The SQLite store of enhanced-memory, whole, as it is today. Read it as documentation: the daemon makes a new file from it,
-- and daemon/store/sqlite/migrations bring an older file to exactly this.
--
-- TIME IS ONE NUMBER. Every change has the next number of `changes`. A row that says what was known carries the number at
-- which that began and the number at which it ended (`ended` = 0 while it lasts). A read is always in a view: a list of
-- layers (space, at), nearest first; a layer sees the rows of its space with began <= at and (ended = 0 or ended > at).
-- "Now" is a very large `at`; a branch is a space whose parent's layer stands at the number it was pinned at; a project over
-- `default` is a space whose parent's layer stands at now. The nearest layer that has any row of an entity (or a relation)
-- decides what the view knows of it, a deletion included; so a change made in an overlay lands in the overlay alone.
--
-- Times of day are milliseconds since 1970 in UTC. Bodies are msgpack, compressed with zstd and a trained dictionary: their
-- first byte is the dictionary's id, 0 for none.

PRAGMA application_id = 1162692973;     -- 'EMem'
PRAGMA user_version = 9;

-- What the file is: its id, when it was made, high-water marks.
CREATE TABLE meta (
    key     TEXT PRIMARY KEY,
    value   ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- A world of memory. Never removed, so that what was known in it stays readable.
CREATE TABLE spaces (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    parent      INTEGER NOT NULL DEFAULT 0,     -- the space it reads through to; 0: none
    pinned      INTEGER NOT NULL DEFAULT 0,     -- the change the parent is seen at; 0: as it is now
    kind        TEXT    NOT NULL DEFAULT 'space' CHECK (kind IN ('space', 'branch')),
    entity      INTEGER NOT NULL DEFAULT 0,     -- a branch of one entity: nothing else is changed in it; 0: of all
    metadata    BLOB    NOT NULL DEFAULT x'80',  -- msgpack map
    began       INTEGER NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What a merge leaves for the next one: up to which change a space has taken a branch in, what of it is still in conflict and
-- keeps its older base, and which entity of the space stands for one of the branch that has another id.
CREATE TABLE merges (
    branch      INTEGER NOT NULL,
    target      INTEGER NOT NULL,
    subject     TEXT    NOT NULL CHECK (subject IN ('all', 'entity', 'relation', 'same')),
    id          INTEGER NOT NULL,               -- the branch's entity or relation; 0 for all
    part        TEXT    NOT NULL,               -- of an entity: 'name', 'property:age' …; '' is the whole of it
    ended       INTEGER NOT NULL DEFAULT 0,
    began       INTEGER NOT NULL,
    base        INTEGER NOT NULL,               -- the branch is compared with itself after this change, 0: with what it began from; for 'same' the entity
    PRIMARY KEY (branch, target, subject, id, part, ended)
) STRICT, WITHOUT ROWID;

-- Who is behind a change or an observation, once each.
CREATE TABLE origins (
    id          INTEGER PRIMARY KEY,
    channel     TEXT NOT NULL,                  -- how it came: socket, mcp, http, cli, code, import, extraction
    client      TEXT NOT NULL,
    agent       TEXT NOT NULL,                  -- what the client says of itself
    session     TEXT NOT NULL,
    tool        TEXT NOT NULL,
    run         TEXT NOT NULL,
    user        TEXT NOT NULL,                  -- the peer's account, proved by SO_PEERCRED; then / and for whom a client says it asks
    method      TEXT NOT NULL,                  -- manual, or an extraction's name
    trust       TEXT NOT NULL CHECK (trust IN ('user', 'agent', 'tool', 'import'))
) STRICT;
CREATE UNIQUE INDEX origins_once ON origins (session, agent, client, channel, tool, run, user, method, trust);

-- One row per request that changed something. The number is the clock of every view.
CREATE TABLE changes (
    number      INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    space       INTEGER NOT NULL,
    origin      INTEGER NOT NULL,
    op          TEXT    NOT NULL,
    message     TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX changes_at ON changes (at);        -- the number at a time

-- What each change touched: references to versions, never copies of what they say.
CREATE TABLE journal (
    number      INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    subject     TEXT    NOT NULL,               -- entity, relation, messages, space, conflict, snapshot, change
    id          INTEGER NOT NULL,               -- for messages: the first of them; for a snapshot: the change that it names
    act         TEXT    NOT NULL,               -- create, update, delete, restore, purge, prune, append, undo …
    before      INTEGER NOT NULL DEFAULT 0,     -- version before, 0: none; for a pruning: the oldest that went
    after       INTEGER NOT NULL DEFAULT 0,     -- version after, 0: none; for messages: the last of them; for a pruning: the newest that went
    PRIMARY KEY (number, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX journal_changes ON journal (id, number) WHERE subject = 'change';     -- which changes were undone, and done again

-- A name for what a space knew after a change. It may stand wherever a time may.
CREATE TABLE snapshots (
    space       INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0,
    began       INTEGER NOT NULL,               -- the change that gave the name
    number      INTEGER NOT NULL,               -- the change after which it is
    PRIMARY KEY (space, name, ended)
) STRICT, WITHOUT ROWID;

-- An entity as its space knows it now. `id` is the same in every space; a row in an overlay hides the parent's.
CREATE TABLE entities (
    row         INTEGER PRIMARY KEY,
    space       INTEGER NOT NULL,
    id          INTEGER NOT NULL,
    scope       TEXT    NOT NULL DEFAULT '',    -- where its name is unique: '' for ordinary entities
    type        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    first       INTEGER NOT NULL,               -- the change at which this space got a row of it
    began       INTEGER NOT NULL,               -- the change that made this version
    deleted     INTEGER NOT NULL DEFAULT 0,
    tier        INTEGER NOT NULL DEFAULT 0,     -- 0 working, 1 episodic, 2 semantic, 3 procedural
    priority    INTEGER NOT NULL DEFAULT 5,
    pinned      INTEGER NOT NULL DEFAULT 0,     -- always_include
    quarantined INTEGER NOT NULL DEFAULT 0,
    expires_at  INTEGER,
    text_bytes  INTEGER NOT NULL,               -- of the body as JSON text
    crc         INTEGER NOT NULL,               -- CRC-32 of the uncompressed body
    body        BLOB    NOT NULL                -- see daemon/store/bodies.py
) STRICT;
CREATE UNIQUE INDEX entities_id ON entities (space, id);
CREATE INDEX entities_type ON entities (space, type, id);
CREATE INDEX entities_began ON entities (space, began);              -- newest change first
CREATE INDEX entities_pinned ON entities (space, id) WHERE pinned = 1;
CREATE INDEX entities_expiring ON entities (space, expires_at) WHERE expires_at IS NOT NULL AND deleted = 0;

-- What an entity said before. The body is whole, or a delta against the next newer version's body.
CREATE TABLE versions (
    space       INTEGER NOT NULL,
    entity      INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    began       INTEGER NOT NULL,
    ended       INTEGER NOT NULL,
    deleted     INTEGER NOT NULL DEFAULT 0,
    whole       INTEGER NOT NULL DEFAULT 0,
    crc         INTEGER NOT NULL,
    body        BLOB    NOT NULL,
    PRIMARY KEY (space, entity, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_at ON versions (space, entity, began);        -- the version at a number

-- Which name meant which entity, when. One living row for each (space, name, scope).
CREATE TABLE names (
    space       INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    scope       TEXT    NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0,
    began       INTEGER NOT NULL,
    entity      INTEGER NOT NULL,
    PRIMARY KEY (space, name, scope, ended)
) STRICT, WITHOUT ROWID;

-- Which entity had which tag, when.
CREATE TABLE tags (
    space       INTEGER NOT NULL,
    tag         TEXT    NOT NULL,
    entity      INTEGER NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0,
    began       INTEGER NOT NULL,
    PRIMARY KEY (space, tag, entity, ended)
) STRICT, WITHOUT ROWID;

-- The properties that can be filtered and ordered by, a row each; a list has a row for each item.
CREATE TABLE properties (
    space       INTEGER NOT NULL,
    key         TEXT    NOT NULL,
    value       ANY     NOT NULL,               -- x'' where the value is too long or no scalar: it exists, no more
    entity      INTEGER NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0,
    began       INTEGER NOT NULL,
    PRIMARY KEY (space, key, value, entity, ended)
) STRICT, WITHOUT ROWID;
CREATE INDEX properties_entity ON properties (entity, space, key) WHERE ended = 0;  -- whether an entity meets a filter

-- A typed edge. An end is an id where the entity exists, a name where it does not yet.
CREATE TABLE relations (
    row         INTEGER PRIMARY KEY,
    space       INTEGER NOT NULL,
    id          INTEGER NOT NULL,               -- the same in every space
    from_id     INTEGER NOT NULL DEFAULT 0,
    to_id       INTEGER NOT NULL DEFAULT 0,
    from_name   TEXT    NOT NULL DEFAULT '',    -- only while from_id is 0
    to_name     TEXT    NOT NULL DEFAULT '',
    type        TEXT    NOT NULL,
    strength    REAL    NOT NULL DEFAULT 1.0,
    metadata    BLOB,                           -- msgpack map
    deleted     INTEGER NOT NULL DEFAULT 0,     -- in an overlay: the parent's relation is hidden
    began       INTEGER NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX relations_id ON relations (space, id);
CREATE INDEX relations_from ON relations (from_id, space, to_id, to_name) WHERE from_id > 0;
CREATE INDEX relations_to ON relations (to_id, space) WHERE to_id > 0;
CREATE INDEX relations_from_name ON relations (from_name, space, to_id, to_name) WHERE from_id = 0;
CREATE INDEX relations_to_name ON relations (to_name, space) WHERE to_id = 0;

-- A line in a stream; a stream is an entity. Append-only, the id is the order that everybody agrees on.
CREATE TABLE messages (
    id          INTEGER PRIMARY KEY,
    space       INTEGER NOT NULL,
    stream      INTEGER NOT NULL,
    role        TEXT,                           -- NULL: user, as most are
    kind        TEXT,                           -- NULL: dialogue, as most are
    speaker     TEXT    NOT NULL DEFAULT '',
    at          INTEGER NOT NULL,               -- when it was said
    tick        INTEGER,
    importance  REAL,
    tokens      INTEGER,
    length      INTEGER NOT NULL DEFAULT 0,     -- in words: its rank depends on it
    began       INTEGER NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0,
    crc         INTEGER NOT NULL,
    body        BLOB    NOT NULL,               -- [content, provider, metadata]
    block       INTEGER NOT NULL DEFAULT 0      -- the block that holds the body, which is then empty here; 0: none
) STRICT;
CREATE INDEX messages_stream ON messages (stream, id, space, began, ended);  -- counting touches no row
CREATE INDEX messages_kind ON messages (stream, kind, id) WHERE kind <> 'dialogue';  -- what is not what most are
CREATE INDEX messages_at ON messages (stream, at);
CREATE INDEX messages_tick ON messages (stream, tick) WHERE tick IS NOT NULL;
CREATE INDEX messages_space ON messages (space, id) WHERE space > 1;  -- what a branch adds; `default` is no branch

-- What archived messages say: the bodies of some hundred of a stream, packed together. Their rows stay where they are, so that
-- views, searches and exports know no difference; a body is found in its block by its checksum.
CREATE TABLE blocks (
    id          INTEGER PRIMARY KEY,
    space       INTEGER NOT NULL,
    stream      INTEGER NOT NULL,
    first       INTEGER NOT NULL,               -- the oldest message in it
    last        INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,               -- of the bodies as they were stored before
    crc         INTEGER NOT NULL,               -- CRC-32 of the unpacked block
    body        BLOB    NOT NULL                -- the plain bodies, each once
) STRICT;
CREATE INDEX blocks_stream ON blocks (stream, first);

-- Files of cold storage, beside the store: what was archived out of it, some hundred entities in each. A file is on disk before
-- the row that names it, and is never altered; what must leave it is left out of a new one.
CREATE TABLE cold_files (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    at          INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    sha256      TEXT    NOT NULL,
    due         INTEGER NOT NULL DEFAULT 0      -- when it may be deleted; 0: it is needed
) STRICT;

-- Which entity lies in which file. Its row in `entities` is a tombstone that keeps its address: id, name, type, tags, short properties.
CREATE TABLE cold_entities (
    space       INTEGER NOT NULL,
    entity      INTEGER NOT NULL,
    file        INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    versions    INTEGER NOT NULL,
    messages    INTEGER NOT NULL,
    living      INTEGER NOT NULL DEFAULT 1,     -- 0: it was brought back, and the file still has it
    PRIMARY KEY (space, entity, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX cold_entities_file ON cold_entities (file);

-- The searchable text of an entity's head (part 0), of an observation (part = its id) or of a message. Derived from the
-- owner, ended with it; the words themselves stand in the two indexes below under the passage's id.
CREATE TABLE passages (
    id          INTEGER PRIMARY KEY,
    space       INTEGER NOT NULL,
    entity      INTEGER NOT NULL,               -- for a message: its stream
    part        INTEGER NOT NULL DEFAULT 0,
    message     INTEGER NOT NULL DEFAULT 0,
    began       INTEGER NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX passages_entity ON passages (entity, space) WHERE message = 0 AND ended = 0;
CREATE INDEX passages_message ON passages (message) WHERE message > 0;
CREATE INDEX passages_ended ON passages (entity, space) WHERE ended > 0;

-- Words of the passages that last, and of those that have ended, so that searching the present never meets the past. `name` is
-- what an entity is called, or who speaks; `dates` is its day in words. The first column is the one with the most words: FTS5
-- takes two bytes more for each word of a passage in any other. Files that are older than schema 7 have `name` first, and a
-- column `near` behind `body`, until their words are indexed anew.
CREATE VIRTUAL TABLE words USING fts5 (
    body, name, dates, content = '', contentless_delete = 1, tokenize = "porter unicode61 remove_diacritics 2"
);
CREATE VIRTUAL TABLE words_past USING fts5 (
    body, name, dates, content = '', contentless_delete = 1, tokenize = "porter unicode61 remove_diacritics 2"
);
-- Merging segments makes the tail of a write; it is left to idle moments, with a limit that is met only when there are none.
INSERT INTO words (words, rank) VALUES ('automerge', 0), ('crisismerge', 64);
INSERT INTO words_past (words_past, rank) VALUES ('automerge', 0), ('crisismerge', 64);

-- Models that vectors were made with. Several stand side by side: the one that serves, one that a reindex is filling, those of
-- callers who bring vectors of their own.
CREATE TABLE models (
    id          INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 63),
    name        TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL UNIQUE,        -- of all that decides a vector: other models' vectors are never compared
    dimension   INTEGER NOT NULL,
    source      TEXT    NOT NULL DEFAULT '',    -- the setting `embedder` that runs it; '' for a caller's own model
    serves      INTEGER NOT NULL DEFAULT 0,     -- 1: queries are answered with it; at most one
    embedded    INTEGER NOT NULL DEFAULT 0      -- every passage up to this id has been seen to: the rest is the backlog
) STRICT;

-- What passages mean, as a model sees it: int8, scaled so that the largest component is 127. An ordinary table, readable without
-- any extension. A message's vector stands under its passage; an entity's passages of one change share vectors, each under the
-- first of those that it speaks for (docs/decisions/0022-vectors.md). It lasts as long as its passage is kept, so that the past
-- can be searched too.
CREATE TABLE vectors (
    key         INTEGER PRIMARY KEY,            -- the passage's id * 64 + the model's: smaller than a key of two columns
    vector      BLOB    NOT NULL
) STRICT;

-- Two entities that duplicate, update or contradict each other; or one entity, where two of its observations do. What they say
-- is not copied here. Resolving ends the row and begins the next with the same id.
CREATE TABLE conflicts (
    row         INTEGER PRIMARY KEY,
    space       INTEGER NOT NULL,
    id          INTEGER NOT NULL,               -- the same in every space
    entity      INTEGER NOT NULL,               -- the older one
    other       INTEGER NOT NULL,               -- the newer one
    part        INTEGER NOT NULL DEFAULT 0,     -- the observation of `entity` that it is about; 0: the whole
    other_part  INTEGER NOT NULL DEFAULT 0,     -- of a merge: the branch
    type        TEXT    NOT NULL CHECK (type IN ('duplicate', 'update', 'contradiction', 'merge')),
    confidence  REAL    NOT NULL,
    reason      TEXT    NOT NULL,
    action      TEXT    NOT NULL,               -- what is suggested: merge, update, branch, ignore
    status      TEXT    NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'merged', 'updated', 'branched', 'ignored')),
    notes       TEXT    NOT NULL DEFAULT '',
    found       INTEGER NOT NULL,               -- the change that recorded it
    began       INTEGER NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX conflicts_id ON conflicts (space, id);
CREATE INDEX conflicts_entity ON conflicts (entity);
CREATE INDEX conflicts_other ON conflicts (other);

-- How often and when an entity was last read. Written in batches: a read is not a write.
CREATE TABLE uses (
    entity      INTEGER PRIMARY KEY,
    count       INTEGER NOT NULL,
    last        INTEGER NOT NULL
) STRICT;

-- Answers to changes that carried a key, so that a repeat is answered and not applied again.
CREATE TABLE answers (
    uid         INTEGER NOT NULL,
    key         TEXT    NOT NULL,
    number      INTEGER NOT NULL,               -- the change, 0 where nothing changed
    at          INTEGER NOT NULL,
    op          TEXT    NOT NULL,
    answer      BLOB    NOT NULL,               -- msgpack, compressed as bodies are
    PRIMARY KEY (uid, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_at ON answers (at);

-- Who asked for what, and what callers noted of accesses of their own. Never what was remembered. A row outlives what it is about.
CREATE TABLE access (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    op          TEXT    NOT NULL,
    origin      INTEGER NOT NULL,
    space       TEXT    NOT NULL,
    pid         INTEGER NOT NULL,
    us          INTEGER NOT NULL,               -- microseconds it took
    error       TEXT    NOT NULL DEFAULT '',    -- the error's code; '' where all went well
    number      INTEGER NOT NULL DEFAULT 0,     -- the change it made, 0: none
    entity      INTEGER NOT NULL DEFAULT 0,     -- noted by a caller: what it was about, 0: no single one
    address     TEXT    NOT NULL DEFAULT '',    -- noted by a caller: where its own caller is
    request     TEXT    NOT NULL DEFAULT '',    -- noted by a caller: what was asked as JSON, without any text that was
    says        TEXT    NOT NULL DEFAULT ''     -- noted by a caller: what went wrong, without what was quoted
) STRICT;
CREATE INDEX access_at ON access (at);
CREATE INDEX access_entity ON access (entity, id) WHERE entity > 0;

-- Compression dictionaries by the id that bodies name. Never removed while a body needs them.
CREATE TABLE dictionaries (
    id          INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 255),
    at          INTEGER NOT NULL,
    bytes       BLOB    NOT NULL
) STRICT;

-- Backups that were made and verified.
CREATE TABLE backups (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    path        TEXT    NOT NULL,
    bytes       INTEGER NOT NULL,
    sha256      TEXT    NOT NULL,
    number      INTEGER NOT NULL
) STRICT;

-- The space everybody starts in.
INSERT INTO spaces (id, name, began) VALUES (1, 'default', 0);
