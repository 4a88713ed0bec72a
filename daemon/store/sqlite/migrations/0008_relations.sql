-- Whether a relation is there already is asked of each that is made: it is looked up by both ends, so that one whose start has many is
-- not found by reading them all.
DROP INDEX relations_from;
CREATE INDEX relations_from ON relations (from_id, space, to_id, to_name) WHERE from_id > 0;
DROP INDEX relations_from_name;
CREATE INDEX relations_from_name ON relations (from_name, space, to_id, to_name) WHERE from_id = 0;
