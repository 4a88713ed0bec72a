-- What callers note of accesses of their own stands beside who asked the daemon for what.
ALTER TABLE access ADD COLUMN entity INTEGER NOT NULL DEFAULT 0;
ALTER TABLE access ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE access ADD COLUMN request TEXT NOT NULL DEFAULT '';
ALTER TABLE access ADD COLUMN says TEXT NOT NULL DEFAULT '';
CREATE INDEX access_entity ON access (entity, id) WHERE entity > 0;
