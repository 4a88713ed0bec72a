"""200 clients at 90 % reads and a steady rate, beside a bare ping of the same run; and writers while a backup is made. Run by hand.

python bench/crowd.py --clients 200 --rate 1000 --seconds 60
python bench/crowd.py --backup-mb 1000

With `--record` the figures become a chapter of docs/performance.md.
"""

import argparse
import asyncio
import base64
import random
import subprocess
import sys
import threading
import time
from itertools import count

import page
from corpus import invented
from home import Home
from measure import Figure, at_most, law, percentile, told

from enhanced_memory.client import AsyncMemory, Memory
from enhanced_memory.client.operations.service import Backup
from enhanced_memory.client.values import EntityInput


async def crowd(home: Home, clients: int, rate: float, seconds: float) -> list[Figure]:
    """All clients in one process, each with a connection of its own, at a rate that they share."""
    times: dict[str, list[float]] = {"read": [], "write": [], "ping": []}
    failed: list[str] = []
    end = time.monotonic() + seconds

    async def one(who: int) -> None:
        chance = random.Random(who)
        async with AsyncMemory(home.settings) as memory:
            due = time.monotonic() + chance.random() * clients / rate
            while (due := due + clients / rate) < end:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                draw = chance.random()
                began = time.perf_counter()
                try:
                    if draw < 0.05:
                        kind = "ping"
                        await memory.ping()
                    elif draw < 0.9:
                        kind = "read"
                        await memory.open_nodes([f"entity {chance.randrange(1000)}"])
                    else:
                        kind = "write"
                        await memory.create_entities([EntityInput(f"by {who} {due}", "t", ["one", "two"])])
                    times[kind].append(1000 * (time.perf_counter() - began))
                except Exception as problem:  # counted: none is the figure
                    failed.append(f"{type(problem).__name__}: {problem}")

    await asyncio.gather(*(one(who) for who in range(clients)))
    calls = sum(map(len, times.values()))
    section = f"{clients} clients at 90 % reads"
    ping = percentile(times["ping"], 0.99) / 1000
    found = [law(section, "calls that were answered", calls, calls + len(failed), "; ".join(sorted(set(failed))[:3])),
             Figure(section, "calls a second", f"{calls / seconds:,.0f}", f"{rate:,.0f} asked for, by one process of Python", value=calls / seconds)]  # fmt: skip
    for kind in ("read", "write"):
        p50, p99 = (percentile(times[kind], share) / 1000 for share in (0.5, 0.99))
        beside = f"p50 {told(p50)}; a ping of the same run: p50 {told(percentile(times['ping'], 0.5) / 1000)}, p99 {told(ping)}"
        if kind == "read":
            found.append(at_most(section, "read, p99", 1000 * p99, 100, " ms", beside))
        else:
            found.append(Figure(section, "write, p99", told(p99), beside, value=p99))
    return found


TEXT_SHARE = 0.1
"""Of a store that is filled: sentences, which are indexed. The rest are properties that nothing packs, the worst case for a copy."""


def _filled(memory: Memory, home: Home, size: int) -> int:
    """Fill a store to that size; how many passages are in it."""
    path, passages = home.settings.store_path, 0
    for number in count():
        entities = [EntityInput(one.name, one.type, one.observations) for one in invented(number, 500)]
        memory.create_entities(entities)
        passages += sum(1 + len(one.observations) for one in entities)
        if path.stat().st_size >= TEXT_SHARE * size:
            break
    chance = random.Random(5)
    for number in count():
        if path.stat().st_size >= size:
            return passages
        held = [base64.b64encode(chance.randbytes(96_000)).decode() for _ in range(40)]
        memory.create_entities(
            [EntityInput(f"large {number}/{at}", "t", [], {"held": one}) for at, one in enumerate(held)]
        )
    return passages


def backed_up(home: Home, megabytes: int) -> list[Figure]:
    """Fill a store to that size, then write at a steady rate before and during a backup; then restore it."""
    with home.client(timeout_s=600) as memory:
        passages = _filled(memory, home, megabytes * 2**20)
        size = home.settings.store_path.stat().st_size
        done = threading.Event()
        took: list[float] = []

        def write() -> None:
            with Memory(home.settings) as writer:
                while not done.is_set():
                    began = time.perf_counter()
                    writer.create_entities([EntityInput(f"w{time.time_ns()}", "t", ["one", "two"])])
                    took.append(1000 * (time.perf_counter() - began))
                    time.sleep(0.01)

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(10)
        quiet, took[:] = took[:], []
        began = time.perf_counter()
        made = memory.send(Backup(str(home.folder / "b")), timeout_s=3600)
        seconds = time.perf_counter() - began
        busy = took[:]
        done.set()
        thread.join()
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-P", "-m", "enhanced_memory.daemon", "restore", "--stop", "--", made.path],
        env=home.environment, check=True, capture_output=True,
    )  # fmt: skip
    restored = time.perf_counter() - began
    section = "Backup and restore of a large store"
    before, meanwhile = percentile(quiet, 0.99), percentile(busy, 0.99)
    return [
        Figure(section, "backup", f"{seconds:.1f} s",
               f"store {size / 2**20:,.0f} MiB with {passages:,} passages, packed {made.bytes / 2**20:,.0f} MiB; copied, checked, packed, compared", value=seconds),
        at_most(section, "writers' p99 during it", meanwhile / before, 5, " ×",
                f"{meanwhile:.1f} / {before:.1f} ms, p50 {percentile(busy, 0.5):.1f} / {percentile(quiet, 0.5):.1f} ms; a commit each"),
        at_most(section, "restore", restored, 60, " s", "compared, unpacked, checked, put in place of a running daemon's"),
    ]  # fmt: skip


def main() -> int:
    """One of the two."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1000, help="calls a second of all together")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--backup-mb", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="write the figures into docs/performance.md")
    given = parser.parse_args()
    began, busy = time.monotonic(), page.load()
    # Vectors of a store that is filled for an hour's reading would be made all through the backup.
    with Home(backup_folder="", **({"embedder": "none"} if given.backup_mb else {})) as home:
        home.serve()
        found = backed_up(home, given.backup_mb) if given.backup_mb else _crowded(home, given)
    for one in found:
        print(page.line(one))
    if given.record:
        name = "backup" if given.backup_mb else "crowd"
        seconds = round(time.monotonic() - began, 1)
        page.keep(page.PAGE, name, page.Measured(page.date(), page.commit(), seconds, "full", busy, found))
    return int(any(one.law and not one.met for one in found))


def _crowded(home: Home, given: argparse.Namespace) -> list[Figure]:
    with Memory(home.settings) as memory:
        memory.create_entities(
            [EntityInput(f"entity {number}", "t", ["one thing", "another"]) for number in range(1000)]
        )
    return asyncio.run(crowd(home, given.clients, given.rate, given.seconds))


if __name__ == "__main__":
    sys.exit(main())
