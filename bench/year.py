"""A year in the life of a memory, in some minutes: what curation makes of it, how the file grows, how long a search takes.

`python bench/year.py [--per-day N] [--days N] [--plot FILE] [--json FILE]`

The clock is the simulation's own. A busy orchestrator takes in 10,000 entries a day; `--per-day` says how many stand for them here.
Each day brings notes, entries that live for thirty days, things that are said again and again, and a routine of actions; what is
young is read more than what is old. Then the daemon's own tending does what is due: it expires and curates, within its cap.
Drawing wants matplotlib (the extra `dev`).
"""

import argparse
import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any, NamedTuple

from corpus import invented
from home import Home
from measure import percentile

from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.operations.service import GetMemoryStatus
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.request import HANDLERS, Change, Request
from enhanced_memory.client.values import EntityInput, MessageInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.curation.steadiness import Steadiness
from enhanced_memory.daemon.curation.tending import Tending
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine, now_ms

assert handlers.__all__

DAY_MS = 86_400_000
LIVES_S = 30 * 86_400.0
SEARCHES = 20
AGAIN = 40
"""Things that are said again and again."""

ROUTINES = [
    ["open the issue", "write a failing test", "mend the code", "run the tests"],
    ["fetch the figures", "draw the chart", "send the report"],
    ["read the mail", "sort the mail", "answer what is urgent"],
]


class Day(NamedTuple):
    """How things stand at the end of a day."""

    day: int
    tiers: dict[str, int]
    deleted: int
    file_bytes: int
    search_ms: float
    """Median of some searches, in milliseconds of processor."""
    curated: dict[str, int]


class Year:
    """The memory, and what happens to it."""

    def __init__(self, engine: SqliteEngine, per_day: int, days: int, home: Home) -> None:
        self._engine = engine
        self._per_day = per_day
        self._settings = home.settings
        self._chance = random.Random(7)
        self._texts = iter(invented(11, per_day * days + 1))
        self._again = [one.observations[0] for one in invented(12, AGAIN)]
        self._ids: list[int] = []
        # Here time passes as the clock says.
        self._tending = Tending(engine, home.settings, Steadiness(engine.clock, lambda: engine.clock() / 1000))

    async def ask(self, request: Request[Any]) -> Any:
        """Put a request as the daemon would."""
        handler, call = HANDLERS[request.op], Call(Peer(greeted=True), request)
        run = self._engine.write if isinstance(request, Change) else self._engine.read
        return await run(lambda tx: handler(tx, request), call)

    async def lived(self, day: int) -> None:
        """What a day brings."""
        chance = self._chance
        some: list[EntityInput] = []
        for number in range(self._per_day):
            kind, said = chance.random(), list(next(self._texts).observations[:2])
            if kind < 0.2:
                some.append(EntityInput(f"entry {day}/{number}", "memory_entry", [*said], ttl_s=LIVES_S))
            else:
                if kind < 0.3:
                    said[0] = chance.choice(self._again)
                some.append(EntityInput(f"note {day}/{number}", "note", [*said]))
        made = await self.ask(CreateEntities(some))
        self._ids += [one.id for one in made.results]
        steps = [MessageInput(step, kind="action") for step in chance.choice(ROUTINES)]
        await self.ask(AppendMessages(f"day {day}", steps))
        reads = [
            self._ids[-min(len(self._ids), int(chance.expovariate(1 / (5 * self._per_day))) + 1)]
            for _ in range(self._per_day)
        ]
        self._engine.note("add_use", [{"entity": one, "count": 1, "last": self._engine.clock()} for one in reads])

    async def tended(self) -> None:
        """What the daemon does by itself."""
        await self._tending.look_after()
        if self._tending.problem:
            raise RuntimeError(self._tending.problem)

    async def ended(self, day: int) -> Day:
        """How things stand."""
        status = await self.ask(GetMemoryStatus())
        await self._engine.fold()
        deleted = self._engine_rows("SELECT count(*) FROM entities WHERE deleted = 1")
        times: list[float] = []
        for _ in range(SEARCHES):
            words = " ".join(self._chance.choice(self._again).split()[:4])
            began = time.process_time()
            await self.ask(SearchNodes(words, limit=10))
            times.append(1000 * (time.process_time() - began))
        curated = status.curation.last if status.curation else {}
        return Day(day, status.by_tier, deleted, (await self._engine.usage()).file, percentile(times, 0.5), curated)

    def _engine_rows(self, query: str) -> int:
        import apsw

        connection = apsw.Connection(self._engine.path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return int(next(iter(connection.execute(query)))[0])
        finally:
            connection.close()

    async def stop(self) -> None:
        """End it."""
        await self._tending.stop()


async def simulated(home: Home, per_day: int, days: int, every: int) -> list[Day]:
    """The year, looked at every so many days."""
    now = [now_ms()]
    engine = await SqliteEngine.open(home.settings, lambda: now[0])
    year = Year(engine, per_day, days, home)
    told: list[Day] = []
    try:
        for day in range(1, days + 1):
            await year.lived(day)
            now[0] += DAY_MS
            await year.tended()
            if day % every == 0 or day == days:
                told.append(await year.ended(day))
                print(json.dumps(told[-1]._asdict()), flush=True)
    finally:
        await year.stop()
        await engine.close()
    return told


def drawn(days: list[Day], per_day: int, file: Path) -> None:
    """The curves, as a drawing."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "year", "font.size": 9}
    from matplotlib import pyplot

    across = [one.day for one in days]
    figure, (tiers, size, search) = pyplot.subplots(3, 1, figsize=(7, 8), sharex=True)
    names = ("working", "episodic", "semantic", "procedural")
    for name in names:
        tiers.plot(across, [one.tiers.get(name, 0) for one in days], label=name)
    tiers.plot(across, [one.deleted for one in days], "--", label="expired, deleted softly")
    tiers.set_yscale("symlog")
    tiers.set_ylabel("entities")
    tiers.set_title(f"{days[-1].day} simulated days, {per_day} entries a day")
    tiers.legend(loc="upper left", fontsize=8)
    size.plot(across, [one.file_bytes / 2**20 for one in days])
    size.set_ylim(bottom=0)
    size.set_ylabel("file, MiB")
    search.plot(across, [one.search_ms for one in days])
    search.set_ylim(bottom=0)
    search.set_ylabel("search, ms of processor")
    search.set_xlabel("day")
    figure.tight_layout()
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, format="svg", metadata={"Date": None})


def main() -> None:
    """Simulate, print a line of JSON for each look, and draw."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--per-day", type=int, default=100, help="entries a day (100)")
    options.add_argument("--days", type=int, default=365, help="how many days (365)")
    options.add_argument("--every", type=int, default=7, help="days from look to look (7)")
    options.add_argument("--plot", type=Path, metavar="FILE", help="an SVG file to be drawn")
    options.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    asked = options.parse_args()
    with Home(synchronous="NORMAL", embedder="none") as home:
        days = asyncio.run(simulated(home, asked.per_day, asked.days, asked.every))
    if asked.json:
        asked.json.write_text(json.dumps([one._asdict() for one in days]) + "\n", "utf-8")
    if asked.plot:
        drawn(days, asked.per_day, asked.plot)


if __name__ == "__main__":
    main()
