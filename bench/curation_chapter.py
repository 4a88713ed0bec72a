"""Curation: what looking through a large space costs while others read, that a second run finds nothing, that undoing restores
all, and how long expiring holds up a write.
"""

import asyncio
import gc
import hashlib
import random
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec
from corpus import invented
from home import Home
from measure import Figure, Size, at_most, law, percentile, told

from enhanced_memory.client import Memory
from enhanced_memory.client.operations.curation import AutonomousCuration, Curated, Expire
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.operations.journal import Undo
from enhanced_memory.client.request import HANDLERS
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon import collecting, handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.curation.expiring import expire
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine, now_ms
from enhanced_memory.daemon.store.sqlite.writer import Writer

__all__ = ["measure"]

assert handlers.__all__

SECTION = "Curation"
DAY_MS = 86_400_000
REPEATED = 200
"""Statements that come back in four episodes each, for every 10,000 entities."""
AGE_DAYS, LIFE_DAYS = 60, 61
"""How long ago the entities were made, and how long they live: the same store is curated today, and expires in two days."""


def measure(size: Size) -> list[Figure]:
    """All figures of this chapter."""
    entities = 100_000 if size == "full" else 5_000
    with Home(synchronous="NORMAL", curation="off") as home:
        asyncio.run(_filled(home, entities))
        figures = _curated(home, entities)
        figures += asyncio.run(_expired(home, entities))
    return figures


# Curation


async def _filled(home: Home, entities: int) -> None:
    """A store whose entities were made sixty days ago: three fifths working, the rest episodes, some of which say the same."""
    engine = await SqliteEngine.open(home.settings, lambda: now_ms() - AGE_DAYS * DAY_MS)
    texts = invented(1, entities)
    again = [one.observations[0] for one in invented(2, REPEATED * entities // 10_000)]
    numbers = count()
    try:
        for begin in range(0, entities, 500):
            some: list[EntityInput] = []
            for number in range(begin, begin + 500):
                said: list[Any] = [*texts[number].observations[:3]]
                episode = number % 5 > 2
                if episode and (place := next(numbers)) < 4 * len(again):
                    said[0] = again[place % len(again)]
                tier = "episodic" if episode else None
                some.append(EntityInput(f"entity {number}", "note", said, tier=tier, ttl_s=LIFE_DAYS * DAY_MS / 1000))
            ask = CreateEntities(some)
            await engine.write(lambda tx, ask=ask: HANDLERS[ask.op](tx, ask), Call(Peer(greeted=True), ask))
    finally:
        await engine.close()


def _curated(home: Home, entities: int) -> list[Figure]:
    daemon = home.serve()
    with home.client(timeout_s=600.0) as memory, home.client(timeout_s=600.0) as reader:
        _settled(memory)
        alone = _reads(reader, entities, lambda: False, 4000)
        before = _digest(memory)
        cpu = sum(daemon.cpu_times()[:2])
        memory.autonomous_curation(dry_run=False, wait_s=0.0)
        beside = _reads(reader, entities, lambda: _over(memory), None)
        cpu = sum(daemon.cpu_times()[:2]) - cpu
        run = memory.autonomous_curation(start=False)
        began = time.perf_counter()
        undone = memory.send(Undo(session=run.session, dry_run=False))
        undoing = time.perf_counter() - began
        restored = _digest(memory)
        memory.autonomous_curation(dry_run=False, cap=1.0, wait_s=0.0)
        whole = _awaited(memory)
        # A capped run leaves something for the next one: that there is nothing left to do is a law of one without a cap.
        memory.autonomous_curation(dry_run=False, cap=1.0, wait_s=0.0)
        again = _awaited(memory)
    home.stop(daemon)
    for one in (run, whole, again):
        if one.state != "done":
            raise RuntimeError(f"curation ended as {one.state}: {one.problem}")
    p99s = percentile(alone, 0.99), percentile(beside, 0.99)
    acts = f"{sum(run.counts.values()):,} acts of {run.left + sum(run.counts.values()):,} that it thought of"
    return [
        at_most(SECTION, f"curating {entities:,} entities", run.seconds, 60, " s", f"{acts}; {cpu:.1f} s of processor"),
        at_most(
            SECTION, "p99 of a point read meanwhile against alone", p99s[1] / p99s[0], 3, " ×",
            f"{told(p99s[1])} of {len(beside):,} reads, alone {told(p99s[0])}; p50 {told(percentile(beside, 0.5))} and {told(percentile(alone, 0.5))}",
        ),
        law(SECTION, "a second run without a cap changes nothing", int(not again.counts), 1, f"{again.seconds:.1f} s"),
        law(
            SECTION, "curation and undoing it leave the state as it was", int(before == restored), 1,
            f"SHA-256 of all entities and relations; {len(undone.changes)} changes undone in {told(undoing)}",
        ),
        Figure(SECTION, "the same without a cap", f"{whole.seconds:.1f} s", f"{sum(whole.counts.values()):,} acts: {_in_words(whole)}"),
    ]  # fmt: skip


def _in_words(run: Curated) -> str:
    return ", ".join(f"{rule} {number:,}" for rule, number in run.counts.items())


def _settled(memory: Memory) -> None:
    """Wait until the daemon has embedded what it found."""
    while (meaning := memory.get_memory_status().meaning) is None or meaning.state != "ready" or meaning.backlog:
        time.sleep(0.2)


def _over(memory: Memory) -> bool:
    return memory.autonomous_curation(start=False, limit=1, wait_s=0.0).state != "running"


def _awaited(memory: Memory) -> Curated:
    while (run := memory.send(AutonomousCuration(start=False, limit=1, wait_s=20.0))).state == "running":
        pass
    return run


def _reads(memory: Memory, entities: int, over: Callable[[], bool], most: int | None) -> list[float]:
    """The seconds of point reads, one after another with a pause, until `over`, or so many."""
    chance = random.Random(2)
    times: list[float] = []
    while most is None or len(times) < most:
        began = time.perf_counter()
        memory.open_nodes([chance.randrange(1, entities + 1)], relations=False)
        times.append(time.perf_counter() - began)
        time.sleep(0.001)
        if len(times) % 200 == 0 and over():
            break
    return times


def _digest(memory: Memory) -> str:
    """Of everything that the space says, history aside."""
    digest = hashlib.sha256()
    cursor: str | None = None
    while True:
        page = memory.list_entities(limit=1000, cursor=cursor)
        for one in page.entities:
            said = (
                one.id,
                one.name,
                one.type,
                one.observations,
                one.properties,
                one.tags,
                one.tier,
                one.priority,
                one.importance,
            )
            digest.update(msgspec.msgpack.encode(said))
        cursor = page.cursor
        if cursor is None:
            break
    while True:
        graph = memory.read_graph(limit=1000, cursor=cursor)
        for edge in graph.relations:
            digest.update(msgspec.msgpack.encode((edge.from_, edge.type, edge.to)))
        cursor = graph.cursor
        if cursor is None:
            return digest.hexdigest()


# Expiring


async def _expired(home: Home, entities: int) -> list[Figure]:
    """Writes beside the sweep, in one process: how long the writer was at a time with a group of changes."""
    engine = await SqliteEngine.open(home.settings, lambda: now_ms() + 2 * DAY_MS)
    groups: list[tuple[float, float]] = []
    carry_out = Writer.group

    def timed(writer: Writer, batch: Any) -> None:
        wall, own = time.perf_counter(), time.thread_time()
        carry_out(writer, batch)
        groups.append((time.perf_counter() - wall, time.thread_time() - own))

    try:
        collecting.settle()  # as the daemon does once it serves
        Writer.group = timed  # type: ignore[method-assign]
        alone = await _writes(engine, "alone", 300, None)
        groups.clear()
        ask = Expire()
        began, cpu = time.perf_counter(), time.process_time()
        sweep = asyncio.create_task(expire(engine, Call(Peer(greeted=True), ask), ask))
        beside = await _writes(engine, "beside", None, sweep)
        gone = await sweep
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    finally:
        Writer.group = carry_out  # type: ignore[method-assign]
        gc.unfreeze()
        await engine.close()
    own = [each for _, each in groups]
    return [
        law(SECTION, f"{entities:,} expired entities are deleted, softly", gone.count, entities, f"{seconds:.0f} s, {cpu:.0f} s of processor"),
        at_most(
            SECTION, "the longest that the writer was at one slice, a write with it", 1000 * max(own), 20, " ms",
            f"of processor, in {len(own):,} groups; median {1000 * percentile(own, 0.5):.1f} ms, p99 {1000 * percentile(own, 0.99):.1f} ms",
        ),
        at_most(
            SECTION, "p99 of a write meanwhile", 1000 * percentile(beside, 0.99), 20, " ms",
            f"{len(beside):,} writes, the longest {told(max(beside))}; alone p99 {told(percentile(alone, 0.99))}, the longest {told(max(alone))}",
        ),
    ]  # fmt: skip


async def _writes(engine: SqliteEngine, name: str, most: int | None, until: "asyncio.Task[Any] | None") -> list[float]:
    times: list[float] = []
    while (most is None or len(times) < most) and (until is None or not until.done()):
        ask = CreateEntities([EntityInput(f"{name} {len(times)}", "note", ["written meanwhile"])])
        began = time.perf_counter()
        await engine.write(lambda tx, ask=ask: HANDLERS[ask.op](tx, ask), Call(Peer(greeted=True), ask))
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0.01)
    return times
