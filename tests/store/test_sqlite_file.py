"""The SQLite file: made from `schema.sql`, brought up to date after a copy, owned by one, and refused untouched where it is not ours."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from enhanced_memory.client.errors import Error, StoreDamaged, StoreRefused, TimedOut
from enhanced_memory.client.operations.service import Ping
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.sqlite import comparing, file
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.rows import QUERIES

if TYPE_CHECKING:
    from enhanced_memory.daemon.store import Tx


@pytest.fixture
def store(home: Path) -> Path:
    """Where a store will be."""
    return home / "memory.db"


def state_of(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file of a folder by its mode and digest."""
    return {
        path.name: (path.stat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
        if path.is_file()
    }


def schema_of(connection: apsw.Connection) -> list[tuple[Any, ...]]:
    return list(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"))


def pragma(connection: apsw.Connection, name: str) -> Any:
    ((value,),) = connection.execute(f"PRAGMA {name}")
    return value


def test_a_new_store_is_what_the_schema_says(store: Path) -> None:
    made = file.open_store(store, "FULL")
    wanted = apsw.Connection(":memory:")
    wanted.execute(file.SCHEMA.read_text("utf-8"))
    assert schema_of(made) == schema_of(wanted)
    for name in ("user_version", "application_id"):
        assert pragma(made, name) == pragma(wanted, name)
    assert pragma(made, "user_version") == file.schema_version()
    assert (pragma(made, "journal_mode"), pragma(made, "synchronous")) == ("wal", 2)
    assert list(made.execute("SELECT id, name, began FROM spaces")) == [(1, "default", 0)]
    made.close()
    assert store.stat().st_mode & 0o777 == 0o600


def test_every_table_that_can_be_is_strict(store: Path) -> None:
    connection = file.open_store(store, "FULL")
    loose = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'"
        )
    ]
    connection.close()
    assert loose == []


def test_every_statement_of_the_queries_fits_the_schema(store: Path) -> None:
    """A query nobody runs in a test would otherwise fail a user first."""
    connection = file.open_store(store, "FULL")
    assert comparing.load(connection) == ""
    connection.execute(QUERIES["begin_words_next"])
    complete = {name: text for name, text in QUERIES.items() if re.match(r"SELECT|INSERT|UPDATE|DELETE|WITH", text)}
    assert len(complete) > 100
    for name, text in complete.items():
        for key in re.findall(r"/\*key\*/", text)[:1] or [""]:
            filled = text.replace("/*key*/", "m.id" if " messages m" in text else "e.id") if key else text
            names = set(re.findall(r":(\w+)", filled))
            try:
                connection.execute("EXPLAIN " + filled, dict.fromkeys(names))
            except apsw.Error as problem:
                pytest.fail(f"{name}: {problem}")
    connection.close()


def test_a_store_is_opened_again_as_it_was_left(store: Path) -> None:
    first = file.open_store(store, "FULL")
    first.execute("INSERT INTO meta VALUES ('k', 'v')")
    first.close()
    again = file.open_store(store, "NORMAL")
    assert list(again.execute("SELECT value FROM meta WHERE key = 'k'")) == [("v",)]
    assert pragma(again, "synchronous") == 1
    again.close()


def test_an_empty_file_becomes_a_store(store: Path) -> None:
    store.touch()
    file.open_store(store, "FULL").close()
    assert file.open_store(store, "FULL").execute("SELECT count(*) FROM spaces").fetchall() == [(1,)]


# Other versions


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch, home: Path, store: Path) -> Path:
    """A program whose schema is two steps further than that of the store, which holds something already."""
    connection = file.open_store(store, "FULL")
    connection.execute("INSERT INTO meta VALUES ('precious', 'yes')")
    connection.close()
    folder = home / "next"
    (folder / "migrations").mkdir(parents=True)
    now = file.schema_version()
    text = file.SCHEMA.read_text("utf-8").replace(f"PRAGMA user_version = {now}", f"PRAGMA user_version = {now + 2}")
    (folder / "schema.sql").write_text(
        text
        + "\nCREATE TABLE added (id INTEGER PRIMARY KEY, says TEXT NOT NULL DEFAULT '') STRICT;\nCREATE INDEX added_says ON added (says);\n"
    )
    (folder / "migrations" / f"{now + 1:04}_added.sql").write_text(
        "CREATE TABLE added (id INTEGER PRIMARY KEY, says TEXT NOT NULL DEFAULT '') STRICT;\n"
    )
    (folder / "migrations" / f"{now + 2:04}_says.sql").write_text(
        "CREATE INDEX added_says ON added (says);\nINSERT INTO meta VALUES ('seen', 1);\n"
    )
    (folder / "migrations" / "notes.txt").write_text("not a step")
    monkeypatch.setattr(file, "SCHEMA", folder / "schema.sql")
    monkeypatch.setattr(file, "MIGRATIONS", folder / "migrations")
    return folder


def test_an_older_store_is_brought_to_the_schema_after_a_copy(newer: Path, store: Path) -> None:
    old = file.schema_version() - 2
    brought = file.open_store(store, "FULL")
    wanted = apsw.Connection(":memory:")
    wanted.execute(file.SCHEMA.read_text("utf-8"))
    assert schema_of(brought) == schema_of(wanted)
    assert pragma(brought, "user_version") == old + 2
    assert list(brought.execute("SELECT key, value FROM meta WHERE key IN ('precious', 'seen') ORDER BY key")) == [
        ("precious", "yes"),
        ("seen", 1),
    ]
    brought.close()
    copy = store.with_name(f"{store.name}.before-schema-{old + 2}")
    kept = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READONLY)
    assert pragma(kept, "user_version") == old
    assert list(kept.execute("SELECT value FROM meta WHERE key = 'precious'")) == [("yes",)]
    kept.close()
    assert copy.stat().st_mode & 0o777 == 0o600
    before = state_of(store.parent)[copy.name]
    file.open_store(store, "FULL").close()
    assert state_of(store.parent)[copy.name] == before


def test_a_step_that_fails_leaves_the_store_as_it_was(newer: Path, store: Path) -> None:
    (newer / "migrations" / f"{file.schema_version():04}_says.sql").write_text(
        "CREATE INDEX added_says ON added (says);\nINSERT INTO nowhere VALUES (1);\n"
    )
    with pytest.raises(Error):
        file.open_store(store, "FULL")
    connection = apsw.Connection(str(store))
    assert pragma(connection, "user_version") == file.schema_version() - 2
    assert list(connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'added%'")) == []
    assert list(connection.execute("SELECT value FROM meta WHERE key = 'precious'")) == [("yes",)]
    connection.close()


def test_the_steps_there_are_lead_to_the_schema() -> None:
    steps = file.migrations()
    assert list(steps) == list(range(2, file.schema_version() + 1))


def test_a_newer_store_is_refused_untouched(store: Path) -> None:
    file.open_store(store, "FULL").close()
    connection = apsw.Connection(str(store))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = state_of(store.parent)
    with pytest.raises(StoreRefused, match="schema 99") as refused:
        file.open_store(store, "FULL")
    assert "newer" in refused.value.hint
    assert state_of(store.parent) == before


# What is not ours


def foreign(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
    connection.close()


def truncated(path: Path) -> None:
    file.open_store(path, "FULL").close()
    path.write_bytes(path.read_bytes()[:50])


OTHERS: list[tuple[Any, type[Error], str]] = [
    (foreign, StoreRefused, "another program"),
    (lambda path: path.write_bytes(b'{"type": "entity"}\n' * 100), StoreRefused, "not an SQLite file"),
    (lambda path: path.write_bytes(b"x"), StoreRefused, "not an SQLite file"),
    (lambda path: path.write_bytes(b"\0" * 4096), StoreRefused, "not an SQLite file"),
    (lambda path: path.mkdir(), StoreRefused, "not a file"),
    (truncated, StoreDamaged, "header"),
]


@pytest.mark.parametrize(("make", "error", "says"), OTHERS, ids=range(len(OTHERS)))
async def test_what_is_not_ours_is_refused_untouched(store: Path, make: Any, error: type[Error], says: str) -> None:
    make(store)
    before = state_of(store.parent)
    with pytest.raises(error, match=says) as refused:
        await SqliteEngine.open(Settings.load())
    assert refused.value.hint
    after = state_of(store.parent)
    after.pop("memory.db.lock")
    assert after == before
    shutil.rmtree(store, ignore_errors=True)
    store.unlink(missing_ok=True)
    await (await SqliteEngine.open(Settings.load())).close()


async def test_a_store_whose_pages_are_garbage_is_told_as_damaged(store: Path) -> None:
    file.open_store(store, "FULL").close()
    data = bytearray(store.read_bytes())
    data[100:] = os.urandom(len(data) - 100)
    store.write_bytes(data)
    with pytest.raises(StoreDamaged):
        await SqliteEngine.open(Settings.load())


# Owning


async def test_a_store_has_one_owner_at_a_time(store: Path) -> None:
    first = await SqliteEngine.open(Settings.load())
    try:
        with pytest.raises(StoreRefused, match=str(os.getpid())) as refused:
            await SqliteEngine.open(Settings.load())
        assert "memoryctl stop" in refused.value.hint
    finally:
        await first.close()
    await (await SqliteEngine.open(Settings.load())).close()


async def test_a_refused_store_is_let_go_of(store: Path) -> None:
    foreign(store)
    for _ in range(2):
        with pytest.raises(StoreRefused, match="another program"):
            await SqliteEngine.open(Settings.load())


async def test_an_owner_that_died_is_no_owner(store: Path) -> None:
    code = "import os, sys\nfrom pathlib import Path\nfrom enhanced_memory.daemon.store.sqlite.file import Owned\nheld = Owned(Path(sys.argv[1]))\nos._exit(9)"
    assert subprocess.run([sys.executable, "-c", code, str(store)], check=False).returncode == 9
    await (await SqliteEngine.open(Settings.load())).close()


OPEN_AS = """
import asyncio, concurrent.futures.thread, os, sys
from enhanced_memory.client.errors import Error
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.rows import QUERIES
async def main():
    try:
        os.setgid(65534)
        os.setuid(65534)
        engine = await SqliteEngine.open(Settings.load({"store": sys.argv[1], "readers": 1}))
    except Error as problem:
        print(type(problem).__name__, problem)
    else:
        print("opened")
        await engine.close()
asyncio.run(main())
"""


def open_as_nobody(store: Path) -> str:
    """What somebody without rights is told who opens the store: root itself may write anywhere."""
    ran = subprocess.run(
        [sys.executable, "-c", OPEN_AS, str(store)], check=False, capture_output=True, text=True, timeout=30
    )
    return ran.stdout or ran.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another account to be refused")
def test_a_folder_that_cannot_be_written_is_told(home: Path) -> None:
    home.chmod(0o755)
    folder = home / "data"
    folder.mkdir(mode=0o555)
    said = open_as_nobody(folder / "memory.db")
    assert said.startswith("StoreRefused"), said
    assert "cannot be written" in said
    assert list(folder.iterdir()) == []
    said = open_as_nobody(folder / "deeper" / "memory.db")
    assert said.startswith("StoreRefused"), said


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another account to be refused")
def test_a_file_that_cannot_be_written_is_told(home: Path) -> None:
    home.chmod(0o755)
    folder = home / "data"
    folder.mkdir()
    folder.chmod(0o777)
    store = folder / "memory.db"
    file.open_store(store, "FULL").close()
    for mode in (0o444, 0o000):
        store.chmod(mode)
        before = store.read_bytes()
        said = open_as_nobody(store)
        assert said.startswith("StoreRefused"), said
        assert "permissions" in said
        assert store.read_bytes() == before


def test_the_second_words_index_is_made_as_the_first_is(store: Path) -> None:
    """Only the name differs: it takes the first one's place."""
    connection = file.open_store(store, "FULL")
    connection.execute(QUERIES["begin_words_next"])
    told = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE name IN ('words', 'words_next')"))
    settings = [
        list(connection.execute(f"SELECT k, v FROM {name}_config ORDER BY k")) for name in ("words", "words_next")
    ]
    connection.close()
    one, other = (" ".join(told[name].split("(", 1)[1].split()) for name in ("words", "words_next"))
    assert one == other
    assert settings[0] == settings[1]


def test_the_log_stays_bounded_though_somebody_always_reads(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readers take turns so that one is always at it; the log begins anew all the same."""
    monkeypatch.setattr(file, "LOG_PAGES", 50)
    writer = file.open_store(store, "NORMAL")
    readers = [file.connect(store, readonly=True) for _ in range(2)]
    log = store.with_name("memory.db-wal")
    largest = changes = 0

    def begin(reader: apsw.Connection) -> None:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM meta").fetchall()

    begin(readers[0])
    waiting = threading.Event()
    done = threading.Event()

    def read_by_turns() -> None:
        turn = 0
        while not done.is_set():
            begin(readers[1 - turn])
            waiting.wait(0.002)
            readers[turn].execute("COMMIT")
            turn = 1 - turn
        readers[turn].execute("COMMIT")

    reading = threading.Thread(target=read_by_turns)
    reading.start()
    try:
        while changes < 1500:
            changes += 1
            writer.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (f"k{changes % 40}", "x" * 9000))
            largest = max(largest, log.stat().st_size)
    finally:
        done.set()
        reading.join()
    assert largest < 1500 * 3 * 4096 / 4, "fifteen hundred changes of three pages each"
    assert writer.execute("SELECT count(*) FROM meta WHERE key LIKE 'k%'").fetchall() == [(40,)]
    for connection in (*readers, writer):
        connection.close()


def test_a_reader_that_stays_holds_the_writer_up_for_a_moment_alone(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "READERS_MS", 1)
    writer, reader = file.open_store(store, "NORMAL"), file.connect(store, readonly=True)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM meta").fetchall()
    writer.execute("INSERT INTO meta (key, value) VALUES ('later', 'x')")
    assert file.fold_log(writer, apsw.SQLITE_CHECKPOINT_TRUNCATE) is False
    reader.execute("COMMIT")
    assert file.fold_log(writer, apsw.SQLITE_CHECKPOINT_TRUNCATE) is True
    assert store.with_name("memory.db-wal").stat().st_size == 0
    for connection in (reader, writer):
        connection.close()


ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.mark.engines("sqlite")
async def test_a_question_is_given_up_when_its_deadline_passes_and_the_next_is_answered(engine: SqliteEngine) -> None:
    def forever(tx: Tx) -> Any:
        rows: Any = tx.rows
        return rows.connection.execute(ENDLESS).fetchall()

    peer = Peer(greeted=True)
    with pytest.raises(TimedOut, match="worked on"):
        await engine.read(forever, Call(peer, Ping(), deadline=monotonic() + 0.1))
    assert await engine.read(lambda tx: tx.spaces.sizes(), Call(peer, Ping())) == {"default": 0}
