-- The PostgreSQL store of enhanced-memory, whole, as it is today. Read it as documentation: the daemon makes an empty store from
-- it, in a schema of its own, and daemon/store/postgres/migrations bring an older one to exactly this. What a row means is what it
-- means in the SQLite store (schema.sql), which tells of views and their numbers; what is kept otherwise here:
--
-- * Text sorts by code points (COLLATE "C"), as SQLite's does, whatever the database's own language.
-- * Writers take turns at the one row of `numbers`.
-- * Words are a tsvector with a GIN index, vectors pgvector's halfvec.
-- * Tables are made to be spread. What belongs to an entity or a stream has its number in a column, the owner, and every key of such
--   a table holds that column: so hash partitions here, or the shards of a distributed engine (citus.sql), keep together
--   what is asked for together. Names alone are spread by themselves, since they are what makes them unique. Messages and the access
--   log have a partition for each month (daemon/store/postgres/months.py makes them ahead). docs/scaling.md tells the rest.
--
-- Times of day are milliseconds since 1970 in UTC. Bodies are msgpack, compressed with zstd and a trained dictionary: their
-- first byte is the dictionary's id, 0 for none.

-- What the store is: its id, when it was made, the version of this schema, marks of jobs that go on later.
CREATE TABLE meta (
    key     text COLLATE "C" PRIMARY KEY,
    value   bytea NOT NULL
);

-- The highest numbers given out. Whoever writes holds this one row until the commit: so changes are committed in the order of
-- their numbers, and a view of any number stays what it is.
CREATE TABLE numbers (
    id          bigint PRIMARY KEY CHECK (id = 1),
    change      bigint NOT NULL DEFAULT 0,
    entity      bigint NOT NULL DEFAULT 0,
    relation    bigint NOT NULL DEFAULT 0,
    message     bigint NOT NULL DEFAULT 0,
    passage     bigint NOT NULL DEFAULT 0,
    conflict    bigint NOT NULL DEFAULT 0
);

-- A world of memory. Never removed, so that what was known in it stays readable.
CREATE TABLE spaces (
    id          bigint PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE,
    parent      bigint NOT NULL DEFAULT 0,      -- the space it reads through to; 0: none
    pinned      bigint NOT NULL DEFAULT 0,      -- the change the parent is seen at; 0: as it is now
    kind        text COLLATE "C" NOT NULL DEFAULT 'space' CHECK (kind IN ('space', 'branch')),
    entity      bigint NOT NULL DEFAULT 0,      -- a branch of one entity: nothing else is changed in it; 0: of all
    metadata    bytea NOT NULL DEFAULT '\x80',  -- msgpack map
    began       bigint NOT NULL,
    ended       bigint NOT NULL DEFAULT 0
);

-- What a merge leaves for the next one: up to which change a space has taken a branch in, what of it is still in conflict and
-- keeps its older base, and which entity of the space stands for one of the branch that has another id.
CREATE TABLE merges (
    branch      bigint NOT NULL,
    target      bigint NOT NULL,
    subject     text COLLATE "C" NOT NULL CHECK (subject IN ('all', 'entity', 'relation', 'same')),
    id          bigint NOT NULL,                -- the branch's entity or relation; 0 for all
    part        text COLLATE "C" NOT NULL,      -- of an entity: 'name', 'property:age' …; '' is the whole of it
    ended       bigint NOT NULL DEFAULT 0,
    began       bigint NOT NULL,
    base        bigint NOT NULL,                -- the branch is compared with itself after this change, 0: with what it began from; for 'same' the entity
    PRIMARY KEY (branch, target, subject, id, part, ended)
);

-- Who is behind a change or an observation, once each.
CREATE TABLE origins (
    id          bigint PRIMARY KEY,
    channel     text COLLATE "C" NOT NULL,      -- how it came: socket, mcp, http, cli, code, import, extraction
    client      text COLLATE "C" NOT NULL,
    agent       text COLLATE "C" NOT NULL,      -- what the client says of itself
    session     text COLLATE "C" NOT NULL,
    tool        text COLLATE "C" NOT NULL,
    run         text COLLATE "C" NOT NULL,
    "user"      text COLLATE "C" NOT NULL,      -- the peer's account, proved by SO_PEERCRED; then / and for whom a client says it asks
    method      text COLLATE "C" NOT NULL,      -- manual, or an extraction's name
    trust       text COLLATE "C" NOT NULL CHECK (trust IN ('user', 'agent', 'tool', 'import'))
);
CREATE UNIQUE INDEX origins_once ON origins (session, agent, client, channel, tool, run, "user", method, trust);

-- One row per request that changed something. The number is the clock of every view.
CREATE TABLE changes (
    number      bigint PRIMARY KEY,
    at          bigint NOT NULL,
    space       bigint NOT NULL,
    origin      bigint NOT NULL,
    op          text COLLATE "C" NOT NULL,
    message     text COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX changes_at ON changes (at);        -- the number at a time

-- What each change touched: references to versions, never copies of what they say.
CREATE TABLE journal (
    number      bigint NOT NULL,
    seq         bigint NOT NULL,
    subject     text COLLATE "C" NOT NULL,      -- entity, relation, messages, space, conflict, snapshot, change
    id          bigint NOT NULL,                -- for messages: the first of them; for a snapshot: the change that it names
    act         text COLLATE "C" NOT NULL,      -- create, update, delete, restore, purge, prune, append, undo …
    before      bigint NOT NULL DEFAULT 0,      -- version before, 0: none; for a pruning: the oldest that went
    after       bigint NOT NULL DEFAULT 0,      -- version after, 0: none; for messages: the last of them; for a pruning: the newest that went
    PRIMARY KEY (number, seq)
);
CREATE INDEX journal_changes ON journal (id, number) WHERE subject = 'change';     -- which changes were undone, and done again

-- A name for what a space knew after a change. It may stand wherever a time may.
CREATE TABLE snapshots (
    space       bigint NOT NULL,
    name        text COLLATE "C" NOT NULL,
    ended       bigint NOT NULL DEFAULT 0,
    began       bigint NOT NULL,                -- the change that gave the name
    number      bigint NOT NULL,                -- the change after which it is
    PRIMARY KEY (space, name, ended)
);

-- An entity as its space knows it now. `id` is the same in every space; a row in an overlay hides the parent's.
CREATE TABLE entities (
    space       bigint NOT NULL,
    id          bigint NOT NULL,
    scope       text COLLATE "C" NOT NULL DEFAULT '',  -- where its name is unique: '' for ordinary entities
    type        text COLLATE "C" NOT NULL,
    version     bigint NOT NULL,
    first       bigint NOT NULL,                -- the change at which this space got a row of it
    began       bigint NOT NULL,                -- the change that made this version
    deleted     bigint NOT NULL DEFAULT 0,
    tier        bigint NOT NULL DEFAULT 0,      -- 0 working, 1 episodic, 2 semantic, 3 procedural
    priority    bigint NOT NULL DEFAULT 5,
    pinned      bigint NOT NULL DEFAULT 0,      -- always_include
    quarantined bigint NOT NULL DEFAULT 0,
    expires_at  bigint,
    text_bytes  bigint NOT NULL,                -- of the body as JSON text
    crc         bigint NOT NULL,                -- CRC-32 of the uncompressed body
    body        bytea NOT NULL,                 -- see daemon/store/bodies.py
    PRIMARY KEY (space, id)
) PARTITION BY HASH (id);
CREATE INDEX entities_id ON entities (id);
CREATE INDEX entities_type ON entities (space, type, id);
CREATE INDEX entities_began ON entities (space, began);              -- newest change first
CREATE INDEX entities_pinned ON entities (space, id) WHERE pinned = 1;
CREATE INDEX entities_expiring ON entities (space, expires_at) WHERE expires_at IS NOT NULL AND deleted = 0;

-- What an entity said before. The body is whole, or a delta against the next newer version's body.
CREATE TABLE versions (
    space       bigint NOT NULL,
    entity      bigint NOT NULL,
    version     bigint NOT NULL,
    began       bigint NOT NULL,
    ended       bigint NOT NULL,
    deleted     bigint NOT NULL DEFAULT 0,
    whole       bigint NOT NULL DEFAULT 0,
    crc         bigint NOT NULL,
    body        bytea NOT NULL,
    PRIMARY KEY (space, entity, version)
);
CREATE INDEX versions_at ON versions (space, entity, began);        -- the version at a number

-- Which name meant which entity, when. One living row for each (space, name, scope).
CREATE TABLE names (
    space       bigint NOT NULL,
    name        text COLLATE "C" NOT NULL,
    scope       text COLLATE "C" NOT NULL,
    ended       bigint NOT NULL DEFAULT 0,
    began       bigint NOT NULL,
    entity      bigint NOT NULL,
    PRIMARY KEY (space, name, scope, ended)
);

-- Which entity had which tag, when.
CREATE TABLE tags (
    space       bigint NOT NULL,
    tag         text COLLATE "C" NOT NULL,
    entity      bigint NOT NULL,
    ended       bigint NOT NULL DEFAULT 0,
    began       bigint NOT NULL,
    PRIMARY KEY (space, tag, entity, ended)
);

-- The properties that can be filtered and ordered by, a row each; a list has a row for each item. Numbers come before text.
CREATE TABLE properties (
    space       bigint NOT NULL,
    key         text COLLATE "C" NOT NULL,
    kind        smallint NOT NULL,              -- 1 a number, 2 text; 3 where the value is too long or no scalar: it exists, no more
    number      numeric NOT NULL DEFAULT 0,
    word        text COLLATE "C" NOT NULL DEFAULT '',
    entity      bigint NOT NULL,
    ended       bigint NOT NULL DEFAULT 0,
    began       bigint NOT NULL,
    PRIMARY KEY (space, key, kind, number, word, entity, ended)
);
CREATE INDEX properties_entity ON properties (entity, space);

-- A typed edge. An end is an id where the entity exists, a name where it does not yet.
CREATE TABLE relations (
    row         bigint GENERATED ALWAYS AS IDENTITY,
    space       bigint NOT NULL,
    id          bigint NOT NULL,                -- the same in every space
    from_id     bigint NOT NULL DEFAULT 0,      -- the owner
    to_id       bigint NOT NULL DEFAULT 0,
    from_name   text COLLATE "C" NOT NULL DEFAULT '',  -- only while from_id is 0
    to_name     text COLLATE "C" NOT NULL DEFAULT '',
    type        text COLLATE "C" NOT NULL,
    strength    double precision NOT NULL DEFAULT 1.0,
    metadata    bytea,                          -- msgpack map
    deleted     bigint NOT NULL DEFAULT 0,      -- in an overlay: the parent's relation is hidden
    began       bigint NOT NULL,
    ended       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (row, from_id)
);
CREATE INDEX relations_id ON relations (space, id);
CREATE INDEX relations_from ON relations (from_id, space, to_id, to_name) WHERE from_id > 0;
CREATE INDEX relations_to ON relations (to_id, space) WHERE to_id > 0;
CREATE INDEX relations_from_name ON relations (from_name, space, to_id, to_name) WHERE from_id = 0;
CREATE INDEX relations_to_name ON relations (to_name, space) WHERE to_id = 0;

-- A line in a stream; a stream is an entity. Append-only, the id is the order that everybody agrees on.
CREATE TABLE messages (
    id          bigint NOT NULL,
    space       bigint NOT NULL,
    stream      bigint NOT NULL,
    role        text COLLATE "C",               -- NULL: user, as most are
    kind        text COLLATE "C",               -- NULL: dialogue, as most are
    speaker     text COLLATE "C" NOT NULL DEFAULT '',
    at          bigint NOT NULL,                -- when it was said
    tick        bigint,
    importance  double precision,
    tokens      bigint,
    length      bigint NOT NULL DEFAULT 0,      -- in words: its rank depends on it
    began       bigint NOT NULL,
    ended       bigint NOT NULL DEFAULT 0,
    crc         bigint NOT NULL,
    body        bytea NOT NULL,                 -- [content, provider, metadata]
    block       bigint NOT NULL DEFAULT 0,      -- the block that holds the body, which is then empty here; 0: none
    PRIMARY KEY (id, stream, at)
) PARTITION BY RANGE (at);
CREATE TABLE messages_other PARTITION OF messages DEFAULT;  -- of months that have no partition
CREATE INDEX messages_stream ON messages (stream, id) INCLUDE (space, began, ended);  -- counting touches no row
CREATE INDEX messages_kind ON messages (stream, kind, id);
CREATE INDEX messages_at ON messages (stream, at);
CREATE INDEX messages_tick ON messages (stream, tick) WHERE tick IS NOT NULL;
CREATE INDEX messages_space ON messages (space, id) WHERE space > 1;  -- what a branch adds; `default` is no branch

-- What archived messages say: the bodies of some hundred of a stream, packed together. Their rows stay where they are, so that
-- views, searches and exports know no difference; a body is found in its block by its checksum.
CREATE TABLE blocks (
    id          bigint NOT NULL,
    space       bigint NOT NULL,
    stream      bigint NOT NULL,
    first       bigint NOT NULL,                -- the oldest message in it
    last        bigint NOT NULL,
    bytes       bigint NOT NULL,                -- of the bodies as they were stored before
    crc         bigint NOT NULL,                -- CRC-32 of the unpacked block
    body        bytea NOT NULL,                 -- the plain bodies, each once
    PRIMARY KEY (id, stream)
);
CREATE INDEX blocks_stream ON blocks (stream, first);

-- Files of cold storage, beside the store: what was archived out of it, some hundred entities in each. A file is on disk before
-- the row that names it, and is never altered; what must leave it is left out of a new one.
CREATE TABLE cold_files (
    id          bigint PRIMARY KEY,
    name        text    NOT NULL UNIQUE,
    at          bigint NOT NULL,
    bytes       bigint NOT NULL,
    sha256      text    NOT NULL,
    due         bigint NOT NULL DEFAULT 0      -- when it may be deleted; 0: it is needed
);

-- Which entity lies in which file. Its row in `entities` is a tombstone that keeps its address: id, name, type, tags, short properties.
CREATE TABLE cold_entities (
    space       bigint NOT NULL,
    entity      bigint NOT NULL,
    file        bigint NOT NULL,
    at          bigint NOT NULL,
    versions    bigint NOT NULL,
    messages    bigint NOT NULL,
    living      bigint NOT NULL DEFAULT 1,     -- 0: it was brought back, and the file still has it
    PRIMARY KEY (space, entity, file)
);
CREATE INDEX cold_entities_file ON cold_entities (file);

-- The searchable text of an entity's head (part 0), of an observation (part = its id) or of a message. Derived from the
-- owner, ended with it; the words themselves stand in the two indexes below under the passage's id.
CREATE TABLE passages (
    id          bigint NOT NULL,
    space       bigint NOT NULL,
    entity      bigint NOT NULL,                -- for a message: its stream
    part        bigint NOT NULL DEFAULT 0,
    message     bigint NOT NULL DEFAULT 0,
    began       bigint NOT NULL,
    ended       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (id, entity)
) PARTITION BY HASH (entity);
CREATE INDEX passages_entity ON passages (entity, space) WHERE message = 0 AND ended = 0;
CREATE INDEX passages_message ON passages (message) WHERE message > 0;
CREATE INDEX passages_ended ON passages (entity, space) WHERE ended > 0;
CREATE INDEX passages_space ON passages (space) WHERE ended = 0 AND space > 1;  -- all of a small space; `default` is none

-- Words of the passages that last, and of those that have ended, so that searching the present never meets the past. The lexemes
-- are made by the daemon, as the SQLite engine makes them: cut at what is neither letter nor digit, without accents, stemmed. Their
-- weights say where they stand: A the name or who speaks, B the body, C what was said just before and after, D the day in words.
CREATE TABLE words (
    id          bigint NOT NULL,                -- the passage's
    entity      bigint NOT NULL,                -- the passage's, too: for a message its stream
    length      bigint NOT NULL,                -- in words: the rank depends on it
    lexemes     tsvector NOT NULL,
    PRIMARY KEY (id, entity)
) PARTITION BY HASH (entity);
CREATE INDEX ON words USING gin (lexemes);
CREATE TABLE words_past (LIKE words INCLUDING ALL) PARTITION BY HASH (entity);

-- Models that vectors were made with. Several stand side by side: the one that serves, one that a reindex is filling, those of
-- callers who bring vectors of their own.
CREATE TABLE models (
    id          bigint PRIMARY KEY CHECK (id BETWEEN 1 AND 63),
    name        text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL UNIQUE,  -- of all that decides a vector: other models' vectors are never compared
    dimension   bigint NOT NULL,
    source      text COLLATE "C" NOT NULL DEFAULT '',  -- the setting `embedder` that runs it; '' for a caller's own model
    serves      bigint NOT NULL DEFAULT 0,      -- 1: queries are answered with it; at most one
    embedded    bigint NOT NULL DEFAULT 0       -- every passage up to this id has been seen to: the rest is the backlog
);

-- What passages mean, as a model sees it: whole numbers from -127 to 127, scaled so that the largest component is 127. A message's
-- vector stands under its passage; an entity's passages of one change share vectors, each under the first of those that it speaks
-- for. It lasts as long as its passage is kept, so that the past can be searched too.
CREATE TABLE vectors (
    passage     bigint NOT NULL,
    model       bigint NOT NULL,
    entity      bigint NOT NULL,                -- the passage's: for a message its stream
    said        bigint NOT NULL,                -- 1: it is a message's; what is near is looked for in one or the other
    vector      halfvec NOT NULL,
    PRIMARY KEY (passage, model, entity)
) PARTITION BY HASH (entity);
CREATE INDEX vectors_entity ON vectors (entity, model);             -- those of one stream

-- Eight partitions of each table that is split by owner: each with indexes an eighth as large, to be built and cleaned side by side.
DO $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['entities', 'passages', 'words', 'words_past', 'vectors'] LOOP
        FOR part IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)', one || '_' || part, one, part);
        END LOOP;
    END LOOP;
END $$;

-- Two entities that duplicate, update or contradict each other; or one entity, where two of its observations do. What they say
-- is not copied here. Resolving ends the row and begins the next with the same id.
CREATE TABLE conflicts (
    row         bigint GENERATED ALWAYS AS IDENTITY,
    space       bigint NOT NULL,
    id          bigint NOT NULL,                -- the same in every space
    entity      bigint NOT NULL,                -- the older one
    other       bigint NOT NULL,                -- the newer one
    part        bigint NOT NULL DEFAULT 0,      -- the observation of `entity` that it is about; 0: the whole
    other_part  bigint NOT NULL DEFAULT 0,      -- of a merge: the branch
    type        text COLLATE "C" NOT NULL CHECK (type IN ('duplicate', 'update', 'contradiction', 'merge')),
    confidence  double precision NOT NULL,
    reason      text COLLATE "C" NOT NULL,
    action      text COLLATE "C" NOT NULL,      -- what is suggested: merge, update, branch, ignore
    status      text COLLATE "C" NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'merged', 'updated', 'branched', 'ignored')),
    notes       text COLLATE "C" NOT NULL DEFAULT '',
    found       bigint NOT NULL,                -- the change that recorded it
    began       bigint NOT NULL,
    ended       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (row, entity)
);
CREATE INDEX conflicts_id ON conflicts (space, id);
CREATE INDEX conflicts_entity ON conflicts (entity);
CREATE INDEX conflicts_other ON conflicts (other);

-- How often and when an entity was last read. Written in batches: a read is not a write.
CREATE TABLE uses (
    entity      bigint PRIMARY KEY,
    count       bigint NOT NULL,
    last        bigint NOT NULL
);

-- Answers to changes that carried a key, so that a repeat is answered and not applied again.
CREATE TABLE answers (
    uid         bigint NOT NULL,
    key         text COLLATE "C" NOT NULL,
    number      bigint NOT NULL,                -- the change, 0 where nothing changed
    at          bigint NOT NULL,
    op          text COLLATE "C" NOT NULL,
    answer      bytea NOT NULL,                 -- msgpack, compressed as bodies are
    PRIMARY KEY (uid, key)
);
CREATE INDEX answers_at ON answers (at);

-- Who asked for what, and what callers noted of accesses of their own. Never what was remembered. A row outlives what it is about.
CREATE SEQUENCE access_id;
CREATE TABLE access (
    id          bigint NOT NULL DEFAULT nextval('access_id'),  -- partitioned tables have identities since PostgreSQL 17 alone
    at          bigint NOT NULL,
    op          text COLLATE "C" NOT NULL,
    origin      bigint NOT NULL,
    space       text COLLATE "C" NOT NULL,
    pid         bigint NOT NULL,
    us          bigint NOT NULL,                -- microseconds it took
    error       text COLLATE "C" NOT NULL DEFAULT '',  -- the error's code; '' where all went well
    number      bigint NOT NULL DEFAULT 0,      -- the change it made, 0: none
    entity      bigint NOT NULL DEFAULT 0,      -- noted by a caller: what it was about, 0: no single one
    address     text COLLATE "C" NOT NULL DEFAULT '',  -- noted by a caller: where its own caller is
    request     text COLLATE "C" NOT NULL DEFAULT '',  -- noted by a caller: what was asked as JSON, without any text that was
    says        text COLLATE "C" NOT NULL DEFAULT '',  -- noted by a caller: what went wrong, without what was quoted
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE access_other PARTITION OF access DEFAULT;
ALTER SEQUENCE access_id OWNED BY access.id;
CREATE INDEX access_at ON access (at);
CREATE INDEX access_entity ON access (entity, id) WHERE entity > 0;

-- Compression dictionaries by the id that bodies name. Never removed while a body needs them.
CREATE TABLE dictionaries (
    id          bigint PRIMARY KEY CHECK (id BETWEEN 1 AND 255),
    at          bigint NOT NULL,
    bytes       bytea NOT NULL
);

-- Backups that were made and verified.
CREATE TABLE backups (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          bigint NOT NULL,
    path        text COLLATE "C" NOT NULL,
    bytes       bigint NOT NULL,
    sha256      text COLLATE "C" NOT NULL,
    number      bigint NOT NULL
);

-- The space everybody starts in.
INSERT INTO spaces (id, name, began) VALUES (1, 'default', 0);
INSERT INTO numbers (id) VALUES (1);
INSERT INTO meta (key, value) VALUES ('schema', '5');
