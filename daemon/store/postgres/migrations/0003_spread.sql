-- Tables that can be spread: what belongs to an entity or a stream holds its number in every key, hash partitions for entities,
-- passages, words and vectors, a partition for each month of messages and of the access log. Rows are copied once, so that there
-- must be room for the larger of these tables a second time; the tables are locked until it is done.

-- The tables as they were, and their indexes, whatever they are called, give their names to the new ones.
DO $$
DECLARE
    one text;
    what text;
BEGIN
    FOREACH one IN ARRAY ARRAY['entities', 'messages', 'passages', 'words', 'words_past', 'vectors', 'access'] LOOP
        FOR what IN SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = one::regclass LOOP
            EXECUTE format('ALTER INDEX %I RENAME TO %I', what, what || '_before');
        END LOOP;
        EXECUTE format('ALTER TABLE %I RENAME TO %I', one, one || '_before');
    END LOOP;
END $$;

CREATE TABLE entities (
    space       bigint NOT NULL,
    id          bigint NOT NULL,
    scope       text COLLATE "C" NOT NULL DEFAULT '',
    type        text COLLATE "C" NOT NULL,
    version     bigint NOT NULL,
    first       bigint NOT NULL,
    began       bigint NOT NULL,
    deleted     bigint NOT NULL DEFAULT 0,
    tier        bigint NOT NULL DEFAULT 0,
    priority    bigint NOT NULL DEFAULT 5,
    pinned      bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    expires_at  bigint,
    text_bytes  bigint NOT NULL,
    crc         bigint NOT NULL,
    body        bytea NOT NULL,
    PRIMARY KEY (space, id)
) PARTITION BY HASH (id);
CREATE INDEX entities_id ON entities (id);
CREATE INDEX entities_type ON entities (space, type, id);
CREATE INDEX entities_began ON entities (space, began);
CREATE INDEX entities_pinned ON entities (space, id) WHERE pinned = 1;
CREATE INDEX entities_expiring ON entities (space, expires_at) WHERE expires_at IS NOT NULL AND deleted = 0;
DO $$ BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE entities_%s PARTITION OF entities FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END $$;
INSERT INTO entities (space, id, scope, type, version, first, began, deleted, tier, priority, pinned, quarantined, expires_at, text_bytes, crc, body)
SELECT space, id, scope, type, version, first, began, deleted, tier, priority, pinned, quarantined, expires_at, text_bytes, crc, body FROM entities_before;
DROP TABLE entities_before;

CREATE TABLE messages (
    id          bigint NOT NULL,
    space       bigint NOT NULL,
    stream      bigint NOT NULL,
    role        text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    speaker     text COLLATE "C" NOT NULL DEFAULT '',
    at          bigint NOT NULL,
    tick        bigint,
    importance  double precision,
    tokens      bigint,
    length      bigint NOT NULL DEFAULT 0,
    began       bigint NOT NULL,
    ended       bigint NOT NULL DEFAULT 0,
    crc         bigint NOT NULL,
    body        bytea NOT NULL,
    block       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (id, stream, at)
) PARTITION BY RANGE (at);
CREATE INDEX messages_stream ON messages (stream, id) INCLUDE (space, began, ended);
CREATE INDEX messages_kind ON messages (stream, kind, id);
CREATE INDEX messages_at ON messages (stream, at);
CREATE INDEX messages_tick ON messages (stream, tick) WHERE tick IS NOT NULL;
CREATE INDEX messages_space ON messages (space, id) WHERE space > 1;
CREATE TABLE messages_other PARTITION OF messages DEFAULT;
DO $$
DECLARE
    month timestamp;
BEGIN
    FOR month IN SELECT date_trunc('month', to_timestamp(at / 1000.0) AT TIME ZONE 'UTC') FROM messages_before
                 WHERE at BETWEEN -62135596800000 AND 253402300799999 GROUP BY 1 HAVING count(*) >= 10000 LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF messages FOR VALUES FROM (%s) TO (%s)', 'messages_' || to_char(month, 'YYYY_MM'),
            (extract(epoch FROM month) * 1000)::bigint, (extract(epoch FROM month + interval '1 month') * 1000)::bigint);
    END LOOP;
END $$;
INSERT INTO messages (id, space, stream, role, kind, speaker, at, tick, importance, tokens, length, began, ended, crc, body, block)
SELECT id, space, stream, role, kind, speaker, at, tick, importance, tokens, length, began, ended, crc, body, block FROM messages_before;
DROP TABLE messages_before;

CREATE TABLE passages (
    id          bigint NOT NULL,
    space       bigint NOT NULL,
    entity      bigint NOT NULL,
    part        bigint NOT NULL DEFAULT 0,
    message     bigint NOT NULL DEFAULT 0,
    began       bigint NOT NULL,
    ended       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (id, entity)
) PARTITION BY HASH (entity);
CREATE INDEX passages_entity ON passages (entity, space) WHERE message = 0 AND ended = 0;
CREATE INDEX passages_message ON passages (message) WHERE message > 0;
CREATE INDEX passages_ended ON passages (entity, space) WHERE ended > 0;
DO $$ BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE passages_%s PARTITION OF passages FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END $$;
INSERT INTO passages (id, space, entity, part, message, began, ended)
SELECT id, space, entity, part, message, began, ended FROM passages_before;
DROP TABLE passages_before;

CREATE TABLE words (
    id          bigint NOT NULL,
    entity      bigint NOT NULL,
    length      bigint NOT NULL,
    lexemes     tsvector NOT NULL,
    PRIMARY KEY (id, entity)
) PARTITION BY HASH (entity);
CREATE INDEX ON words USING gin (lexemes);
DO $$ BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE words_%s PARTITION OF words FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END $$;
INSERT INTO words (id, entity, length, lexemes) SELECT w.id, p.entity, w.length, w.lexemes FROM words_before w JOIN passages p ON p.id = w.id;
DROP TABLE words_before;

CREATE TABLE words_past (LIKE words INCLUDING ALL) PARTITION BY HASH (entity);
DO $$ BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE words_past_%s PARTITION OF words_past FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END $$;
INSERT INTO words_past (id, entity, length, lexemes) SELECT w.id, p.entity, w.length, w.lexemes FROM words_past_before w JOIN passages p ON p.id = w.id;
DROP TABLE words_past_before;

CREATE TABLE vectors (
    passage     bigint NOT NULL,
    model       bigint NOT NULL,
    entity      bigint NOT NULL,
    said        bigint NOT NULL,
    vector      halfvec NOT NULL,
    PRIMARY KEY (passage, model, entity)
) PARTITION BY HASH (entity);
DO $$ BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE vectors_%s PARTITION OF vectors FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END $$;
INSERT INTO vectors (passage, model, entity, said, vector)
SELECT v.passage, v.model, p.entity, (p.message > 0)::int, v.vector FROM vectors_before v JOIN passages p ON p.id = v.passage;
DROP TABLE vectors_before;

CREATE SEQUENCE access_id;
SELECT setval('access_id', coalesce((SELECT max(id) FROM access_before), 0) + 1, false);
CREATE TABLE access (
    id          bigint NOT NULL DEFAULT nextval('access_id'),
    at          bigint NOT NULL,
    op          text COLLATE "C" NOT NULL,
    origin      bigint NOT NULL,
    space       text COLLATE "C" NOT NULL,
    pid         bigint NOT NULL,
    us          bigint NOT NULL,
    error       text COLLATE "C" NOT NULL DEFAULT '',
    number      bigint NOT NULL DEFAULT 0,
    entity      bigint NOT NULL DEFAULT 0,
    address     text COLLATE "C" NOT NULL DEFAULT '',
    request     text COLLATE "C" NOT NULL DEFAULT '',
    says        text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX access_at ON access (at);
CREATE INDEX access_entity ON access (entity, id) WHERE entity > 0;
CREATE TABLE access_other PARTITION OF access DEFAULT;
ALTER SEQUENCE access_id OWNED BY access.id;
DO $$
DECLARE
    month timestamp;
BEGIN
    FOR month IN SELECT date_trunc('month', to_timestamp(at / 1000.0) AT TIME ZONE 'UTC') FROM access_before
                 WHERE at BETWEEN -62135596800000 AND 253402300799999 GROUP BY 1 HAVING count(*) >= 10000 LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF access FOR VALUES FROM (%s) TO (%s)', 'access_' || to_char(month, 'YYYY_MM'),
            (extract(epoch FROM month) * 1000)::bigint, (extract(epoch FROM month + interval '1 month') * 1000)::bigint);
    END LOOP;
END $$;
INSERT INTO access (id, at, op, origin, space, pid, us, error, number, entity, address, request, says)
SELECT id, at, op, origin, space, pid, us, error, number, entity, address, request, says FROM access_before;
DROP TABLE access_before;

-- These stay as they are but for their keys.
ALTER TABLE relations DROP CONSTRAINT relations_pkey, ADD PRIMARY KEY (row, from_id);
ALTER TABLE conflicts DROP CONSTRAINT conflicts_pkey, ADD PRIMARY KEY (row, entity);
ALTER TABLE blocks DROP CONSTRAINT blocks_pkey, ADD PRIMARY KEY (id, stream);

-- An index that was being made a second time begins anew.
DROP TABLE IF EXISTS words_next;
