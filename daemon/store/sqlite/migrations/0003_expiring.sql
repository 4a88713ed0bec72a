-- What has expired is looked for space by space, and what was deleted is not looked at again.
DROP INDEX entities_expiring;
CREATE INDEX entities_expiring ON entities (space, expires_at) WHERE expires_at IS NOT NULL AND deleted = 0;
