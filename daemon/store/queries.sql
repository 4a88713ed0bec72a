-- The statements that every engine runs as they stand here, by name; what an engine asks in a way of its own stands in its own
-- `queries.sql`, and no name in both. A value is always bound (:name); a limit of -1 is none. `/*also*/` is where named conditions
-- are added, `/*key*/` where a named expression to order by is, and nothing else is ever put into a statement's text.

-- Spaces

-- name: space_named
SELECT id, name, parent, pinned, ended, entity FROM spaces WHERE name = :name

-- name: space_by_id
SELECT id, name, parent, pinned, ended, entity FROM spaces WHERE id = :id

-- name: space_row
SELECT s.id, s.name, p.name, s.pinned, s.kind, s.metadata, s.ended, c.at, s.entity, s.began
FROM spaces s LEFT JOIN spaces p ON p.id = s.parent LEFT JOIN changes c ON c.number = s.began WHERE s.name = :name

-- name: spaces
SELECT s.id, s.name, p.name, s.pinned, s.kind, s.metadata, s.ended, c.at, s.entity, s.began
FROM spaces s LEFT JOIN spaces p ON p.id = s.parent LEFT JOIN changes c ON c.number = s.began ORDER BY s.id

-- name: set_space_metadata
UPDATE spaces SET metadata = :metadata WHERE id = :id

-- name: retire_space
UPDATE spaces SET ended = :number WHERE id = :id

-- name: revive_space
UPDATE spaces SET ended = 0 WHERE id = :id

-- Branches

-- name: branches_page
SELECT s.id, s.name, p.name, s.pinned, s.entity, s.ended, c.at, coalesce(nullif(o.agent, ''), o.client, ''), coalesce(c.message, ''),
       (SELECT count(*) FROM entities e WHERE e.space = s.id),
       (SELECT max(m.base) FROM merges m WHERE m.branch = s.id AND m.target = s.parent AND m.subject = 'all' AND m.ended = 0)
FROM spaces s LEFT JOIN spaces p ON p.id = s.parent LEFT JOIN changes c ON c.number = s.began LEFT JOIN origins o ON o.id = c.origin
WHERE s.kind = 'branch' AND s.id > :after /*also*/ ORDER BY s.id LIMIT :limit

-- name: branch_in_use
AND s.ended = 0
-- name: branch_over
AND s.parent = :parent
-- name: branch_named
AND s.name = :name

-- name: readers_of
SELECT name FROM spaces WHERE parent = :id AND ended = 0 ORDER BY id LIMIT :limit

-- name: rename_space
UPDATE spaces SET name = :name WHERE id = :id

-- name: number_at
SELECT max(number) FROM changes WHERE at <= :at

-- What one space holds of its own, begun after a change.
-- name: own_entities
SELECT id, first FROM entities WHERE space = :space AND began > :since AND first <= :at AND id > :after ORDER BY id LIMIT :limit

-- name: own_entity
SELECT first FROM entities WHERE space = :space AND id = :id AND first <= :at

-- name: own_relations
SELECT r.row, r.space, r.id, r.from_id, r.to_id, r.from_name, r.to_name, r.type, r.strength, r.metadata, r.began, 0
FROM relations r WHERE r.space = :space AND r.began <= :at AND (r.began > :since OR r.ended > :since) /*also*/ ORDER BY r.id, r.row

-- name: relation_among
AND r.id > :after AND r.id <= :upto

-- name: own_relation_ids
SELECT DISTINCT r.id FROM relations r
WHERE r.space = :space AND r.id > :after AND r.began <= :at AND (r.began > :since OR r.ended > :since) ORDER BY r.id LIMIT :limit

-- name: own_relations_same
-- All rows of one type between two ends, whenever they were.
SELECT r.row, r.space, r.id, r.from_id, r.to_id, r.from_name, r.to_name, r.type, r.strength, r.metadata, r.began, 0
FROM (
    SELECT * FROM relations WHERE :from_id > 0 AND from_id > 0 AND from_id = :from_id AND to_id = :to_id AND to_name = :to_name AND space = :space
    UNION ALL SELECT * FROM relations WHERE :from_id = 0 AND from_id = 0 AND from_name = :from_name AND to_id = :to_id AND to_name = :to_name AND space = :space
) r WHERE r.type = :type AND r.began <= :at AND (r.began > :since OR r.ended > :since)

-- name: own_relation
SELECT r.row, r.space, r.id, r.from_id, r.to_id, r.from_name, r.to_name, r.type, r.strength, r.metadata, r.began, 0
FROM relations r WHERE r.space = :space AND r.id = :id ORDER BY r.row

-- name: of_stream
AND m.stream = :stream

-- name: count_own_messages
SELECT count(*) FROM messages WHERE space = :space AND space > 1 AND ended = 0

-- name: begun_as
SELECT before FROM journal WHERE number = :number AND subject = 'entity' AND id = :id ORDER BY seq LIMIT 1

-- name: merges
SELECT subject, id, part, base FROM merges WHERE branch = :branch AND target = :target AND ended = 0

-- name: add_merge
INSERT INTO merges (branch, target, subject, id, part, began, base) VALUES (:branch, :target, :subject, :id, :part, :began, :base)

-- name: drop_merge_begun
DELETE FROM merges WHERE branch = :branch AND target = :target AND subject = :subject AND id = :id AND part = :part AND ended = 0 AND began = :number

-- name: end_merge
UPDATE merges SET ended = :number WHERE branch = :branch AND target = :target AND subject = :subject AND id = :id AND part = :part AND ended = 0

-- name: unmerge_begun
DELETE FROM merges WHERE began = :number

-- name: unmerge_ended
UPDATE merges SET ended = 0 WHERE ended = :number

-- Names in relations of other spaces that an entity of this one may answer to.
-- name: dangling_spaces
SELECT space FROM relations WHERE from_id = 0 AND from_name = :name AND ended = 0
UNION SELECT space FROM relations WHERE to_id = 0 AND to_name = :name AND ended = 0

-- name: dangling_names
SELECT from_name FROM relations WHERE space = :space AND from_id = 0 AND ended = 0
UNION SELECT to_name FROM relations WHERE space = :space AND to_id = 0 AND ended = 0

-- Changes and their journal

-- name: add_change
INSERT INTO changes (number, at, space, origin, op, message) VALUES (:number, :at, :space, :origin, :op, :message)

-- name: add_journal
INSERT INTO journal (number, seq, subject, id, act, before, after) VALUES (:number, :seq, :subject, :id, :act, :before, :after)

-- name: last_change_at
SELECT at FROM changes ORDER BY number DESC LIMIT 1

-- name: last_change
SELECT max(number) FROM changes

-- name: change_time
SELECT at FROM changes WHERE number = :number

-- name: change_until
SELECT number FROM changes WHERE at <= :at ORDER BY at DESC, number DESC LIMIT 1

-- Conditions on changes in the journal

-- name: change_before
AND c.number < :before
-- name: change_numbered
AND c.number = :number
-- name: change_by_agent
AND o.agent = :agent
-- name: change_by_client
AND o.client = :client
-- name: change_in_session
AND o.session = :session
-- name: change_since
AND c.at >= :since
-- name: change_to
AND c.at <= :until

-- What can be undone: it touched something, is no undoing itself, and has not been undone.
-- name: change_effective
AND c.op NOT IN ('undo', 'redo')
AND EXISTS (SELECT 1 FROM journal j WHERE j.number = c.number AND j.subject IN ('entity', 'relation', 'messages') AND j.act NOT IN ('purge', 'prune'))
AND coalesce((SELECT l.act FROM journal l WHERE l.subject = 'change' AND l.id = c.number ORDER BY l.number DESC LIMIT 1), 'redo') <> 'undo'

-- The newest undoing that was not taken back, and those that a change was undone by, newest first.
-- name: last_undo
SELECT j.number FROM journal j JOIN changes c ON c.number = j.number
WHERE j.subject = 'change' AND j.act = 'undo' AND c.space = :space AND NOT EXISTS (
    SELECT 1 FROM journal l WHERE l.subject = 'change' AND l.id = j.id AND l.number > j.number)
ORDER BY j.number DESC LIMIT 1

-- name: taken_back_by
SELECT number, act FROM journal WHERE subject = 'change' AND id = :number ORDER BY number DESC LIMIT 1

-- Snapshots

-- name: add_snapshot
INSERT INTO snapshots (space, name, began, number) VALUES (:space, :name, :began, :number)

-- name: end_snapshot
UPDATE snapshots SET ended = :number WHERE space = :space AND name = :name AND ended = 0

-- name: drop_snapshot_begun
DELETE FROM snapshots WHERE space = :space AND name = :name AND ended = 0 AND began = :number

-- name: snapshot
SELECT s.name, s.number, s.began, c.at, c.message FROM snapshots s LEFT JOIN changes c ON c.number = s.began
WHERE s.space = :space AND s.name = :name AND s.ended = 0

-- name: snapshots
SELECT s.name, s.number, s.began, c.at, c.message FROM snapshots s LEFT JOIN changes c ON c.number = s.began
WHERE s.space = :space AND s.ended = 0 AND s.began < :before ORDER BY s.began DESC LIMIT :limit

-- Entities: one by its id, many, and listings

-- name: entity
SELECT e.id, e.space, e.scope, e.version, e.first, e.began, e.deleted, e.crc, e.body, e.text_bytes,
       (SELECT at FROM changes WHERE number = e.began), (SELECT at FROM changes WHERE number = e.first), u.count, u.last
FROM entities e LEFT JOIN uses u ON u.entity = e.id WHERE e.space = :space AND e.id = :id

-- name: changed_few
SELECT id, first FROM entities WHERE space = :space AND began > :at LIMIT :limit

-- name: entities_named
-- What lives under a name in one space: the commonest question there is, in one statement.
SELECT e.id, e.space, e.scope, e.version, e.first, e.began, e.deleted, e.crc, e.body, e.text_bytes,
       (SELECT at FROM changes WHERE number = e.began), (SELECT at FROM changes WHERE number = e.first), u.count, u.last
FROM names n JOIN entities e ON e.space = n.space AND e.id = n.entity LEFT JOIN uses u ON u.entity = e.id
WHERE n.space = :space AND n.name = :name AND n.ended = 0

-- name: expired
-- What has expired in one space, the first to expire first; what an undoing brought back after that stays.
SELECT e.expires_at, e.id FROM entities e
WHERE e.space = :space AND e.deleted = 0 AND e.expires_at <= :now AND (e.expires_at, e.id) > (:beyond, :beyond_id)
  AND NOT EXISTS (SELECT 1 FROM changes c WHERE c.number = e.began AND c.op IN ('undo', 'redo') AND c.at >= e.expires_at)
ORDER BY e.expires_at, e.id LIMIT :limit

-- name: spaces_expiring
SELECT s.name FROM spaces s WHERE s.ended = 0
  AND EXISTS (SELECT 1 FROM entities e WHERE e.space = s.id AND e.deleted = 0 AND e.expires_at <= :now)
ORDER BY s.id

-- name: tended_streams
-- From stream to stream by the index, whatever they hold.
WITH RECURSIVE s (stream) AS (
    SELECT min(stream) FROM messages WHERE stream > :after
    UNION ALL SELECT (SELECT min(m.stream) FROM messages m WHERE m.stream > s.stream) FROM s WHERE s.stream IS NOT NULL)
SELECT stream FROM s WHERE stream IS NOT NULL LIMIT :limit

-- name: tended_actions
SELECT id, at, crc, body FROM messages WHERE stream = :stream AND kind = :kind AND kind <> 'dialogue' AND space = :space AND ended = 0 ORDER BY id DESC LIMIT :limit

-- name: tended_declined
SELECT 1 FROM journal j JOIN changes k ON k.number = j.id
WHERE j.number = :number AND j.subject = 'change' AND j.act = 'undo' AND k.op = 'autonomous_curation' LIMIT 1

-- name: tended_acts
SELECT count(*) FROM changes c JOIN journal j ON j.number = c.number
WHERE c.at >= :at AND c.space = :space AND c.op = 'autonomous_curation' AND j.subject = 'entity' AND j.act IN ('promote', 'create')

-- What listings of entities are ordered by

-- name: key_id
e.id
-- name: key_updated
e.began
-- name: then_updated
v.began
-- name: key_priority
e.priority
-- name: key_name
m.name

-- Conditions on head rows. In a layer of the past, what has changed since is judged by the same names in daemon/store/past.py.

-- name: further_up
AND (/*key*/, e.id) > (:beyond, :beyond_id)
-- name: further_down
AND (/*key*/, e.id) < (:beyond, :beyond_id)

-- By the index of names from the place on.
-- name: further_up_names
AND m.name >= :beyond AND (m.name, e.id) > (:beyond, :beyond_id)
-- name: further_down_names
AND m.name <= :beyond AND (m.name, e.id) < (:beyond, :beyond_id)

-- name: after_id
AND e.id > :after
-- name: before_id
AND e.id < :after
-- name: in_scope
AND e.scope = :scope
-- name: is_pinned
AND e.pinned = 1
-- name: not_pinned
AND e.pinned = 0
-- name: is_quarantined
AND e.quarantined = 1
-- name: not_quarantined
AND e.quarantined = 0
-- name: not_expired
AND (e.expires_at IS NULL OR e.expires_at > :now)

-- name: updated_until
AND e.began <= coalesce((SELECT max(number) FROM changes WHERE at <= :updated_until), 0)

-- Names

-- name: name
SELECT scope, entity FROM names WHERE space = :space AND name = :name AND began <= :at AND (ended = 0 OR ended > :at) ORDER BY scope

-- name: add_name
-- No row where the name is taken.
INSERT INTO names (space, name, scope, began, entity) VALUES (:space, :name, :scope, :began, :entity) ON CONFLICT DO NOTHING

-- name: drop_name_begun
DELETE FROM names WHERE space = :space AND name = :name AND scope = :scope AND ended = 0 AND began = :number

-- name: end_name
UPDATE names SET ended = :number WHERE space = :space AND name = :name AND scope = :scope AND ended = 0

-- Writing entities

-- name: add_entity
INSERT INTO entities (space, id, scope, type, version, first, began, deleted, tier, priority, pinned, quarantined, expires_at, text_bytes, crc, body)
VALUES (:space, :id, :scope, :type, :version, :first, :began, :deleted, :tier, :priority, :pinned, :quarantined, :expires_at, :text_bytes, :crc, :body)

-- name: set_entity
UPDATE entities
SET type = :type, version = :version, began = :began, deleted = :deleted, tier = :tier, priority = :priority, pinned = :pinned,
    quarantined = :quarantined, expires_at = :expires_at, text_bytes = :text_bytes, crc = :crc, body = :body
WHERE space = :space AND id = :id

-- name: add_version
INSERT INTO versions (space, entity, version, began, ended, deleted, whole, crc, body)
VALUES (:space, :entity, :version, :began, :ended, :deleted, :whole, :crc, :body)

-- name: version_row
SELECT whole, crc, body FROM versions WHERE space = :space AND entity = :entity AND version = :version

-- name: set_version_body
UPDATE versions SET body = :body WHERE space = :space AND entity = :entity AND version = :version

-- name: versions_from
SELECT version, began, ended, deleted, whole, crc, body FROM versions
WHERE space = :space AND entity = :entity AND version BETWEEN :version AND :last ORDER BY version

-- name: version_at
SELECT v.version, v.began, v.deleted, v.crc, c.at FROM versions v LEFT JOIN changes c ON c.number = v.began
WHERE v.space = :space AND v.entity = :entity AND v.began <= :at AND v.ended > :at ORDER BY v.began DESC LIMIT 1

-- name: versions_page
SELECT version, began, deleted FROM versions
WHERE space = :space AND entity = :entity AND version < :before AND began <= :at ORDER BY version DESC LIMIT :limit

-- name: oldest_version
SELECT min(version) FROM versions WHERE space = :space AND entity = :entity

-- Tags and properties

-- name: add_tag
INSERT INTO tags (space, tag, entity, began) VALUES (:space, :tag, :entity, :began)

-- name: drop_tag_begun
DELETE FROM tags WHERE space = :space AND tag = :tag AND entity = :entity AND ended = 0 AND began = :number

-- name: end_tag
UPDATE tags SET ended = :number WHERE space = :space AND tag = :tag AND entity = :entity AND ended = 0

-- Passages and words

-- name: add_passage
INSERT INTO passages (id, space, entity, part, message, began) VALUES (:id, :space, :entity, :part, :message, :began)

-- name: end_passage
UPDATE passages SET ended = :ended WHERE id = :id

-- name: drop_passage
DELETE FROM passages WHERE id = :id

-- name: entity_passages
SELECT id, part, began FROM passages WHERE entity = :entity AND space = :space AND message = 0 AND ended = 0

-- name: passage_span
SELECT (SELECT coalesce(min(id), 1) FROM passages), (SELECT coalesce(max(id), 0) FROM passages)

-- name: passage_from
SELECT began FROM passages WHERE id >= :id ORDER BY id LIMIT 1

-- Relations

-- name: add_relation
INSERT INTO relations (space, id, from_id, to_id, from_name, to_name, type, strength, metadata, deleted, began)
VALUES (:space, :id, :from_id, :to_id, :from_name, :to_name, :type, :strength, :metadata, :deleted, :began)

-- name: end_relation
UPDATE relations SET ended = :number WHERE row = :row AND ended = 0

-- name: drop_relation_begun
DELETE FROM relations WHERE row = :row AND ended = 0 AND began = :number

-- An entity's, by both of its indexes: the `> 0` is theirs, and without the `+` the index of the whole space would be read instead.
-- name: unhide_relations
UPDATE relations SET ended = :ended
WHERE +space = :space AND deleted = 1 AND ended = 0 AND began = :number AND (from_id = :entity AND from_id > 0 OR to_id = :entity AND to_id > 0)

-- name: relations_hidden
SELECT id, from_id FROM relations
WHERE +space = :space AND deleted = 1 AND ended = 0 AND began = :number
  AND (from_id = :entity AND from_id > 0 OR to_id = :entity AND to_id > 0) ORDER BY id

-- name: relations_ended
SELECT r.row, r.space, r.id, r.from_id, r.to_id, r.from_name, r.to_name, r.type, r.strength, r.metadata, r.began, c.at
FROM relations r LEFT JOIN changes c ON c.number = r.began
WHERE +r.space = :space AND r.deleted = 0 AND r.ended = :number
  AND (r.from_id = :entity AND r.from_id > 0 OR r.to_id = :entity AND r.to_id > 0) ORDER BY r.id

-- Every row that a space has or had of a relation, and what began or ended of those that touch an entity.
-- name: relation_rows
SELECT r.row, r.space, r.id, r.from_id, r.to_id, r.from_name, r.to_name, r.type, r.strength, r.metadata, r.began, NULL, r.ended, r.deleted
FROM relations r WHERE r.space = :space AND r.id = :id ORDER BY r.row

-- name: relation_held
SELECT 1 FROM relations WHERE space = :space AND id = :id AND deleted = 0 AND began <= :at AND (ended = 0 OR ended > :at)

-- name: dangling
SELECT 1 FROM relations WHERE from_id = 0 AND from_name = :name UNION ALL SELECT 1 FROM relations WHERE to_id = 0 AND to_name = :name LIMIT 1

-- Conflicts

-- name: add_conflict
INSERT INTO conflicts (space, id, entity, other, part, other_part, type, confidence, reason, action, status, notes, found, began)
VALUES (:space, :id, :entity, :other, :part, :other_part, :type, :confidence, :reason, :action, :status, :notes, :found, :began)

-- name: end_conflict
UPDATE conflicts SET ended = :number WHERE row = :row AND ended = 0

-- name: drop_conflict_begun
DELETE FROM conflicts WHERE row = :row AND ended = 0 AND began = :number

-- name: conflict
SELECT k.row, k.space, k.id, k.entity, k.other, k.part, k.other_part, k.type, k.confidence, k.reason, k.action, k.status, k.notes, k.found, k.began,
       (SELECT at FROM changes WHERE number = k.found), (SELECT at FROM changes WHERE number = k.began)
FROM conflicts k WHERE k.space = :space AND k.id = :id AND k.began <= :at AND (k.ended = 0 OR k.ended > :at)

-- name: conflicts_with_status
AND k.status = :status
-- name: conflicts_of_entity
AND (k.entity = :entity OR k.other = :entity)
-- name: conflicts_at_least
AND k.confidence >= :confidence

-- Messages

-- name: add_message
INSERT INTO messages (id, space, stream, role, kind, speaker, at, tick, importance, tokens, length, began, crc, body)
VALUES (:id, :space, :stream, nullif(:role, 'user'), nullif(:kind, 'dialogue'), :speaker, :at, :tick, :importance, :tokens, :length, :began, :crc, :body)

-- name: end_message
UPDATE messages SET ended = :number WHERE id = :id AND ended = 0

-- name: revive_message
UPDATE messages SET ended = 0 WHERE id = :id

-- name: count_messages
SELECT count(*) FROM messages m WHERE stream = :stream AND space = :space AND began <= :at AND (ended = 0 OR ended > :at) /*also*/

-- name: last_of_stream
SELECT max(id) FROM messages WHERE stream = :stream AND space = :space AND ended = 0

-- name: count_lines
SELECT count(*) FROM messages WHERE stream = :stream AND space = :space AND ended = 0 AND id > :after AND id <= :upto

-- name: newest_tick
SELECT tick FROM messages WHERE stream = :stream AND tick IS NOT NULL AND space = :space AND ended = 0 ORDER BY tick DESC LIMIT 1

-- name: lines_to_pack
SELECT id, crc, body FROM messages
WHERE stream = :stream AND space = :space AND block = 0 AND id > :after AND id <= :upto ORDER BY id LIMIT :limit

-- name: last_block
SELECT max(id) FROM blocks

-- name: block
SELECT crc, body FROM blocks WHERE id = :id

-- What messages are ordered by, and conditions on them

-- name: message_id
m.id
-- name: message_at
m.at
-- name: message_tick
m.tick

-- name: before_message
AND m.id < :before
-- name: after_message
AND m.id > :after
-- name: upto_message
AND m.id <= :upto
-- name: kept_since
AND m.at >= :kept_since
-- name: with_tick
AND m.tick IS NOT NULL
-- name: tick_from
AND m.tick >= :tick_from
-- name: tick_to
AND m.tick <= :tick_to
-- name: said_since
AND m.at >= :since
-- name: said_until
AND m.at <= :until

-- name: beyond_up
AND (/*key*/, m.id) > (:beyond, :beyond_id)
-- name: beyond_down
AND (/*key*/, m.id) < (:beyond, :beyond_id)

-- Answers, access, counts

-- name: kept_answer
SELECT op, answer, number FROM answers WHERE uid = :uid AND key = :key

-- name: keep_answer
INSERT INTO answers (uid, key, number, at, op, answer) VALUES (:uid, :key, :number, :at, :op, :answer)

-- name: expire_answers
DELETE FROM answers WHERE (uid, key) IN (SELECT uid, key FROM answers WHERE at < :before LIMIT 2000)

-- name: add_access
INSERT INTO access (at, op, origin, space, pid, us, error, number) VALUES (:at, :op, :origin, :space, :pid, :us, :error, :number)

-- name: note_access
INSERT INTO access (at, op, origin, space, pid, us, error, entity, address, request, says)
VALUES (:at, :op, :origin, :space, :pid, 0, :error, :entity, :address, :request, :says)

-- name: blank_access
UPDATE access SET request = '', says = '' WHERE entity = :entity AND entity > 0

-- name: expire_access
DELETE FROM access WHERE id IN (SELECT id FROM access WHERE at < :before LIMIT 2000)

-- Conditions on the access log

-- name: access_before
AND a.id < :before
-- name: access_agent
AND o.agent = :agent
-- name: access_session
AND o.session = :session
-- name: access_failed
AND a.error <> ''
-- name: access_good
AND a.error = ''
-- name: access_since
AND a.at >= :since
-- name: access_space
AND a.space = :only
-- name: access_entity
AND a.entity = :entity AND a.entity > 0

-- Counts and backups

-- name: count_by_space
SELECT s.name, count(e.id) FROM spaces s LEFT JOIN entities e ON e.space = s.id AND e.deleted = 0 WHERE s.ended = 0 GROUP BY s.id ORDER BY s.id

-- name: add_backup
INSERT INTO backups (at, path, bytes, sha256, number) VALUES (:at, :path, :bytes, :sha256, :number)

-- name: last_backup
SELECT at, path FROM backups WHERE at <= :until ORDER BY at DESC LIMIT 1

-- name: backups_since
SELECT path FROM backups WHERE number >= :number ORDER BY at

-- Purging

-- A space and all that read through to it, retired ones included.
-- name: spaces_under
WITH RECURSIVE under (id) AS (SELECT :space UNION SELECT s.id FROM spaces s JOIN under u ON s.parent = u.id)
SELECT s.id, s.name FROM spaces s JOIN under u ON u.id = s.id ORDER BY s.id

-- name: answers_page
SELECT uid, key, op, answer FROM answers WHERE (uid, key) > (:uid, :last) ORDER BY uid, key LIMIT :limit

-- name: drop_answer
DELETE FROM answers WHERE uid = :uid AND key = :key

-- name: messages_of_changes
SELECT number, message FROM changes WHERE message <> ''

-- name: blank_message
UPDATE changes SET message = '' WHERE number = :number

-- Opening

-- name: set_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: get_meta
SELECT value FROM meta WHERE key = :key

-- name: drop_meta
DELETE FROM meta WHERE key = :key

-- name: dictionaries
SELECT id, bytes FROM dictionaries

-- name: add_dictionary
INSERT INTO dictionaries (id, at, bytes) VALUES (:id, :at, :bytes)

-- Moving in and out: everything as it was after change :at, and rows written with the numbers that they had elsewhere

-- A space that was brought back after :at was still retired then; only the journal knows.
-- name: transfer_spaces
SELECT s.id, s.name, s.parent, s.pinned, s.kind, s.metadata, s.began,
       CASE WHEN NOT EXISTS (SELECT 1 FROM journal j WHERE j.number > :at AND j.subject = 'space' AND j.act <> 'merge' AND j.id = s.id) THEN s.ended
            ELSE coalesce((SELECT CASE j.act WHEN 'delete' THEN j.number ELSE 0 END FROM journal j
                           WHERE j.number <= :at AND j.subject = 'space' AND j.act <> 'merge' AND j.id = s.id ORDER BY j.number DESC, j.seq DESC LIMIT 1), 0) END,
       s.entity
FROM spaces s WHERE s.id > :after AND s.began <= :at ORDER BY s.id LIMIT :limit

-- name: transfer_entities
SELECT id, scope, version, first, began, deleted, crc, body FROM entities
WHERE space = :space AND id > :after AND first <= :at ORDER BY id LIMIT :limit

-- name: transfer_oldest
SELECT min(version) FROM versions WHERE space = :space AND entity = :entity

-- name: transfer_relations
SELECT row, space, id, from_id, to_id, from_name, to_name, type, strength, metadata, deleted, began, CASE WHEN ended > :at THEN 0 ELSE ended END
FROM relations WHERE row > :after AND began <= :at ORDER BY row LIMIT :limit

-- name: transfer_journal
SELECT number, seq, subject, id, act, before, after FROM journal
WHERE (number, seq) > (:after, :seq) AND number <= :at ORDER BY number, seq LIMIT :limit

-- name: transfer_snapshots
SELECT began, space, name, number, CASE WHEN ended > :at THEN 0 ELSE ended END FROM snapshots
WHERE began > :after AND began <= :at ORDER BY began LIMIT :limit

-- name: transfer_snapshot
INSERT INTO snapshots (space, name, ended, began, number) VALUES (:space, :name, :ended, :began, :number) ON CONFLICT DO NOTHING

-- name: transfer_merges
SELECT branch, target, subject, id, part, began, base, CASE WHEN ended > :at THEN 0 ELSE ended END FROM merges
WHERE began <= :at ORDER BY branch, target, began, subject, id, part, ended

-- name: transfer_known_merges
SELECT branch, target, subject, id, part, ended FROM merges

-- name: transfer_merge
INSERT INTO merges (branch, target, subject, id, part, began, base, ended) VALUES (:branch, :target, :subject, :id, :part, :began, :base, :ended)

-- name: transfer_conflicts
SELECT row, space, id, type, entity, other, part, other_part, confidence, reason, action, status, notes, found, began,
    CASE WHEN ended > :at THEN 0 ELSE ended END FROM conflicts
WHERE row > :after AND began <= :at ORDER BY row LIMIT :limit

-- name: transfer_conflict
INSERT INTO conflicts (space, id, entity, other, part, other_part, type, confidence, reason, action, status, notes, found, began, ended)
VALUES (:space, :id, :entity, :other, :part, :other_part, :kind, :confidence, :reason, :action, :status, :notes, :found, :began, :ended)

-- name: transfer_total
SELECT (SELECT count(*) FROM spaces WHERE began <= :at) + (SELECT count(*) FROM changes WHERE number <= :at) + (SELECT count(*) FROM entities)
     + (SELECT count(*) FROM relations) + (SELECT count(*) FROM messages) + (SELECT count(*) FROM journal WHERE number <= :at) + (SELECT count(*) FROM uses)
     + (SELECT count(*) FROM snapshots WHERE began <= :at)
     + (SELECT count(*) FROM merges WHERE began <= :at)
     + (SELECT count(*) FROM conflicts WHERE began <= :at)

-- name: transfer_space
INSERT INTO spaces (id, name, parent, pinned, kind, entity, metadata, began, ended)
VALUES (:id, :name, :parent, :pinned, :kind, :entity, :metadata, :began, :ended)
ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, pinned = excluded.pinned, kind = excluded.kind, entity = excluded.entity, metadata = excluded.metadata,
    began = excluded.began, ended = excluded.ended

-- name: transfer_name
INSERT INTO names (space, name, scope, ended, began, entity) VALUES (:space, :name, :scope, :ended, :began, :entity)

-- name: transfer_tag
INSERT INTO tags (space, tag, entity, ended, began) VALUES (:space, :tag, :entity, :ended, :began)

-- name: transfer_passage
INSERT INTO passages (id, space, entity, part, message, began, ended) VALUES (:id, :space, :entity, :part, :message, :began, :ended)

-- name: transfer_relation
INSERT INTO relations (space, id, from_id, to_id, from_name, to_name, type, strength, metadata, deleted, began, ended)
VALUES (:space, :id, :from_id, :to_id, :from_name, :to_name, :type, :strength, :metadata, :deleted, :began, :ended)

-- name: transfer_message
INSERT INTO messages (id, space, stream, role, kind, speaker, at, tick, importance, tokens, length, began, ended, crc, body)
VALUES (:id, :space, :stream, nullif(:role, 'user'), nullif(:kind, 'dialogue'), :speaker, :at, :tick, :importance, :tokens, :length, :began, :ended, :crc, :body)

-- name: transfer_use
INSERT INTO uses (entity, count, last) VALUES (:entity, :count, :last) ON CONFLICT (entity) DO UPDATE SET count = excluded.count, last = excluded.last

-- name: transfer_forget
DELETE FROM meta WHERE key = :key OR (key > :key || '/' AND key < :key || '0')

-- Vectors

-- name: models
SELECT id, name, fingerprint, dimension, source, serves, embedded FROM models ORDER BY id

-- name: add_model
INSERT INTO models (id, name, fingerprint, dimension, source, serves) VALUES (:id, :name, :fingerprint, :dimension, :source, :serves)

-- name: set_source
UPDATE models SET source = :source, name = :name WHERE id = :model

-- name: set_embedded
UPDATE models SET embedded = :passage WHERE id = :model

-- name: passages_after
SELECT id, space, entity, part, message, began FROM passages WHERE id > :after AND ended = 0 ORDER BY id LIMIT :limit

-- name: count_passages_living
SELECT count(*) FROM passages WHERE ended = 0

-- name: count_passages_past
SELECT count(*) FROM passages WHERE ended > 0

-- name: messages_past_after
SELECT id, space, entity, part, message, began, ended FROM passages WHERE id > :after AND ended > 0 AND message > 0 ORDER BY id LIMIT :limit

-- name: passages_past_after
SELECT id, space, entity, part, message, began, ended FROM passages
WHERE ended > 0 AND message = 0 AND (entity, space, id) > (:entity, :space, :after) ORDER BY entity, space, id LIMIT :limit

-- name: last_passage
SELECT coalesce(max(id), 0) FROM passages

-- What a filter leaves

-- name: tagged
SELECT entity FROM tags WHERE space = :space AND tag = :tag AND ended = 0 LIMIT :limit

-- name: pinned
SELECT id FROM entities WHERE space = :space AND pinned = 1 LIMIT :limit

-- Cold storage

-- name: cold_files
SELECT id, name, at, bytes, sha256, due FROM cold_files ORDER BY id

-- name: cold_file
SELECT id, name, at, bytes, sha256, due FROM cold_files WHERE id = :id

-- name: cold_file_named
SELECT id FROM cold_files WHERE name = :name

-- name: drop_cold_file
DELETE FROM cold_files WHERE name = :name

-- name: drop_cold_entities
DELETE FROM cold_entities WHERE file IN (SELECT id FROM cold_files WHERE name = :name)

-- name: set_cold_due
UPDATE cold_files SET due = :due WHERE id = :id

-- name: add_cold_entity
INSERT INTO cold_entities (space, entity, file, at, versions, messages) VALUES (:space, :entity, :file, :at, :versions, :messages)

-- name: leave_cold
UPDATE cold_entities SET living = 0 WHERE space = :space AND entity = :entity AND file = :file

-- name: move_cold
UPDATE cold_entities SET file = :to WHERE file = :file

-- name: cold_living
SELECT count(*) FROM cold_entities WHERE file = :file AND living = 1

-- name: cold_address
SELECT space, entity, file, at, versions, messages FROM cold_entities WHERE space = :space AND entity = :entity AND living = 1

-- name: cold_of_file
SELECT entity FROM cold_entities WHERE file = :file LIMIT 1

-- name: branch_seeing
WITH RECURSIVE under (id) AS (SELECT :space UNION SELECT s.id FROM spaces s JOIN under u ON s.parent = u.id)
SELECT s.name FROM spaces s JOIN under u ON u.id = s.id WHERE s.kind = 'branch' AND s.ended = 0 AND s.pinned >= :first ORDER BY s.id LIMIT 1
