"""How search grows: passages by the ten thousand, hundred thousand and million, asked through the client.

`python bench/scale.py [--passages 10000,100000,1000000] [--json FILE] [--plots FOLDER] [--words-only]`

Text and questions are those of `passages.py`: lines of streams, and questions of 8 to 12 words. Loading goes through the
engine, as a client's request would beyond the socket, 2,000 lines to a change; everything else through a daemon. Processor
seconds are told beside times wherever other programs on the machine would blur them.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import groupby, islice
from pathlib import Path
from statistics import mean
from typing import Any

import psutil
from footprint import processor_s
from home import Home, until
from measure import Figure, Size, at_least, at_most, percentile, told
from passages import lines, questions
from plot import Curve, drawn

from enhanced_memory.client import Memory
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import MessageInput
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.handlers.streams import append_messages
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

__all__ = ["measure"]

SEED = 4
GROUP = 100
"""Streams written by one change."""
ASKED = 150
ASKED_OF = 100_000
"""The lines that questions are made of: drawing them all anew would take as long as loading."""
CLIENTS = 16
ROUNDS, AT_MOST = 3, 30
"""Of many clients' questions that are measured, and that go before until a process answers beside the daemon."""
WARM = 20

GOALS = {100_000: (10.0, 25.0), 1_000_000: (70.0, 140.0)}
"""Milliseconds that half the questions, and 95 of a hundred, may take."""


@dataclass
class Scale:
    """What was found at one size."""

    passages: int
    arms: list[str] = field(default_factory=list[str])
    text_bytes: int = 0
    load_s: float = 0.0
    load_cpu_s: float = 0.0
    vectors_s: float = 0.0
    bytes: dict[str, int] = field(default_factory=dict[str, int])
    start_s: float = 0.0
    took: list[float] = field(default_factory=list[float])
    cpu_ms: float = 0.0
    many_cpu_ms: float = 0.0
    many_per_s: float = 0.0
    idle: float = 0.0
    processes: int = 0
    """Those that answered beside the daemon then."""
    memory_mb: float = 0.0
    loop_ms: float = 0.0
    """What a fixed loop takes of a processor meanwhile: on a machine that others use it takes longer, as everything does."""


def measure(size: Size) -> list[Figure]:
    """The chapter of the report: ten thousand, and a hundred thousand where there is time."""
    found = [measured(count) for count in ((10_000, 100_000) if size == "full" else (10_000,))]
    return [figure for one in found for figure in figures(one)]


def measured(passages: int, words_only: bool = False) -> Scale:
    """Load, start, ask."""
    one = Scale(passages)
    with Home(embedder="none" if words_only else "static", readers=2) as home:
        asyncio.run(_load(home.settings, one))
        asked = questions(SEED, min(passages, ASKED_OF), ASKED + WARM)
        began = time.perf_counter()
        daemon = home.serve()
        with home.client(timeout_s=120.0) as memory:
            memory.search_messages(asked[0], limit=10)
            one.start_s = time.perf_counter() - began
            began = time.perf_counter()
            if not words_only and not until(lambda: _embedded(memory, passages), 60 + passages / 1000):
                raise RuntimeError(f"vectors are not done: {memory.get_memory_status().search}")
            one.vectors_s = time.perf_counter() - began
            for question in asked[:WARM]:
                one.arms = memory.search_messages(question, limit=10).arms
            spent = processor_s(daemon)
            for question in asked[WARM:]:
                began = time.perf_counter()
                memory.search_messages(question, limit=10)
                one.took.append(time.perf_counter() - began)
            one.cpu_ms = (processor_s(daemon) - spent) / ASKED * 1000
            one.loop_ms = _loop_ms()
            one.memory_mb = memory.get_memory_status().memory_mb
        _many(home, daemon, asked, one)
        home.settled()
        home.stop(daemon)
        one.bytes = _by_table(home)
    return one


async def _load(settings: Settings, one: Scale) -> None:
    """Append all lines, a stream at a time, many streams to a change."""
    engine = await SqliteEngine.open(settings)
    try:
        source = groupby(lines(SEED, one.passages), key=lambda line: line[0])
        while group := [(stream, list(said)) for stream, said in islice(source, GROUP)]:
            asks = [
                AppendMessages(f"talk {stream}", [MessageInput(text, speaker=speaker) for _, speaker, text in said])
                for stream, said in group
            ]
            one.text_bytes += sum(len(text.encode()) for _, said in group for _, _, text in said)
            began, spent = time.perf_counter(), time.process_time()
            await engine.write(
                lambda tx, asks=asks: _append(tx, asks), Call(Peer(client="bench", greeted=True), asks[0])
            )
            one.load_s += time.perf_counter() - began
            one.load_cpu_s += time.process_time() - spent
    finally:
        await engine.close()


def _append(tx: Tx, asks: list[AppendMessages]) -> None:
    for ask in asks:
        append_messages(tx, ask)


def _embedded(memory: Memory, passages: int) -> bool:
    time.sleep(0.1)
    said = re.search(r"([\d,]+) vectors.*[^\d,]0 passages waiting", memory.get_memory_status().search)
    return said is not None and int(said[1].replace(",", "")) >= passages


def _many(home: Home, daemon: psutil.Process, asked: list[str], one: Scale) -> None:
    """Many clients at once, as they go on: what a question costs the daemon and the processes beside it then, and whether a core has
    nothing to do meanwhile."""
    file = home.folder / "questions"
    file.write_text("\n".join(asked) + "\n", "utf-8")
    each = max(4, ASKED * 2 // CLIENTS)
    program = home.program("asking", CLIENTS, each, AT_MOST + ROUNDS, file)
    program.heard()

    def go() -> None:
        program.go()
        program.heard()

    with home.client(timeout_s=60.0) as memory:
        for _ in range(AT_MOST - 2):
            go()
            if memory.get_memory_status().search_processes:
                break
        for _ in range(2):  # until its words are in memory, too
            go()
        one.processes = memory.get_memory_status().search_processes
    daemons = [daemon, *daemon.children(recursive=True)]
    spent, before, began = sum(map(processor_s, daemons)), psutil.cpu_times(), time.perf_counter()
    for _ in range(ROUNDS):
        go()
    seconds, after = time.perf_counter() - began, psutil.cpu_times()
    count = ROUNDS * CLIENTS * each
    one.many_cpu_ms = (sum(map(processor_s, daemons)) - spent) / count * 1000
    one.many_per_s = count / seconds
    one.idle = (after.idle - before.idle) / (seconds * (psutil.cpu_count() or 1))


def figures(one: Scale) -> list[Figure]:
    """What the report says of one size."""
    section = f"Search in {one.passages:,} passages"
    half, most = (percentile(one.took, share) * 1000 for share in (0.5, 0.95))
    arms = " and ".join(one.arms)
    cpu = (
        f"{one.cpu_ms:.1f} ms of the daemon's processor each, while a loop of a million squares takes {one.loop_ms:.0f}"
    )
    says = f"a question of 8 to 12 words, {arms}"
    goal = GOALS.get(one.passages)
    found = [
        at_most(section, f"{says}, p50", half, goal[0], " ms", cpu) if goal else Figure(section, f"{says}, p50", f"{half:.2f} ms", cpu),
        at_most(section, f"{says}, p95", most, goal[1], " ms") if goal else Figure(section, f"{says}, p95", f"{most:.2f} ms"),
        at_least(
            section, f"{CLIENTS} clients, questions for each processor second beside one client's", one.cpu_ms / one.many_cpu_ms, 0.8,
            " ×", f"{one.many_cpu_ms:.1f} ms each, {one.many_per_s:.0f} a second; processes beside the daemon: {one.processes}; cores idle {one.idle:.0%} of the time",
        ),
        at_least(
            section, "indexed for words, each processor second", one.passages / one.load_cpu_s, 4000, " passages",
            f"{one.passages / one.load_s:,.0f} a second on the clock",
        ),
        at_most(section, "from nothing to the first answer by words", one.start_s, 1.0, " s"),
    ]  # fmt: skip
    if "meaning" in one.arms:
        found.append(
            Figure(
                section, "vectors made after that", told(one.vectors_s), f"{one.passages / one.vectors_s:,.0f} a second"
            )
        )
    whole = sum(one.bytes.values())
    largest = sorted(one.bytes.items(), key=lambda table: -table[1])
    listed = ", ".join(f"{name} {taken / one.passages:.0f}" for name, taken in largest if taken / whole >= 0.01)
    found += [
        at_most(section, "the whole file for each byte of text", whole / one.text_bytes, 3.2, " ×", f"{whole / one.passages:.0f} bytes a passage"),
        Figure(section, "bytes a passage by table", listed, f"its text: {one.text_bytes / one.passages:.0f}"),
        Figure(section, "the daemon's memory", f"{one.memory_mb:.0f} MB"),
    ]  # fmt: skip
    return found


def plots(found: list[Scale], folder: Path) -> list[Path]:
    """How time and bytes grow, as two drawings."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [float(one.passages) for one in found]
    times = [
        Curve("p95", sizes, [percentile(one.took, 0.95) * 1000 for one in found]),
        Curve("p50", sizes, [percentile(one.took, 0.5) * 1000 for one in found]),
        Curve("processor", sizes, [one.cpu_ms for one in found]),
    ]
    tables = sorted({name for one in found for name in one.bytes}, key=lambda name: -found[-1].bytes.get(name, 0))[:4]
    room = [Curve("whole file", sizes, [sum(one.bytes.values()) / 2**20 for one in found])]
    room += [Curve(name, sizes, [one.bytes.get(name, 1) / 2**20 for one in found]) for name in tables]
    made = [folder / "search-time.svg", folder / "search-bytes.svg"]
    made[0].write_text(drawn("A question of 8 to 12 words, ten hits", "passages", "ms", times), "utf-8")
    made[1].write_text(drawn("The file", "passages", "MiB", room), "utf-8")
    return made


def _by_table(home: Home) -> dict[str, int]:
    """Bytes by table. What the questions noted of themselves is no part of what passages take."""
    sizes: dict[str, int] = {}
    for name, taken in home.rows(
        "SELECT tbl_name, sum(pgsize) FROM dbstat d JOIN sqlite_schema s ON s.name = d.name GROUP BY 1"
    ):
        if name == "access":
            continue
        whole = "words" if name.startswith("words") else name
        sizes[whole] = sizes.get(whole, 0) + taken
    return sizes


def _loop_ms() -> float:
    began = time.thread_time()
    sum(number * number for number in range(1_000_000))
    return (time.thread_time() - began) * 1000


def main() -> int:
    """Measure the sizes asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--passages", default="10000,100000", help="sizes, with commas between them")
    options.add_argument("--words-only", action="store_true", help="without an embedder")
    options.add_argument("--json", type=Path, metavar="FILE", help="also write what was found there")
    options.add_argument("--plots", type=Path, metavar="FOLDER", help="also draw it there")
    given = options.parse_args()
    found: list[Scale] = []
    for count in given.passages.split(","):
        one = measured(int(count), given.words_only)
        found.append(one)
        print(
            f"load average {os.getloadavg()[0]:.1f}; questions p50/mean {told(percentile(one.took, 0.5))}/{told(mean(one.took))}"
        )
        for figure in figures(one):
            verdict = "" if figure.met is None else f"  [{figure.target}: {'met' if figure.met else 'NOT MET'}]"
            print(f"{figure.section}: {figure.name}: {figure.measured}{verdict}  {figure.floor}", flush=True)
    if given.json:
        kept: list[dict[str, Any]] = [asdict(one) for one in found]
        given.json.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    if given.plots:
        print(*plots(found, given.plots), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
