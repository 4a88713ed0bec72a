"""A store that is moved into a database, or out of one, is the same there; whatever kills the move, it is gone on with.

These need a server (scripts/postgres_server.py); without one they are left out.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import Settings  # noqa: E402
from enhanced_memory.client.errors import Conflict, Invalid, StoreHeld  # noqa: E402
from enhanced_memory.daemon.migrating import migrate  # noqa: E402
from enhanced_memory.daemon.store.postgres.carried import PostgresDraft  # noqa: E402
from enhanced_memory.daemon.store.postgres.engine import PostgresEngine  # noqa: E402
from enhanced_memory.daemon.store.sqlite import file  # noqa: E402
from enhanced_memory.daemon.store.sqlite.carried import SqliteSide  # noqa: E402
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine  # noqa: E402
from enhanced_memory.daemon.store.tables import CARRIED, DERIVED  # noqa: E402

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
        assert [made] > [row[0] for row in await world.rows("SELECT max(id) FROM entities WHERE id <> ?", made)]
    finally:
        await world.engine.close()
    back = migrate(of(empty), str(home / "back.db"), unheard)
    assert (back.problems, back.ok) == ([], True)
    assert await says(home / "back.db", clock) == ["in the database"]
    alike = {name for name in there.sha256 if there.sha256[name] == back.sha256[name]}
    assert alike >= {"versions", "tags", "relations", "messages", "conflicts", "answers", "uses", "merges", "snapshots"}


async def says(path: Path, clock: Any) -> list[str] | None:
    """What a file's own daemon finds of what came later."""
    world = World(await SqliteEngine.open(of(path), clock), clock)
    try:
        await world.sound()
        return await world.default.says("came later")
    finally:
        world.engine.leave()
        await world.engine.close()


async def test_what_a_file_notes_of_itself_alone_goes_nowhere(filled: Path, empty: str, home: Path, clock: Any) -> None:
    notes = "SELECT key FROM meta WHERE key IN ('tidied', 'learnt')"
    connection = apsw.Connection(str(filled))
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('tidied', 4000), ('learnt', 4)")
    connection.close()
    assert migrate(of(filled), empty, unheard).ok
    with psycopg.connect(empty, options="-c search_path=enhanced_memory") as there:
        assert there.execute(notes).fetchall() == []
        there.execute("INSERT INTO meta VALUES ('tidied', '4000'), ('learnt', '4')")
    assert migrate(of(empty), str(home / "back.db"), unheard).ok
    connection = apsw.Connection(str(home / "back.db"))
    assert connection.execute(notes).fetchall() == []
    connection.close()


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_move_that_is_killed_is_gone_on_with(filled: Path, empty: str, home: Path, direction: str) -> None:
    """By SIGKILL, at two places: between tables, and in the middle of one."""
    source, target = str(filled), empty
    if direction == "out":
        migrate(of(filled), empty, unheard)
        source, target = empty, str(home / "out.db")
    program = (
        "import os, signal, sys\n"
        "from enhanced_memory.client import Settings\n"
        "from enhanced_memory.daemon.migrating import migrate\n"
        "from enhanced_memory.daemon.store import carrying\n"
        "carrying.PIECE_ROWS = carrying.PASSAGES = 5\n"
        "def told(step, done, total):\n"
        "    if step == sys.argv[3] and done >= int(sys.argv[4]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "migrate(Settings.load({'store': sys.argv[1], 'embedder': 'none'}), sys.argv[2], told)\n"
    )
    for step, done in (("versions", "5"), ("words", "10")):
        ran = subprocess.run([sys.executable, "-c", program, source, target, step, done], check=False)
        assert ran.returncode == -signal.SIGKILL
    if direction == "in":
        with psycopg.connect(empty) as connection:
            row = connection.execute("SELECT to_regclass('enhanced_memory.meta')").fetchone()
            assert row == (None,), "what is half done is no store yet"
    else:
        assert not Path(target).exists()
    done_by: dict[str, int] = {}

    def told(step: str, done: int, total: int) -> None:
        done_by.setdefault(step, done)

    moved = migrate(of(source), target, told)
    assert (moved.problems, moved.ok, moved.went_on) == ([], True, True)
    assert done_by["words"] >= 10, "it goes on where it stood"
    assert "entities" not in done_by, "what was there whole is not carried again"
    assert 0 < moved.rows < sum(moved.tables.values())


def test_a_target_that_is_not_empty_is_refused_and_left_alone(filled: Path, empty: str, home: Path) -> None:
    taken = home / "taken.db"
    taken.write_bytes(b"mine")
    migrate(of(filled), empty, unheard)
    with pytest.raises(Conflict, match="holds a store already"):
        migrate(of(filled), empty, unheard)
    with pytest.raises(Conflict, match="exists"):
        migrate(of(empty), str(taken), unheard)
    assert taken.read_bytes() == b"mine"
    with pytest.raises(Invalid, match="from a file into a database"):
        migrate(of(filled), str(home / "other.db"), unheard)


async def test_nothing_is_moved_under_a_daemon_that_serves_it(filled: Path, empty: str, home: Path, clock: Any) -> None:
    engine = await SqliteEngine.open(of(filled), clock)
    try:
        with pytest.raises(StoreHeld):
            await asyncio.to_thread(migrate, of(filled), empty, unheard)
    finally:
        engine.leave()
        await engine.close()
    await asyncio.to_thread(migrate, of(filled), empty, unheard)
    world = World(await PostgresEngine.open(of(empty), clock), clock)
    try:
        with pytest.raises(StoreHeld, match=f"{os.getpid()}@"):
            await asyncio.to_thread(migrate, of(empty), str(home / "out.db"), unheard)
    finally:
        await world.engine.close()


def test_a_source_that_has_changed_since_is_carried_anew(
    filled: Path, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(step: str, done: int, total: int) -> None:
        if step == "words":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        migrate(of(filled), empty, cut)
    connection = apsw.Connection(str(filled))
    connection.execute("INSERT INTO access (at, op, origin, space, pid, us) VALUES (1, 'ping', 1, 'default', 1, 1)")
    connection.close()
    moved = migrate(of(filled), empty, unheard)
    assert (moved.ok, moved.went_on, moved.rows > moved.tables["entities"]) == (True, False, True)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("DELETE FROM tags WHERE ctid = (SELECT ctid FROM tags LIMIT 1)", "tags"),
        (
            "UPDATE entities SET priority = priority + 1 WHERE id = (SELECT min(id) FROM entities)",
            "differs in priority",
        ),
        ("UPDATE versions SET body = '\\x00' WHERE entity = (SELECT min(entity) FROM versions)", "versions"),
        ("UPDATE vectors SET vector = vector + vector", "vectors"),
        ("DELETE FROM words WHERE id = (SELECT min(id) FROM words)", "words index"),
    ],
    ids=["row", "column", "body", "vector", "word"],
)
def test_what_is_not_the_same_there_is_named_and_does_not_become_the_store(
    filled: Path, empty: str, monkeypatch: pytest.MonkeyPatch, harm: str, says: str
) -> None:
    finish = PostgresDraft.finish

    def harmed(self: PostgresDraft, counters: Any) -> None:
        finish(self, counters)
        self.connection.execute(harm)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresDraft, "finish", harmed)
    moved = migrate(of(filled), empty, unheard)
    assert not moved.ok
    assert says in " ".join(moved.problems)
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT to_regclass('enhanced_memory.meta')").fetchone() == (None,)


def test_every_table_and_column_of_both_schemas_is_carried_or_said_not_to_be(empty: str, filled: Path) -> None:
    migrate(of(filled), empty, unheard)
    apart = {"entities.row", "vectors.key"} | {f"properties.{name}" for name in ("kind", "number", "word", "value")}
    carried = {f"{table.name}.{column}" for table in CARRIED for column in table.columns}
    with psycopg.connect(empty) as connection:
        rows = connection.execute(
            """SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
               WHERE c.relnamespace = 'enhanced_memory'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                 AND NOT a.attisdropped"""
        ).fetchall()
    there = {row[0] for row in rows if row[0].split(".")[0] not in DERIVED}
    assert there - apart == carried - apart
    file_ = apsw.Connection(str(filled))
    here = {
        f"{table}.{column[1]}"
        for (table,) in file_.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
        if table not in DERIVED and not table.startswith("sqlite_")
        for column in file_.execute(f'PRAGMA table_info("{table}")')
    }
    assert here - apart == {name for name in carried if not name.startswith("vectors.")} - apart | {"vectors.vector"}
