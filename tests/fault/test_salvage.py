"""A broken store: whatever was changed in it is found by `verify`, and whatever can be read of it is saved by `salvage`."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import apsw
import pytest
import zstandard

from enhanced_memory.client.errors import Conflict, Error, StoreDamaged
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.store.sqlite import file
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.salvage import Salvaged, salvage
from enhanced_memory.daemon.store.sqlite.verifying import check

KEPT = Path(__file__).parents[1] / "store" / "kept"
PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store with rows of every kind, closed."""
    path = tmp_path_factory.mktemp("kept") / "memory.db"
    newest = max(KEPT.glob("schema-*.db.zst"), key=lambda kept: int(kept.name.split("-")[1].split(".")[0]))
    path.write_bytes(zstandard.ZstdDecompressor().decompress(newest.read_bytes()))
    file.open_store(path, "FULL").close()
    return path.read_bytes()


@pytest.fixture
def store(tmp_path: Path, whole: bytes) -> Path:
    """That store, to be broken."""
    path = tmp_path / "memory.db"
    path.write_bytes(whole)
    return path


def rows(path: Path) -> dict[str, int]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    names = (
        "entities",
        "messages",
        "versions",
        "relations",
        "names",
        "tags",
        "properties",
        "changes",
        "journal",
        "passages",
    )
    found = {name: next(iter(connection.execute(f"SELECT count(*) FROM {name}")))[0] for name in names}
    connection.close()
    return found


def pages_of(path: Path, table: str) -> list[int]:
    """The pages of a table's own tree."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found = [row[0] for row in connection.execute("SELECT pageno FROM dbstat WHERE name = ? ORDER BY pageno", (table,))]
    connection.close()
    return found


def destroy(path: Path, pages: list[int]) -> None:
    """Write over whole pages, as a bad block does."""
    with open(path, "r+b") as out:
        for page in pages:
            out.seek((page - 1) * PAGE)
            out.write(random.Random(page).randbytes(PAGE))


async def opens(path: Path) -> None:
    """The saved store serves, and knows its words."""
    engine = await SqliteEngine.open(Settings.load({"store": str(path), "readers": 1}))
    assert (await engine.check(quick=False)).problems == []
    await engine.close()


def test_a_sound_store_is_saved_whole(store: Path, tmp_path: Path) -> None:
    before = rows(store)
    saved = salvage(store, tmp_path / "new.db")
    assert (saved.problems, saved.lost, saved.mended, saved.grafted) == ([], [], {}, False)
    assert all(one.complete and not one.damaged for one in saved.tables.values())
    assert rows(tmp_path / "new.db") == before
    with pytest.raises(Conflict):
        salvage(store, tmp_path / "new.db")


@pytest.mark.parametrize("table", ["entities", "versions", "names", "words_data"])
async def test_a_destroyed_page_takes_no_more_than_what_stood_on_it(store: Path, tmp_path: Path, table: str) -> None:
    before = rows(store)
    pages = pages_of(store, table)
    gone = pages[len(pages) // 2]
    destroy(store, [gone])
    try:
        found = check(store, quick=False).problems
    except Error as problem:
        found = [problem.message]
    assert found, "a destroyed page was not found"
    saved: Salvaged = await asyncio.to_thread(salvage, store, tmp_path / "new.db")
    assert saved.problems == []
    after = rows(tmp_path / "new.db")
    if len(pages) > 2:
        assert after["entities"] >= before["entities"] * 0.6
    await opens(tmp_path / "new.db")


async def test_without_its_first_page_a_store_that_was_never_rewritten_is_saved(store: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    connection = file.open_store(fresh, "FULL")
    connection.execute("INSERT INTO meta VALUES ('precious', 'yes')")
    connection.close()
    destroy(fresh, [1])
    saved = await asyncio.to_thread(salvage, fresh, tmp_path / "new.db")
    assert saved.grafted
    connection = apsw.Connection(str(tmp_path / "new.db"))
    assert list(connection.execute("SELECT value FROM meta WHERE key = 'precious'")) == [("yes",)]
    connection.close()


def test_what_is_no_store_at_all_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "noise.db").write_bytes(random.Random(1).randbytes(20 * PAGE))
    with pytest.raises(StoreDamaged):
        salvage(tmp_path / "noise.db", tmp_path / "new.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noise.db"]


@pytest.mark.parametrize("share", [0.3, 0.7])
async def test_a_truncated_store_is_saved_as_far_as_it_goes(
    store: Path, whole: bytes, tmp_path: Path, share: float
) -> None:
    store.write_bytes(whole[: int(len(whole) * share) // PAGE * PAGE])
    with pytest.raises(Error):
        if found := check(store, quick=False).problems:
            raise StoreDamaged(found[0])
    try:
        saved = await asyncio.to_thread(salvage, store, tmp_path / "new.db")
    except StoreDamaged:
        return  # the tables' own list may lie in what is gone
    assert saved.problems == []
    await opens(tmp_path / "new.db")


PLANTED = [
    "UPDATE entities SET body = substr(body, 1, length(body) - 1) WHERE id = 1",
    "UPDATE entities SET crc = crc + 1 WHERE id = 1",
    "UPDATE messages SET body = x'0001' WHERE id = (SELECT min(id) FROM messages)",
    "UPDATE versions SET crc = crc - 1 WHERE entity = 1 AND version = 2",
    "DELETE FROM names WHERE entity = 2 AND ended = 0",
    "DELETE FROM passages WHERE id = (SELECT min(id) FROM passages WHERE ended = 0)",
    "DELETE FROM changes WHERE number = 3",
    "DELETE FROM entities WHERE id = 2",
    "DELETE FROM messages WHERE id = (SELECT min(id) FROM messages)",
    "UPDATE relations SET to_id = 99999 WHERE to_id > 0",
    "DELETE FROM words WHERE rowid = (SELECT min(id) FROM passages WHERE ended = 0)",
    "INSERT INTO vectors VALUES (99999 * 64 + 1, x'00')",
    "UPDATE spaces SET parent = 99 WHERE id > 1",
    "UPDATE blocks SET crc = crc + 1",
]


@pytest.mark.parametrize("at", range(len(PLANTED)))
def test_every_planted_corruption_is_found(store: Path, at: int) -> None:
    plant(store, PLANTED[at])
    assert check(store, quick=False).problems


@pytest.mark.parametrize("several", [PLANTED[::2], PLANTED[1::2]], ids=["even", "odd"])
def test_what_a_salvage_saves_verifies_whatever_was_wrong(store: Path, tmp_path: Path, several: list[str]) -> None:
    for sql in several:
        plant(store, sql)
    assert salvage(store, tmp_path / "new.db").problems == []


def plant(store: Path, sql: str) -> None:
    connection = apsw.Connection(str(store))
    before = connection.total_changes()
    connection.execute(sql)
    assert connection.total_changes() > before
    connection.close()


def test_every_flipped_bit_of_a_body_is_found(store: Path, whole: bytes) -> None:
    """Bits within rows' contents, where SQLite's own check sees nothing."""
    chance = random.Random(7)
    connection = apsw.Connection(str(store))
    bodies = list(
        connection.execute(
            "SELECT 'entities', row, body FROM entities UNION ALL SELECT 'messages', id, body FROM messages"
        )
    )
    connection.close()
    tried = 0
    for _, _, body in chance.sample(bodies, 20):
        at = whole.find(body)
        if at < 0 or whole.count(body) > 1:
            continue  # it lies on several pages
        data = bytearray(whole)
        data[at + chance.randrange(1, len(body))] ^= 1 << chance.randrange(8)
        store.write_bytes(data)
        assert check(store, quick=True).problems, "a flipped bit was not found"
        tried += 1
    assert tried > 10
