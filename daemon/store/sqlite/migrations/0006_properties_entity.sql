-- Whether an entity meets a filter is found by the entity, not by all that have the property.
CREATE INDEX properties_entity ON properties (entity, space, key) WHERE ended = 0;
