"""The steps that bring an older file to `schema.sql`: `NNNN_what.sql`, NNNN being the schema version that the step makes."""
