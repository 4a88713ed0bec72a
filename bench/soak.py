"""A long run under a steady mixed load: does memory, file or latency creep? Not part of the report; run by hand.

python bench/soak.py --minutes 60 --to soak          # writes soak.json and soak.svg
"""

import argparse
import json
import random
import threading
import time
from pathlib import Path

from home import Home
from plot import Curve, drawn

from enhanced_memory.client import Memory
from enhanced_memory.client.values import EntityInput, MessageInput

READS = 0.9
KEPT = 2000
"""Entities of each client: after so many it changes those there are, so that what grows is history alone."""


def client(home: Home, who: int, rate: float, end: float, took: list[tuple[float, bool]], failed: list[str]) -> None:
    """Ask at a steady rate until the end."""
    chance = random.Random(who)
    with Memory(home.settings) as memory:
        number, due = 0, time.monotonic()
        while (due := due + 1 / rate) < end:
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.perf_counter()
            reads = bool(number) and chance.random() < READS
            try:
                if not reads:
                    name = f"soak {who} {number % KEPT}"
                    memory.create_entities(
                        [EntityInput(name, "soak", [f"seen at {number}, by the keeper of light {who}"])]
                    )
                    if number % 5 == 0:
                        memory.append_messages(f"soak stream {who}", [MessageInput(f"line {number}")])
                    number += 1
                elif chance.random() < 0.7:
                    memory.open_nodes([f"soak {who} {chance.randrange(min(number, KEPT))}"])
                else:
                    memory.search_nodes(f"keeper {chance.randrange(100)}", limit=5)
            except Exception as problem:  # whatever goes wrong in an hour is what is looked for
                failed.append(f"{type(problem).__name__}: {problem}")
            took.append((time.perf_counter() - began, reads))


def main() -> int:
    """Run, sample, draw; 1 where anything failed or crept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=10, help="calls a second of each client")
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--to", type=Path, default=Path("soak"))
    given = parser.parse_args()
    with Home() as home:
        daemon = home.serve()
        end = time.monotonic() + given.minutes * 60
        took: list[tuple[float, bool]] = []
        failed: list[str] = []
        threads = [
            threading.Thread(target=client, args=(home, who, given.rate, end, took, failed))
            for who in range(given.clients)
        ]
        for thread in threads:
            thread.start()
        rows: list[dict[str, float]] = []
        began = time.monotonic()
        for number in range(given.samples):
            time.sleep(max(0.0, began + (number + 1) * given.minutes * 60 / given.samples - time.monotonic()))
            batch, took[:] = took[:], []
            times = sorted(seconds * 1000 for seconds, _ in batch) or [0.0]
            rows.append(
                {
                    "minute": (time.monotonic() - began) / 60,
                    "calls": len(batch),
                    "p50_ms": times[len(times) // 2],
                    "p99_ms": times[int(len(times) * 0.99)],
                    "memory_mb": daemon.memory_info().rss / 2**20,
                    "files": daemon.num_fds(),
                    "store_mb": home.settings.store_path.stat().st_size / 2**20,
                    "log_mb": home.settings.store_path.with_name("memory.db-wal").stat().st_size / 2**20,
                }
            )
        for thread in threads:
            thread.join()
        with Memory(home.settings) as memory:
            sound = memory.verify().ok
    calls = sum(int(row["calls"]) for row in rows)
    half = len(rows) // 2
    last, middle = rows[-1], rows[half]
    told = {
        "minutes": given.minutes, "calls": calls, "failed": failed[:10], "sound": sound, "rows": rows,
        "memory_growth_second_half": last["memory_mb"] / middle["memory_mb"] - 1,
        "files_growth_second_half": last["files"] - middle["files"],
    }  # fmt: skip
    given.to.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
    minutes = [row["minute"] for row in rows]
    curves = [
        Curve(name, minutes, [max(row[key], 0.01) for row in rows])
        for name, key in (
            ("memory, MB", "memory_mb"),
            ("store, MB", "store_mb"),
            ("p50, ms", "p50_ms"),
            ("p99, ms", "p99_ms"),
        )
    ]
    given.to.with_suffix(".svg").write_text(drawn("Under a steady load", "minutes", "", curves))
    print(
        f"{calls:,} calls in {given.minutes:g} minutes, {len(failed)} failed, store {'sound' if sound else 'DAMAGED'};"
        f" memory {middle['memory_mb']:.0f} MB half way, {last['memory_mb']:.0f} MB at the end;"
        f" p50 {middle['p50_ms']:.1f} and {last['p50_ms']:.1f} ms, p99 {middle['p99_ms']:.1f} and {last['p99_ms']:.1f} ms"
    )
    return (
        1
        if failed or not sound or told["memory_growth_second_half"] > 0.15 or told["files_growth_second_half"] > 8
        else 0
    )


if __name__ == "__main__":
    raise SystemExit(main())
