-- What most messages are is not written down: a line of the user's, of dialogue. Rows that are there keep what they say.
ALTER TABLE messages ALTER COLUMN role DROP NOT NULL;
ALTER TABLE messages ALTER COLUMN kind DROP NOT NULL;
-- Months that are set aside take new rows, too, once they are back.
DO $$
DECLARE
    aside text;
BEGIN
    FOR aside IN SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND NOT relispartition AND relname ~ '^messages_\d{4}_\d{2}$'
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN role DROP NOT NULL, ALTER COLUMN kind DROP NOT NULL', aside);
    END LOOP;
END $$;
