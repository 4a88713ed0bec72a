"""Verbs that watch the daemon: how it fares, its figures, and a live view."""

import re
import sys
import time
from collections import defaultdict
from typing import Any

from enhanced_memory.client.cli.declare import Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM, STORE
from enhanced_memory.client.cli.output import Paper, moment, size
from enhanced_memory.client.operations.service import Wellness

__all__ = ["Samples", "rates", "samples"]

CODES = {"healthy": OK, "degraded": PROBLEM, "failing": STORE}
PREFIX = "enhanced_memory_"


@verb("health", "Say whether all is well, for a person or a monitor.")
def health(call: Call) -> Answer:
    """The daemon writes something and reads it back before it answers. The exit code is 0 where all is well, 1 where something
    wants attention, 5 where memories cannot be kept, 3 where no daemon answers.
    """
    found = call.memory.health()
    return Answer(found, lambda paper: _tell_health(paper, found), CODES[found.state])


def _tell_health(paper: Paper, found: Wellness) -> None:
    paper.line(found.state, {"healthy": "green", "degraded": "yellow", "failing": "red"}[found.state])
    for one in found.ailments:
        paper.line(f"{one.name}: {one.says}", indent=2)
        paper.line(f"-> {one.remedy}", indent=4)
    proven = f"{moment(found.proven_at)}, in {found.proof_ms:.1f} ms" if found.proven_at else "not"
    paper.facts([("written and read back", proven), ("up for", f"{found.uptime_s:.0f} s")])
    if found.checking:
        paper.line("The store is being checked: the daemon before ended without closing it.")


@verb("metrics", "Print what is measured, as Prometheus reads it.")
def metrics(call: Call) -> Answer:
    """For node_exporter's textfile collector: `memoryctl metrics > FILE.new && mv FILE.new FILE.prom`."""
    text = call.memory.metrics().text
    return Answer({"text": text}, lambda paper: paper.line(text.rstrip("\n")))


# The live view

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Values by name and labels."""

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def samples(text: str) -> Samples:
    """The values of an exposition."""
    found: Samples = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is not None:
            labels = tuple(sorted(_LABEL.findall(match[2] or "")))
            found[match[1].removeprefix(PREFIX), labels] = float(match[3])
    return found


def rates(now: Samples, before: Samples, seconds: float) -> list[dict[str, Any]]:
    """What was asked between two readings: of each operation calls a second, errors, mean, and the bounds that half and 99 of
    a hundred calls stayed within; the busiest first."""
    buckets: dict[str, list[tuple[float, float]]] = defaultdict(list)
    rows: dict[str, dict[str, Any]] = {}
    for (name, labels), value in now.items():
        said = dict(labels)
        gained = value - before.get((name, labels), 0.0)
        op = said.get("op", "")
        row = rows.setdefault(op, {"op": op, "calls": 0.0, "errors": 0.0, "seconds": 0.0})
        if name == "requests_total":
            row["calls"] += gained
        elif name == "request_errors_total":
            row["errors"] += gained
        elif name == "request_seconds_sum":
            row["seconds"] += gained
        elif name == "request_seconds_bucket":
            buckets[op].append((float(said["le"]), gained))
    told: list[dict[str, Any]] = []
    for op, row in rows.items():
        if op and row["calls"] > 0:
            told.append(
                {
                    "op": op,
                    "per_s": row["calls"] / seconds,
                    "errors_per_s": row["errors"] / seconds,
                    "mean_ms": 1000 * row["seconds"] / row["calls"],
                    "p50_ms": _within(buckets[op], 0.5),
                    "p99_ms": _within(buckets[op], 0.99),
                }
            )
    return sorted(told, key=lambda row: -row["per_s"])


def _within(buckets: list[tuple[float, float]], share: float) -> float:
    """The bound in ms that `share` of the calls stayed within."""
    ordered = sorted(buckets)
    total = ordered[-1][1] if ordered else 0.0
    return next((1000 * bound for bound, count in ordered if count >= share * total), float("inf"))


@verb(
    "top",
    "Watch the daemon live: who it works for, how fast, and how it fares.",
    argument("--every", type=float, default=1.0, metavar="SECONDS", help="how often to look (1)"),
    argument("--once", action="store_true", help="look at one interval, print it, and leave"),
)
def top(call: Call) -> Answer:
    """Ctrl-C leaves. Where stdout is no terminal, and with --json, one interval is told."""
    memory, every = call.memory, max(0.1, call.given.every)
    if not call.given.once and sys.stdout.isatty() and not getattr(call.given, "json", False):
        try:
            _live(call, every)
        except KeyboardInterrupt:
            pass
        return Answer({}, lambda paper: None)
    before, began = samples(memory.metrics().text), time.monotonic()
    time.sleep(every)
    now = samples(memory.metrics().text)
    view = _view(now, before, time.monotonic() - began)
    return Answer(view, lambda paper: _tell_top(paper, view))


def _view(now: Samples, before: Samples, seconds: float) -> dict[str, Any]:
    plain = {name: value for (name, labels), value in now.items() if not labels}
    spent = plain.get("process_cpu_seconds_total", 0) - before.get(("process_cpu_seconds_total", ()), 0)
    state = next((dict(labels)["state"] for (name, labels), value in now.items() if name == "health" and value), "")
    return {
        "state": state,
        "ailments": sorted(dict(labels)["name"] for (name, labels) in now if name == "ailment"),
        "cpu_percent": round(100 * spent / seconds, 1),
        "commits_per_s": round((plain.get("commits_total", 0) - before.get(("commits_total", ()), 0)) / seconds, 1),
        **{name: plain.get(name, 0) for name in _SHOWN},
        "operations": rates(now, before, seconds),
    }


_SHOWN = (
    "connections", "waiting_changes", "entities", "messages", "changes", "store_bytes", "log_bytes", "disk_free_bytes",
    "process_resident_memory_bytes", "process_open_fds", "process_threads", "embedding_backlog", "uptime_seconds",
)  # fmt: skip


def _facts(view: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("health", view["state"] + (f" ({', '.join(view['ailments'])})" if view["ailments"] else "")),
        ("process", f"{view['cpu_percent']:.1f} % of a core, {size(int(view['process_resident_memory_bytes']))},"
                    f" {view['process_threads']:.0f} threads, {view['process_open_fds']:.0f} files"),
        ("clients", f"{view['connections']:.0f} connected, {view['waiting_changes']:.0f} changes wait,"
                    f" {view['commits_per_s']:.1f} commits a second"),
        ("store", f"{size(int(view['store_bytes']))} and {size(int(view['log_bytes']))} of log,"
                  f" {size(int(view['disk_free_bytes']))} free; {view['entities']:,.0f} entities,"
                  f" {view['messages']:,.0f} messages, {view['embedding_backlog']:,.0f} passages to embed"),
    ]  # fmt: skip


_COLUMNS = ("operation", "calls/s", "errors/s", "mean ms", "half within ms", "99 % within ms")


def _rows(view: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (row["op"], f"{row['per_s']:.1f}", f"{row['errors_per_s']:.1f}", f"{row['mean_ms']:.2f}",
         f"{row['p50_ms']:g}", f"{row['p99_ms']:g}")
        for row in view["operations"]
    ]  # fmt: skip


def _tell_top(paper: Paper, view: dict[str, Any]) -> None:
    paper.facts(_facts(view))
    paper.table(_COLUMNS, _rows(view))


def _live(call: Call, every: float) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    def drawn(view: dict[str, Any]) -> Group:
        table = Table(*_COLUMNS, box=None, header_style="bold cyan", pad_edge=False)
        for row in _rows(view):
            table.add_row(*row)
        facts = [Text.assemble((f"{name:8}", "cyan"), value) for name, value in _facts(view)]
        return Group(*facts, Text(), table)

    before, at = samples(call.memory.metrics().text), time.monotonic()
    with Live(screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(every)
            now, seen = samples(call.memory.metrics().text), time.monotonic()
            live.update(drawn(_view(now, before, seen - at)), refresh=True)
            before, at = now, seen
