"""A store whose files of cold storage are encrypted is moved into a database and back, and still reads them.

It needs the build of SQLite that can encrypt and a server: `scripts/test --encrypted --postgres tests/store/test_sealed_migrating.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client.errors import StoreRefused  # noqa: E402
from enhanced_memory.client.operations.cold import ArchiveEntities, ListArchived  # noqa: E402
from enhanced_memory.client.operations.entities import CreateEntities, OpenNodes, RestoreEntities  # noqa: E402
from enhanced_memory.client.request import Request  # noqa: E402
from enhanced_memory.client.settings import Settings  # noqa: E402
from enhanced_memory.client.values import EntityInput  # noqa: E402
from enhanced_memory.daemon import handlers  # noqa: E402
from enhanced_memory.daemon.metrics import Metrics  # noqa: E402
from enhanced_memory.daemon.migrating import migrate  # noqa: E402
from enhanced_memory.daemon.service import Service  # noqa: E402
from enhanced_memory.daemon.store import Engine  # noqa: E402
from enhanced_memory.daemon.store.postgres.engine import PostgresEngine  # noqa: E402
from enhanced_memory.daemon.store.sqlite import sealing  # noqa: E402
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine  # noqa: E402

from ..asking import asked  # noqa: E402
from .conftest import Databases  # noqa: E402
from .sealed import SECRET, ciphers  # noqa: E402

assert handlers.__all__  # importing the chapters registers them

pytestmark = [ciphers, pytest.mark.postgres]


class Asked:
    """A daemon's inside, on one engine."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.service = Service(engine, Metrics(), settings)

    async def ask(self, request: Request[Any]) -> Any:
        return await asked(self.engine, self.service, request)

    async def archived(self) -> dict[str, str]:
        """Whose contents lie there, and what keeps one from being read."""
        return {one.name: one.problem for one in (await self.ask(ListArchived(contents=True))).entities}

    async def says(self, name: str) -> list[str]:
        return [text for one in (await self.ask(OpenNodes([name]))).entities for text in one.observations]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Asked]:
    """Serve a store for a while."""
    engine = await (PostgresEngine if settings.database else SqliteEngine).open(settings)
    try:
        yield Asked(engine, settings)
    finally:
        engine.leave()
        await engine.close()


def unheard(step: str, done: int, total: int) -> None:
    """Nobody asks."""


@pytest.fixture
def sealed(home: Path) -> Settings:
    """Settings of an encrypted file."""
    key = sealing.made(home / "key")
    return Settings.load(
        {"store": str(home / "memory.db"), "embedder": "none", "readers": 1, "key_file": str(key.path)}
    )


@pytest.fixture
def empty(databases: Databases) -> str:
    """A database in which nobody has made a store."""
    url = databases.url("sealed and moved")
    with psycopg.connect(url, autocommit=True) as connection:
        for schema in ("enhanced_memory", "enhanced_memory_arriving"):
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    return url


async def test_encrypted_files_of_cold_storage_are_read_by_the_store_in_a_database_and_by_the_one_that_came_back(
    sealed: Settings, empty: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(sealed) as file:
        await file.ask(
            CreateEntities([EntityInput(name, "person", [f"{name}: {SECRET}"]) for name in ("Ada", "Bob", "Eve")])
        )
        await file.ask(ArchiveEntities(["Ada"]))
        await file.ask(ArchiveEntities(["Bob", "Eve"]))
    files = {path.name: path.read_bytes() for path in sealed.cold_path.iterdir()}
    assert [Path(name).suffix for name in files] == [".db", ".db"]

    database = Settings.load({"store": empty, "embedder": "none", "readers": 1})
    there = migrate(sealed, empty, unheard)
    assert (there.problems, there.ok, there.cold_files) == ([], True, 2)
    assert {path.name: path.read_bytes() for path in database.cold_path.iterdir()} == files, "encrypted as they were"
    async with opened(database) as moved:
        assert await moved.archived() == {"Ada": "", "Bob": "", "Eve": ""}
        assert await moved.service.cold.verify(quick=False) == ([], {"cold_files": 2, "cold_entities": 3})
        with monkeypatch.context() as without:  # where nothing encrypted can be read, the command that helps is said
            without.delattr(apsw, "mc_version")
            with pytest.raises(StoreRefused, match="reads nothing encrypted") as refused:
                await moved.ask(RestoreEntities(["Bob"]))
            assert "apsw-sqlite3mc" in refused.value.hint
        await moved.ask(RestoreEntities(["Bob"]))
        assert await moved.says("Bob") == [f"Bob: {SECRET}"]

    back = Settings.load(
        {"store": str(home / "back.db"), "embedder": "none", "readers": 1, "key_file": sealed.key_file}
    )
    again = migrate(
        Settings.load({"store": empty, "embedder": "none", "readers": 1, "key_file": sealed.key_file}),
        back.store,
        unheard,
    )
    assert (again.problems, again.ok) == ([], True)
    assert sealing.sealed(Path(back.store))
    async with opened(back) as file:
        assert await file.archived() == {"Ada": "", "Eve": ""}
        await file.ask(RestoreEntities(["Ada"]))
        assert await file.says("Ada") == [f"Ada: {SECRET}"]
