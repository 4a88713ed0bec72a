"""What remembering the past costs: a change beside the same rows without a past, bytes of versions, going back, searching as of then."""

import asyncio
import random
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

from corpus import invented
from home import Home
from measure import Figure, Size, at_most, each, percentile, pooled, ratio, told, turns
from msgspec import to_builtins

from enhanced_memory.client import Memory
from enhanced_memory.client.operations.entities import (
    AddObservations,
    CreateEntities,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    OpenNodes,
    Tag,
    Untag,
    UpdateEntity,
)
from enhanced_memory.client.operations.versions import MemoryDiff, MemoryHistory
from enhanced_memory.client.request import HANDLERS, Change, Question
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store import Tx, entities
from enhanced_memory.daemon.store.bodies import Codec, State
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.rows import SqliteRows

__all__ = ["measure"]

assert handlers.__all__  # importing the chapters registers them

SECTION = "The past"

GROUP = 64
"""Changes handed to the writer at a time: so the disk is waited for once for all of them."""

_PAST = frozenset(("add_version", "set_version_body", "add_change", "add_journal", "origin_id", "add_origin"))
"""The statements that a store without a past would not run."""


def measure(size: Size) -> list[Figure]:
    """All figures of this chapter."""
    return [*changing(size), *keeping(), *going_back(size), *searching(size)]


class _Store:
    """An engine in this process."""

    def __init__(self, settings: Settings) -> None:
        self.runner = asyncio.Runner()
        self.engine = self.runner.run(SqliteEngine.open(settings))

    def change(self, asks: Iterable[Change[Any]], group: int = GROUP) -> None:
        """Carry out changes, some at a time."""

        async def all_of(some: list[Change[Any]]) -> None:
            await asyncio.gather(*(self._one(ask) for ask in some))

        waiting: list[Change[Any]] = []
        for ask in asks:
            waiting.append(ask)
            if len(waiting) == group:
                self.runner.run(all_of(waiting))
                waiting = []
        if waiting:
            self.runner.run(all_of(waiting))

    async def _one(self, ask: Change[Any]) -> None:
        handler = HANDLERS[ask.op]
        call = Call(Peer(client="bench", user="bench", greeted=True), ask)
        await self.engine.write(lambda tx: handler(tx, ask), call)

    def read(self, work: Callable[[Tx], Any]) -> Any:
        """The answer to a question."""
        return self.runner.run(self.engine.read(work, Call(Peer(greeted=True), UpdateEntity(1))))

    def answering(self, ask: Question[Any]) -> float:
        """Seconds of CPU that answering a question takes, its encoding included."""

        def work(tx: Tx) -> float:
            began = time.thread_time()
            to_builtins(HANDLERS[ask.op](tx, ask))
            return time.thread_time() - began

        return self.read(work)

    def close(self) -> None:
        """Let go of the store."""
        self.runner.run(self.engine.close())
        self.runner.close()


@contextmanager
def without_a_past() -> Generator[None]:
    """Inside, changes write the same rows but for versions, journal and changes, and compute no differences."""
    run, many, one, delta = SqliteRows.run, SqliteRows.many, SqliteRows.one, entities.delta

    def bare_run(self: SqliteRows, name: str, /, **values: Any) -> int:
        return 1 if name in _PAST else run(self, name, **values)

    def bare_many(self: SqliteRows, name: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        if name not in _PAST:
            many(self, name, rows)

    def bare_one(self: SqliteRows, name: str, /, *also: str, **values: Any) -> Any:
        return (0,) if name in _PAST else one(self, name, *also, **values)

    SqliteRows.run, SqliteRows.many, SqliteRows.one = bare_run, bare_many, bare_one  # type: ignore[method-assign]
    entities.delta = lambda *_: b""
    try:
        yield
    finally:
        SqliteRows.run, SqliteRows.many, SqliteRows.one = run, many, one  # type: ignore[method-assign]
        entities.delta = delta


def changing(size: Size) -> list[Figure]:
    """Adding an observation to an entity of about a kilobyte, with its past and without."""
    rounds, count = (9, 640) if size == "full" else (5, 320)
    people = invented(51, count)
    with Home(synchronous="NORMAL") as kept, Home(synchronous="NORMAL") as bare:
        stores = {"kept": _Store(kept.settings), "bare": _Store(bare.settings)}
        for store in stores.values():
            store.change(
                CreateEntities([EntityInput(one.name, one.type, _kilobyte(one.observations))]) for one in people
            )

        def add(which: str, number: int) -> list[float]:
            asks: list[Change[Any]] = [
                AddObservations([ObservationsInput(one.name, [f"{one.observations[0]} ({number}, {place})"])])
                for place, one in enumerate(people)
            ]
            began = time.process_time()
            stores[which].change(asks)
            return [(time.process_time() - began) / count]

        def add_bare(number: int) -> list[float]:
            with without_a_past():
                return add("bare", number)

        times = turns({"kept": lambda number: add("kept", number), "bare": add_bare}, rounds)
        for store in stores.values():
            store.close()
    floor = f"the same rows without version, change and journal: {told(pooled(times, 'kept', 0.5))} / {told(pooled(times, 'bare', 0.5))} of CPU"
    return [
        at_most(
            SECTION, "a change with its version and journal, CPU time", ratio(times, "kept", "bare"), 1.4, " ×", floor
        )
    ]


def _kilobyte(texts: Iterable[str]) -> list[str]:
    """Texts of about a kilobyte together."""
    found: list[str] = []
    texts = list(texts)
    while sum(map(len, found)) < 1000:
        found.append(f"{texts[len(found) % len(texts)]} {len(found)}")
    return found


def _rewriting(name: str, count: int, seed: int) -> Generator[Change[Any]]:
    """Changes that each say one of ten observations of an entity otherwise: a tenth of a kilobyte is new in every version."""
    texts = [text for one in invented(seed, count) for text in one.observations]
    says = [text[:110] for text in texts[:10]]
    yield CreateEntities([EntityInput(name, "thing", list(says))])
    for number in range(count - 1):
        says[number % 10] = f"{texts[(number + 10) % len(texts)][:100]} {number}"
        yield CreateEntities([EntityInput(name, "thing", list(says))], on_existing="replace")


def _living(name: str, count: int, seed: int) -> Generator[Change[Any]]:
    """Changes as an entity meets them: an observation comes, the oldest goes, a property is set, a tag comes and goes."""
    texts = [text for one in invented(seed, count) for text in one.observations]
    yield CreateEntities([EntityInput(name, "thing", [text[:110] for text in texts[:10]], {"status": "new"})])
    ids = list(range(1, 11))
    for number in range(count - 1):
        turn = number % 5
        if turn == 0:
            ids.append(ids[-1] + 1)
            yield AddObservations([ObservationsInput(name, [f"{texts[(number + 10) % len(texts)][:100]} {number}"])])
        elif turn == 1:
            yield DeleteObservations([ObservationsDeletion(name, [ids.pop(0)])])
        elif turn == 2:
            yield UpdateEntity(name, properties={"status": f"state {number}"})
        else:
            yield Tag([name], [f"t{number // 5}"]) if turn == 3 else Untag([name], [f"t{number // 5}"])


def keeping() -> list[Figure]:
    """Bytes of a thousand versions of about a kilobyte."""
    told_of = (
        (_living, 20, "observations, properties and tags come and go"),
        (_rewriting, None, "a tenth of the text is rewritten in each"),
    )
    figures: list[Figure] = []
    for made, target, says in told_of:
        with Home(synchronous="NORMAL") as home:
            store = _Store(home.settings)
            store.change(made("Ada", 1000, 52), 1)
            kept, whole, raw = store.read(_sizes)
            store.close()
        name, share = f"1,000 versions beside copies packed with the dictionary: {says}", 100 * kept / whole
        floor = f"{kept / 1000:.0f} / {whole / 1000:.0f} kB; a version has {raw} bytes unpacked"
        if target is not None:
            figures.append(at_most(SECTION, name, share, target, " %", floor))
        else:
            figures.append(Figure(SECTION, name, f"{share:.2f} %", floor, value=share))
    return figures


def _sizes(tx: Tx) -> tuple[int, int, int]:
    """Bytes of an entity's versions as they are kept, and as whole copies; bytes of one unpacked."""
    codec: Codec = tx.codec
    kept = sum(len(row[6]) for row in tx.rows.all("versions_from", space=1, entity=1, version=1, last=1000))
    states: list[State] = []
    before: int | None = None
    while page := tx.entities.history(1, before, 200):
        states += [one.state for one in page]
        before = page[-1].version
    packed = [codec.pack(state) for state in states]
    return kept, sum(len(body) for _, body in packed[1:]), sum(len(raw) for raw, _ in packed) // len(packed)


def going_back(size: Size) -> list[Figure]:
    """Any of many versions opened, a page of history, a difference: the CPU time of answering, and over the socket how long it takes."""
    count, calls = (10_000, 300) if size == "full" else (3000, 150)
    chance = random.Random(3)
    numbers = [chance.randrange(2, count + 1) for _ in range(calls)]
    asked: dict[str, tuple[float, float, Callable[[int], Question[Any]]]] = {
        f"opening any of {count:,} versions, p95": (3.0, 0.95, lambda at: OpenNodes(["Ada"], version=numbers[at])),
        f"a page of 20 of {count:,} versions, p50": (3.0, 0.5, lambda at: MemoryHistory("Ada", before=numbers[at] + 1)),
        "difference of two versions, p50": (4.0, 0.5, lambda at: MemoryDiff("Ada", numbers[at], numbers[at - 1])),
    }
    with Home(synchronous="NORMAL") as home:
        store = _Store(home.settings)
        store.change(_rewriting("Ada", count, 53))
        spent = {name: [store.answering(ask(at)) for at in range(calls)] for name, (_, _, ask) in asked.items()}
        store.close()
        home.serve()
        figures: list[Figure] = []
        with home.client() as memory:
            for name, (target, share, ask) in asked.items():
                times = each(lambda at, ask=ask: memory.send(ask(at)), calls)
                ping = percentile(each(lambda _: memory.ping(), calls), 0.5)
                floor = f"over the socket {told(percentile(times, share))}, a ping then took {told(ping)}"
                value = percentile(spent[name][10:], share) * 1000
                figures.append(at_most(SECTION, f"{name}, CPU time", value, target, " ms", floor))
    return figures


def searching(size: Size) -> list[Figure]:
    """A search as of before a tenth of the store was changed, beside the same search of now."""
    count, rounds, calls = (100_000, 7, 20) if size == "full" else (10_000, 5, 20)
    people = invented(54, count)
    with Home() as home:
        home.serve()
        with home.client(timeout_s=300) as memory:
            for start in range(0, count, 1000):
                memory.create_entities(
                    [EntityInput(one.name, one.type, list(one.observations)) for one in people[start : start + 1000]]
                )
            then = memory.memory_commit("then").change
            for start in range(0, count, 10_000):
                memory.add_observations(
                    [
                        ObservationsInput(one.name, [f"{one.observations[0]} since"])
                        for one in people[start : start + 10_000 : 10]
                    ]
                )
            _settle(memory)
            chance = random.Random(4)
            queries = [" ".join(chance.choice(people).observations[0].split()[:4]) for _ in range(calls)]
            assert memory.search_nodes(queries[0], at=then).hits
            times = turns(
                {
                    "now": lambda _: each(lambda at: memory.search_nodes(queries[at]), calls),
                    "then": lambda _: each(lambda at: memory.search_nodes(queries[at], at=then), calls),
                },
                rounds,
            )
    floor = f"the search of now: {told(pooled(times, 'then', 0.5))} / {told(pooled(times, 'now', 0.5))}, {count:,} entities, a tenth changed since"
    return [at_most(SECTION, "search as of then, p50", ratio(times, "then", "now"), 3, " ×", floor)]


def _settle(memory: Memory, wait_s: float = 120.0) -> None:
    """Wait until every passage has its vector, so that both searches have the same arms."""
    until = time.monotonic() + wait_s
    while " 0 passages waiting" not in memory.get_memory_status().search and time.monotonic() < until:
        time.sleep(0.2)


if __name__ == "__main__":
    for figure in measure("full" if "--full" in sys.argv else "quick"):
        print(f"{figure.name}: {figure.measured} ({figure.target}) {figure.floor}")
