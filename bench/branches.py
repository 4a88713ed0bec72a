"""Branches: what beginning one costs whatever the parent holds, and what a merge costs for what it brings."""

import asyncio
import time
from statistics import median
from typing import Any

from home import Home
from measure import Figure, Size, at_most, law, told

from enhanced_memory.client.operations.branches import DiffBranch, ListBranches, MemoryBranch, MergeBranch
from enhanced_memory.client.operations.entities import AddObservations, CreateEntities, ObservationsInput
from enhanced_memory.client.request import HANDLERS, Change, Request
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

__all__ = ["measure"]

assert handlers.__all__

SECTION = "Branches"
SMALL = 100
BRANCHES = 100

# One entity as the daemon wrote it, once more under every number: what a space of that size holds, made in seconds.
NUMBERS = "WITH RECURSIVE g (value) AS (SELECT :after + 1 UNION ALL SELECT value + 1 FROM g WHERE value < :upto)"
COPIES = (
    f"""{NUMBERS} INSERT INTO entities (space, id, scope, type, version, first, began, deleted, tier, priority, pinned, quarantined,
                                        expires_at, text_bytes, crc, body)
        SELECT e.space, g.value, e.scope, e.type, e.version, e.first, e.began, e.deleted, e.tier, e.priority, e.pinned, e.quarantined,
               e.expires_at, e.text_bytes, e.crc, e.body FROM g, entities e WHERE e.space = 1 AND e.id = 1""",
    f"{NUMBERS} INSERT INTO names (space, name, scope, began, entity) SELECT 1, 'copy ' || g.value, '', 1, g.value FROM g",
)


class _Store:
    """An engine, and somebody who works in its spaces."""

    def __init__(self, engine: SqliteEngine) -> None:
        self.engine = engine

    async def do(self, ask: Request[Any], space: str = "default") -> Any:
        handler, call = HANDLERS[ask.op], Call(Peer(space=space, greeted=True), ask)
        run = self.engine.write if isinstance(ask, Change) else self.engine.read
        return await run(lambda tx: handler(tx, ask), call)

    async def timed(self, ask: Request[Any], space: str = "default") -> float:
        """Processor seconds of the process: other programs do not count."""
        began = time.process_time()
        await self.do(ask, space)
        return time.process_time() - began

    async def rows(self) -> int:
        """Rows written since the store was opened."""
        return await self.engine.alone(lambda connection: connection.total_changes())


def measure(size: Size) -> list[Figure]:
    """All figures of this chapter."""
    with Home() as home:
        return asyncio.run(_measure(home, 1_000_000 if size == "full" else 50_000, 1000))


async def _measure(home: Home, large: int, changed: int) -> list[Figure]:
    figures: list[Figure] = []
    for part, many in ((_beginning, large), (_merging, changed)):
        engine = await SqliteEngine.open(home.settings)  # anew, so that it knows of the numbers that were copied in
        try:
            figures += await part(_Store(engine), many)
        finally:
            await engine.close()
    return figures


async def _beginning(store: _Store, large: int) -> list[Figure]:
    names = [f"entity {number}" for number in range(SMALL)]
    await store.do(CreateEntities([EntityInput(name, "thing", ["one of many", f"this is {name}"]) for name in names]))
    seconds: dict[int, list[float]] = {}
    written: dict[int, set[int]] = {}
    for count in (SMALL, large):
        if count == large:
            await store.engine.alone(lambda connection: _copy(connection, SMALL, large))
        seconds[count], written[count] = [], set()
        for number in range(BRANCHES):
            before = await store.rows()
            seconds[count].append(await store.timed(MemoryBranch(f"{count}/{number}")))
            written[count].add(await store.rows() - before)
    quick, slow = median(seconds[SMALL]), median(seconds[large])
    listing = median([await store.timed(ListBranches(limit=100)) for _ in range(20)])
    return [
        law(
            SECTION,
            f"rows written by a branch of {large:,} entities as by one of {SMALL}",
            int(written[SMALL] == written[large]),
            1,
            f"{sorted(written[large])} and {sorted(written[SMALL])}: the space, the change, its journal",
        ),
        at_most(
            SECTION,
            f"branching {large:,} entities against {SMALL}",
            slow / quick,
            2,
            " ×",
            f"{slow * 1e6:.0f} µs of processor and {quick * 1e6:.0f} µs, medians of {BRANCHES}",
        ),
        Figure(SECTION, "listing 100 of 200 branches", told(listing), "of processor"),
    ]


def _copy(connection: Any, after: int, upto: int) -> None:
    for statement in COPIES:
        connection.execute(statement, {"after": after, "upto": upto})


async def _merging(store: _Store, changed: int) -> list[Figure]:
    names = [f"changed {number}" for number in range(changed)]
    await store.do(CreateEntities([EntityInput(name, "thing", ["one of many", f"this is {name}"]) for name in names]))
    await store.do(MemoryBranch("work"))
    made = await store.timed(
        AddObservations([ObservationsInput(name, ["new in the branch"]) for name in names]), "work"
    )
    diff = await store.timed(DiffBranch("work", limit=1000))
    rehearsed = await store.timed(MergeBranch("work", dry_run=True))
    merged = await store.timed(MergeBranch("work"))
    again = await store.timed(MergeBranch("work"))
    beside = f"the change of {changed:,} entities itself: {told(made)} of processor"
    return [
        at_most(SECTION, f"merging {changed:,} changed entities against changing them", merged / made, 4, " ×", beside),
        Figure(SECTION, "the same, as a dry run", told(rehearsed), f"merged: {told(merged)}"),
        Figure(SECTION, f"comparing {changed:,} changed entities", told(diff), "one page"),
        Figure(SECTION, "merging again, with nothing new", told(again), "of processor"),
    ]
