#!/usr/bin/env python3
"""Make the small store that is kept of this version of PostgreSQL's schema: `tests/store/kept/postgres-N.json.zst`.

usage: tests/store/keep_postgres.py URL     (of an empty database)

It holds the schema's text, the rows of every table as COPY writes them, and what the store answered on the day it was made.
Run it once before the version in `daemon/store/postgres/schema.sql` is raised; `test_kept_postgres.py` brings every one of them
to the present version. A file that is there already is never made anew.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import zstandard

ROOT = Path(__file__).parents[2]
KEPT = Path(__file__).parent / "kept"
EMPTY = {"merges", "words_past", "backups", "dictionaries"}
"""Tables that may be empty: backups are the server's own, and no dictionary is trained there."""


def tables(connection: psycopg.Connection[Any]) -> list[str]:
    """The store's tables, partitions left out."""
    return [
        row[0]
        for row in connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'enhanced_memory'::regnamespace AND relkind IN ('r', 'p') "
            "AND NOT relispartition ORDER BY relname"
        )
    ]


def copied(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The rows of every table."""
    found: dict[str, str] = {}
    for table in tables(connection):
        with connection.cursor().copy(f"COPY (SELECT * FROM enhanced_memory.{table}) TO STDOUT".encode()) as copy:
            found[table] = b"".join(bytes(part) for part in copy).decode()
    return found


def main() -> int:
    """Make the store of the present schema, unless it is there."""
    from enhanced_memory.client import Memory
    from enhanced_memory.daemon.store.postgres import database
    from enhanced_memory.tests.store.keep_store import asked, end, fill, settled, wait_for_vectors

    path = KEPT / f"postgres-{database.schema_version()}.json.zst"
    if path.exists():
        print(f"{path} is there already")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
    pid = 0
    try:
        with Memory(settled(folder, sys.argv[1])) as memory:
            pid = memory.get_memory_status().pid
            fill(memory)
            wait_for_vectors(memory)
            told = asked(memory)
        end(pid)
        pid = 0
        with psycopg.connect(sys.argv[1]) as connection:
            rows = copied(connection)
        lacking = [name for name, text in rows.items() if not text and name not in EMPTY]
        if lacking:
            print(f"nothing was remembered in {', '.join(lacking)}: add to `fill`", file=sys.stderr)
            return 1
        known = {"schema": database.SCHEMA.read_text("utf-8"), "rows": rows, "answers": told}
        path.write_bytes(zstandard.ZstdCompressor(19).compress(json.dumps(known, ensure_ascii=False).encode()))
        print(f"{path}: {path.stat().st_size} bytes")
    finally:
        if pid:
            end(pid)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
