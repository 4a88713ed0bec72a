"""A store that is moved into a database, or out of one, is the same there; whatever kills the move, it is gone on with.

These need a server (scripts/postgres_server.py); without one they are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import Settings  # noqa: E402
from enhanced_memory.client.errors import Conflict, Invalid, StoreHeld  # noqa: E402
from enhanced_memory.daemon import migrating  # noqa: E402
from enhanced_memory.daemon.migrating import migrate  # noqa: E402
from enhanced_memory.daemon.store import carrying  # noqa: E402
from enhanced_memory.daemon.store.postgres.carried import PostgresDraft, PostgresSide  # noqa: E402
from enhanced_memory.daemon.store.postgres.engine import PostgresEngine  # noqa: E402
from enhanced_memory.daemon.store.sqlite import file  # noqa: E402
from enhanced_memory.daemon.store.sqlite.carried import SqliteSide  # noqa: E402
from enhanced_memory.daemon.store.tables import CARRIED, TABLES  # noqa: E402

from .conftest import Databases, World  # noqa: E402

KEPT = Path(__file__).parent / "kept"


def unheard(step: str, done: int, total: int) -> None:
    """Nobody asks."""


@pytest.fixture
def filled(home: Path) -> Path:
    """A store with something of everything, made by the program of the newest schema (keep_store.py)."""
    path = home / "filled.db"
    packed = KEPT / f"schema-{file.schema_version()}.db.zst"
    path.write_bytes(zstandard.ZstdDecompressor().decompress(packed.read_bytes(), max_output_size=1 << 30))
    path.chmod(0o600)
    return path


@pytest.fixture
def empty(databases: Databases) -> str:
    """A database in which nobody has made a store."""
    url = databases.url("moved")
    with psycopg.connect(url, autocommit=True) as connection:
        for schema in ("enhanced_memory", "enhanced_memory_arriving"):
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    return url


def of(store: Path | str) -> Settings:
    """Settings that name a store."""
    return Settings.load({"store": str(store), "readers": 1, "embedder": "none"})


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_what_is_moved_into_a_database_and_back_is_the_same(
    filled: Path, empty: str, home: Path, clock: Any
) -> None:
    before = digest(filled)
    there = migrate(of(filled), empty, unheard)
    assert (there.problems, there.ok, there.went_on) == ([], True, False)
    assert digest(filled) == before
    held = {name for name, count in there.tables.items() if count}
    # What no small store holds, the laws of the engines try.
    assert held >= {"entities", "versions", "names", "tags", "properties", "relations", "messages", "passages", "vectors",
                    "journal", "changes", "conflicts", "access", "answers", "uses", "merges", "snapshots", "meta"}  # fmt: skip
    world = World(await PostgresEngine.open(of(empty), clock), clock)
    try:
        await world.sound()
        source = SqliteSide(filled, of(filled))
        assert world.engine.store_id == source.source().store_id
        assert await world.last_change() == source.source().change
        source.close()
        # It goes on from the numbers that it had.
        made = await world.default.create("came later", "in the database")
        assert made > max(row[0] for row in await world.rows("SELECT max(id) FROM entities WHERE id <> ?", made))
        await world.default.do(__import__("enhanced_memory.client.operations.entities", fromlist=["x"]).PurgeEntities([made], confirm=True))
    finally:
        await world.engine.close()
    back = migrate(of(empty), str(home / "back.db"), unheard)
    assert (back.problems, back.ok) == ([], True)
    alike = {name for name in there.sha256 if there.sha256[name] == back.sha256[name]}
    assert alike >= set(there.sha256) - {"changes", "journal", "origins", "meta", "access", "backups"}
