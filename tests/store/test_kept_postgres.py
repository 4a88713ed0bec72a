"""A store made by any version of PostgreSQL's schema is brought to the present one, and says what it said on the day it was made."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import Memory, Settings  # noqa: E402
from enhanced_memory.client.settings import PREFIX  # noqa: E402
from enhanced_memory.client.values import EntityInput  # noqa: E402
from enhanced_memory.daemon.store.postgres import database, months  # noqa: E402

from .conftest import Databases  # noqa: E402
from .keep_postgres import KEPT, copied  # noqa: E402
from .keep_store import asked, lasting  # noqa: E402
from .test_kept_stores import lacking  # noqa: E402

VERSIONS = sorted(
    int(path.name.removeprefix("postgres-").removesuffix(".json.zst")) for path in KEPT.glob("postgres-*")
)

SHAPE = """
SELECT 'column', c.relname || '.' || a.attname,
    format_type(a.atttypid, a.atttypmod) || a.attnotnull || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || a.attidentity::text
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'enhanced_memory'::regnamespace AND c.relkind IN ('r', 'p', 'S')
UNION ALL SELECT 'constraint', c.conrelid::regclass::text || ' ' || c.conname, pg_get_constraintdef(c.oid)
FROM pg_constraint c WHERE c.connamespace = 'enhanced_memory'::regnamespace AND c.contype <> 'n'
UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'enhanced_memory'
UNION ALL SELECT 'partition', c.relname, coalesce(pg_get_partkeydef(c.oid), '') || coalesce(pg_get_expr(c.relpartbound, c.oid), '')
FROM pg_class c WHERE c.relnamespace = 'enhanced_memory'::regnamespace AND c.relkind IN ('r', 'p')
ORDER BY 1, 2, 3"""


def made(url: str, version: int) -> dict[str, Any]:
    """A store as it was on the day it was made, in an empty database; what it answered then."""
    known = json.loads(zstandard.ZstdDecompressor().decompress((KEPT / f"postgres-{version}.json.zst").read_bytes()))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS enhanced_memory CASCADE; CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute("CREATE SCHEMA enhanced_memory; SET search_path = enhanced_memory, public")
        connection.execute(known["schema"])
        for table, rows in known["rows"].items():
            connection.execute(f"DELETE FROM {table}".encode())
            with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                copy.write(rows)
        for table in ("relations", "conflicts"):
            connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'row'), (SELECT max(row) FROM {table}))".encode()
            )
    return known


@pytest.fixture
def empty(databases: Databases) -> str:
    """The URL of a database in which there is nothing of ours."""
    url = databases.url("kept")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS enhanced_memory CASCADE")
    return url


def test_a_store_of_every_version_is_kept() -> None:
    """Whoever raises the version runs tests/store/keep_postgres.py first, and commits what it makes."""
    assert list(range(2, database.schema_version())) == VERSIONS


@pytest.mark.postgres
@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_of_an_older_version_says_what_it_said(
    home: Path, empty: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = made(empty, version)
    monkeypatch.setenv(PREFIX + "STORE", empty)
    monkeypatch.setenv(PREFIX + "CONNECT_TIMEOUT_S", "60")  # to bring it up to date takes a busy server its time
    monkeypatch.setenv(PREFIX + "TIMEOUT_S", "120")
    then = [(one["space"], one["op"], one["args"]) for one in known["answers"] if "op" in one]
    with Memory() as memory:
        assert [
            line
            for was, now in zip(known["answers"], asked(memory, then), strict=True)
            for line in lacking(lasting(was), now)
        ] == []
        checked = memory.verify()
        assert checked.ok, checked.problems
        memory.create_entities([EntityInput("Newcomer", "thing", ["came after the upgrade"])])
        assert memory.search_nodes("upgrade").hits[0].entity.name == "Newcomer"
    with psycopg.connect(empty) as connection:
        rows = copied(connection)
    assert {table: text.count("\n") for table, text in known["rows"].items() if table in ("messages", "versions", "relations")} == {
        table: rows[table].count("\n") for table in ("messages", "versions", "relations")
    }  # fmt: skip


@pytest.mark.postgres
async def test_the_steps_lead_to_exactly_the_schema(empty: str, settings: Settings) -> None:
    stored = replace(settings, store=empty)
    await asyncio.to_thread(database.opened, stored)
    with psycopg.connect(empty) as connection:
        wanted = connection.execute(SHAPE.encode()).fetchall()
    made(empty, min(VERSIONS))
    await asyncio.to_thread(database.opened, stored)
    with psycopg.connect(empty) as connection:
        found = connection.execute(SHAPE.encode()).fetchall()
    assert len(wanted) > 200
    assert sorted(set(wanted) ^ set(found)) == []


@pytest.mark.postgres
async def test_a_month_that_was_set_aside_before_takes_lines_once_it_is_back(empty: str, settings: Settings) -> None:
    made(empty, 4)
    with psycopg.connect(empty, autocommit=True, options="-c search_path=enhanced_memory,public") as connection:
        with connection.transaction():
            (month,) = months.made(connection, [months.Month("messages", 2024, 3)])
        connection.execute(f"ALTER TABLE messages DETACH PARTITION {month.name}".encode())
        await asyncio.to_thread(database.opened, replace(settings, store=empty))
        months.attach(connection, month.says)
        connection.execute(
            f"INSERT INTO messages (id, space, stream, at, began, crc, body) VALUES (900001, 1, 1, {month.begins}, 1, 0, '')".encode()
        )
        rows = connection.execute(f"SELECT role, kind FROM {month.name} WHERE id = 900001".encode()).fetchall()
    assert rows == [(None, None)]
