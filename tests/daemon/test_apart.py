"""Processes that answer searches beside the daemon say what it would say, see what it wrote, and are missed by nobody."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import psutil
import pytest

import enhanced_memory.daemon.handlers  # noqa: F401 - they register themselves
from enhanced_memory.client import Settings
from enhanced_memory.client.errors import NotFound, TimedOut
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteEntities,
    DeleteObservations,
    ObservationsDeletion,
    PurgeEntities,
)
from enhanced_memory.client.operations.search import GetContext, SearchMessages, SearchNodes
from enhanced_memory.client.operations.spaces import CreateSpace, DeleteSpace
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.request import HANDLERS, Request
from enhanced_memory.client.values import EntityInput, MessageInput
from enhanced_memory.daemon.apart import pool
from enhanced_memory.daemon.apart.process import Answering
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.embedding.service import Embedding
from enhanced_memory.daemon.store.keeping import AHEAD
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.follower import Follower

from ..store.sealed import ciphers
from .conftest import Daemon

pytestmark = [
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core: there is no process beside the daemon"),
    pytest.mark.engines("sqlite", why="a database may have several daemons"),
]

WORDS = ["harbour", "lantern", "ropes", "shelves", "tide", "gulls", "anchor", "compass", "sails", "storm"]


class House:
    """A store with what searches it: the daemon's own readers, and processes beside."""

    def __init__(self, settings: Settings, engine: SqliteEngine) -> None:
        self.settings = settings
        self.engine = engine
        self.embedding = Embedding(engine, settings)
        self.apart = pool.Apart(engine, settings, self.embedding)
        self.here = 0

    def call(self, ask: Request[Any], space: str = "default", **more: Any) -> Call:
        return Call(Peer(client="test", greeted=True, space=space, **more), ask)

    async def do(self, ask: Request[Any], space: str = "default") -> Any:
        return await self.engine.write(lambda tx: HANDLERS[ask.op](tx, ask), self.call(ask, space))

    async def _here(self, call: Call) -> Any:
        self.here += 1
        return await self.engine.read(lambda tx: HANDLERS[call.ask.op](tx, call.ask), call)

    async def beside(self, ask: Any, space: str = "default", call: Call | None = None) -> Any:
        """What a process answers: as it is where the daemon is busy with another question."""
        call = call or self.call(ask, space)
        call.meaning, _ = await self.embedding.ask(ask.query)
        self.apart._here += 1
        try:
            return msgspec.to_builtins(await self.apart.answer(call, lambda: self._here(call)))
        finally:
            self.apart._here -= 1

    async def alone(self, ask: Any, space: str = "default") -> Any:
        """What the daemon answers itself, as it travels."""
        call = self.call(ask, space)
        call.meaning, _ = await self.embedding.ask(ask.query)
        return msgspec.to_builtins(await self.engine.read(lambda tx: HANDLERS[ask.op](tx, ask), call))

    async def start(self) -> psutil.Process:
        await self.apart._start()
        assert self.apart.running == len(self.apart._processes) > 0
        return psutil.Process(self.apart._processes[-1].pid)

    async def settled(self) -> None:
        """Until nothing goes on by itself: a new dictionary ends processes, too."""
        await until(
            lambda: not self.embedding.wanted or (self.embedding.model is not None and not self.embedding.working)
        )
        for _ in range(
            3
        ):  # the trainer hands its dictionary to the loop, the loop to the writer, and the writer tells the loop
            await until(lambda: self.engine._trainer is None or not self.engine._trainer.is_alive())
            await asyncio.sleep(0.02)
            await self.engine.alone(lambda _: None)

    async def agree(self, ask: Any, space: str = "default", told_of: Callable[[Any], Any] = lambda told: told) -> Any:
        """Both answer the same, and it was a process that answered. Words that are asked for the first time are ranked by the index on
        disk, on either side, and by what is in memory from then on."""
        before = self.here
        for _ in range(100):
            await self.beside(ask, space)
            told, alone = await self.beside(ask, space), [await self.alone(ask, space) for _ in range(2)][1]
            if told_of(told) == told_of(alone):
                break
            await asyncio.sleep(0.02)
        assert self.here == before
        assert told_of(told) == told_of(alone)
        return told


async def until(done: Callable[[], Any], wait_s: float = 30.0) -> None:
    deadline = time.monotonic() + wait_s
    while not done():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[House]:
    house = House(settings, await SqliteEngine.open(settings))
    house.embedding.start()
    try:
        yield house
    finally:
        await house.embedding.stop()
        await house.apart.stop()
        await house.engine.close()


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    async with opened(Settings.load({"embedder": "static"})) as made:
        await made.do(
            CreateEntities([EntityInput(f"{word} {n}", "thing", [f"about the {word} and number {n}"], tags=[word]) for n in range(20) for word in WORDS])
        )  # fmt: skip
        for talk in range(5):
            said = [
                MessageInput(f"{WORDS[n % 10]} told of {talk} at the {WORDS[(n + 3) % 10]}", speaker="ann")
                for n in range(40)
            ]
            await made.do(AppendMessages(f"talk {talk}", said))
        await made.settled()
        yield made


def names(told: Any) -> list[str]:
    return [hit["entity"]["name"] for hit in told["hits"]]


def found(told: Any) -> list[str]:
    """What an answer tells of, in no order: what is equally good may stand in another one."""
    if "hits" not in told:
        return sorted(item["text"] for item in told["items"])
    return sorted(str(hit.get("message", hit.get("entity"))["id"]) for hit in told["hits"])


ASKS = [
    SearchNodes("what about the lantern"),
    SearchNodes("storm", tags=["storm"], explain=True, limit=3),
    SearchNodes("gulls and ropes", count=True),
    SearchNodes("nothing that stands anywhere xyzzy"),
    SearchMessages("who told of the harbour", limit=7),
    SearchMessages("tide", stream="talk 2"),
    GetContext("the compass of ann", tokens=400),
]


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: f"{ask.op}: {ask.query[:12]}")
async def test_a_process_answers_what_the_daemon_would(house: House, ask: Any) -> None:
    await house.start()
    await house.agree(ask)


async def test_what_was_written_is_seen_at_once_by_words_and_by_meaning(house: House) -> None:
    await house.start()
    for number in range(12):
        await house.do(CreateEntities([EntityInput(f"fresh {number}", "thing", ["a zeppelin over the village"])]))
        assert f"fresh {number}" in names(await house.beside(SearchNodes("zeppelin", limit=50)))
    await house.settled()
    found = await house.agree(SearchNodes("an airship above houses", limit=20))
    assert "meaning" in found["arms"]
    assert any(name.startswith("fresh") for name in names(found))
    await house.do(DeleteEntities(["fresh 3"]))
    await house.do(DeleteObservations([ObservationsDeletion("fresh 4", ["a zeppelin over the village"])]))
    # How long passages are on average was read at different times: scores differ in the third digit.
    seen = names(await house.agree(SearchNodes("zeppelin", limit=50), told_of=lambda told: sorted(names(told))))
    assert "fresh 2" in seen
    assert not {"fresh 3", "fresh 4"} & set(seen)


async def test_spaces_that_come_and_go_are_known(house: House) -> None:
    await house.start()
    await house.do(CreateSpace("over", parent="default"))
    await house.do(CreateEntities([EntityInput("mine alone", "thing", ["a private lantern"])]), "over")
    assert "mine alone" in names(await house.beside(SearchNodes("private lantern", limit=50), "over"))
    assert "mine alone" not in names(await house.beside(SearchNodes("private lantern", limit=50)))
    await house.agree(SearchNodes("lantern", limit=50), "over")
    await house.do(DeleteSpace("over"))
    assert names(await house.beside(SearchNodes("private lantern", limit=50), "over")) == []
    await house.do(CreateSpace("over", parent="default"))
    await house.agree(SearchNodes("private lantern", limit=50), "over", told_of=names)


async def test_what_it_read_is_counted(house: House) -> None:
    await house.start()
    ask = SearchNodes("lantern", limit=4)
    beside, alone = house.call(ask), house.call(ask)
    await house.beside(ask, call=beside)
    alone.meaning, _ = await house.embedding.ask(ask.query)
    await house.engine.read(lambda tx: HANDLERS[ask.op](tx, ask), alone)
    assert beside.used == alone.used


async def test_a_process_that_dies_is_not_missed(house: House) -> None:
    process = await house.start()
    for ask in ASKS:
        await house.agree(ask)
    process.kill()
    told = [await house.beside(ask) for ask in ASKS]
    assert list(map(found, told)) == [found(await house.alone(ask)) for ask in ASKS]
    assert house.here >= len(ASKS) - 1
    assert house.apart.running == 0
    await house.start()
    await house.agree(ASKS[0])


async def test_a_process_that_hangs_is_ended_when_the_deadline_passes(house: House) -> None:
    process = await house.start()
    process.suspend()
    call = house.call(ASKS[0])
    call.deadline = time.monotonic() + 0.3
    with pytest.raises(TimedOut):
        await house.beside(ASKS[0], call=call)
    await until(lambda: not process.is_running())
    assert names(await house.beside(ASKS[0]))


async def test_many_at_a_time_are_shared_out_and_every_one_gets_its_own_answer(house: House) -> None:
    await house.start()
    asks = [SearchNodes(f"about the {WORDS[n % 10]}", limit=3 + n % 4) for n in range(80)]

    async def ask(one: SearchNodes) -> Any:
        call = house.call(one)
        call.meaning, _ = await house.embedding.ask(one.query)
        return msgspec.to_builtins(await house.apart.answer(call, lambda: house._here(call)))

    for one in asks:
        await house.agree(one)
    house.here = 0
    answers = await asyncio.gather(*map(ask, asks))
    assert list(map(found, answers)) == [found(await house.alone(one)) for one in asks]
    assert 0 < house.here < 80
    assert house.apart._here == 0
    assert not house.apart._waiting
    assert [one.asked for one in house.apart._processes] == [0]


async def test_whoever_gives_up_waiting_leaves_the_others_their_turn(house: House) -> None:
    process = await house.start()
    process.suspend()
    asks = [asyncio.ensure_future(house.beside(SearchNodes("lantern"))) for _ in range(8)]
    await asyncio.sleep(0.1)
    for one in asks[::2]:
        one.cancel()
    process.resume()
    told = await asyncio.gather(*asks, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in told] == [True, False] * 4
    assert house.apart._here == 0
    assert [one.asked for one in house.apart._processes] == [0]
    await house.agree(ASKS[0])


async def test_what_is_wrong_with_a_question_is_said_as_the_daemon_says_it(house: House) -> None:
    await house.start()
    with pytest.raises(NotFound, match="talk 77"):
        await house.beside(SearchMessages("tide", stream="talk 77"))
    assert house.apart.running == 1


async def test_it_leaves_where_what_it_holds_is_of_another_store(house: House) -> None:
    for change in (
        lambda: house.engine.scrub(None),
        lambda: asyncio.sleep(0, house.engine.reindexed()),
        lambda: asyncio.sleep(0, house.embedding.serve(house.embedding.runner, house.embedding.model, house.embedding.index)),  # type: ignore[arg-type]
        lambda: house.engine.alone(lambda _: house.engine._pack_with(house.engine.dictionary, house.engine.dictionaries[house.engine.dictionary])),
    ):  # fmt: skip
        process = await house.start()
        work: Awaitable[Any] = change()
        await work
        await until(lambda: not house.apart.running)
        await until(lambda process=process: not process.is_running())
        assert names(await house.beside(ASKS[0]))


async def test_a_purge_leaves_nothing_in_a_process(house: House) -> None:
    process = await house.start()
    await house.beside(SearchNodes("lantern 3"))
    receipt = await house.do(PurgeEntities(["lantern 3"], confirm=True))
    await house.engine.scrub({"lantern 3"})
    assert receipt.ids
    await until(lambda: not process.is_running())
    await house.start()
    assert "lantern 3" not in names(await house.agree(SearchNodes("lantern", limit=100)))


async def test_one_that_nobody_needs_is_ended_and_one_that_does_not_start_is_done_without(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pool, "IDLE_S", 0.2)
    process = await house.start()
    await until(lambda: not house.apart.running)
    await until(lambda: not process.is_running())
    assert house.apart._followed is not None
    monkeypatch.setattr(house.apart._followed, "module", "enhanced_memory.nowhere")
    await house.apart._start()
    assert house.apart.running == 0
    assert "beside the daemon" in caplog.text
    assert house.apart._not_before > time.monotonic() + 10


async def test_one_is_started_where_questions_wait_and_not_for_one_who_asks_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(pool, "monotonic", lambda: clock.now)
    started: list[float] = []

    async def start() -> None:
        started.append(clock.now)
        house.apart._starting = None

    monkeypatch.setattr(house.apart, "_start", start)

    async def second(questions: int) -> None:
        for _ in range(questions):
            house.apart._one_waits()
        await asyncio.sleep(0)
        clock.now += 1

    for waits in (30, 0, 30, 5, 30, 0, 30):
        await second(waits)
    assert started == []
    for waits in (30, 30, 30):
        await second(waits)
    assert len(started) == 1
    for _ in range(200):
        call = house.call(ASKS[0])
        await house.apart.answer(call, lambda: house._here(call))  # noqa: B023
    assert len(started) == 1
    monkeypatch.setattr(pool, "_room", lambda: False)
    for waits in (30, 30, 30, 30):
        await second(waits)
    assert len(started) == 1


async def test_none_is_wanted_where_the_setting_says_so(home: Path) -> None:
    async with opened(Settings.load({"embedder": "none", "search_processes": 0})) as house:
        assert house.apart.most == 0
    async with opened(Settings.load({"embedder": "none", "search_processes": 99})) as house:
        assert house.apart.most == len(os.sched_getaffinity(0)) - 1


@ciphers
async def test_a_store_with_a_key_is_read_with_it(home: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    async with opened(Settings.load({"embedder": "static", "key_file": str(key)})) as house:
        await house.do(things := CreateEntities([EntityInput("sealed", "thing", ["a secret lantern"])]))
        assert things
        await house.settled()
        await house.start()
        assert names(await house.agree(SearchNodes("lantern"))) == ["sealed"]


async def test_words_kept_in_memory_there_are_those_of_the_file(home: Path) -> None:
    """In a store that is large enough for words to be read ahead."""
    async with opened(Settings.load({"embedder": "none"})) as house:
        for block in range(AHEAD // 2000 + 1):
            said = [
                MessageInput(f"{WORDS[n % 10]} {WORDS[(n * 7) % 9]} {block} {n}", speaker="ann") for n in range(2000)
            ]
            await house.do(AppendMessages(f"talk {block}", said))
        await house.settled()
        await house.start()
        for _ in range(30):
            await house.agree(SearchMessages("lantern and tide of 7", limit=5))
            await asyncio.sleep(0.02)
        await house.do(AppendMessages("talk 1", [MessageInput("lantern and tide of a zeppelin", speaker="ann")]))
        told = await house.agree(SearchMessages("the lantern of the zeppelin", limit=5))
        assert told["hits"][0]["message"]["content"].endswith("zeppelin")


def test_what_a_process_is_asked_wrongly_it_answers_with_an_error(home: Path) -> None:
    async def made() -> None:
        await (await SqliteEngine.open(Settings.load({"embedder": "none"}))).close()

    asyncio.run(made())
    answering = Answering(Follower(Settings.load()))
    try:
        assert "error" in answering.answer({"ask": "no_such_thing", "args": b"", "peer": {"confined": []}})
        assert "error" in answering.answer({"ask": "search_nodes", "args": b"\xc1", "peer": {"confined": []}})
    finally:
        answering.close()


def test_a_daemon_that_many_ask_at_once_has_a_process_beside_it_and_none_is_left_after_it(
    serve: Callable[..., Daemon],
) -> None:
    daemon = serve(embedder="static")
    with ExitStack() as stack:
        first = stack.enter_context(daemon.memory())
        first.create_entities(
            [EntityInput(f"{word} {n}", "thing", [f"about the {word} and {n}"]) for n in range(100) for word in WORDS]
        )
        going = threading.Event()
        wrong: list[Any] = []

        def ask(number: int) -> None:
            with daemon.memory() as memory:
                while not going.is_set():
                    found = memory.search_nodes(f"about the {WORDS[number % 10]}", limit=5).hits
                    wrong.extend([] if found and WORDS[number % 10] in found[0].entity.name else [found])

        askers = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for one in askers:
            one.start()
        try:
            deadline = time.monotonic() + 40
            while not first.get_memory_status().search_processes and time.monotonic() < deadline:
                time.sleep(0.1)
            assert first.get_memory_status().search_processes >= 1
            beside = [
                one for one in psutil.Process(daemon.process.pid).children() if "apart" in " ".join(one.cmdline())
            ]
            assert beside
            beside[0].send_signal(signal.SIGKILL)
            time.sleep(0.5)
        finally:
            going.set()
            for one in askers:
                one.join()
        assert wrong == []
    daemon.end(signal.SIGKILL)
    _, left = psutil.wait_procs(beside, timeout=10)
    assert left == []
