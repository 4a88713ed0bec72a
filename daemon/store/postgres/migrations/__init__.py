"""The steps that bring an older store to `schema.sql`: `NNNN_what.sql`, NNNN being the schema version that the step makes."""
