"""The Memory Orchestrator's year: how a store of its entries grows, and what 3.65 million of them would take.

`python bench/orchestrator_year.py [--entries 5000,20000,60000,…] [--seconds 600] [--in FOLDER] [--json FILE] [--record]`

Its own sizing says: 10,000 entries and 5,000 embeddings of 1,536 numbers a day, 3.65 and 1.83 million a year, some 100 GB, 16 GB
of memory, 4 to 8 cores for searching by vectors. Entries are made through the adapter as its users make them, every second one
with an embedding, tags, an access row each; the store grows from one size to the next, and at each is asked. Processor seconds
are told beside times, because other programs on the machine blur the latter. Whatever is beyond the time allowed is projected: a
straight line through what was measured, told with how far the measured points lie from it. `--in` keeps the store and what was
measured in a folder, from which a later run goes on; `--record` writes the chapter into docs/performance.md.
"""

import argparse
import contextlib
import json
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import page
import psutil
from corpus import invented
from home import Home
from measure import Figure

from enhanced_memory.client.adapters.orchestrator import MemoryOrchestrator
from enhanced_memory.client.errors import Conflict, Error

YEAR, YEAR_VECTORS = 3_650_000, 1_830_000
DIMENSIONS = 1536
MODEL = "text-embedding-3-small"
ASKED = 30
BATCH = 500
MEASURED = "measured.jsonl"
SECTION = "The orchestrator's year"
SIZING = {"file_mb": "some 100 GB", "memory_mb": "16 GB"}
"""What its own sizing says of the year."""
SEED = 7


@dataclass
class Measured:
    """What was found at one size."""

    entries: int
    file_mb: float
    memory_mb: float
    load_cpu_ms: float
    """Processor milliseconds of the daemon for each entry since the size before, vectors of its own model included."""
    words_ms: float
    """Milliseconds that half the searches by words and meaning take."""
    vector_ms: float
    """The same by an embedding of the caller's."""
    filtered_ms: float
    """The same by an embedding among the entries of one tag in a hundred."""
    search_cpu_ms: float
    """Processor milliseconds of the daemon for a search by words and meaning."""
    vector_cpu_ms: float
    get_ms: float
    create_ms: float


def entries(begin: int, end: int) -> Iterator[dict[str, Any]]:
    """Entries as the orchestrator's users make them, the same for the same numbers."""
    chance = random.Random(SEED + begin)
    noise = np.random.default_rng(SEED + begin)
    topics = np.random.default_rng(SEED).standard_normal((200, DIMENSIONS))
    known = invented(SEED + begin, end - begin)
    for number, one in zip(range(begin, end), known, strict=False):
        vector = topics[number % 200] + 0.7 * noise.standard_normal(DIMENSIONS)
        yield {
            "memory_id": f"m-{number}",
            "memory_type": chance.choice(("conversation", "context", "user_preference")),
            "content": {"text": " ".join(one.observations), "turn": number % 50},
            "source_agent": f"agent-{number % 7}",
            "priority": 1 + number % 10,
            "tags": [f"day-{number // 10_000}", f"room-{number % 100}"],
            "embeddings": {MODEL: vector.tolist()} if number % 2 == 0 else None,
        }


def batches(begin: int, end: int) -> Iterator[list[dict[str, Any]]]:
    """The entries in lists of 500; the next list is made while one is kept, as by users who have other things to do meanwhile."""
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(list, entries(begin, min(begin + BATCH, end)))
        for at in range(begin, end, BATCH):
            batch = coming.result()
            after = at + BATCH
            coming = beside.submit(list, entries(after, max(after, min(after + BATCH, end))))
            yield batch


def grow(home: Home, begin: int, end: int, until: float) -> int:
    """Keep entries while there is time, one list on its way while another is kept; the number of the first that is not kept."""
    done = begin
    with ThreadPoolExecutor(2) as hands, contextlib.ExitStack() as open_:
        clients = [open_.enter_context(home.client(timeout_s=600.0)) for _ in range(2)]
        own = [open_.enter_context(MemoryOrchestrator(one)) for one in clients]
        under_way = deque[tuple[Future[None], int]]()
        for turn, batch in enumerate(batches(begin, end)):
            if len(under_way) == len(own):
                kept, many = under_way.popleft()
                kept.result()
                done += many
            if time.monotonic() >= until:
                break
            under_way.append((hands.submit(keep, own[turn % len(own)], batch), len(batch)))
        for kept, many in under_way:
            kept.result()
            done += many
    return done


def keep(orchestrator: MemoryOrchestrator, batch: list[dict[str, Any]]) -> None:
    """Keep a list of entries; some are there already where an earlier run was ended between two lists."""
    try:
        orchestrator.create_memories(batch)
    except Conflict:
        orchestrator.create_memories(batch, skip_existing=True)


def measure(sizes: list[int], seconds: float, folder: Path | None = None) -> list[Measured]:
    """Grow a store from size to size while there is time, and ask at each; in a `folder`, from where an earlier run left off."""
    until = time.monotonic() + seconds
    found = measured_in(folder)
    kept = {} if folder is None else {"store": folder / "memory.db"}
    with Home(synchronous="FULL", **kept) as home:
        daemon = home.serve()
        memory = home.client(timeout_s=600.0)
        with MemoryOrchestrator(memory) as orchestrator:
            done = 0 if folder is None else left_off(orchestrator, found[-1].entries if found else 0)
            for size in sizes:
                if found and size <= found[-1].entries:
                    continue
                spent, begun = cpu(daemon), done
                done = grow(home, done, size, until)
                if done == begun and (found and done == found[-1].entries):
                    break
                orchestrator.accesses.flush()
                settled(memory, until)
                load = (cpu(daemon) - spent) / (done - begun) * 1000 if done > begun else found[-1].load_cpu_ms
                found.append(asked(orchestrator, daemon, home, done, load))
                line = json.dumps(asdict(found[-1]))
                print(line, file=sys.stderr, flush=True)
                if folder is not None:
                    with open(folder / MEASURED, "a") as lines:
                        lines.write(line + "\n")
                if time.monotonic() >= until:
                    break
        memory.close()
    return found


def measured_in(folder: Path | None) -> list[Measured]:
    """What earlier runs measured in a folder."""
    if folder is None or not (folder / MEASURED).exists():
        return []
    return [Measured(**json.loads(line)) for line in (folder / MEASURED).read_text().splitlines()]


def left_off(orchestrator: MemoryOrchestrator, at: int) -> int:
    """The first entry from `at` on that the store does not hold: an earlier run may have been ended between two sizes."""
    for step in (BATCH, 1):
        while held(orchestrator, at + step - 1):
            at += step
    return at


def held(orchestrator: MemoryOrchestrator, number: int) -> bool:
    """Whether the store holds an entry."""
    with contextlib.suppress(Error, LookupError):
        return orchestrator.get_memory(f"m-{number}") is not None
    return False


def settled(memory: Any, until: float) -> None:
    """Wait until every passage has its vector of the daemon's own model, while there is time."""
    while time.monotonic() < until:
        meaning = memory.get_memory_status().meaning
        if meaning is None or not meaning.backlog:
            return
        time.sleep(0.5)


def cpu(process: psutil.Process) -> float:
    """Processor seconds of a process so far."""
    spent = process.cpu_times()
    return spent.user + spent.system


def asked(orchestrator: MemoryOrchestrator, daemon: psutil.Process, home: Home, size: int, load: float) -> Measured:
    """Ask a store of one size."""
    chance = random.Random(size)
    topics = np.random.default_rng(SEED).standard_normal((200, DIMENSIONS))
    texts = [" ".join(one.observations).split()[:8] for one in invented(SEED + 500 * (size // 1000), ASKED)]
    queries = [topics[chance.randrange(200)].tolist() for _ in range(ASKED)]

    def timed(act: Callable[[int], Any]) -> tuple[float, float]:
        act(0)
        act(1)
        spent, times = cpu(daemon), list[float]()
        for number in range(ASKED):
            begin = time.perf_counter()
            act(number)
            times.append(time.perf_counter() - begin)
        return median(times) * 1000, (cpu(daemon) - spent) / ASKED * 1000

    words = timed(lambda n: orchestrator.search(" ".join(texts[n])))
    vector = timed(lambda n: orchestrator.search(embedding=queries[n], model=MODEL))
    filtered = timed(lambda n: orchestrator.search(embedding=queries[n], model=MODEL, tags=[f"room-{2 * (n % 50)}"]))
    get = timed(lambda n: orchestrator.get_memory(f"m-{chance.randrange(size)}"))
    create = timed(
        lambda n: orchestrator.create_memory(
            {"text": "one more"}, "context", memory_id=f"x-{size}-{n}-{time.time_ns()}"
        )
    )
    store = Path(home.settings.store)
    used = sum(path.stat().st_size for path in store.parent.glob(f"{store.name}*"))
    return Measured(
        size, used / 1e6, daemon.memory_info().rss / 1e6, load, words[0], vector[0], filtered[0], words[1], vector[1], get[0], create[0],
    )  # fmt: skip


def projected(found: list[Measured], name: str) -> tuple[float, float]:
    """A value at the year's size by a straight line through what was measured, and the farthest point's distance from it as a share."""
    sizes = np.array([one.entries for one in found], dtype=float)
    values = np.array([getattr(one, name) for one in found], dtype=float)
    slope, base = np.polyfit(sizes, values, 1) if len(found) > 1 else (0.0, values[0])
    off = np.abs(values - (base + slope * sizes)) / np.maximum(values, 1e-9)
    return float(base + slope * YEAR), float(off.max())


def told(found: list[Measured]) -> str:
    """A table of what was measured, and the year beside it."""
    names = [name for name in Measured.__dataclass_fields__ if name != "entries"]
    year = {name: projected(found, name) for name in names}
    heads = ["", *(f"{one.entries:,}" for one in found), f"{YEAR:,} (projected)", "farthest from the line"]
    rows = [
        [name, *(f"{getattr(one, name):,.2f}" for one in found), f"{year[name][0]:,.1f}", f"{year[name][1]:.0%}"]
        for name in names
    ]
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def figures(found: list[Measured]) -> list[Figure]:
    """A line for each thing measured: at the largest size, at the smaller ones, and by the line at the year's end."""
    largest = found[-1]
    told: list[Figure] = []
    for name, (title, unit) in TITLES.items():
        year, off = projected(found, name)
        beside = ", ".join(f"{getattr(one, name):,.1f} at {one.entries:,}" for one in found[:-1])
        line = f"by the line {year:,.0f}{unit} at {YEAR:,} (points within {off:.0%})"
        sizing = f"; its own sizing says {SIZING[name]}" if name in SIZING else ""
        told.append(
            Figure(
                SECTION,
                f"{title}, {largest.entries:,} entries",
                f"{getattr(largest, name):,.1f}{unit}",
                f"{line}{sizing}; {beside}",
            )
        )
    return told


TITLES = {
    "file_mb": ("file", " MB"), "memory_mb": ("memory of the daemon", " MB"),
    "load_cpu_ms": ("processor to take in one entry", " ms"), "search_cpu_ms": ("processor of a search by words and meaning", " ms"),
    "vector_cpu_ms": ("processor of a search by an embedding", " ms"), "words_ms": ("search by words and meaning, p50", " ms"),
    "vector_ms": ("search by an embedding, p50", " ms"), "filtered_ms": ("the same among one tag in a hundred, p50", " ms"),
    "get_ms": ("an entry by its id, p50", " ms"), "create_ms": ("one more entry, p50", " ms"),
}  # fmt: skip


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", default="5000,20000,50000,100000,250000,500000,1000000")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long the store may grow")
    parser.add_argument("--in", dest="folder", type=Path, help="keep the store there, and go on from what is there")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--record", action="store_true", help="write the figures into docs/performance.md")
    given = parser.parse_args()
    folder: Path | None = given.folder.absolute() if given.folder else None
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    busy, began = page.load(), time.monotonic()
    found = measure([int(one) for one in given.entries.split(",")], given.seconds, folder)
    print(told(found))
    if given.record:
        took = round(time.monotonic() - began, 1)
        page.keep(page.PAGE, "year", page.Measured(page.date(), page.commit(), took, "full", busy, figures(found)))
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
