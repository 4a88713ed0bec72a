"""Several daemons on one database hear of each other's changes, share out the work of one, and any of them may die.

These need a server (scripts/postgres_server.py); without one they are left out.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import AsyncMemory, Memory, Settings  # noqa: E402
from enhanced_memory.client.errors import Error  # noqa: E402
from enhanced_memory.client.values import EntityInput  # noqa: E402
from enhanced_memory.daemon.store import HOUSE, MEANING, Touched  # noqa: E402
from enhanced_memory.daemon.store.bodies import State  # noqa: E402
from enhanced_memory.daemon.store.postgres import hearing  # noqa: E402
from enhanced_memory.daemon.store.postgres.engine import PostgresEngine  # noqa: E402

from .conftest import Daemon, Databases, World  # noqa: E402


@pytest.fixture
def stored(settings: Settings, databases: Databases) -> Settings:
    """Settings that name an empty database."""
    return replace(settings, store=databases.url("shared"))


@pytest.fixture(autouse=True)
def hears_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "LOOK_S", 0.1)
    monkeypatch.setattr(hearing, "AGAIN_S", 0.1)


def hears(world: World) -> list[Touched]:
    """What an engine's listeners are told from now on."""
    told: list[Touched] = []
    world.engine.listeners.append(told.append)
    return told


async def until(condition: Callable[[], Any], wait_s: float = 20.0) -> None:
    """Wait until `condition()` holds."""
    async with asyncio.timeout(wait_s):
        while not condition():
            await asyncio.sleep(0.01)


def end_listeners(url: str) -> None:
    """End every connection that listens, as a server does that restarts."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND (query LIKE 'LISTEN%' OR query LIKE 'SELECT 1%' OR query LIKE '%advisory%')"
        )


async def test_a_change_is_told_to_every_daemon_once_and_in_order(daemon: Daemon) -> None:
    one, other = await daemon(), await daemon()
    here, there = hears(one), hears(other)
    for number in range(5):
        await one.default.create(f"Ada {number}", "a")
        await other.default.add(f"Ada {number}", "b")
    await until(lambda: len(there) == 10 and len(here) == 10)
    # A daemon's own change is told with its commit, and may be before what another committed just before it.
    for heard in (here, there):
        numbers = [told.number for told in heard]
        assert sorted(numbers) == list(range(1, 11))
        assert [number for number in numbers if number % 2] == list(range(1, 11, 2))
        assert [number for number in numbers if not number % 2] == list(range(2, 11, 2))
    assert sorted(here, key=lambda told: told.number) == sorted(there, key=lambda told: told.number)


async def test_a_change_that_is_undone_is_told_to_nobody(daemon: Daemon) -> None:
    one, other = await daemon(), await daemon()
    there = hears(other)

    def fails(tx: Any) -> None:
        tx.entities.create(State("Eve", "thing"))
        tx.entities.find(1)  # so that what was written is on its way
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await one.default.write(fails)
    await one.default.create("Ada")
    await until(lambda: there)
    assert [told.number for told in there] == [1]


def test_what_no_notification_holds_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Touched] = []
    listener = hearing.Hearing(lambda: pytest.fail("unasked"), (), told.extend, lambda: None)
    large = [Touched(7, "import_data", "žurnál", list(range(5000)), 9, list(range(3000)), [1, 2])]
    sent = list(hearing.pieces("abcd", large))
    assert len(sent) > 5
    assert max(len(piece.encode()) for piece in sent) < 8000
    # Another daemon's come in between: they are told as they are whole.
    small = next(hearing.pieces("other", [Touched(6, "ping", "default", [])]))
    for piece in (*sent[:3], small, *sent[3:]):
        listener._piece(psycopg.Notify("enhanced_memory", piece, 1))
    assert told == [Touched(6, "ping", "default", []), *large]


async def test_what_came_while_nobody_could_listen_is_told_afterwards(
    daemon: Daemon, stored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await daemon(), await daemon()
    there = hears(other)
    reach = other.engine._hearing._reach  # type: ignore[attr-defined]
    closed = asyncio.Event()

    def cannot() -> Any:
        closed.set()
        raise psycopg.OperationalError("the server is not there")

    other.engine._hearing._reach = cannot  # type: ignore[attr-defined]
    end_listeners(stored.store)
    await closed.wait()
    ada = await one.default.create("Ada", "a")
    bob = await one.default.create("Bob", "b")
    await other.default.create("Eve")
    assert [told.number for told in there] == [3]
    other.engine._hearing._reach = reach  # type: ignore[attr-defined]
    await until(lambda: any(told.everything for told in there))
    assert [(told.number, told.entities) for told in there[1:-1]] == [(1, [ada]), (2, [bob])]
    await one.default.add("Ada", "more")
    await until(lambda: there[-1].number == 4)


async def test_what_came_before_the_server_could_be_listened_to_at_all_is_told(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await daemon()
    reach, let = PostgresEngine._reach, threading.Event()

    def reached(engine: PostgresEngine) -> Any:
        if threading.current_thread().name == "hearing" and not let.is_set():
            raise psycopg.OperationalError("the server is not there")
        return reach(engine)

    monkeypatch.setattr(PostgresEngine, "_reach", reached)
    other = await daemon()
    there = hears(other)
    await one.default.create("Ada", "a")
    let.set()
    await until(lambda: there)
    assert (there[0].number, there[0].everything) == (1, True)


async def test_a_number_that_was_not_committed_is_told_when_another_daemon_used_it(
    daemon: Daemon, stored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await daemon(), await daemon()
    there = hears(other)
    engine: Any = other.engine
    await other.default.create("Zoe")  # so that its writer has a connection
    rows, said = engine._writer._rows, engine._writer._rows.say

    def full(text: str) -> None:
        if text == "COMMIT":
            raise psycopg.errors.DiskFull("no space")
        said(text)

    with monkeypatch.context() as patched:
        patched.setattr(rows, "say", full)
        with pytest.raises(Error):
            await other.default.create("Eve")
    reach, closed = engine._hearing._reach, asyncio.Event()

    def cannot() -> Any:
        closed.set()
        raise psycopg.OperationalError("the server is not there")

    engine._hearing._reach = cannot
    end_listeners(stored.store)
    await closed.wait()
    ada = await one.default.create("Ada", "a")
    engine._hearing._reach = reach
    await until(lambda: any(told.everything for told in there))
    assert [(told.number, told.entities) for told in there[1:-1]] == [(2, [ada])]


NOISE = ["x", "", "a b c d", "a 1 one []", "a 1 1 {", 'a 1 1 [{"number": "x"}]']


async def test_a_notification_that_no_daemon_sends_is_dropped(daemon: Daemon, stored: Settings) -> None:
    one, other = await daemon(), await daemon()
    there = hears(other)
    with psycopg.connect(stored.store, autocommit=True) as connection:
        for noise in NOISE:
            connection.execute("SELECT pg_notify('enhanced_memory', %s)", (noise,))
    await one.default.create("Ada")
    await until(lambda: there)
    assert [(told.number, told.everything) for told in there] == [(1, False)]
    assert one.engine.leads(HOUSE)


async def listened(listener: hearing.Hearing, condition: Callable[[], Any]) -> None:
    """Run a listener until a condition holds."""
    starting = asyncio.get_running_loop().run_in_executor(None, listener.start)
    try:
        await until(condition)
        await asyncio.wait_for(starting, 20)
    finally:
        listener._tried.set()
        await starting
        listener.stop()


async def test_who_listens_goes_on_whatever_happens_and_leads_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "AGAIN_S", 0.01)
    led: list[frozenset[str]] = []

    @contextmanager
    def reached() -> Generator[None]:
        try:
            yield
        finally:
            led.append(listener.leading)  # as the connection is closed, and its locks with it

    reach: Any = reached
    listener = hearing.Hearing(reach, (HOUSE,), lambda changes: None, lambda: None)

    def fails(connection: Any) -> None:
        listener.leading = frozenset({HOUSE})
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(listener, "_listen", fails)
    await listened(listener, lambda: len(led) > 2)
    assert set(led) == {frozenset()}


async def test_who_listens_does_so_with_a_thousand_files_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "AGAIN_S", 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("this machine allows no process so many files")
    tried: list[int] = []

    def cannot() -> Any:
        tried.append(1)
        raise psycopg.OperationalError("the server is not there")

    listener = hearing.Hearing(cannot, (), lambda changes: None, lambda: None)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    try:
        low = listener._woken
        listener._woken = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 1100)
        os.close(low)
        await listened(listener, lambda: len(tried) > 2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_one_of_them_does_the_work_of_one_and_another_when_it_is_gone(daemon: Daemon, stored: Settings) -> None:
    one, other = await daemon(), await daemon()
    assert [one.engine.leads(work) for work in (HOUSE, MEANING)] == [True, True]
    assert [other.engine.leads(work) for work in (HOUSE, MEANING)] == [False, False]
    called: list[int] = []
    other.engine.chosen.append(lambda: called.append(1))
    one.engine._hearing.stop()  # type: ignore[attr-defined]
    await until(lambda: other.engine.leads(HOUSE) and other.engine.leads(MEANING) and called)
    one.engine._hearing.stop = lambda: None  # type: ignore[attr-defined]


async def test_who_makes_no_vectors_does_not_stand_for_it(stored: Settings, daemon: Daemon, clock: Any) -> None:
    without = await PostgresEngine.open(replace(stored, embedder="none"), clock)
    try:
        assert (without.leads(HOUSE), without.leads(MEANING)) == (True, False)
        other = await daemon()
        assert (other.engine.leads(HOUSE), other.engine.leads(MEANING)) == (False, True)
    finally:
        await without.close()


# Views while somebody writes


async def test_a_view_is_pinned_below_what_is_still_under_way(daemon: Daemon) -> None:
    """A transaction that takes long has its number already. Nobody sees that number, or gives out a later one, before it is committed."""
    slow, quick = await daemon(), await daemon()
    await slow.default.create("Ada", "a")
    begun, let = threading.Event(), threading.Event()

    def work(tx: Any) -> int:
        tx.entities.create(State("Slow", "thing"))
        tx.entities.find(1)  # so that what was written is at the server
        begun.set()
        assert let.wait(25)
        return tx.number

    writing = asyncio.create_task(slow.default.write(work))
    try:
        assert await asyncio.to_thread(begun.wait, 20)
        assert await quick.last_change() == 1
        seen = await quick.default.listed(as_of=1)
        later = asyncio.create_task(quick.default.create("Late"))
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        async with asyncio.timeout(20):
            while not await quick.rows(waits):
                await asyncio.sleep(0.01)
        # Questions are answered meanwhile, and what is asked now is pinned below what is under way.
        assert await quick.last_change() == 1
        assert await quick.default.listed() == seen == ["Ada"]
        assert not later.done()
    finally:
        let.set()
    assert await writing == 2
    await later
    assert await quick.default.listed(as_of=1) == seen
    assert sorted(await quick.default.listed(as_of=2)) == ["Ada", "Slow"]
    assert sorted(await quick.default.listed()) == ["Ada", "Late", "Slow"]


async def test_what_a_number_showed_it_shows_for_ever(daemon: Daemon) -> None:
    one, other, reader = await daemon(), await daemon(), await daemon()
    seen: dict[int, list[str]] = {}

    async def write(world: World, who: str) -> None:
        for number in range(15):
            await world.default.create(f"{who}{number}")

    async def look() -> None:
        while len(seen) < 2 or max(seen) < 30:
            number = await reader.last_change()
            seen.setdefault(number, await reader.default.listed(as_of=number))

    await asyncio.gather(write(one, "a"), write(other, "b"), look())
    for number, names in seen.items():
        assert len(names) == number
        assert await one.default.listed(as_of=number) == names


# Two daemons


@pytest.fixture
def two(stored: Settings, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, Settings]]:
    """Settings for two daemons of their own on one database; both are ended."""
    both = tuple(
        Settings.load(
            {
                "store": stored.store,
                "socket": str(home / name),
                "log_file": str(home / f"{name}.log"),
                "connect_timeout_s": 60,
            }
        )
        for name in ("one.sock", "other.sock")
    )
    yield both[0], both[1]
    for settings in both:
        try:
            with Memory(replace(settings, autostart=False)) as memory:
                os.kill(memory.welcome.pid, signal.SIGTERM)
        except Exception:
            continue


def meant(memory: Memory, query: str) -> list[str]:
    """What is found by its meaning."""
    found = memory.search_nodes(query, limit=3)
    return [hit.entity.name for hit in found.hits] if "meaning" in found.arms else []


def eventually(condition: Callable[[], Any], wait_s: float = 45.0) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


async def _next(events: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    async with asyncio.timeout(30):
        return await anext(events)


async def test_two_daemons_tell_each_other_and_one_that_is_killed_leaves_its_work_to_the_other(
    two: tuple[Settings, Settings],
) -> None:
    first, second = two
    one, other = Memory(first), Memory(second)
    for memory in (one, other):
        await asyncio.to_thread(memory.connect)
    async with AsyncMemory(second) as listener:
        await listener.subscribe()
        events = listener.events()
        made = await asyncio.to_thread(
            one.create_entities, [EntityInput("Fido", "pet", ["a puppy that barks at night"])]
        )
        event = await _next(events)
        assert (event["event"], event["entities"]) == ("changed", [made.results[0].id])
        # Vectors that the first one made are found through the second, which makes none.
        await asyncio.to_thread(eventually, lambda: meant(other, "dog") == ["Fido"])
        os.kill(one.welcome.pid, signal.SIGKILL)
        made = await asyncio.to_thread(
            other.create_entities, [EntityInput("Tom", "pet", ["a kitten that purrs in the sun"])]
        )
        assert (await _next(events))["entities"] == [made.results[0].id]
        await asyncio.to_thread(eventually, lambda: "Tom" in meant(other, "cat"))
        assert {hit.entity.name for hit in (await asyncio.to_thread(other.search_nodes, "pet")).hits} == {"Fido", "Tom"}
    one.close()
    other.close()
