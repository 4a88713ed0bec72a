-- The statements that the daemon runs on PostgreSQL alone, by name, besides those of `../queries.sql`: the same names as in the
-- SQLite engine's file, and the same meaning. A value is always bound (:name). What follows it says how it travels: a list comes
-- as JSON and is bound as an array where `::bigint[]` or `::text[]` stands behind it, an int8 vector where `::halfvec` does.
-- `:value__kind`, `:value__number` and `:value__word` are the three parts of a property's value. `/*also*/` is where named
-- conditions are added, `/*key*/` where a named expression to order by is, `/*down*/` where its direction is, `/*part name*/` stands
-- for another of these, and nothing else is ever put into a statement's text. Where a message's body stands in a block, its row
-- tells the block instead: a byte 255 and the number.

-- Spaces

-- name: add_space
-- Writers take turns, so that the next number is nobody else's.
INSERT INTO spaces (id, name, parent, pinned, kind, entity, metadata, began)
SELECT coalesce(max(id), 0) + 1, :name, :parent, :pinned, :kind, :entity, :metadata, :began FROM spaces

-- Branches

-- name: own_messages
SELECT m.id, m.space, m.stream, coalesce(m.role, 'user'), coalesce(m.kind, 'dialogue'), m.speaker, m.at, m.tick, m.importance, m.tokens, m.began, m.crc, CASE WHEN m.block > 0 THEN '\xff'::bytea || int8send(m.block) ELSE m.body END
FROM messages m WHERE m.space = :space AND m.space > 1 AND m.began > :since AND m.ended = 0 /*also*/ ORDER BY m.id

-- name: own_ends
SELECT from_name FROM relations WHERE from_id = 0 AND from_name = ANY (:names::text[]) AND space = :space
UNION SELECT to_name FROM relations WHERE to_id = 0 AND to_name = ANY (:names::text[]) AND space = :space

-- Changes and their journal

-- name: changes
SELECT c.number, c.at, c.op, c.message, o.channel, o.client, o.agent, o.session, o.tool, o.run, o."user", o.method, o.trust
FROM changes c JOIN origins o ON o.id = c.origin WHERE c.number = ANY (:numbers::bigint[])

-- The journal, newest change first; its conditions follow.
-- name: journal_changes
SELECT c.number, c.at, c.op, c.message, c.space, o.channel, o.client, o.agent, o.session, o.tool, o.run, o."user", o.method, o.trust,
       (SELECT u.number FROM journal u WHERE u.subject = 'change' AND u.id = c.number AND u.act = 'undo' AND NOT EXISTS (
            SELECT 1 FROM journal l WHERE l.subject = 'change' AND l.id = c.number AND l.number > u.number)
        ORDER BY u.number DESC LIMIT 1)
FROM changes c JOIN origins o ON o.id = c.origin
WHERE c.space = ANY (:spaces::bigint[]) AND c.number <= :at /*also*/
ORDER BY c.number DESC LIMIT :limit

-- name: change_by_ops
AND c.op = ANY (:ops::text[])

-- name: change_of_entity
AND c.number IN (
    SELECT began FROM entities WHERE id = :entity AND space = ANY (:spaces::bigint[])
    UNION SELECT began FROM versions WHERE entity = :entity AND space = ANY (:spaces::bigint[])
    UNION SELECT began FROM relations WHERE from_id = :entity AND from_id > 0
    UNION SELECT ended FROM relations WHERE from_id = :entity AND from_id > 0
    UNION SELECT began FROM relations WHERE to_id = :entity AND to_id > 0
    UNION SELECT ended FROM relations WHERE to_id = :entity AND to_id > 0
    UNION SELECT began FROM messages WHERE stream = :entity
    UNION SELECT ended FROM messages WHERE stream = :entity AND ended > 0)

-- name: journal_of
SELECT number, seq, subject, id, act, before, after FROM journal WHERE number = ANY (:numbers::bigint[]) ORDER BY number DESC, seq

-- Where changes come from

-- name: origin_id
SELECT id FROM origins
WHERE session = :session AND agent = :agent AND client = :client AND channel = :channel AND tool = :tool AND run = :run
  AND "user" = :user AND method = :method AND trust = :trust

-- name: add_origin
INSERT INTO origins (id, channel, client, agent, session, tool, run, "user", method, trust)
SELECT coalesce(max(id), 0) + 1, :channel, :client, :agent, :session, :tool, :run, :user, :method, :trust FROM origins

-- name: origins
SELECT id, channel, client, agent, session, tool, run, "user", method, trust FROM origins WHERE id = ANY (:ids::bigint[])

-- Entities: one by its id, many, and listings

-- name: entities_by_id
SELECT e.id, e.space, e.scope, e.version, e.first, e.began, e.deleted, e.crc, e.body, e.text_bytes,
       (SELECT at FROM changes WHERE number = e.began), (SELECT at FROM changes WHERE number = e.first), u.count, u.last
FROM entities e LEFT JOIN uses u ON u.entity = e.id
WHERE e.space = :space AND e.id = ANY (:ids::bigint[]) ORDER BY e.id

-- name: entities_meeting
SELECT e.id FROM entities e WHERE e.space = :space AND e.id = ANY (:ids::bigint[]) /*also*/ ORDER BY e.id

-- name: living_bodies
SELECT id, crc, body FROM entities WHERE space = :space AND deleted = 0 AND id = ANY (:ids::bigint[]) ORDER BY id

-- name: known_heads
SELECT coalesce(json_agg(json_build_array(id, deleted)), '[]') FROM entities WHERE space = :space AND id = ANY (:ids::bigint[])

-- name: known_in
SELECT id FROM entities WHERE space = :space AND first <= :at AND id = ANY (:ids::bigint[]) ORDER BY id

-- name: list_ids
SELECT e.id, /*key*/ FROM entities e
WHERE e.space = :space AND e.began <= :at AND e.deleted = :deleted
  AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN entities s ON s.space = (n.value ->> 0)::bigint AND s.id = e.id AND s.first <= (n.value ->> 1)::bigint)
  /*also*/
ORDER BY /*key*/ /*down*/, e.id /*down*/ LIMIT :limit

-- name: list_ids_few
-- The same of some entities, which are looked up one by one.
SELECT e.id, /*key*/ FROM entities e
WHERE e.space = :space AND e.id = ANY (:few::bigint[]) AND e.began <= :at AND e.deleted = :deleted
  AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN entities s ON s.space = (n.value ->> 0)::bigint AND s.id = e.id AND s.first <= (n.value ->> 1)::bigint)
  /*also*/
ORDER BY /*key*/ /*down*/, e.id /*down*/ LIMIT :limit

-- name: list_ids_by_name
SELECT e.id, m.name FROM names m JOIN entities e ON e.space = m.space AND e.id = m.entity
WHERE m.space = :space AND m.ended = 0 AND e.began <= :at AND e.deleted = :deleted
  AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN entities s ON s.space = (n.value ->> 0)::bigint AND s.id = e.id AND s.first <= (n.value ->> 1)::bigint)
  /*also*/
ORDER BY m.name /*down*/, e.id /*down*/ LIMIT :limit

-- name: list_ids_by_property
SELECT id, kind, number, word FROM (
    SELECT DISTINCT ON (e.id) e.id, p.kind, p.number, p.word FROM properties p JOIN entities e ON e.space = p.space AND e.id = p.entity
    WHERE p.space = :space AND p.key = :order_key AND p.kind < 3 AND p.ended = 0 AND e.began <= :at AND e.deleted = :deleted
      AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN entities s ON s.space = (n.value ->> 0)::bigint AND s.id = e.id AND s.first <= (n.value ->> 1)::bigint)
      /*also*/
    ORDER BY e.id, p.kind, p.number, p.word) least
WHERE :beyond_id = 0 OR CASE WHEN :falling <> 0 THEN (kind, number, word, id) < (:beyond__kind, :beyond__number::numeric, :beyond__word, :beyond_id)
                             ELSE (kind, number, word, id) > (:beyond__kind, :beyond__number::numeric, :beyond__word, :beyond_id) END
ORDER BY kind /*down*/, number /*down*/, word /*down*/, id /*down*/ LIMIT :limit

-- name: tended
-- A page of one space's own entities as curation looks at them; `declined` is told of what an undoing of curation made so.
SELECT coalesce(json_agg(json_build_array(id, type, tier, began, made_at, changed_at, declined, used, used_at) ORDER BY id), '[]') FROM (
    SELECT e.id, e.type, e.tier, e.began, f.at AS made_at, c.at AS changed_at, u.count AS used, u.last AS used_at,
           CASE WHEN c.op <> 'undo' THEN 0 ELSE (EXISTS (
               SELECT 1 FROM journal j JOIN changes k ON k.number = j.id
               WHERE j.number = e.began AND j.subject = 'change' AND j.act = 'undo' AND k.op = 'autonomous_curation'))::int END AS declined
    FROM entities e JOIN changes c ON c.number = e.began JOIN changes f ON f.number = e.first LEFT JOIN uses u ON u.entity = e.id
    WHERE e.space = :space AND e.id > :after AND e.deleted = 0 AND e.quarantined = 0 AND (e.expires_at IS NULL OR e.expires_at > :now)
    ORDER BY e.id LIMIT :limit) page

-- name: tended_size
SELECT count(*), coalesce(sum(text_bytes), 0)::bigint FROM entities WHERE space = :space AND deleted = 0

-- name: tended_links
SELECT id, links FROM (
    SELECT j.id, (SELECT count(*) FROM relations r WHERE r.from_id = j.id AND r.from_id > 0 AND r.space = :space AND r.ended = 0 AND r.deleted = 0)
               + (SELECT count(*) FROM relations r WHERE r.to_id = j.id AND r.to_id > 0 AND r.space = :space AND r.ended = 0 AND r.deleted = 0) AS links
    FROM unnest(:ids::bigint[]) j (id)) linked WHERE links > 0

-- name: tended_origins
SELECT DISTINCT began FROM messages WHERE id = ANY (:ids::bigint[])

-- name: tended_runs
SELECT s.name, m.value FROM spaces s LEFT JOIN meta m ON m.key = :prefix::text || s.id::text WHERE s.ended = 0 AND s.kind = 'space' ORDER BY s.id

-- name: bodies
SELECT e.id, e.began, e.crc, e.body FROM entities e
WHERE e.space = :space AND e.began <= :at AND e.deleted = 0 AND (e.began, e.id) < (:beyond, :beyond_id)
  AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN entities s ON s.space = (n.value ->> 0)::bigint AND s.id = e.id AND s.first <= (n.value ->> 1)::bigint)
  /*also*/
ORDER BY e.began DESC, e.id DESC LIMIT :limit

-- What has changed since, as it was then: in the order of ids, of changes or of what was said, of names, of a property's values.
-- name: changed_since
SELECT e.id, e.id FROM entities e
WHERE e.space = :space AND e.began > :at AND e.first <= :at
  AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN entities s ON s.space = (n.value ->> 0)::bigint AND s.id = e.id AND s.first <= (n.value ->> 1)::bigint)
  /*also*/
ORDER BY e.id /*down*/ LIMIT :limit

-- name: changed_then
SELECT e.id, /*key*/ FROM entities e JOIN LATERAL (
    SELECT w.began, w.deleted FROM versions w WHERE w.space = e.space AND w.entity = e.id AND w.began <= :at ORDER BY w.began DESC LIMIT 1) v ON v.deleted = :deleted
WHERE e.space = :space AND e.began > :at AND e.first <= :at
  AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN entities s ON s.space = (n.value ->> 0)::bigint AND s.id = e.id AND s.first <= (n.value ->> 1)::bigint)
  /*also*/
ORDER BY /*key*/ /*down*/, e.id /*down*/ LIMIT :limit

-- name: changed_by_name
SELECT e.id, m.name FROM names m JOIN entities e ON e.space = m.space AND e.id = m.entity
WHERE m.space = :space AND m.began <= :at AND (m.ended = 0 OR m.ended > :at) AND e.began > :at AND e.first <= :at
  AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN entities s ON s.space = (n.value ->> 0)::bigint AND s.id = e.id AND s.first <= (n.value ->> 1)::bigint)
  /*also*/
ORDER BY m.name /*down*/, e.id /*down*/ LIMIT :limit

-- name: changed_by_property
SELECT id, kind, number, word FROM (
    SELECT DISTINCT ON (e.id) e.id, p.kind, p.number, p.word FROM properties p JOIN entities e ON e.space = p.space AND e.id = p.entity
    WHERE p.space = :space AND p.key = :order_key AND p.kind < 3 AND p.began <= :at AND (p.ended = 0 OR p.ended > :at)
      AND e.began > :at AND e.first <= :at
      AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN entities s ON s.space = (n.value ->> 0)::bigint AND s.id = e.id AND s.first <= (n.value ->> 1)::bigint)
    ORDER BY e.id, p.kind, p.number, p.word) least
WHERE :beyond_id = 0 OR CASE WHEN :falling <> 0 THEN (kind, number, word, id) < (:beyond__kind, :beyond__number::numeric, :beyond__word, :beyond_id)
                             ELSE (kind, number, word, id) > (:beyond__kind, :beyond__number::numeric, :beyond__word, :beyond_id) END
ORDER BY kind /*down*/, number /*down*/, word /*down*/, id /*down*/ LIMIT :limit

-- The version that stood at a change, of each entity, and those after it up to a whole one.
-- name: versions_back
SELECT v.entity, v.version, v.began, v.deleted, v.whole, v.crc, v.body, c.at FROM unnest(:ids::bigint[]) j (id)
JOIN LATERAL (SELECT w.entity, w.version, w.ended FROM versions w WHERE w.space = :space AND w.entity = j.id AND w.began <= :at ORDER BY w.began DESC LIMIT 1) t ON t.ended > :at
JOIN LATERAL (SELECT * FROM versions w WHERE w.space = :space AND w.entity = t.entity AND w.version >= t.version AND w.version <= t.version + :most) v ON true
LEFT JOIN changes c ON c.number = v.began

-- name: key_spoken
greatest(e.began, coalesce((
    SELECT m.began FROM messages m JOIN json_array_elements(:layers::json) l ON m.space = (l.value ->> 0)::bigint
    WHERE m.stream = e.id AND m.began <= (l.value ->> 1)::bigint AND (m.ended = 0 OR m.ended > (l.value ->> 1)::bigint) ORDER BY m.id DESC LIMIT 1), 0))

-- name: then_spoken
greatest(v.began, coalesce((
    SELECT m.began FROM messages m JOIN json_array_elements(:layers::json) l ON m.space = (l.value ->> 0)::bigint
    WHERE m.stream = e.id AND m.began <= (l.value ->> 1)::bigint AND (m.ended = 0 OR m.ended > (l.value ->> 1)::bigint) ORDER BY m.id DESC LIMIT 1), 0))

-- name: key_property
p.number

-- Conditions on head rows. In a layer of the past, what has changed since is judged by the same names in daemon/store/past.py.

-- name: of_types
AND e.type = ANY (:types::text[])
-- name: of_tiers
AND e.tier = ANY (:tiers::bigint[])

-- name: updated_since
AND e.began >= coalesce((SELECT min(number) FROM changes WHERE at >= :updated_since), 4611686018427387904)

-- name: with_tags
AND (SELECT count(*) FROM unnest(:tags::text[]) t (tag) WHERE EXISTS (
       SELECT 1 FROM tags g WHERE g.space = e.space AND g.tag = t.tag AND g.entity = e.id AND g.ended = 0)) = cardinality(:tags::text[])
-- name: with_properties
AND NOT EXISTS (
      SELECT 1 FROM json_array_elements(:filters::json) f
      WHERE ((f.value ->> 'absent') = '1') = EXISTS (
        SELECT 1 FROM properties p
        WHERE p.space = e.space AND p.key = f.value ->> 'key' AND p.entity = e.id AND p.ended = 0
          AND (f.value -> 'any_of' IS NULL OR EXISTS (
                SELECT 1 FROM json_array_elements(f.value -> 'any_of') a
                WHERE CASE json_typeof(a.value) WHEN 'number' THEN p.kind = 1 AND p.number = (a.value #>> '{}')::numeric
                                                WHEN 'string' THEN p.kind = 2 AND p.word = a.value #>> '{}' ELSE false END))
          AND (f.value -> 'at_least' IS NULL OR CASE json_typeof(f.value -> 'at_least')
                WHEN 'number' THEN p.kind = 1 AND p.number >= (f.value ->> 'at_least')::numeric
                WHEN 'string' THEN p.kind = 2 AND p.word >= f.value ->> 'at_least' ELSE false END)
          AND (f.value -> 'at_most' IS NULL OR CASE json_typeof(f.value -> 'at_most')
                WHEN 'number' THEN p.kind = 1 AND p.number <= (f.value ->> 'at_most')::numeric
                WHEN 'string' THEN p.kind = 2 AND p.word <= f.value ->> 'at_most' ELSE false END)))

-- Names

-- Where it is known that nothing goes by the name: the server need not be waited for.
-- name: add_free_name
INSERT INTO names (space, name, scope, began, entity) VALUES (:space, :name, :scope, :began, :entity)

-- name: deleted_names
SELECT entity FROM names WHERE space = :space AND name = :name AND began <= :at AND (ended > 0 OR :below <> 0) ORDER BY ended = 0 DESC, ended DESC

-- Writing entities

-- name: prune_versions
DELETE FROM versions WHERE space = :space AND entity = :entity AND version <= :version AND version < coalesce((
    SELECT min(v.version) FROM versions v
    WHERE v.space = :space AND v.entity = :entity
      AND (EXISTS (SELECT 1 FROM spaces s WHERE s.pinned >= v.began AND s.pinned < v.ended AND s.pinned > 0 AND s.ended = 0)
        OR EXISTS (SELECT 1 FROM snapshots n WHERE n.number >= v.began AND n.number < v.ended AND n.ended = 0))), 4611686018427387904)

-- Tags and properties

-- name: add_property
INSERT INTO properties (space, key, kind, number, word, entity, began)
VALUES (:space, :key, :value__kind, :value__number::numeric, :value__word, :entity, :began)

-- name: drop_property_begun
DELETE FROM properties WHERE space = :space AND key = :key AND kind = :value__kind AND number = :value__number::numeric AND word = :value__word AND entity = :entity AND ended = 0 AND began = :number

-- name: end_property
UPDATE properties SET ended = :number WHERE space = :space AND key = :key AND kind = :value__kind AND number = :value__number::numeric AND word = :value__word AND entity = :entity AND ended = 0

-- Passages and words

-- Words as lexemes, weighed by where they stand: A the name, B the body, C what is near, D the day.

-- name: add_words
INSERT INTO words (id, entity, length, lexemes) VALUES (:id, :entity, :words__length, :words__lexemes::tsvector)

-- name: drop_words
DELETE FROM words WHERE id = :id

-- name: add_words_past
INSERT INTO words_past (id, entity, length, lexemes) VALUES (:id, :entity, :words__length, :words__lexemes::tsvector)

-- name: drop_words_past
DELETE FROM words_past WHERE id = :id

-- Rows that were deleted are cleared by VACUUM, which no transaction may hold: the engine's `scrub` does it.
-- name: scour_words
SELECT 1

-- name: scour_words_past
SELECT 1

-- A search's rows come as one: a reader lets go of the interpreter for each row, and would have to win it back as often.

-- The score is BM25 as FTS5 has it (`K1` and `B` of words.py), over what `:asked` says of each lexeme.
-- What was asked is read once: read for each row, it took four times as long as all the rest.
-- name: words_row
WITH q AS MATERIALIZED (SELECT * FROM json_to_recordset(:asked::json) q (lexeme text, beginning bool, idf float8))
SELECT coalesce(json_agg(json_build_array(id, score, space, entity, part, message, began, ended)), '[]') FROM (
    SELECT p.id, p.space, p.entity, p.part, p.message, p.began, p.ended,
           sum(q.idf * f.often * (:k1::float8 + 1) / (f.often + :k1 * (1 - :b::float8 + :b * w.length / :average_length::float8))) AS score

-- name: words_scored
CROSS JOIN LATERAL unnest(w.lexemes) u
    JOIN q ON q.lexeme = u.lexeme OR (q.beginning AND starts_with(u.lexeme, q.lexeme))
    CROSS JOIN LATERAL (SELECT sum(CASE at WHEN 'A' THEN :name_weight::float8 WHEN 'B' THEN 1.0 WHEN 'C' THEN :near_weight::float8
                                           ELSE :dates_weight::float8 END) AS often FROM unnest(u.weights) at) f
    WHERE w.lexemes @@ :query::tsquery
      AND p.space = ANY (:spaces::bigint[]) AND (p.message > 0)::int = :messages AND (:stream = 0 OR p.entity = :stream) /*also*/
    GROUP BY p.id, p.space, p.entity, p.part, p.message, p.began, p.ended
    ORDER BY score DESC, p.id LIMIT :limit) best

-- Where it is not all passages that are looked at. Where it is, it would have the planner ask the index of ids for them all, to have
-- them met with the word's.
-- name: words_within
AND w.id > :floor AND w.id <= :ceiling

-- name: words_match
/*part words_row*/
    FROM words w JOIN passages p ON p.id = w.id AND p.entity = w.entity
    /*part words_scored*/

-- name: words_match_entities
/*part words_row*/
    FROM words w JOIN passages p ON p.id = w.id AND p.entity = w.entity JOIN entities e ON e.space = p.space AND e.id = p.entity
    /*part words_scored*/

-- name: words_match_messages
/*part words_row*/
    FROM words w JOIN passages p ON p.id = w.id AND p.entity = w.entity JOIN messages m ON m.id = p.message AND m.stream = p.entity
    /*part words_scored*/

-- What was found in memory, as it stands on disk:
-- name: matched
SELECT coalesce(json_agg(json_build_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended)), '[]')
FROM passages p WHERE p.id = ANY (:ids::bigint[]) AND (p.message > 0)::int = :messages

-- name: matched_entities
SELECT coalesce(json_agg(json_build_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended)), '[]')
FROM passages p JOIN entities e ON e.space = p.space AND e.id = p.entity
WHERE p.id = ANY (:ids::bigint[]) AND (p.message > 0)::int = :messages /*also*/

-- name: matched_messages
SELECT coalesce(json_agg(json_build_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended)), '[]')
FROM passages p JOIN messages m ON m.id = p.message AND m.stream = p.entity
WHERE p.id = ANY (:ids::bigint[]) AND (p.message > 0)::int = :messages /*also*/

-- Messages that are said just before or after the given ones, and after or before which.
-- name: messages_beside
SELECT coalesce(json_agg(json_build_array(json_build_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended), m.length, o.id, o.length)), '[]')
FROM messages o JOIN messages m ON m.stream = o.stream AND m.id IN (
    (SELECT max(b.id) FROM messages b WHERE b.stream = o.stream AND b.id < o.id AND b.space = o.space AND b.ended = 0),
    (SELECT min(a.id) FROM messages a WHERE a.stream = o.stream AND a.id > o.id AND a.space = o.space AND a.ended = 0))
JOIN passages p ON p.message = m.id AND p.message > 0 AND p.entity = m.stream AND p.ended = 0
WHERE o.id = ANY (:ids::bigint[]) /*also*/

-- name: words_past_match
/*part words_row*/
    FROM words_past w JOIN passages p ON p.id = w.id AND p.entity = w.entity
    /*part words_scored*/

-- Without a score, which is what takes the time:
-- name: words_every
SELECT coalesce(json_agg(json_build_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended)), '[]')
FROM words w JOIN passages p ON p.id = w.id AND p.entity = w.entity
WHERE w.lexemes @@ :query::tsquery AND p.space = ANY (:spaces::bigint[]) AND p.message = 0

-- name: words_past_every
SELECT coalesce(json_agg(json_build_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended)), '[]')
FROM words_past w JOIN passages p ON p.id = w.id AND p.entity = w.entity
WHERE w.lexemes @@ :query::tsquery AND p.space = ANY (:spaces::bigint[]) AND p.message = 0

-- name: count_words_messages
SELECT p.entity, count(*) FROM words w JOIN passages p ON p.id = w.id AND p.entity = w.entity JOIN messages m ON m.id = p.message AND m.stream = p.entity
WHERE w.lexemes @@ :query::tsquery AND p.space = ANY (:spaces::bigint[]) AND (:stream = 0 OR p.entity = :stream) /*also*/
GROUP BY p.entity

-- What the words index holds: rows, and words a row.
-- name: words_held
SELECT count(*), coalesce(avg(length), 1)::float8 FROM words

-- name: words_past_held
SELECT count(*), coalesce(avg(length), 1)::float8 FROM words_past

-- In how many rows each expression is found.
-- name: words_often
SELECT t.query, (SELECT count(*) FROM words WHERE lexemes @@ t.query::tsquery) FROM unnest(:queries::text[]) t (query)

-- The words of many rows, the most common first, and of about how many, by the planner's statistics: a thousand of each partition at the most.
-- name: words_estimated
SELECT told.term, sum(told.share * c.reltuples)::bigint FROM pg_stats s
JOIN pg_class c ON c.relname = s.tablename AND c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
CROSS JOIN LATERAL unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) told (term, share)
WHERE s.schemaname = current_schema() AND s.tablename ~ '^words(_[0-9]+)?$' AND s.attname = 'lexemes' AND told.term IS NOT NULL
GROUP BY told.term HAVING sum(told.share * c.reltuples) >= :least ORDER BY 2 DESC

-- name: words_past_often
SELECT t.query, (SELECT count(*) FROM words_past WHERE lexemes @@ t.query::tsquery) FROM unnest(:queries::text[]) t (query)

-- Relations

-- Where no nearer layer says something of a relation.
-- name: relation_not_hidden
AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN relations s ON s.space = (n.value ->> 0)::bigint AND s.id = r.id AND s.began <= (n.value ->> 1)::bigint
                  AND (s.ended = 0 OR s.ended > (n.value ->> 1)::bigint))

-- name: relations_of
SELECT r.row, r.space, r.id, r.from_id, r.to_id, r.from_name, r.to_name, r.type, r.strength, r.metadata, r.began, c.at
FROM (SELECT * FROM relations WHERE from_id = :entity AND from_id > 0 AND space = :space
      UNION ALL SELECT * FROM relations WHERE to_id = :entity AND to_id > 0 AND space = :space AND from_id <> :entity) r
LEFT JOIN changes c ON c.number = r.began
WHERE r.deleted = 0 AND r.began <= :at AND (r.ended = 0 OR r.ended > :at)
  /*part relation_not_hidden*/

-- name: relations_touching
SELECT r.row, r.space, r.id, r.from_id, r.to_id, r.from_name, r.to_name, r.type, r.strength, r.metadata, r.began, c.at
FROM (
    SELECT * FROM relations WHERE :outgoing <> 0 AND from_id > 0 AND from_id = ANY (:ids::bigint[]) AND space = :space
    UNION SELECT * FROM relations WHERE :incoming <> 0 AND to_id > 0 AND to_id = ANY (:ids::bigint[]) AND space = :space
    UNION SELECT * FROM relations WHERE :outgoing <> 0 AND from_id = 0 AND from_name = ANY (:names::text[]) AND space = :space
    UNION SELECT * FROM relations WHERE :incoming <> 0 AND to_id = 0 AND to_name = ANY (:names::text[]) AND space = :space
) r LEFT JOIN changes c ON c.number = r.began
WHERE r.deleted = 0 AND r.began <= :at AND (r.ended = 0 OR r.ended > :at)
  /*part relation_not_hidden*/
/*also*/
ORDER BY r.id LIMIT nullif(:most, -1)

-- What is there of one type between two ends. Without an order, for which the whole space would be read.
-- name: relations_same
SELECT r.row, r.space, r.id, r.from_id, r.to_id, r.from_name, r.to_name, r.type, r.strength, r.metadata, r.began, c.at
FROM (
    SELECT * FROM relations WHERE :from_id > 0 AND from_id > 0 AND from_id = :from_id AND to_id = :to_id AND to_name = :to_name AND space = :space
    UNION ALL SELECT * FROM relations WHERE :from_id = 0 AND from_id = 0 AND from_name = :from_name AND to_id = :to_id AND to_name = :to_name AND space = :space
) r LEFT JOIN changes c ON c.number = r.began
WHERE r.type = :type AND r.deleted = 0 AND r.began <= :at AND (r.ended = 0 OR r.ended > :at)
  /*part relation_not_hidden*/

-- name: relations_between
SELECT r.row, r.space, r.id, r.from_id, r.to_id, r.from_name, r.to_name, r.type, r.strength, r.metadata, r.began, (SELECT c.at FROM changes c WHERE c.number = r.began), r.ended, r.deleted
FROM (SELECT * FROM relations WHERE from_id = :entity AND from_id > 0 AND space = :space
      UNION ALL SELECT * FROM relations WHERE to_id = :entity AND to_id > 0 AND space = :space AND from_id <> :entity) r
WHERE (r.began > :after AND r.began <= :upto) OR (r.ended > :after AND r.ended <= :upto)
ORDER BY greatest(CASE WHEN r.began <= :upto THEN r.began ELSE 0 END, CASE WHEN r.ended <= :upto THEN r.ended ELSE 0 END) DESC, r.row DESC LIMIT :limit

-- name: relation_types
AND r.type = ANY (:types::text[])

-- name: relations_loose
SELECT r.row, r.space, r.id, r.from_id, r.to_id, r.from_name, r.to_name, r.type, r.strength, r.metadata, r.began, c.at
FROM relations r LEFT JOIN changes c ON c.number = r.began
WHERE r.from_id = 0 AND r.space = :space AND r.deleted = 0 AND r.began <= :at AND (r.ended = 0 OR r.ended > :at)
  /*part relation_not_hidden*/
ORDER BY r.id

-- Conflicts

-- name: conflicts
SELECT k.row, k.space, k.id, k.entity, k.other, k.part, k.other_part, k.type, k.confidence, k.reason, k.action, k.status, k.notes, k.found, k.began,
       (SELECT at FROM changes WHERE number = k.found), (SELECT at FROM changes WHERE number = k.began)
FROM conflicts k
WHERE k.space = :space AND k.began <= :at AND (k.ended = 0 OR k.ended > :at) AND k.id < :before
  AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN conflicts s ON s.space = (n.value ->> 0)::bigint AND s.id = k.id AND s.began <= (n.value ->> 1)::bigint)
  /*also*/
ORDER BY k.id DESC LIMIT :limit

-- name: conflicts_between
SELECT k.row, k.space, k.id, k.entity, k.other, k.part, k.other_part, k.type, k.confidence, k.reason, k.action, k.status, k.notes, k.found, k.began, 0, 0
FROM conflicts k
WHERE k.entity = ANY (:ids::bigint[]) AND k.space = :space AND k.began <= :at AND (k.ended = 0 OR k.ended > :at)
  AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN conflicts s ON s.space = (n.value ->> 0)::bigint AND s.id = k.id AND s.began <= (n.value ->> 1)::bigint)

-- name: conflicts_of_types
AND k.type = ANY (:types::text[])

-- name: purge_conflicts
DELETE FROM conflicts WHERE (entity = :entity OR other = :entity) AND (space = ANY (:spaces::bigint[]) OR :everywhere <> 0)

-- Messages

-- name: messages
SELECT id, space, stream, coalesce(role, 'user'), coalesce(kind, 'dialogue'), speaker, at, tick, importance, tokens, began, crc, CASE WHEN block > 0 THEN '\xff'::bytea || int8send(block) ELSE body END FROM messages m
WHERE stream = :stream AND space = :space AND began <= :at AND (ended = 0 OR ended > :at) /*also*/
ORDER BY /*key*/ /*down*/, id /*down*/ LIMIT :limit

-- name: messages_by_ids
SELECT id, space, stream, coalesce(role, 'user'), coalesce(kind, 'dialogue'), speaker, at, tick, importance, tokens, began, crc, CASE WHEN block > 0 THEN '\xff'::bytea || int8send(block) ELSE body END FROM messages m
WHERE id = ANY (:ids::bigint[]) /*also*/ ORDER BY id

-- name: message_heads
SELECT coalesce(json_agg(json_build_array(m.id, m.speaker, coalesce(m.role, 'user'), m.stream, m.at, m.importance, m.length) ORDER BY m.id), '[]') FROM messages m
WHERE m.id = ANY (:ids::bigint[]) /*also*/

-- name: messages_of_change
SELECT id, stream FROM messages
WHERE id BETWEEN :first AND :last AND space = :space AND CASE WHEN :withdrawn <> 0 THEN ended = :number ELSE began = :number AND ended = 0 END ORDER BY id

-- name: lines_spoken
SELECT m.id, m.speaker, m.at, m.crc, CASE WHEN m.block > 0 THEN '\xff'::bytea || int8send(m.block) ELSE m.body END, m.began, (SELECT p.id FROM passages p WHERE p.message = m.id AND p.message > 0 AND p.entity = m.stream AND p.ended = 0)
FROM messages m WHERE m.id = ANY (:ids::bigint[]) ORDER BY m.id

-- name: stream_cut
-- The newest message that is not among the newest :keep of a stream.
SELECT m.id FROM messages m JOIN json_array_elements(:layers::json) l ON m.space = (l.value ->> 0)::bigint
WHERE m.stream = :stream AND m.began <= (l.value ->> 1)::bigint AND (m.ended = 0 OR m.ended > (l.value ->> 1)::bigint) ORDER BY m.id DESC LIMIT 1 OFFSET :keep

-- name: stream_spoken
SELECT m.began FROM messages m JOIN json_array_elements(:layers::json) l ON m.space = (l.value ->> 0)::bigint
WHERE m.stream = :stream AND m.began <= (l.value ->> 1)::bigint AND (m.ended = 0 OR m.ended > (l.value ->> 1)::bigint) ORDER BY m.id DESC LIMIT 1

-- name: lines_older
-- Up to which message all that follow :after were said before :since.
SELECT max(id), count(*) FROM messages WHERE stream = :stream AND space = :space AND ended = 0 AND id > :after AND id < coalesce((
    SELECT min(n.id) FROM messages n WHERE n.stream = :stream AND n.space = :space AND n.ended = 0 AND n.id > :after AND n.at >= :since), 4611686018427387904)

-- name: add_block
INSERT INTO blocks (id, space, stream, first, last, bytes, crc, body)
SELECT coalesce(max(id), 0) + 1, :space, :stream, :first, :last, :bytes, :crc, :body FROM blocks

-- name: pack_line
UPDATE messages SET body = '', block = :block WHERE id = :id

-- name: purge_blocks
DELETE FROM blocks WHERE stream = :entity AND (space = ANY (:spaces::bigint[]) OR :everywhere <> 0)

-- name: of_roles
AND coalesce(m.role, 'user') = ANY (:roles::text[])
-- name: of_kinds
AND coalesce(m.kind, 'dialogue') = ANY (:kinds::text[])
-- name: of_rare_kinds
AND m.kind = ANY (:kinds::text[]) AND m.kind <> 'dialogue'
-- name: of_speakers
AND m.speaker = ANY (:speakers::text[])

-- Answers, access, counts

-- name: access
SELECT a.id, a.at, a.op, a.space, a.pid, a.us, a.error, a.number, a.entity, a.address, a.request, a.says, o.channel, o.client, o.agent, o.session, o.tool, o.run, o."user", o.method, o.trust
FROM access a JOIN origins o ON o.id = a.origin WHERE true /*also*/ ORDER BY a.id DESC LIMIT :limit

-- name: access_ops
AND a.op = ANY (:ops::text[])

-- Batches come in order, so that the newest is the last use, also where a clock was ahead for a while.
-- name: add_use
INSERT INTO uses (entity, count, last) VALUES (:entity, :count, :last)
ON CONFLICT (entity) DO UPDATE SET count = uses.count + excluded.count, last = excluded.last

-- name: counts
SELECT e.living, (SELECT count(*) FROM relations WHERE ended = 0 AND deleted = 0),
       (SELECT count(*) FROM messages WHERE ended = 0), (SELECT count(*) FROM versions), (SELECT count(*) FROM spaces WHERE ended = 0),
       (SELECT count(*) FROM changes), e.bodies, e.texts
FROM (SELECT count(*) FILTER (WHERE deleted = 0) AS living, coalesce(sum(length(body)), 0)::bigint AS bodies,
             coalesce(sum(text_bytes), 0)::bigint AS texts FROM entities) e

-- name: counts_of
WITH mine AS (SELECT unnest(:spaces::bigint[]) AS space)
SELECT (SELECT count(*) FROM entities WHERE deleted = 0 AND space IN (SELECT space FROM mine)),
       (SELECT count(*) FROM relations WHERE ended = 0 AND deleted = 0 AND space IN (SELECT space FROM mine)),
       (SELECT count(*) FROM messages WHERE ended = 0 AND space IN (SELECT space FROM mine)), (SELECT count(*) FROM versions WHERE space IN (SELECT space FROM mine)),
       (SELECT count(*) FROM mine), (SELECT count(*) FROM changes WHERE space IN (SELECT space FROM mine)),
       (SELECT coalesce(sum(length(body)), 0)::bigint FROM entities WHERE space IN (SELECT space FROM mine)),
       (SELECT coalesce(sum(text_bytes), 0)::bigint FROM entities WHERE space IN (SELECT space FROM mine))

-- name: count_living
-- Of each type: all, those of each tier, and those made within a day, a week, a month, a year.
SELECT e.type, count(*),
       count(*) FILTER (WHERE e.tier = 0), count(*) FILTER (WHERE e.tier = 1), count(*) FILTER (WHERE e.tier = 2), count(*) FILTER (WHERE e.tier = 3),
       count(*) FILTER (WHERE f.at > :now - 86400000), count(*) FILTER (WHERE f.at > :now - 604800000),
       count(*) FILTER (WHERE f.at > :now - 2592000000), count(*) FILTER (WHERE f.at > :now - 31536000000)
FROM entities e JOIN changes f ON f.number = e.first
WHERE e.space = :space AND e.deleted = 0 AND e.began <= :at
  AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN entities s ON s.space = (n.value ->> 0)::bigint AND s.id = e.id AND s.first <= (n.value ->> 1)::bigint)
GROUP BY e.type

-- name: count_expiring
SELECT CASE WHEN e.expires_at <= :now THEN 'expired' WHEN e.expires_at <= :now + 86400000 THEN 'day'
            WHEN e.expires_at <= :now + 604800000 THEN 'week' ELSE 'month' END, count(*)
FROM entities e
WHERE e.space = :space AND e.deleted = 0 AND e.expires_at <= :now + 2592000000 AND e.began <= :at
  AND NOT EXISTS (SELECT 1 FROM json_array_elements(:nearer::json) n JOIN entities s ON s.space = (n.value ->> 0)::bigint AND s.id = e.id AND s.first <= (n.value ->> 1)::bigint)
GROUP BY 1

-- name: tended_settled
SELECT count(*) FROM entities e JOIN changes c ON c.number = e.began JOIN changes f ON f.number = e.first LEFT JOIN uses u ON u.entity = e.id
WHERE e.space = :space AND e.deleted = 0 AND e.quarantined = 0 AND e.tier = :tier AND (e.expires_at IS NULL OR e.expires_at > :now)
  AND e.type <> ALL (:types::text[]) AND f.at < :made AND c.at <= :quiet AND c.op <> 'undo'
  AND coalesce(u.count, 0) < :reads AND coalesce(u.last, 0) <= :quiet

-- Purging: everything that some spaces hold of an entity, and, where no other space knows it (:everywhere <> 0), what hangs on it anywhere

-- name: spaces_knowing
SELECT s.id, s.name FROM spaces s JOIN entities e ON e.space = s.id AND e.id = :entity ORDER BY s.id

-- name: names_had
SELECT DISTINCT name FROM names WHERE space = ANY (:spaces::bigint[]) AND entity = ANY (:ids::bigint[])

-- name: relations_said
SELECT from_name, to_name, type, metadata FROM relations
WHERE (from_id = :entity AND from_id > 0 OR to_id = :entity AND to_id > 0) AND (space = ANY (:spaces::bigint[]) OR :everywhere <> 0)

-- name: messages_said
SELECT id, speaker, crc, CASE WHEN block > 0 THEN '\xff'::bytea || int8send(block) ELSE body END FROM messages
WHERE stream = :entity AND (space = ANY (:spaces::bigint[]) OR :everywhere <> 0) AND id > :after ORDER BY id LIMIT :limit

-- name: purge_notes
UPDATE changes SET message = '' WHERE message <> '' AND number IN (
    SELECT began FROM versions WHERE space = ANY (:spaces::bigint[]) AND entity = :entity
    UNION SELECT began FROM entities WHERE space = ANY (:spaces::bigint[]) AND id = :entity
    UNION SELECT began FROM relations WHERE from_id = :entity AND from_id > 0 UNION SELECT ended FROM relations WHERE from_id = :entity AND from_id > 0
    UNION SELECT began FROM relations WHERE to_id = :entity AND to_id > 0 UNION SELECT ended FROM relations WHERE to_id = :entity AND to_id > 0
    UNION SELECT began FROM messages WHERE space = ANY (:spaces::bigint[]) AND stream = :entity)

-- name: all_passages
SELECT id FROM passages WHERE entity = :entity AND (space = ANY (:spaces::bigint[]) OR :everywhere <> 0) AND message = 0 AND ended = 0
UNION ALL SELECT id FROM passages WHERE entity = :entity AND (space = ANY (:spaces::bigint[]) OR :everywhere <> 0) AND ended > 0
UNION ALL SELECT p.id FROM messages m JOIN passages p ON p.message = m.id AND p.message > 0 AND p.entity = m.stream
WHERE m.stream = :entity AND (m.space = ANY (:spaces::bigint[]) OR :everywhere <> 0) AND p.ended = 0 ORDER BY 1

-- name: purge_merges
DELETE FROM merges WHERE subject IN ('entity', 'same') AND id = ANY (:ids::bigint[])
  AND (branch = ANY (:spaces::bigint[]) OR target = ANY (:spaces::bigint[]) OR id = ANY (:nowhere::bigint[]))

-- name: purge_passages
DELETE FROM passages WHERE id = ANY (:passages::bigint[])

-- name: purge_properties
DELETE FROM properties WHERE space = ANY (:spaces::bigint[]) AND entity = ANY (:ids::bigint[])

-- name: purge_tags
DELETE FROM tags WHERE space = ANY (:spaces::bigint[]) AND entity = ANY (:ids::bigint[])

-- name: purge_names
DELETE FROM names WHERE space = ANY (:spaces::bigint[]) AND entity = ANY (:ids::bigint[])

-- name: purge_named
DELETE FROM names WHERE space = :space AND name = ANY (:names::text[]) AND entity = ANY (:ids::bigint[])

-- name: purge_versions
DELETE FROM versions WHERE space = ANY (:spaces::bigint[]) AND entity = :entity

-- name: purge_messages
DELETE FROM messages WHERE stream = :entity AND (space = ANY (:spaces::bigint[]) OR :everywhere <> 0)

-- name: purge_relations
DELETE FROM relations WHERE (from_id = :entity AND from_id > 0 OR to_id = :entity AND to_id > 0) AND (space = ANY (:spaces::bigint[]) OR :everywhere <> 0)

-- name: purge_uses
DELETE FROM uses WHERE entity = :entity AND :everywhere <> 0

-- name: purge_entities
DELETE FROM entities WHERE space = ANY (:spaces::bigint[]) AND id = :entity

-- Opening

-- Whoever holds this row writes; it has the highest numbers given out. Others wait for their turn. Who wrote it last and who
-- writes it now tell whether anybody had the turn since; and whether the words index is being filled a second time is asked along.
-- name: take_turn
SELECT change, entity, relation, message, passage, conflict,
       xmin::text::bigint, pg_current_xact_id()::xid::text::bigint, to_regclass('words_next') IS NOT NULL
FROM numbers FOR UPDATE

-- Changes that other daemons hear of at the commit; and those after :heard, for whoever could not listen.
-- name: tell
SELECT pg_notify('enhanced_memory', :piece::text)

-- name: changes_missed
SELECT c.number, c.op, s.name, coalesce((SELECT json_agg(DISTINCT j.id) FROM journal j WHERE j.number = c.number AND j.subject = 'entity'), '[]')
FROM changes c JOIN spaces s ON s.id = c.space WHERE c.number > :heard ORDER BY c.number DESC LIMIT :limit

-- name: keep_numbers
UPDATE numbers SET change = :change, entity = :entity, relation = :relation, message = :message, passage = :passage, conflict = :conflict

-- name: scans_left
SELECT s.name FROM spaces s JOIN meta m ON m.key = :prefix::text || s.name WHERE s.ended = 0 ORDER BY s.id

-- Moving in and out: everything as it was after change :at, and rows written with the numbers that they had elsewhere

-- name: transfer_changes
SELECT c.number, c.at, c.space, c.op, c.message, o.channel, o.client, o.agent, o.session, o.tool, o.run, o."user", o.method, o.trust
FROM changes c JOIN origins o ON o.id = c.origin WHERE c.number > :after AND c.number <= :at ORDER BY c.number LIMIT :limit

-- name: transfer_messages
SELECT id, space, stream, coalesce(role, 'user'), coalesce(kind, 'dialogue'), speaker, at, tick, importance, tokens, began, CASE WHEN ended > :at THEN 0 ELSE ended END, crc, CASE WHEN block > 0 THEN '\xff'::bytea || int8send(block) ELSE body END
FROM messages WHERE id > :after AND began <= :at ORDER BY id LIMIT :limit

-- name: transfer_uses
SELECT u.entity, u.count, u.last FROM uses u
WHERE u.entity > :after AND EXISTS (SELECT 1 FROM spaces s JOIN entities e ON e.space = s.id AND e.id = u.entity AND e.first <= :at)
ORDER BY u.entity LIMIT :limit

-- name: transfer_known_conflicts
SELECT space, id, began FROM conflicts WHERE id = ANY (:ids::bigint[])

-- name: transfer_known_changes
SELECT number FROM changes WHERE number = ANY (:numbers::bigint[])

-- name: transfer_known_entities
SELECT DISTINCT e.id FROM entities e WHERE e.id = ANY (:ids::bigint[])

-- name: transfer_heads
SELECT id, scope, version, first, began, deleted, crc, body FROM entities WHERE space = :space AND id = ANY (:ids::bigint[]) ORDER BY id

-- name: transfer_known_names
SELECT n.space, n.name, n.scope, n.ended FROM json_array_elements(:names::json) j
JOIN names n ON n.space = (j.value ->> 0)::bigint AND n.name = j.value ->> 1 AND n.scope = j.value ->> 2 AND n.ended = (j.value ->> 3)::bigint

-- name: transfer_known_relations
SELECT space, id, from_id, to_id, from_name, to_name, type, deleted, began, ended FROM relations
WHERE space = :space AND id = ANY (:ids::bigint[])

-- name: transfer_known_messages
SELECT id, space, stream, at, crc FROM messages WHERE id = ANY (:ids::bigint[]) ORDER BY id

-- name: transfer_known_journal
SELECT number, seq, subject, id, act, before, after FROM journal WHERE number = ANY (:numbers::bigint[])

-- name: transfer_messages_at
SELECT coalesce(role, 'user'), coalesce(kind, 'dialogue'), at, crc, CASE WHEN block > 0 THEN '\xff'::bytea || int8send(block) ELSE body END FROM messages
WHERE stream = :stream AND space = :space AND began < :before AND ended = 0 AND at = ANY (:times::bigint[])

-- name: transfer_property
INSERT INTO properties (space, key, kind, number, word, entity, ended, began)
VALUES (:space, :key, :value__kind, :value__number::numeric, :value__word, :entity, :ended, :began)

-- name: transfer_jobs
SELECT key, value FROM meta WHERE key > 'import/' AND key < 'import0' AND key NOT LIKE 'import/%/%'

-- Vectors

-- name: serve_model
UPDATE models SET serves = (id = :model)::int WHERE source <> ''

-- name: drop_model
DELETE FROM models WHERE id = :model AND NOT EXISTS (SELECT 1 FROM vectors WHERE model = :model)

-- name: drop_vectors_between
DELETE FROM vectors WHERE passage BETWEEN :after AND :upto AND model = :model

-- name: last_vector
SELECT coalesce(max(passage), 0) FROM vectors

-- name: add_vector
-- Its owner is the passage's.
INSERT INTO vectors (passage, model, entity, said, vector)
SELECT :passage::bigint, :model, coalesce(p.entity, 0), coalesce((p.message > 0)::int, 0), :vector::halfvec
FROM (SELECT 1) one LEFT JOIN passages p ON p.id = :passage::bigint
ON CONFLICT (passage, model, entity) DO UPDATE SET vector = excluded.vector

-- name: copy_own_vectors
INSERT INTO vectors (passage, model, entity, said, vector)
SELECT :to, v.model, v.entity, v.said, v.vector FROM vectors v JOIN models m ON m.id = v.model WHERE v.passage = :from AND m.source = '' ON CONFLICT DO NOTHING

-- name: own_vectors
SELECT v.model, p.id, halfvec_send(v.vector), p.space, p.entity, p.message FROM passages p
JOIN vectors v ON v.passage = p.id AND v.entity = p.entity JOIN models m ON m.id = v.model WHERE p.id = ANY (:ids::bigint[]) AND m.source = '' AND p.ended = 0 ORDER BY p.id

-- name: message_passages
SELECT message, id FROM passages WHERE message = ANY (:ids::bigint[]) AND message > 0 AND ended = 0 ORDER BY message

-- name: leads
SELECT DISTINCT v.passage FROM vectors v JOIN models m ON m.id = v.model WHERE v.passage = ANY (:ids::bigint[]) AND m.source <> ''

-- name: passages_ended
SELECT id, ended FROM passages WHERE id = ANY (:ids::bigint[]) ORDER BY id

-- name: heads
SELECT id, crc, body FROM entities WHERE space = :space AND id = ANY (:ids::bigint[]) ORDER BY id

-- name: lines
SELECT id, speaker, crc, CASE WHEN block > 0 THEN '\xff'::bytea || int8send(block) ELSE body END FROM messages WHERE id = ANY (:ids::bigint[]) ORDER BY id

-- name: vectors_after
-- One by one behind the index, in its order: joined otherwise, each page would sort all that is left.
SELECT v.passage, halfvec_send(v.vector), p.space, p.entity, p.message FROM vectors v
CROSS JOIN LATERAL (SELECT n.space, n.entity, n.message FROM passages n WHERE n.id = v.passage AND n.entity = v.entity AND n.ended = 0 OFFSET 0) p
WHERE v.passage > :after AND v.model = :model ORDER BY v.passage LIMIT :limit

-- name: vectors_of
SELECT passage, halfvec_send(vector) FROM vectors WHERE passage = ANY (:ids::bigint[]) AND model = :model ORDER BY passage

-- The vector that speaks for a passage: its own, or that of the nearest one before it that began with it in the same entity.
-- name: vectors_for
SELECT p.id, l.id, halfvec_send(v.vector) FROM passages p
CROSS JOIN LATERAL (SELECT n.passage, n.vector FROM vectors n WHERE n.passage BETWEEN p.id - :reach AND p.id AND n.entity = p.entity AND n.model = :model
                    ORDER BY n.passage DESC LIMIT 1) v
JOIN passages l ON l.id = v.passage AND l.entity = p.entity AND l.space = p.space AND l.message = p.message AND l.began = p.began
WHERE p.id = ANY (:ids::bigint[]) ORDER BY p.id

-- name: lacking
SELECT (SELECT count(*) FROM passages WHERE message > 0 AND ended = 0 AND id <= :upto),
       (SELECT count(*) FROM (SELECT DISTINCT entity, space FROM passages WHERE message = 0 AND ended = 0 AND id <= :upto) living)

-- name: drop_vector
DELETE FROM vectors WHERE passage = :passage AND model = :model

-- The words index once more, beside the one that serves
-- name: begin_words_next
DO $$ BEGIN
    CREATE TABLE words_next (LIKE words INCLUDING ALL) PARTITION BY HASH (entity);
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE words_next_%s PARTITION OF words_next FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END $$

-- name: has_words_next
SELECT 1 WHERE to_regclass('words_next') IS NOT NULL

-- name: add_words_next
INSERT INTO words_next (id, entity, length, lexemes) VALUES (:id, :entity, :words__length, :words__lexemes::tsvector)
ON CONFLICT (id, entity) DO UPDATE SET length = excluded.length, lexemes = excluded.lexemes

-- name: drop_words_next
DELETE FROM words_next WHERE id = :id

-- name: swap_words
DO $$
DECLARE made text;
BEGIN
    DROP TABLE words;
    ALTER TABLE words_next RENAME TO words;
    FOR part IN 0..7 LOOP
        EXECUTE format('ALTER TABLE words_next_%s RENAME TO words_%s', part, part);
    END LOOP;
    -- Indexes and constraints keep the names that they were made with, which the next ones are to have.
    FOR made IN SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('i', 'I') AND relname LIKE 'words\_next%' LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', made, replace(made, 'words_next', 'words'));
    END LOOP;
END $$

-- name: spoken
SELECT id, speaker, at, crc, CASE WHEN block > 0 THEN '\xff'::bytea || int8send(block) ELSE body END FROM messages WHERE id = ANY (:ids::bigint[]) ORDER BY id

-- name: passages_of
SELECT id, 0.0::float8, space, entity, part, message, began, ended FROM passages WHERE id = ANY (:ids::bigint[]) ORDER BY id

-- name: vectors_of_entities
SELECT p.entity, halfvec_send(v.vector) FROM passages p JOIN vectors v ON v.passage = p.id AND v.entity = p.entity AND v.model = :model
WHERE p.entity > :after AND p.entity <= :upto AND p.message = 0 AND p.ended = 0 AND p.space = ANY (:spaces::bigint[]) ORDER BY p.id

-- name: drop_embedded
DELETE FROM vectors WHERE passage = :id AND model IN (SELECT id FROM models WHERE source <> '')

-- name: see_to_again
UPDATE models SET embedded = least(embedded, :passage) WHERE source <> ''

-- name: purge_vectors
DELETE FROM vectors WHERE passage = :id

-- name: past_vectors
SELECT p.id, halfvec_send(v.vector) FROM passages p JOIN vectors v ON v.passage = p.id AND v.entity = p.entity AND v.model = :model
WHERE p.ended > :at AND p.began <= :at AND :messages IN (-1, (p.message > 0)::int) AND p.space = :space AND (:stream = 0 OR p.entity = :stream) ORDER BY p.id

-- name: past_nearest
SELECT p.id, 1.0 - (v.vector <=> :query::halfvec) AS near FROM passages p JOIN vectors v ON v.passage = p.id AND v.entity = p.entity AND v.model = :model
WHERE p.ended > :at AND p.began <= :at AND :messages IN (-1, (p.message > 0)::int) AND p.space = :space AND (:stream = 0 OR p.entity = :stream)
ORDER BY near DESC LIMIT :limit

-- name: nearest_among
SELECT v.passage, 1.0 - (v.vector <=> :query::halfvec) AS near FROM vectors v
WHERE v.passage = ANY (:ids::bigint[]) AND v.model = :model ORDER BY near DESC LIMIT :limit

-- name: having
SELECT entity FROM properties WHERE space = :space AND key = :property AND kind = :value__kind AND number = :value__number::numeric
    AND word = :value__word AND ended = 0 LIMIT :limit

-- name: typed
SELECT id FROM entities WHERE space = :space AND type = ANY (:types::text[]) LIMIT :limit

-- name: passages_within
SELECT id, 0.0::float8, space, entity, part, message, began, ended FROM passages
WHERE entity = ANY (:ids::bigint[]) AND space = :space AND message = 0 AND ended = 0 ORDER BY id

-- Cold storage

-- name: add_cold_file
INSERT INTO cold_files (id, name, at, bytes, sha256) SELECT coalesce(max(id), 0) + 1, :name, :at, :bytes, :sha256 FROM cold_files

-- name: cold_addresses
SELECT space, entity, file, at, versions, messages FROM cold_entities
WHERE space = ANY (:spaces::bigint[]) AND entity > :after AND living = 1 ORDER BY entity LIMIT nullif(:limit, -1)

-- name: cold_all
SELECT space, entity, file, at, versions, messages FROM cold_entities WHERE (space, entity) > (:space, :entity) AND living = 1
ORDER BY space, entity LIMIT nullif(:limit, -1)

-- name: cold_count
SELECT count(*), sum(bytes)::bigint, (SELECT count(*) FROM cold_entities WHERE living = 1) FROM cold_files WHERE due = 0

-- name: cold_files_of
SELECT DISTINCT file FROM cold_entities WHERE entity = :entity AND space = ANY (:spaces::bigint[]) ORDER BY file

-- name: cold_spaces_of
SELECT space FROM cold_entities WHERE file = :file AND entity = :entity AND space = ANY (:spaces::bigint[])

-- name: drop_cold_of
DELETE FROM cold_entities WHERE file = :file AND entity = :entity AND space = ANY (:spaces::bigint[])

-- name: cold_lines
SELECT sum(CASE WHEN space = :space THEN 1 ELSE 0 END)::bigint, count(*), max(id), max(ended) FROM messages WHERE stream = :stream

-- name: cold_messages
SELECT id, space, stream, coalesce(role, 'user'), coalesce(kind, 'dialogue'), speaker, at, tick, importance, tokens, began, ended, crc, CASE WHEN block > 0 THEN '\xff'::bytea || int8send(block) ELSE body END
FROM messages WHERE stream = :stream AND space = :space AND id > :after ORDER BY id LIMIT nullif(:limit, -1)

