"""A long run under a steady mixed load: does memory, file or latency creep? Run by hand.

python bench/soak.py --minutes 60 --to /tmp/soak      # writes /tmp/soak.json as it goes
python bench/soak.py --draw /tmp/soak.json            # docs/drawings/soak.svg and the chapter of docs/performance.md
"""

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import page
from home import Home
from measure import Figure, at_most, law, percentile
from plot import Curve, Panel, panels

from enhanced_memory.client import Memory
from enhanced_memory.client.operations.service import Backup
from enhanced_memory.client.values import EntityInput, MessageInput

DRAWING = page.PAGE.parent / "drawings" / "soak.svg"
SECTION = "An hour under a steady load"
PINGS, READS = 0.1, 0.9
KEPT = 100
"""Entities of each client: after so many it changes those there are, so that what grows is history alone."""

Took = list[tuple[str, float]]


def client(home: Home, who: int, rate: float, end: float, took: Took, failed: list[str]) -> None:
    """Ask at a steady rate until the end."""
    chance = random.Random(who)
    with Memory(home.settings) as memory:
        number, due = 0, time.monotonic() + chance.random() / rate
        while (due := due + 1 / rate) < end:
            time.sleep(max(0.0, due - time.monotonic()))
            draw = chance.random()
            what = "ping" if draw < PINGS else "read" if number and draw < READS else "write"
            began = time.perf_counter()
            try:
                if what == "ping":
                    memory.ping()
                elif what == "write":
                    name = f"soak {who} {number % KEPT}"
                    memory.create_entities(
                        [EntityInput(name, "soak", [f"seen at {number}, by the keeper of light {who}"])],
                        on_existing="replace",
                    )
                    if number % 5 == 0:
                        memory.append_messages(f"soak stream {who}", [MessageInput(f"line {number}")])
                    number += 1
                elif draw < 0.6:
                    what = "read"
                    memory.open_nodes([f"soak {who} {chance.randrange(min(number, KEPT))}"])
                else:
                    what = "search"
                    memory.search_nodes(f"keeper {chance.randrange(100)}", limit=5)
            except Exception as problem:  # whatever goes wrong in an hour is what is looked for
                failed.append(f"{type(problem).__name__}: {problem}")
            took.append((what, 1000 * (time.perf_counter() - began)))


def soak(given: argparse.Namespace) -> dict[str, Any]:
    """Run and sample, writing down what there is after each sample."""
    told: dict[str, Any] = {
        "minutes": given.minutes, "clients": given.clients, "rate": given.rate, "commit": page.commit(),
        "date": page.date(), "load": [round(one, 1) for one in page.load()], "failed": [], "unwell": {}, "rows": [],
    }  # fmt: skip
    with Home() as home:
        daemon = home.serve()
        began = time.monotonic()
        end = began + given.minutes * 60
        took: Took = []
        failed: list[str] = []
        unwell: Counter[str] = Counter()
        threads = [
            threading.Thread(target=client, args=(home, who, given.rate, end, took, failed))
            for who in range(given.clients)
        ]
        for thread in threads:
            thread.start()
        with Memory(home.settings) as memory:
            for number in range(given.samples):
                time.sleep(max(0.0, began + (number + 1) * given.minutes * 60 / given.samples - time.monotonic()))
                batch = took[:]
                del took[: len(batch)]
                unwell.update(one.name for one in memory.health().ailments)
                told_of = dict(line.rsplit(" ", 1) for line in memory.metrics().text.splitlines() if line[0] != "#")
                held = {
                    f"{name}_mb": float(told_of[f"enhanced_memory_{of}_bytes"]) / 2**20
                    for name, of in (
                        ("memory", "process_resident_memory"),
                        ("own", "process_own_memory"),
                        ("sqlite", "sqlite_memory"),
                    )
                }
                row: dict[str, Any] = {
                    "minute": (time.monotonic() - began) / 60,
                    "calls": len(batch),
                    **held,
                    "files": daemon.num_fds(),
                    "threads": daemon.num_threads(),
                    "cpu_s": sum(daemon.cpu_times()[:2]),
                    "store_mb": home.settings.store_path.stat().st_size / 2**20,
                    "log_mb": home.settings.store_path.with_name("memory.db-wal").stat().st_size / 2**20,
                }
                for what in ("ping", "read", "search", "write"):
                    values = [ms for kind, ms in batch if kind == what] or [0.0]
                    row[what] = {
                        "count": len(values),
                        "p50_ms": percentile(values, 0.5),
                        "p99_ms": percentile(values, 0.99),
                    }
                if (number + 1) % max(1, given.samples // 6) == 0:
                    row["backup_s"] = memory.send(Backup("", prune=True), timeout_s=600).seconds
                told["rows"].append(row)
                told |= {"failed": failed[:10], "unwell": dict(unwell)}
                given.to.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
            for thread in threads:
                thread.join()
            verified = memory.verify()
    told |= {"failed": failed[:10], "failures": len(failed), "problems": verified.problems[:10]}
    given.to.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
    return told


def figures(told: dict[str, Any]) -> list[Figure]:
    """What the hour says: failures, and the last quarter beside the second one, after all is warm."""
    rows = told["rows"]
    quarter = len(rows) // 4
    second, last = rows[quarter : 2 * quarter], rows[-quarter:]

    def mean(part: list[dict[str, Any]], key: str) -> float:
        return sum(row[key] for row in part) / len(part)

    def typical(part: list[dict[str, Any]], what: str) -> float:
        return percentile([row[what]["p50_ms"] for row in part], 0.5)

    def growth(part: list[dict[str, Any]]) -> float:
        """Bytes of file for each call: versions and journal of the writes, access rows of all.

        Without the log: it is emptied whenever it may be, so that its size at one moment says nothing of what stays.
        """
        calls = sum(row["calls"] for row in part[1:])
        return (part[-1]["store_mb"] - part[0]["store_mb"]) * 2**20 / calls

    def longest_log(part: list[dict[str, Any]]) -> float:
        return max(row["log_mb"] for row in part)

    def apart(part: list[dict[str, Any]]) -> float:
        """Memory beside pages of the store: those that are mapped, and those that SQLite keeps, up to a bound for each connection."""
        return mean(part, "own_mb") - mean(part, "sqlite_mb")

    calls = sum(row["calls"] for row in rows)
    found = [
        law(SECTION, f"calls in {told['minutes']:g} minutes that were answered", calls - told["failures"], calls,
            f"{told['clients']} clients, {told['rate'] * told['clients']:g} calls a second, a backup every {told['minutes'] / 6:.0f} minutes"),
        law(SECTION, "problems found by `verify` at the end: none", int(not told["problems"]), 1,
            f"states that health named meanwhile: {', '.join(told['unwell']) or 'none'}"),
        at_most(SECTION, "memory beside the store's pages, last quarter beside the second", apart(last) / apart(second), 1.15, " ×",
                f"{apart(last):.1f} / {apart(second):.1f} MB; with the pages that SQLite keeps {mean(last, 'own_mb'):.1f} / {mean(second, 'own_mb'):.1f}"
                f" MB, with those that are mapped {mean(last, 'memory_mb'):.1f} / {mean(second, 'memory_mb'):.1f} MB, while the store grew from"
                f" {second[0]['store_mb']:.1f} to {last[-1]['store_mb']:.1f} MB"),
        at_most(SECTION, "open files, last beside half way", last[-1]["files"] / rows[len(rows) // 2]["files"], 1.1, " ×",
                f"{last[-1]['files']} / {rows[len(rows) // 2]['files']}; threads {last[-1]['threads']} / {rows[len(rows) // 2]['threads']}"),
        at_most(SECTION, "file for each call, last quarter beside the second", growth(last) / growth(second), 1.2, " ×",
                f"{growth(last):.0f} / {growth(second):.0f} bytes: versions, journal, access rows; {last[-1]['store_mb']:.1f} MB at the end"),
        at_most(SECTION, "log, the longest of any sample", longest_log(rows), 80, " MB",
                f"last quarter {longest_log(last):.1f}, second {longest_log(second):.1f}"),
    ]  # fmt: skip
    for what in ("read", "search", "write"):
        beside = [typical(part, what) / typical(part, "ping") for part in (last, second)]
        found.append(
            at_most(SECTION, f"{what}, p50 in pings, last quarter beside the second", beside[0] / beside[1], 1.3, " ×",
                    f"{typical(last, what):.2f} / {typical(second, what):.2f} ms; a ping {typical(last, 'ping'):.2f} / {typical(second, 'ping'):.2f} ms")
        )  # fmt: skip
    return found


def draw(told: dict[str, Any]) -> str:
    """Memory, file and latency over the hour."""
    rows = told["rows"]
    minutes = [row["minute"] for row in rows]

    def curve(name: str, *keys: str) -> Curve:
        values: list[float] = []
        for row in rows:
            value: Any = row
            for key in keys:
                value = value[key]
            values.append(value)
        return Curve(name, minutes, values)

    return panels(
        f"{told['minutes']:g} minutes, {told['clients']} clients, {told['rate'] * told['clients']:g} calls a second",
        "minutes",
        [
            Panel(
                "memory, MB",
                [
                    curve("all", "memory_mb"),
                    curve("without mapped pages", "own_mb"),
                    curve("SQLite's pages", "sqlite_mb"),
                ],
            ),
            Panel("file, MB", [curve("store", "store_mb"), curve("its log", "log_mb")]),
            Panel("p50, ms", [curve(what, what, "p50_ms") for what in ("ping", "read", "search", "write")]),
            Panel("p99, ms", [curve(what, what, "p99_ms") for what in ("ping", "read", "search", "write")]),
        ],
    )


def main() -> int:
    """Run, or draw what was run; 1 where anything failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=5, help="calls a second of each client")
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--to", type=Path, default=Path("soak"))
    parser.add_argument("--draw", type=Path, metavar="JSON", help="draw and record a run of before")
    given = parser.parse_args()
    if given.draw:
        told = json.loads(given.draw.read_text())
        found = figures(told)
        DRAWING.parent.mkdir(exist_ok=True)
        DRAWING.write_text(draw(told), "utf-8")
        page.keep(
            page.PAGE,
            "soak",
            page.Measured(told["date"], told["commit"], told["minutes"] * 60, "full", told["load"], found),
        )
    else:
        found = figures(soak(given))
    for one in found:
        print(page.line(one))
    return int(any(one.law and not one.met for one in found))


if __name__ == "__main__":
    sys.exit(main())
