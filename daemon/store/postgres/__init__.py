"""The PostgreSQL engine. Nothing here is imported unless the settings name such a store: it needs the extra `postgres`."""
