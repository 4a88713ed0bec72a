"""A small file that has grown is written anew once nobody writes; what older dictionaries packed is packed anew before they go."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from enhanced_memory.client.values import MessageInput
from enhanced_memory.daemon.store import intake
from enhanced_memory.daemon.store.bodies import BUILT_IN, Codec, Line, built_in, crc, train
from enhanced_memory.daemon.store.sqlite import file, scrubbing, writer
from enhanced_memory.daemon.store.sqlite.rows import dictionaries

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World

pytestmark = pytest.mark.engines("sqlite")

ROOM = 1 << 30
TIDIED = "SELECT value FROM meta WHERE key = 'tidied'"


def line(number: int) -> str:
    return (
        f"Shift {number % 7}: sample {number * 7919} of kiln {number % 11} went to the laboratory at {number % 24}:30."
    )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon's idle moments come at once."""
    monkeypatch.setattr(intake, "IDLE_S", 0.01)
    monkeypatch.setattr(writer, "TIDY_AFTER_S", 0.1)
    monkeypatch.setattr(scrubbing, "TIDY_PAGES", 64)


async def _until(met: Callable[[], Any], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await met():
            await asyncio.sleep(0.02)


async def _load(place: Place) -> None:
    for start in range(0, 1500, 30):
        await place.say(f"talk {start % 9}", *map(line, range(start, start + 30)))


@pytest.mark.usefixtures("quick")
async def test_a_small_file_that_has_grown_is_written_anew_in_a_quiet_moment(default: Place, world: World) -> None:
    await _load(default)
    await default.create("a note")
    while not await world.rows("SELECT 1 FROM meta WHERE key = 'learnt' AND value = 2"):
        await default.add("a note", "x")
    await _until(lambda: world.rows(f"{TIDIED} AND NOT EXISTS (SELECT 1 FROM meta WHERE key = 'repack_due')"))
    pages, free, segments, tidied = (
        await world.rows(
            f"""SELECT page_count, freelist_count, (SELECT count(DISTINCT segid) FROM words_idx), ({TIDIED})
                FROM pragma_page_count, pragma_freelist_count"""
        )
    )[0]
    assert (free, segments) == (0, 1)
    assert abs(pages - tidied) <= 1
    assert len(await world.rows("SELECT 1 FROM dictionaries")) == 1
    assert line(700) in await default.heard(f"talk {690 % 9}")
    assert line(44) in await default.overheard("sample 348436")
    await world.sound()
    # It goes on as before, and is looked at anew once it has grown.
    await default.say("talk 1", "and then a zeppelin came")
    assert await default.overheard("zeppelin") == ["and then a zeppelin came"]
    await asyncio.sleep(0.5)
    assert (await world.rows(TIDIED))[0][0] == tidied
    await default.create("room", *(f"{number} {number**9} {number**7}" for number in range(20_000)))
    await _until(lambda: world.rows(f"SELECT 1 WHERE ({TIDIED}) > ?", tidied))
    await world.sound()


@pytest.mark.usefixtures("quick")
async def test_a_large_file_is_left_alone_and_so_is_one_that_is_written_to(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as within:
        within.setattr(scrubbing, "TIDY_BYTES", 100_000)
        await _load(default)
        await asyncio.sleep(0.6)
        assert not await world.rows(TIDIED)
    monkeypatch.setattr(writer, "TIDY_AFTER_S", 60.0)
    await default.say("talk 1", "one more")
    await asyncio.sleep(0.6)
    assert not await world.rows(TIDIED)


@pytest.mark.usefixtures("quick")
async def test_a_disk_with_little_room_is_not_filled_for_it(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    room = 100_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=room))  # pyright: ignore[reportUnknownLambdaType]
    await _load(default)
    await asyncio.sleep(0.6)
    assert not await world.rows(TIDIED)
    room = 100_000_000
    await default.say("talk 1", "one more")
    await _until(lambda: world.rows(TIDIED))


@pytest.mark.parametrize("problem", [apsw.FullError("no room"), TypeError("nobody thought of it")])
@pytest.mark.usefixtures("quick")
async def test_where_it_fails_nothing_is_lost_and_everything_goes_on(
    default: Place, world: World, problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def full(connection: apsw.Connection) -> None:
        tried.append(1)
        scrubbing.tidy(connection)  # what it had written stays in the log
        raise problem

    monkeypatch.setattr(writer, "tidy", full)
    await _load(default)
    async with asyncio.timeout(30):
        while not tried:
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)
    assert len(tried) <= 2  # once more where bodies were packed anew meanwhile
    assert (await world.engine.usage()).wal == 0
    await default.say("talk 1", "later")
    assert (await default.overheard("later"))[0] == "later"
    await world.sound()


def test_a_file_is_worth_it_after_every_quarter_that_it_grows_or_when_a_quarter_is_free(tmp_path: Path) -> None:
    connection = file.open_store(tmp_path / "memory.db", "NORMAL")

    def fill(count: int) -> None:
        for _ in range(count):
            connection.execute("INSERT INTO blocks VALUES (NULL, 1, 1, 1, 1, 1, 1, zeroblob(4000))")

    fill(scrubbing.TIDY_PAGES)
    assert scrubbing.untidy(connection, ROOM)
    scrubbing.tidy(connection)
    assert not scrubbing.untidy(connection, ROOM)
    fill(scrubbing.TIDY_PAGES - 8)
    assert not scrubbing.untidy(connection, ROOM)
    fill(1200)
    assert scrubbing.untidy(connection, ROOM)
    scrubbing.tidy(connection)
    pages: int = connection.execute("PRAGMA page_count").fetchall()[0][0]
    fill(pages // 4 - 4)
    assert not scrubbing.untidy(connection, ROOM)
    fill(8)
    assert scrubbing.untidy(connection, ROOM)
    scrubbing.tidy(connection)
    connection.execute("DELETE FROM blocks WHERE id % 2")
    assert scrubbing.untidy(connection, ROOM)
    scrubbing.clear(connection, "scrub_due")  # how large it was before a purge says nothing of what it grows by
    assert scrubbing.untidy(connection, ROOM)
    scrubbing.tidy(connection)
    assert not scrubbing.untidy(connection, ROOM)
    connection.close()


def test_a_dictionary_goes_only_after_all_rows_were_seen_to_do_without_it(tmp_path: Path) -> None:
    connection = file.open_store(tmp_path / "memory.db", "NORMAL")
    words = [train([line(number + many * 10_000).encode() for number in range(500)]) for many in range(2)]
    for number, own in enumerate(words, 2):
        connection.execute("INSERT INTO dictionaries VALUES (?, 0, ?)", (number, own))
    older, newer = (Codec(dictionaries(connection), number) for number in (2, 3))

    def say(number: int, codec: Codec) -> None:
        raw, body = codec.pack(Line(line(number)))
        connection.execute(
            "INSERT INTO messages (id, space, stream, at, began, crc, body) VALUES (?, 1, 1, 0, 0, ?, ?)",
            (number, crc(raw), body),
        )

    for number in range(100, 150):
        say(number, older)
    dropped: set[int] = set()
    repacking = scrubbing.Repacking([BUILT_IN, 2], newer, dropped, 20)
    assert repacking.step(connection)  # entities: none
    for _ in range(2):
        assert repacking.step(connection)
    say(3, older)  # behind where it stands
    while repacking.step(connection):
        pass
    assert not connection.execute("SELECT 1 FROM messages WHERE substr(body, 1, 1) <> x'03'").fetchall()
    repacking.drop(connection)
    assert dropped == {2}
    assert list(dictionaries(connection)) == [BUILT_IN, 3]
    codec = Codec({BUILT_IN: built_in(), 3: words[1]})
    for number, checksum, body in connection.execute("SELECT id, crc, body FROM messages"):
        assert codec.line(body, checksum).content == line(number)
    connection.close()


async def test_what_most_lines_are_is_not_written_down_and_is_told_all_the_same(default: Place, world: World) -> None:
    said = [("user", "dialogue"), ("user", "action"), ("user", ""), ("assistant", "dialogue"), ("tool", "")]
    for place, (role, kind) in enumerate(said):
        await default.say("talk", f"line {place}", role=role, kind=kind)
    assert await world.rows("SELECT role, kind FROM messages ORDER BY id") == [
        (None, None), (None, "action"), (None, ""), ("assistant", None), ("tool", "")
    ]  # fmt: skip
    assert (MessageInput("").role, MessageInput("").kind) == said[0]
