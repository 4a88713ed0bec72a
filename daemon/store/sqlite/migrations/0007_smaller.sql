-- Most messages are dialogue, and nobody looks for those by their kind. (Words keep their layout until they are indexed anew.)
DROP INDEX messages_kind;
CREATE INDEX messages_kind ON messages (stream, kind, id) WHERE kind <> 'dialogue';
