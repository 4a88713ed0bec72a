-- The statements that the daemon runs on SQLite alone, by name, besides those of `../queries.sql`. A value is always bound (:name);
-- lists come as JSON; `/*also*/` is where named conditions are added, `/*key*/` where a named expression to order by is, `/*down*/`
-- where its direction is, and nothing else is ever put into a statement's text.

-- Spaces

-- name: add_space
INSERT INTO spaces (name, parent, pinned, kind, entity, metadata, began) VALUES (:name, :parent, :pinned, :kind, :entity, :metadata, :began)

-- Branches

-- name: own_messages
SELECT m.id, m.space, m.stream, coalesce(m.role, 'user'), coalesce(m.kind, 'dialogue'), m.speaker, m.at, m.tick, m.importance, m.tokens, m.began, m.crc, CASE WHEN m.block THEN m.block ELSE m.body END
FROM messages m WHERE m.space = :space AND m.space > 1 AND m.began > :since AND m.ended = 0 /*also*/ ORDER BY m.id

-- name: own_ends
SELECT from_name FROM relations WHERE from_id = 0 AND from_name IN (SELECT value FROM json_each(:names)) AND space = :space
UNION SELECT to_name FROM relations WHERE to_id = 0 AND to_name IN (SELECT value FROM json_each(:names)) AND space = :space

-- Changes and their journal

-- name: changes
SELECT c.number, c.at, c.op, c.message, o.channel, o.client, o.agent, o.session, o.tool, o.run, o.user, o.method, o.trust
FROM changes c JOIN origins o ON o.id = c.origin WHERE c.number IN (SELECT value FROM json_each(:numbers))

-- The journal, newest change first; its conditions follow.
-- name: journal_changes
SELECT c.number, c.at, c.op, c.message, c.space, o.channel, o.client, o.agent, o.session, o.tool, o.run, o.user, o.method, o.trust,
       (SELECT u.number FROM journal u WHERE u.subject = 'change' AND u.id = c.number AND u.act = 'undo' AND NOT EXISTS (
            SELECT 1 FROM journal l WHERE l.subject = 'change' AND l.id = c.number AND l.number > u.number)
        ORDER BY u.number DESC LIMIT 1)
FROM changes c JOIN origins o ON o.id = c.origin
WHERE c.space IN (SELECT value FROM json_each(:spaces)) AND c.number <= :at /*also*/
ORDER BY c.number DESC LIMIT :limit

-- name: change_by_ops
AND c.op IN (SELECT value FROM json_each(:ops))

-- name: change_of_entity
AND c.number IN (
    SELECT began FROM entities WHERE id = :entity AND space IN (SELECT value FROM json_each(:spaces))
    UNION SELECT began FROM versions WHERE entity = :entity AND space IN (SELECT value FROM json_each(:spaces))
    UNION SELECT began FROM relations WHERE from_id = :entity AND from_id > 0
    UNION SELECT ended FROM relations WHERE from_id = :entity AND from_id > 0
    UNION SELECT began FROM relations WHERE to_id = :entity AND to_id > 0
    UNION SELECT ended FROM relations WHERE to_id = :entity AND to_id > 0
    UNION SELECT began FROM messages WHERE stream = :entity
    UNION SELECT ended FROM messages WHERE stream = :entity AND ended > 0)

-- name: journal_of
SELECT number, seq, subject, id, act, before, after FROM journal WHERE number IN (SELECT value FROM json_each(:numbers)) ORDER BY number DESC, seq

-- Where changes come from

-- name: origin_id
SELECT id FROM origins
WHERE session = :session AND agent = :agent AND client = :client AND channel = :channel AND tool = :tool AND run = :run
  AND user = :user AND method = :method AND trust = :trust

-- name: add_origin
INSERT INTO origins (channel, client, agent, session, tool, run, user, method, trust)
VALUES (:channel, :client, :agent, :session, :tool, :run, :user, :method, :trust)

-- name: origins
SELECT id, channel, client, agent, session, tool, run, user, method, trust FROM origins WHERE id IN (SELECT value FROM json_each(:ids))

-- Entities: one by its id, many, and listings

-- name: entities_by_id
SELECT e.id, e.space, e.scope, e.version, e.first, e.began, e.deleted, e.crc, e.body, e.text_bytes,
       (SELECT at FROM changes WHERE number = e.began), (SELECT at FROM changes WHERE number = e.first), u.count, u.last
FROM entities e LEFT JOIN uses u ON u.entity = e.id
WHERE e.space = :space AND e.id IN (SELECT value FROM json_each(:ids))

-- name: entities_meeting
SELECT e.id FROM entities e WHERE e.space = :space AND e.id IN (SELECT value FROM json_each(:ids)) /*also*/

-- name: living_bodies
SELECT id, crc, body FROM entities WHERE space = :space AND deleted = 0 AND id IN (SELECT value FROM json_each(:ids))

-- name: known_heads
SELECT json_group_array(json_array(id, deleted)) FROM entities WHERE space = :space AND id IN (SELECT value FROM json_each(:ids))

-- name: known_in
SELECT id FROM entities WHERE space = :space AND first <= :at AND id IN (SELECT value FROM json_each(:ids))

-- name: list_ids
-- SQLite takes a bound for a sign of few rows. The plus keeps the index of changes out of it, but where it gives the order.
SELECT e.id, /*key*/ FROM entities e
WHERE e.space = :space AND +e.began <= :at AND e.deleted = :deleted
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN entities s ON s.space = n.value ->> 0 AND s.id = e.id AND s.first <= n.value ->> 1)
  /*also*/
ORDER BY /*key*/ /*down*/, e.id /*down*/ LIMIT :limit

-- name: list_ids_few
-- The same of some entities, which are looked up one by one; the plus keeps their changes' index out of it.
SELECT e.id, /*key*/ FROM json_each(:few) j CROSS JOIN entities e ON e.space = :space AND e.id = j.value
WHERE +e.began <= :at AND e.deleted = :deleted
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN entities s ON s.space = n.value ->> 0 AND s.id = e.id AND s.first <= n.value ->> 1)
  /*also*/
ORDER BY /*key*/ /*down*/, e.id /*down*/ LIMIT :limit

-- name: list_ids_by_name
SELECT e.id, m.name FROM names m CROSS JOIN entities e ON e.space = m.space AND e.id = m.entity
WHERE m.space = :space AND m.ended = 0 AND +e.began <= :at AND e.deleted = :deleted
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN entities s ON s.space = n.value ->> 0 AND s.id = e.id AND s.first <= n.value ->> 1)
  /*also*/
ORDER BY m.name /*down*/, e.id /*down*/ LIMIT :limit

-- name: list_ids_by_property
SELECT e.id, min(p.value) FROM properties p CROSS JOIN entities e ON e.space = p.space AND e.id = p.entity
WHERE p.space = :space AND p.key = :order_key AND p.value <> x'' AND p.ended = 0 AND +e.began <= :at AND e.deleted = :deleted
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN entities s ON s.space = n.value ->> 0 AND s.id = e.id AND s.first <= n.value ->> 1)
  /*also*/
GROUP BY e.id
HAVING :beyond_id = 0 OR CASE WHEN :falling THEN (min(p.value), e.id) < (:beyond, :beyond_id) ELSE (min(p.value), e.id) > (:beyond, :beyond_id) END
ORDER BY 2 /*down*/, e.id /*down*/ LIMIT :limit

-- name: tended
-- A page of one space's own entities as curation looks at them; `declined` is told of what an undoing of curation made so.
SELECT json_group_array(json_array(id, type, tier, began, made_at, changed_at, declined, used, used_at)) FROM (
    SELECT e.id, e.type, e.tier, e.began, f.at AS made_at, c.at AS changed_at, u.count AS used, u.last AS used_at,
           CASE WHEN c.op <> 'undo' THEN 0 ELSE EXISTS (
               SELECT 1 FROM journal j JOIN changes k ON k.number = j.id
               WHERE j.number = e.began AND j.subject = 'change' AND j.act = 'undo' AND k.op = 'autonomous_curation') END AS declined
    FROM entities e JOIN changes c ON c.number = e.began JOIN changes f ON f.number = e.first LEFT JOIN uses u ON u.entity = e.id
    WHERE e.space = :space AND e.id > :after AND e.deleted = 0 AND e.quarantined = 0 AND (e.expires_at IS NULL OR e.expires_at > :now)
    ORDER BY e.id LIMIT :limit)

-- name: tended_size
SELECT count(*), coalesce(sum(text_bytes), 0) FROM entities WHERE space = :space AND deleted = 0

-- name: tended_links
SELECT j.value, (SELECT count(*) FROM relations r WHERE r.from_id = j.value AND r.from_id > 0 AND r.space = :space AND r.ended = 0 AND r.deleted = 0)
              + (SELECT count(*) FROM relations r WHERE r.to_id = j.value AND r.to_id > 0 AND r.space = :space AND r.ended = 0 AND r.deleted = 0) AS links
FROM json_each(:ids) j WHERE links > 0

-- name: tended_origins
SELECT DISTINCT began FROM messages WHERE id IN (SELECT value FROM json_each(:ids))

-- name: tended_runs
SELECT s.name, m.value FROM spaces s LEFT JOIN meta m ON m.key = :prefix || s.id WHERE s.ended = 0 AND s.kind = 'space' ORDER BY s.id

-- name: bodies
SELECT e.id, e.began, e.crc, e.body FROM entities e
WHERE e.space = :space AND e.began <= :at AND e.deleted = 0 AND (e.began, e.id) < (:beyond, :beyond_id)
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN entities s ON s.space = n.value ->> 0 AND s.id = e.id AND s.first <= n.value ->> 1)
  /*also*/
ORDER BY e.began DESC, e.id DESC LIMIT :limit

-- What has changed since, as it was then: in the order of ids, of changes or of what was said, of names, of a property's values.
-- name: changed_since
SELECT e.id, e.id FROM entities e
WHERE e.space = :space AND +e.began > :at AND e.first <= :at
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN entities s ON s.space = n.value ->> 0 AND s.id = e.id AND s.first <= n.value ->> 1)
  /*also*/
ORDER BY e.id /*down*/ LIMIT :limit

-- name: changed_then
SELECT e.id, /*key*/ FROM entities e CROSS JOIN versions v ON v.space = e.space AND v.entity = e.id AND v.version = (
    SELECT w.version FROM versions w WHERE w.space = e.space AND w.entity = e.id AND w.began <= :at ORDER BY w.began DESC LIMIT 1)
WHERE e.space = :space AND e.began > :at AND +e.first <= :at AND v.deleted = :deleted
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN entities s ON s.space = n.value ->> 0 AND s.id = e.id AND s.first <= n.value ->> 1)
  /*also*/
ORDER BY /*key*/ /*down*/, +e.id /*down*/ LIMIT :limit

-- name: changed_by_name
SELECT e.id, m.name FROM names m CROSS JOIN entities e ON e.space = m.space AND e.id = m.entity
WHERE m.space = :space AND m.began <= :at AND (m.ended = 0 OR m.ended > :at) AND +e.began > :at AND e.first <= :at
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN entities s ON s.space = n.value ->> 0 AND s.id = e.id AND s.first <= n.value ->> 1)
  /*also*/
ORDER BY m.name /*down*/, e.id /*down*/ LIMIT :limit

-- name: changed_by_property
SELECT e.id, min(p.value) FROM properties p CROSS JOIN entities e ON e.space = p.space AND e.id = p.entity
WHERE p.space = :space AND p.key = :order_key AND p.value <> x'' AND p.began <= :at AND (p.ended = 0 OR p.ended > :at)
  AND +e.began > :at AND e.first <= :at
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN entities s ON s.space = n.value ->> 0 AND s.id = e.id AND s.first <= n.value ->> 1)
GROUP BY e.id
HAVING :beyond_id = 0 OR CASE WHEN :falling THEN (min(p.value), e.id) < (:beyond, :beyond_id) ELSE (min(p.value), e.id) > (:beyond, :beyond_id) END
ORDER BY 2 /*down*/, e.id /*down*/ LIMIT :limit

-- The version that stood at a change, of each entity, and those after it up to a whole one.
-- name: versions_back
SELECT v.entity, v.version, v.began, v.deleted, v.whole, v.crc, v.body, c.at FROM json_each(:ids) j
CROSS JOIN versions t ON t.space = :space AND t.entity = j.value AND t.version = (
    SELECT w.version FROM versions w WHERE w.space = :space AND w.entity = j.value AND w.began <= :at ORDER BY w.began DESC LIMIT 1)
CROSS JOIN versions v ON v.space = t.space AND v.entity = t.entity AND v.version >= t.version AND v.version <= t.version + :most
LEFT JOIN changes c ON c.number = v.began
WHERE t.ended > :at

-- name: key_spoken
max(e.began, coalesce((
    SELECT m.began FROM messages m CROSS JOIN json_each(:layers) l ON m.space = l.value ->> 0
    WHERE m.stream = e.id AND m.began <= l.value ->> 1 AND (m.ended = 0 OR m.ended > l.value ->> 1) ORDER BY m.id DESC LIMIT 1), 0))

-- name: then_spoken
max(v.began, coalesce((
    SELECT m.began FROM messages m CROSS JOIN json_each(:layers) l ON m.space = l.value ->> 0
    WHERE m.stream = e.id AND m.began <= l.value ->> 1 AND (m.ended = 0 OR m.ended > l.value ->> 1) ORDER BY m.id DESC LIMIT 1), 0))

-- name: key_property
min(p.value)

-- Conditions on head rows. In a layer of the past, what has changed since is judged by the same names in daemon/store/past.py.

-- name: of_types
AND e.type IN (SELECT value FROM json_each(:types))
-- name: of_tiers
AND e.tier IN (SELECT value FROM json_each(:tiers))

-- name: updated_since
AND e.began >= coalesce((SELECT min(number) FROM changes WHERE at >= :updated_since), 1 << 62)

-- name: with_tags
AND (SELECT count(*) FROM json_each(:tags) t WHERE EXISTS (
       SELECT 1 FROM tags g WHERE g.space = e.space AND g.tag = t.value AND g.entity = e.id AND g.ended = 0)) = json_array_length(:tags)
-- name: with_properties
AND NOT EXISTS (
      SELECT 1 FROM json_each(:filters) f
      WHERE (f.value ->> 'absent') = EXISTS (
        SELECT 1 FROM properties p
        WHERE p.space = e.space AND p.key = f.value ->> 'key' AND p.entity = e.id AND p.ended = 0
          AND (f.value -> 'any_of' IS NULL OR p.value IN (SELECT a.value FROM json_each(f.value, '$.any_of') a))
          AND (f.value -> 'at_least' IS NULL OR (p.value >= f.value ->> 'at_least' AND typeof(p.value) <> 'blob'
               AND (typeof(p.value) = 'text') = (json_type(f.value, '$.at_least') = 'text')))
          AND (f.value -> 'at_most' IS NULL OR (p.value <= f.value ->> 'at_most'
               AND (typeof(p.value) = 'text') = (json_type(f.value, '$.at_most') = 'text')))))

-- Names

-- name: deleted_names
SELECT entity FROM names WHERE space = :space AND name = :name AND began <= :at AND (ended > 0 OR :below) ORDER BY ended = 0 DESC, ended DESC

-- Writing entities

-- name: prune_versions
DELETE FROM versions WHERE space = :space AND entity = :entity AND version <= :version AND version < coalesce((
    SELECT min(v.version) FROM versions v
    WHERE v.space = :space AND v.entity = :entity
      AND (EXISTS (SELECT 1 FROM spaces s WHERE s.pinned >= v.began AND s.pinned < v.ended AND s.pinned > 0 AND s.ended = 0)
        OR EXISTS (SELECT 1 FROM snapshots n WHERE n.number >= v.began AND n.number < v.ended AND n.ended = 0))), 1 << 62)

-- Tags and properties

-- name: add_property
INSERT INTO properties (space, key, value, entity, began) VALUES (:space, :key, :value, :entity, :began)

-- name: drop_property_begun
DELETE FROM properties WHERE space = :space AND key = :key AND value = :value AND entity = :entity AND ended = 0 AND began = :number

-- name: end_property
UPDATE properties SET ended = :number WHERE space = :space AND key = :key AND value = :value AND entity = :entity AND ended = 0

-- Passages and words

-- name: add_words
INSERT INTO words (rowid, name, body, dates) VALUES (:id, :name, :body, :dates)

-- name: drop_words
DELETE FROM words WHERE rowid = :id

-- name: add_words_past
INSERT INTO words_past (rowid, name, body, dates) VALUES (:id, :name, :body, :dates)

-- name: drop_words_past
DELETE FROM words_past WHERE rowid = :id

-- A row that was deleted is only marked so in the index; this writes the index anew without it.
-- name: scour_words
INSERT INTO words (words) VALUES ('optimize')

-- name: scour_words_past
INSERT INTO words_past (words_past) VALUES ('optimize')

-- name: words_segments
SELECT count(DISTINCT segid) FROM words_idx

-- A search's rows come as one: a reader lets go of the interpreter for each row, and would have to win it back as often.

-- What the three below ask. Weights go with the layout of the index, which older files have with a column more.
-- name: words_ranked
w.words MATCH :match AND w.rank MATCH iif((SELECT count(*) FROM pragma_table_info('words')) = 3, :weights, :weights_before) AND w.rowid > :floor AND w.rowid <= :ceiling
  AND p.space IN (SELECT value FROM json_each(:spaces)) AND (p.message > 0) = :messages AND (:stream = 0 OR p.entity = :stream)

-- name: words_match
SELECT json_group_array(json_array(id, score, space, entity, part, message, began, ended)) FROM (
    SELECT p.id, -w.rank AS score, p.space, p.entity, p.part, p.message, p.began, p.ended
    FROM words w CROSS JOIN passages p ON p.id = w.rowid
    WHERE /*part words_ranked*/
    ORDER BY w.rank LIMIT :limit)

-- name: words_match_entities
SELECT json_group_array(json_array(id, score, space, entity, part, message, began, ended)) FROM (
    SELECT p.id, -w.rank AS score, p.space, p.entity, p.part, p.message, p.began, p.ended
    FROM words w CROSS JOIN passages p ON p.id = w.rowid CROSS JOIN entities e ON e.space = p.space AND e.id = p.entity
    WHERE /*part words_ranked*/ /*also*/
    ORDER BY w.rank LIMIT :limit)

-- name: words_match_messages
SELECT json_group_array(json_array(id, score, space, entity, part, message, began, ended)) FROM (
    SELECT p.id, -w.rank AS score, p.space, p.entity, p.part, p.message, p.began, p.ended
    FROM words w CROSS JOIN passages p ON p.id = w.rowid CROSS JOIN messages m ON m.id = p.message
    WHERE /*part words_ranked*/ /*also*/
    ORDER BY w.rank LIMIT :limit)

-- What was found in memory, as it stands on disk:
-- name: matched
SELECT json_group_array(json_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended))
FROM json_each(:ids) i CROSS JOIN passages p ON p.id = i.value
WHERE (p.message > 0) = :messages

-- name: matched_entities
SELECT json_group_array(json_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended))
FROM json_each(:ids) i CROSS JOIN passages p ON p.id = i.value CROSS JOIN entities e ON e.space = p.space AND e.id = p.entity
WHERE (p.message > 0) = :messages /*also*/

-- name: matched_messages
SELECT json_group_array(json_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended))
FROM json_each(:ids) i CROSS JOIN passages p ON p.id = i.value CROSS JOIN messages m ON m.id = p.message
WHERE (p.message > 0) = :messages /*also*/

-- Messages that are said just before or after the given ones, and after or before which.
-- name: messages_beside
SELECT json_group_array(json_array(json_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended), m.length, o.id, o.length))
FROM json_each(:ids) i CROSS JOIN messages o ON o.id = i.value CROSS JOIN messages m ON m.id IN (
    (SELECT max(b.id) FROM messages b WHERE b.stream = o.stream AND b.id < o.id AND b.space = o.space AND b.ended = 0),
    (SELECT min(a.id) FROM messages a WHERE a.stream = o.stream AND a.id > o.id AND a.space = o.space AND a.ended = 0))
CROSS JOIN passages p ON p.message = m.id AND p.message > 0 AND p.ended = 0
WHERE TRUE /*also*/

-- name: words_past_match
SELECT json_group_array(json_array(id, score, space, entity, part, message, began, ended)) FROM (
    SELECT p.id, -w.rank AS score, p.space, p.entity, p.part, p.message, p.began, p.ended
    FROM words_past w CROSS JOIN passages p ON p.id = w.rowid
    WHERE w.words_past MATCH :match AND w.rank MATCH iif((SELECT count(*) FROM pragma_table_info('words_past')) = 3, :weights, :weights_before) AND w.rowid > :floor AND w.rowid <= :ceiling
      AND p.space IN (SELECT value FROM json_each(:spaces)) AND (p.message > 0) = :messages AND (:stream = 0 OR p.entity = :stream)
    ORDER BY w.rank LIMIT :limit)

-- Without a score, which is what takes the time:
-- name: words_every
SELECT json_group_array(json_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended))
FROM words w CROSS JOIN passages p ON p.id = w.rowid
WHERE w.words MATCH :match AND p.space IN (SELECT value FROM json_each(:spaces)) AND p.message = 0

-- name: words_past_every
SELECT json_group_array(json_array(p.id, 0.0, p.space, p.entity, p.part, p.message, p.began, p.ended))
FROM words_past w CROSS JOIN passages p ON p.id = w.rowid
WHERE w.words_past MATCH :match AND p.space IN (SELECT value FROM json_each(:spaces)) AND p.message = 0

-- name: count_words_messages
SELECT p.entity, count(*) FROM words w CROSS JOIN passages p ON p.id = w.rowid CROSS JOIN messages m ON m.id = p.message
WHERE w.words MATCH :match AND p.space IN (SELECT value FROM json_each(:spaces)) AND (:stream = 0 OR p.entity = :stream) /*also*/
GROUP BY p.entity

-- For each expression: in how many of the oldest and how many of the newest passages that have it, up to where, and down to where.
-- name: term_spans
SELECT json_group_array(json_array(
    t.value,
    json((SELECT json_array(count(*), coalesce(max(rowid), 0)) FROM (SELECT rowid FROM words WHERE words MATCH t.value LIMIT :limit))),
    (SELECT coalesce(min(rowid), 0) FROM (SELECT rowid FROM words WHERE words MATCH t.value ORDER BY rowid DESC LIMIT :limit))))
FROM json_each(:terms) t

-- Relations

-- Where no nearer layer says something of a relation.
-- name: relation_not_hidden
AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN relations s ON s.space = n.value ->> 0 AND s.id = r.id AND s.began <= n.value ->> 1
                  AND (s.ended = 0 OR s.ended > n.value ->> 1))

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
    SELECT * FROM relations WHERE :outgoing AND from_id > 0 AND from_id IN (SELECT value FROM json_each(:ids)) AND space = :space
    UNION SELECT * FROM relations WHERE :incoming AND to_id > 0 AND to_id IN (SELECT value FROM json_each(:ids)) AND space = :space
    UNION SELECT * FROM relations WHERE :outgoing AND from_id = 0 AND from_name IN (SELECT value FROM json_each(:names)) AND space = :space
    UNION SELECT * FROM relations WHERE :incoming AND to_id = 0 AND to_name IN (SELECT value FROM json_each(:names)) AND space = :space
) r LEFT JOIN changes c ON c.number = r.began
WHERE r.deleted = 0 AND r.began <= :at AND (r.ended = 0 OR r.ended > :at)
  /*part relation_not_hidden*/
/*also*/
ORDER BY r.id LIMIT :most

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
ORDER BY max(CASE WHEN r.began <= :upto THEN r.began ELSE 0 END, CASE WHEN r.ended <= :upto THEN r.ended ELSE 0 END) DESC, r.row DESC LIMIT :limit

-- name: relation_types
AND r.type IN (SELECT value FROM json_each(:types))

-- By the index of names, which is short; without the `+` and the missing order all relations of the space would be read.
-- name: relations_loose
SELECT r.row, r.space, r.id, r.from_id, r.to_id, r.from_name, r.to_name, r.type, r.strength, r.metadata, r.began, c.at
FROM relations r LEFT JOIN changes c ON c.number = r.began
WHERE r.from_id = 0 AND +r.space = :space AND r.deleted = 0 AND r.began <= :at AND (r.ended = 0 OR r.ended > :at)
  /*part relation_not_hidden*/

-- Conflicts

-- name: conflicts
SELECT k.row, k.space, k.id, k.entity, k.other, k.part, k.other_part, k.type, k.confidence, k.reason, k.action, k.status, k.notes, k.found, k.began,
       (SELECT at FROM changes WHERE number = k.found), (SELECT at FROM changes WHERE number = k.began)
FROM conflicts k
WHERE k.space = :space AND k.began <= :at AND (k.ended = 0 OR k.ended > :at) AND k.id < :before
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN conflicts s ON s.space = n.value ->> 0 AND s.id = k.id AND s.began <= n.value ->> 1)
  /*also*/
ORDER BY k.id DESC LIMIT :limit

-- name: conflicts_between
SELECT k.row, k.space, k.id, k.entity, k.other, k.part, k.other_part, k.type, k.confidence, k.reason, k.action, k.status, k.notes, k.found, k.began, 0, 0
FROM conflicts k
WHERE k.entity IN (SELECT value FROM json_each(:ids)) AND k.space = :space AND k.began <= :at AND (k.ended = 0 OR k.ended > :at)
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN conflicts s ON s.space = n.value ->> 0 AND s.id = k.id AND s.began <= n.value ->> 1)

-- name: conflicts_of_types
AND k.type IN (SELECT value FROM json_each(:types))

-- name: purge_conflicts
DELETE FROM conflicts WHERE (entity = :entity OR other = :entity) AND (space IN (SELECT value FROM json_each(:spaces)) OR :everywhere)

-- Messages

-- name: messages
SELECT id, space, stream, coalesce(role, 'user'), coalesce(kind, 'dialogue'), speaker, at, tick, importance, tokens, began, crc, CASE WHEN block THEN block ELSE body END FROM messages m
WHERE stream = :stream AND space = :space AND began <= :at AND (ended = 0 OR ended > :at) /*also*/
ORDER BY /*key*/ /*down*/, id /*down*/ LIMIT :limit

-- name: messages_by_ids
SELECT id, space, stream, coalesce(role, 'user'), coalesce(kind, 'dialogue'), speaker, at, tick, importance, tokens, began, crc, CASE WHEN block THEN block ELSE body END FROM messages m
WHERE id IN (SELECT value FROM json_each(:ids)) /*also*/

-- name: message_heads
SELECT json_group_array(json_array(m.id, m.speaker, coalesce(m.role, 'user'), m.stream, m.at, m.importance, m.length)) FROM messages m
WHERE m.id IN (SELECT value FROM json_each(:ids)) /*also*/

-- name: messages_of_change
SELECT id, stream FROM messages
WHERE id BETWEEN :first AND :last AND space = :space AND CASE WHEN :withdrawn THEN ended = :number ELSE began = :number AND ended = 0 END ORDER BY id

-- name: lines_spoken
SELECT m.id, m.speaker, m.at, m.crc, CASE WHEN m.block THEN m.block ELSE m.body END, m.began, (SELECT p.id FROM passages p WHERE p.message = m.id AND p.message > 0 AND p.ended = 0)
FROM messages m WHERE m.id IN (SELECT value FROM json_each(:ids)) ORDER BY m.id

-- name: stream_cut
-- The newest message that is not among the newest :keep of a stream.
SELECT m.id FROM messages m CROSS JOIN json_each(:layers) l ON m.space = l.value ->> 0
WHERE m.stream = :stream AND m.began <= l.value ->> 1 AND (m.ended = 0 OR m.ended > l.value ->> 1) ORDER BY m.id DESC LIMIT 1 OFFSET :keep

-- name: stream_spoken
SELECT m.began FROM messages m CROSS JOIN json_each(:layers) l ON m.space = l.value ->> 0
WHERE m.stream = :stream AND m.began <= l.value ->> 1 AND (m.ended = 0 OR m.ended > l.value ->> 1) ORDER BY m.id DESC LIMIT 1

-- name: lines_older
-- Up to which message all that follow :after were said before :since.
SELECT max(id), count(*) FROM messages WHERE stream = :stream AND space = :space AND ended = 0 AND id > :after AND id < coalesce((
    SELECT min(n.id) FROM messages n WHERE n.stream = :stream AND n.space = :space AND n.ended = 0 AND n.id > :after AND +n.at >= :since), 1 << 62)

-- name: add_block
INSERT INTO blocks (space, stream, first, last, bytes, crc, body) VALUES (:space, :stream, :first, :last, :bytes, :crc, :body)

-- name: pack_line
UPDATE messages SET body = x'', block = :block WHERE id = :id

-- name: purge_blocks
DELETE FROM blocks WHERE stream = :entity AND (space IN (SELECT value FROM json_each(:spaces)) OR :everywhere)

-- name: of_roles
AND coalesce(m.role, 'user') IN (SELECT value FROM json_each(:roles))
-- name: of_kinds
AND coalesce(m.kind, 'dialogue') IN (SELECT value FROM json_each(:kinds))
-- The same without the kind that most messages are of: only the others are in the index of kinds.
-- name: of_rare_kinds
AND m.kind IN (SELECT value FROM json_each(:kinds)) AND m.kind <> 'dialogue'
-- name: of_speakers
AND m.speaker IN (SELECT value FROM json_each(:speakers))

-- Answers, access, counts

-- name: access
SELECT a.id, a.at, a.op, a.space, a.pid, a.us, a.error, a.number, a.entity, a.address, a.request, a.says, o.channel, o.client, o.agent, o.session, o.tool, o.run, o.user, o.method, o.trust
FROM access a JOIN origins o ON o.id = a.origin WHERE 1 /*also*/ ORDER BY a.id DESC LIMIT :limit

-- name: access_ops
AND a.op IN (SELECT value FROM json_each(:ops))

-- Batches come in order, so that the newest is the last use, also where a clock was ahead for a while.
-- name: add_use
INSERT INTO uses (entity, count, last) VALUES (:entity, :count, :last)
ON CONFLICT (entity) DO UPDATE SET count = count + excluded.count, last = excluded.last

-- name: counts
SELECT e.living, (SELECT count(*) FROM relations WHERE ended = 0 AND deleted = 0),
       (SELECT count(*) FROM messages WHERE ended = 0), (SELECT count(*) FROM versions), (SELECT count(*) FROM spaces WHERE ended = 0),
       (SELECT count(*) FROM changes), e.bodies, e.texts
FROM (SELECT count(*) FILTER (WHERE deleted = 0) AS living, coalesce(sum(length(body)), 0) AS bodies, coalesce(sum(text_bytes), 0) AS texts
      FROM entities) e

-- name: counts_of
WITH mine AS (SELECT value AS space FROM json_each(:spaces))
SELECT (SELECT count(*) FROM entities WHERE deleted = 0 AND space IN mine),
       (SELECT count(*) FROM relations WHERE ended = 0 AND deleted = 0 AND space IN mine),
       (SELECT count(*) FROM messages WHERE ended = 0 AND space IN mine), (SELECT count(*) FROM versions WHERE space IN mine),
       (SELECT count(*) FROM mine), (SELECT count(*) FROM changes WHERE space IN mine),
       (SELECT coalesce(sum(length(body)), 0) FROM entities WHERE space IN mine),
       (SELECT coalesce(sum(text_bytes), 0) FROM entities WHERE space IN mine)

-- name: count_living
-- Of each type: all, those of each tier, and those made within a day, a week, a month, a year.
-- In the order in which the rows lie: in that of the types, they would be read from all over the file. What lies in a nearer layer is asked for where there is one: asked of every row, it takes as long as all the rest.
SELECT e.type, count(*),
       count(*) FILTER (WHERE e.tier = 0), count(*) FILTER (WHERE e.tier = 1), count(*) FILTER (WHERE e.tier = 2), count(*) FILTER (WHERE e.tier = 3),
       count(*) FILTER (WHERE f.at > :now - 86400000), count(*) FILTER (WHERE f.at > :now - 604800000),
       count(*) FILTER (WHERE f.at > :now - 2592000000), count(*) FILTER (WHERE f.at > :now - 31536000000)
FROM entities e INDEXED BY entities_id CROSS JOIN changes f ON f.number = e.first
WHERE e.space = :space AND e.deleted = 0 AND +e.began <= :at AND (:nearer = '[]' OR
  NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN entities s ON s.space = n.value ->> 0 AND s.id = e.id AND s.first <= n.value ->> 1))
GROUP BY +e.type

-- name: count_expiring
SELECT CASE WHEN e.expires_at <= :now THEN 'expired' WHEN e.expires_at <= :now + 86400000 THEN 'day'
            WHEN e.expires_at <= :now + 7 * 86400000 THEN 'week' ELSE 'month' END, count(*)
FROM entities e
WHERE e.space = :space AND e.deleted = 0 AND e.expires_at <= :now + 30 * 86400000 AND e.began <= :at
  AND NOT EXISTS (SELECT 1 FROM json_each(:nearer) n JOIN entities s ON s.space = n.value ->> 0 AND s.id = e.id AND s.first <= n.value ->> 1)
GROUP BY 1

-- name: tended_settled
SELECT count(*) FROM entities e JOIN changes c ON c.number = e.began JOIN changes f ON f.number = e.first LEFT JOIN uses u ON u.entity = e.id
WHERE e.space = :space AND e.deleted = 0 AND e.quarantined = 0 AND e.tier = :tier AND (e.expires_at IS NULL OR e.expires_at > :now)
  AND e.type NOT IN (SELECT value FROM json_each(:types)) AND f.at < :made AND c.at <= :quiet AND c.op <> 'undo'
  AND coalesce(u.count, 0) < :reads AND coalesce(u.last, 0) <= :quiet

-- Purging: everything that some spaces hold of an entity, and, where no other space knows it (:everywhere), what hangs on it anywhere

-- name: spaces_knowing
SELECT s.id, s.name FROM spaces s CROSS JOIN entities e ON e.space = s.id AND e.id = :entity ORDER BY s.id

-- name: names_had
SELECT DISTINCT name FROM names WHERE space IN (SELECT value FROM json_each(:spaces)) AND entity IN (SELECT value FROM json_each(:ids))

-- name: relations_said
SELECT from_name, to_name, type, metadata FROM relations
WHERE (from_id = :entity AND from_id > 0 OR to_id = :entity AND to_id > 0) AND (space IN (SELECT value FROM json_each(:spaces)) OR :everywhere)

-- name: messages_said
SELECT id, speaker, crc, CASE WHEN block THEN block ELSE body END FROM messages
WHERE stream = :entity AND (space IN (SELECT value FROM json_each(:spaces)) OR :everywhere) AND id > :after ORDER BY id LIMIT :limit

-- name: purge_notes
UPDATE changes SET message = '' WHERE message <> '' AND number IN (
    SELECT began FROM versions WHERE space IN (SELECT value FROM json_each(:spaces)) AND entity = :entity
    UNION SELECT began FROM entities WHERE space IN (SELECT value FROM json_each(:spaces)) AND id = :entity
    UNION SELECT began FROM relations WHERE from_id = :entity AND from_id > 0 UNION SELECT ended FROM relations WHERE from_id = :entity AND from_id > 0
    UNION SELECT began FROM relations WHERE to_id = :entity AND to_id > 0 UNION SELECT ended FROM relations WHERE to_id = :entity AND to_id > 0
    UNION SELECT began FROM messages WHERE space IN (SELECT value FROM json_each(:spaces)) AND stream = :entity)

-- name: all_passages
SELECT id FROM passages WHERE entity = :entity AND (space IN (SELECT value FROM json_each(:spaces)) OR :everywhere) AND message = 0 AND ended = 0
UNION ALL SELECT id FROM passages WHERE entity = :entity AND (space IN (SELECT value FROM json_each(:spaces)) OR :everywhere) AND ended > 0
UNION ALL SELECT p.id FROM messages m JOIN passages p ON p.message = m.id AND p.message > 0
WHERE m.stream = :entity AND (m.space IN (SELECT value FROM json_each(:spaces)) OR :everywhere) AND p.ended = 0

-- name: purge_merges
DELETE FROM merges WHERE subject IN ('entity', 'same') AND id IN (SELECT value FROM json_each(:ids))
  AND (branch IN (SELECT value FROM json_each(:spaces)) OR target IN (SELECT value FROM json_each(:spaces))
    OR id IN (SELECT value FROM json_each(:nowhere)))

-- name: purge_passages
DELETE FROM passages WHERE id IN (SELECT value FROM json_each(:passages))

-- name: purge_properties
DELETE FROM properties WHERE space IN (SELECT value FROM json_each(:spaces)) AND entity IN (SELECT value FROM json_each(:ids))

-- name: purge_tags
DELETE FROM tags WHERE space IN (SELECT value FROM json_each(:spaces)) AND entity IN (SELECT value FROM json_each(:ids))

-- name: purge_names
DELETE FROM names WHERE space IN (SELECT value FROM json_each(:spaces)) AND entity IN (SELECT value FROM json_each(:ids))

-- name: purge_named
DELETE FROM names WHERE space = :space AND name IN (SELECT value FROM json_each(:names)) AND entity IN (SELECT value FROM json_each(:ids))

-- name: purge_versions
DELETE FROM versions WHERE space IN (SELECT value FROM json_each(:spaces)) AND entity = :entity

-- name: purge_messages
DELETE FROM messages WHERE stream = :entity AND (space IN (SELECT value FROM json_each(:spaces)) OR :everywhere)

-- name: purge_relations
DELETE FROM relations WHERE (from_id = :entity AND from_id > 0 OR to_id = :entity AND to_id > 0) AND (space IN (SELECT value FROM json_each(:spaces)) OR :everywhere)

-- name: purge_uses
DELETE FROM uses WHERE entity = :entity AND :everywhere

-- name: purge_entities
DELETE FROM entities WHERE space IN (SELECT value FROM json_each(:spaces)) AND id = :entity

-- Opening

-- name: high_water
SELECT (SELECT coalesce(max(number), 0) FROM changes), (SELECT coalesce(max(id), 0) FROM entities), (SELECT coalesce(max(id), 0) FROM relations),
       (SELECT max(coalesce((SELECT max(id) FROM messages), 0), coalesce((SELECT value FROM meta WHERE key = 'message_high_water'), 0))),
       (SELECT max(coalesce((SELECT max(id) FROM passages), 0), coalesce((SELECT value FROM meta WHERE key = 'passage_high_water'), 0))),
       (SELECT coalesce(max(id), 0) FROM conflicts)

-- name: scans_left
SELECT s.name FROM spaces s JOIN meta m ON m.key = :prefix || s.name WHERE s.ended = 0 ORDER BY s.id

-- Moving in and out: everything as it was after change :at, and rows written with the numbers that they had elsewhere

-- name: transfer_changes
SELECT c.number, c.at, c.space, c.op, c.message, o.channel, o.client, o.agent, o.session, o.tool, o.run, o.user, o.method, o.trust
FROM changes c JOIN origins o ON o.id = c.origin WHERE c.number > :after AND c.number <= :at ORDER BY c.number LIMIT :limit

-- name: transfer_messages
SELECT id, space, stream, coalesce(role, 'user'), coalesce(kind, 'dialogue'), speaker, at, tick, importance, tokens, began, CASE WHEN ended > :at THEN 0 ELSE ended END, crc, CASE WHEN block THEN block ELSE body END
FROM messages WHERE id > :after AND began <= :at ORDER BY id LIMIT :limit

-- name: transfer_uses
SELECT u.entity, u.count, u.last FROM uses u
WHERE u.entity > :after AND EXISTS (SELECT 1 FROM spaces s CROSS JOIN entities e ON e.space = s.id AND e.id = u.entity AND e.first <= :at)
ORDER BY u.entity LIMIT :limit

-- name: transfer_known_conflicts
SELECT space, id, began FROM conflicts WHERE id IN (SELECT value FROM json_each(:ids))

-- name: transfer_known_changes
SELECT number FROM changes WHERE number IN (SELECT value FROM json_each(:numbers))

-- name: transfer_known_entities
SELECT DISTINCT j.value FROM json_each(:ids) j CROSS JOIN spaces s CROSS JOIN entities e ON e.space = s.id AND e.id = j.value

-- name: transfer_heads
SELECT id, scope, version, first, began, deleted, crc, body FROM entities WHERE space = :space AND id IN (SELECT value FROM json_each(:ids))

-- name: transfer_known_names
SELECT n.space, n.name, n.scope, n.ended FROM json_each(:names) j
CROSS JOIN names n ON n.space = j.value ->> 0 AND n.name = j.value ->> 1 AND n.scope = j.value ->> 2 AND n.ended = j.value ->> 3

-- name: transfer_known_relations
SELECT space, id, from_id, to_id, from_name, to_name, type, deleted, began, ended FROM relations
WHERE space = :space AND id IN (SELECT value FROM json_each(:ids))

-- name: transfer_known_messages
SELECT id, space, stream, at, crc FROM messages WHERE id IN (SELECT value FROM json_each(:ids))

-- name: transfer_known_journal
SELECT number, seq, subject, id, act, before, after FROM journal WHERE number IN (SELECT value FROM json_each(:numbers))

-- name: transfer_messages_at
SELECT coalesce(role, 'user'), coalesce(kind, 'dialogue'), at, crc, CASE WHEN block THEN block ELSE body END FROM messages
WHERE stream = :stream AND space = :space AND began < :before AND ended = 0 AND at IN (SELECT value FROM json_each(:times))

-- name: transfer_property
INSERT INTO properties (space, key, value, entity, ended, began) VALUES (:space, :key, :value, :entity, :ended, :began)

-- name: transfer_jobs
SELECT key, value FROM meta WHERE key > 'import/' AND key < 'import0' AND key NOT GLOB 'import/*/*'

-- Vectors: a key is the passage's id * 64 + the model's

-- name: serve_model
UPDATE models SET serves = (id = :model) WHERE source <> ''

-- name: drop_model
DELETE FROM models WHERE id = :model AND NOT EXISTS (SELECT 1 FROM vectors WHERE key & 63 = :model)

-- name: drop_vectors_between
DELETE FROM vectors WHERE key BETWEEN :after << 6 AND :upto << 6 AND key & 63 = :model

-- name: last_vector
SELECT coalesce(max(key) >> 6, 0) FROM vectors

-- name: add_vector
INSERT INTO vectors (key, vector) VALUES (:passage << 6 | :model, :vector) ON CONFLICT (key) DO UPDATE SET vector = excluded.vector

-- name: copy_own_vectors
INSERT OR IGNORE INTO vectors (key, vector)
SELECT :to << 6 | (v.key & 63), v.vector FROM vectors v JOIN models m ON m.id = v.key & 63
WHERE v.key BETWEEN :from << 6 AND :from << 6 | 63 AND m.source = ''

-- name: own_vectors
SELECT v.key & 63, p.id, v.vector, p.space, p.entity, p.message FROM json_each(:ids) j JOIN passages p ON p.id = j.value
JOIN vectors v ON v.key BETWEEN p.id << 6 AND p.id << 6 | 63 JOIN models m ON m.id = v.key & 63 WHERE m.source = '' AND p.ended = 0

-- name: message_passages
SELECT message, id FROM passages WHERE message IN (SELECT value FROM json_each(:ids)) AND message > 0 AND ended = 0

-- name: leads
SELECT DISTINCT v.key >> 6 FROM json_each(:ids) j JOIN vectors v ON v.key BETWEEN j.value << 6 AND j.value << 6 | 63
JOIN models m ON m.id = v.key & 63 WHERE m.source <> ''

-- name: passages_ended
SELECT id, ended FROM passages WHERE id IN (SELECT value FROM json_each(:ids))

-- name: heads
SELECT id, crc, body FROM entities WHERE space = :space AND id IN (SELECT value FROM json_each(:ids))

-- name: lines
SELECT id, speaker, crc, CASE WHEN block THEN block ELSE body END FROM messages WHERE id IN (SELECT value FROM json_each(:ids))

-- name: vectors_after
SELECT v.key >> 6, v.vector, p.space, p.entity, p.message FROM vectors v JOIN passages p ON p.id = v.key >> 6
WHERE v.key > :after << 6 | 63 AND v.key & 63 = :model AND p.ended = 0 ORDER BY v.key LIMIT :limit

-- name: vectors_of
SELECT j.value, v.vector FROM json_each(:ids) j JOIN vectors v ON v.key = j.value << 6 | :model

-- The vector that speaks for a passage: its own, or that of the nearest one before it that began with it in the same entity.
-- name: vectors_for
SELECT p.id, l.id, v.vector FROM json_each(:ids) j JOIN passages p ON p.id = j.value
JOIN vectors v ON v.key = (SELECT max(key) FROM vectors WHERE key BETWEEN (p.id - :reach) << 6 AND p.id << 6 | 63 AND key & 63 = :model)
JOIN passages l ON l.id = v.key >> 6 AND l.space = p.space AND l.entity = p.entity AND l.message = p.message AND l.began = p.began

-- name: lacking
SELECT (SELECT count(*) FROM passages WHERE message > 0 AND ended = 0 AND id <= :upto),
       (SELECT count(*) FROM (SELECT DISTINCT entity, space FROM passages WHERE message = 0 AND ended = 0 AND id <= :upto))

-- name: drop_vector
DELETE FROM vectors WHERE key = :passage << 6 | :model

-- The words index once more, beside the one that serves: word for word as in schema.sql
-- name: begin_words_next
CREATE VIRTUAL TABLE words_next USING fts5 (
    body, name, dates, content = '', contentless_delete = 1, tokenize = "porter unicode61 remove_diacritics 2"
);
INSERT INTO words_next (words_next, rank) VALUES ('automerge', 0), ('crisismerge', 64);

-- name: has_words_next
SELECT 1 FROM sqlite_schema WHERE name = 'words_next'

-- name: add_words_next
INSERT OR REPLACE INTO words_next (rowid, name, body, dates) VALUES (:id, :name, :body, :dates)

-- name: drop_words_next
DELETE FROM words_next WHERE rowid = :id

-- name: swap_words
DROP TABLE words;
ALTER TABLE words_next RENAME TO words;

-- name: spoken
SELECT id, speaker, at, crc, CASE WHEN block THEN block ELSE body END FROM messages WHERE id IN (SELECT value FROM json_each(:ids))

-- name: passages_of
SELECT id, 0.0, space, entity, part, message, began, ended FROM passages WHERE id IN (SELECT value FROM json_each(:ids))

-- name: having
SELECT entity FROM properties WHERE space = :space AND key = :property AND value = :value AND ended = 0 LIMIT :limit

-- name: typed
SELECT id FROM entities WHERE space = :space AND type IN (SELECT value FROM json_each(:types)) LIMIT :limit

-- name: passages_within
SELECT id, 0.0, space, entity, part, message, began, ended FROM passages
WHERE entity IN (SELECT value FROM json_each(:ids)) AND space = :space AND message = 0 AND ended = 0

-- name: vectors_of_entities
SELECT p.entity, v.vector FROM passages p JOIN vectors v ON v.key = p.id << 6 | :model
WHERE p.entity > :after AND p.entity <= :upto AND p.message = 0 AND p.ended = 0 AND p.space IN (SELECT value FROM json_each(:spaces))

-- name: drop_embedded
DELETE FROM vectors WHERE key BETWEEN :id << 6 AND :id << 6 | 63 AND key & 63 IN (SELECT id FROM models WHERE source <> '')

-- name: see_to_again
UPDATE models SET embedded = min(embedded, :passage) WHERE source <> ''

-- name: purge_vectors
DELETE FROM vectors WHERE key BETWEEN :id << 6 AND :id << 6 | 63

-- name: past_vectors
SELECT p.id, v.vector FROM passages p JOIN vectors v ON v.key = p.id << 6 | :model
WHERE p.ended > :at AND p.began <= :at AND :messages IN (-1, p.message > 0) AND p.space = :space AND (:stream = 0 OR p.entity = :stream)

-- name: past_nearest
SELECT p.id, 1.0 - vec_distance_cosine(vec_int8(v.vector), vec_int8(:query)) AS near FROM passages p JOIN vectors v ON v.key = p.id << 6 | :model
WHERE p.ended > :at AND p.began <= :at AND :messages IN (-1, p.message > 0) AND p.space = :space AND (:stream = 0 OR p.entity = :stream)
ORDER BY near DESC LIMIT :limit

-- name: nearest_among
SELECT j.value, 1.0 - vec_distance_cosine(vec_int8(v.vector), vec_int8(:query)) AS near FROM json_each(:ids) j
JOIN vectors v ON v.key = j.value << 6 | :model ORDER BY near DESC LIMIT :limit

-- Cold storage

-- name: add_cold_file
INSERT INTO cold_files (name, at, bytes, sha256) VALUES (:name, :at, :bytes, :sha256)

-- name: cold_addresses
SELECT space, entity, file, at, versions, messages FROM cold_entities
WHERE space IN (SELECT value FROM json_each(:spaces)) AND entity > :after AND living = 1 ORDER BY entity LIMIT :limit

-- name: cold_all
SELECT space, entity, file, at, versions, messages FROM cold_entities WHERE (space, entity) > (:space, :entity) AND living = 1
ORDER BY space, entity LIMIT :limit

-- name: cold_count
SELECT count(*), sum(bytes), (SELECT count(*) FROM cold_entities WHERE living = 1) FROM cold_files WHERE due = 0

-- name: cold_files_of
SELECT DISTINCT file FROM cold_entities WHERE entity = :entity AND space IN (SELECT value FROM json_each(:spaces)) ORDER BY file

-- name: cold_spaces_of
SELECT space FROM cold_entities WHERE file = :file AND entity = :entity AND space IN (SELECT value FROM json_each(:spaces))

-- name: drop_cold_of
DELETE FROM cold_entities WHERE file = :file AND entity = :entity AND space IN (SELECT value FROM json_each(:spaces))

-- name: cold_lines
SELECT sum(CASE WHEN space = :space THEN 1 ELSE 0 END), count(*), max(id), max(ended) FROM messages WHERE stream = :stream

-- name: cold_messages
SELECT id, space, stream, coalesce(role, 'user'), coalesce(kind, 'dialogue'), speaker, at, tick, importance, tokens, began, ended, crc, CASE WHEN block THEN block ELSE body END
FROM messages WHERE stream = :stream AND space = :space AND id > :after ORDER BY id LIMIT :limit

