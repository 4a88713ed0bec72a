-- Spread a store over the workers of a Citus cluster. Run once, on the coordinator, with no daemon on the store:
--
--     memory-db spread | psql "$URL" --set ON_ERROR_STOP=1 --single-transaction
--
-- The database has the extensions `vector` (on every worker, too) and `citus`, and a store that a daemon of this version has made or
-- opened. Larger stores are better spread empty and filled by `memoryctl import`: what is there is copied through the coordinator.
--
-- No server with Citus could be had where this was written. What stands here was checked against Citus's documentation and sources:
-- tests/store/test_spreading.py runs it on PostgreSQL with stand-ins for Citus's functions, which refuse what those refuse.
-- docs/scaling.md says what was not checked.

SET search_path = enhanced_memory, public;

-- Shards take the place of the hash partitions.
DO $$
DECLARE
    one text;
    what record;
BEGIN
    FOREACH one IN ARRAY ARRAY['entities', 'passages', 'words', 'words_past', 'vectors'] LOOP
        FOR what IN SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = one::regclass LOOP
            EXECUTE format('ALTER INDEX %I RENAME TO %I', what.relname, what.relname || '_before');
        END LOOP;
        EXECUTE format('ALTER TABLE %I RENAME TO %I', one, one || '_before');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', one, one || '_before');
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', one, one || '_before');
        EXECUTE format('DROP TABLE %I', one || '_before');
    END LOOP;
END $$;

-- What is small and joined everywhere is on every worker. `changes` and `journal` grow with every change: docs/scaling.md counts them.
SELECT create_reference_table('meta');
SELECT create_reference_table('spaces');
SELECT create_reference_table('merges');
SELECT create_reference_table('origins');
SELECT create_reference_table('changes');
SELECT create_reference_table('journal');
SELECT create_reference_table('snapshots');
SELECT create_reference_table('models');
SELECT create_reference_table('cold_files');

-- What belongs to an entity or a stream lies with it.
SELECT create_distributed_table('entities', 'id');
SELECT create_distributed_table('versions', 'entity', colocate_with => 'entities');
SELECT create_distributed_table('tags', 'entity', colocate_with => 'entities');
SELECT create_distributed_table('properties', 'entity', colocate_with => 'entities');
SELECT create_distributed_table('relations', 'from_id', colocate_with => 'entities');
SELECT create_distributed_table('messages', 'stream', colocate_with => 'entities');
SELECT create_distributed_table('blocks', 'stream', colocate_with => 'entities');
SELECT create_distributed_table('passages', 'entity', colocate_with => 'entities');
SELECT create_distributed_table('words', 'entity', colocate_with => 'entities');
SELECT create_distributed_table('words_past', 'entity', colocate_with => 'entities');
SELECT create_distributed_table('vectors', 'entity', colocate_with => 'entities');
SELECT create_distributed_table('conflicts', 'entity', colocate_with => 'entities');
SELECT create_distributed_table('uses', 'entity', colocate_with => 'entities');
SELECT create_distributed_table('cold_entities', 'entity', colocate_with => 'entities');

-- A name is unique where it is kept, so names lie by themselves.
SELECT create_distributed_table('names', 'name');
SELECT create_distributed_table('access', 'id');

-- `numbers` (the turn), `answers`, `dictionaries` and `backups` stay on the coordinator: nothing that is spread is joined with them.
