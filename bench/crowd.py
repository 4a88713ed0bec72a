"""200 clients at 90 % reads and a steady rate, beside a bare ping of the same run; and writers while a backup is made. Run by hand.

python bench/crowd.py --clients 200 --rate 1000 --seconds 60
python bench/crowd.py --backup-mb 1000
"""

import argparse
import asyncio
import random
import subprocess
import sys
import threading
import time

from home import Home
from measure import percentile

from enhanced_memory.client import AsyncMemory, Memory
from enhanced_memory.client.operations.service import Backup
from enhanced_memory.client.values import EntityInput


async def crowd(home: Home, clients: int, rate: float, seconds: float) -> None:
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
    count = sum(map(len, times.values()))
    print(
        f"{clients} clients, {count:,} calls, {count / seconds:,.0f} a second, {len(failed)} errors {sorted(set(failed))[:3]}"
    )
    for kind, values in times.items():
        print(
            f"{kind:6} p50 {percentile(values, 0.5):.2f} ms, p99 {percentile(values, 0.99):.2f} ms, of {len(values):,}"
        )


def backed_up(home: Home, megabytes: int) -> None:
    """Fill a store to that size, then write at a steady rate before and during a backup; then restore it."""
    texts = ["the lighthouse keeper wrote down " * 30 + str(number) for number in range(50)]
    with Memory(home.settings) as memory:
        number = 0
        while home.settings.store_path.stat().st_size < megabytes * 2**20:
            memory.create_entities(
                [
                    EntityInput(
                        f"n{number + at}", "t", [f"{texts[(number + at) % 50]} {random.random()}" for _ in range(6)]
                    )
                    for at in range(200)
                ]
            )
            number += 200
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
    print(
        f"store {size / 2**20:,.0f} MiB: backup in {seconds:.1f} s, {made.bytes / 2**20:,.0f} MiB packed;"
        f" writers' p99 {percentile(busy, 0.99):.1f} ms meanwhile, {percentile(quiet, 0.99):.1f} ms before"
        f" ({percentile(busy, 0.99) / percentile(quiet, 0.99):.1f} x), p50 {percentile(busy, 0.5):.1f} and {percentile(quiet, 0.5):.1f} ms"
    )
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-P", "-m", "enhanced_memory.daemon", "restore", "--stop", "--", made.path],
        env=home.environment, check=True, capture_output=True,
    )  # fmt: skip
    print(f"restored in {time.perf_counter() - began:.1f} s")


def main() -> None:
    """One of the two."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1000, help="calls a second of all together")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--backup-mb", type=int, default=0)
    given = parser.parse_args()
    with Home(backup_folder="") as home:
        home.serve()
        if given.backup_mb:
            backed_up(home, given.backup_mb)
            return
        with Memory(home.settings) as memory:
            memory.create_entities(
                [EntityInput(f"entity {number}", "t", ["one thing", "another"]) for number in range(1000)]
            )
        asyncio.run(crowd(home, given.clients, given.rate, given.seconds))


if __name__ == "__main__":
    main()
