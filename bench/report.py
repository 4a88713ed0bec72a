"""Measure everything and write docs/performance.md.

`python bench/report.py [--quick] [--only CHAPTER,…] [--json FILE] [--page FILE]`

A timing that misses its target is told; only a lost write makes the exit status 1. All runs in temporary homes, over
Unix sockets, and no process is left behind.
"""

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import apsw
import branches
import conflict_chapter
import curation_chapter
import extraction_chapter
import footprint
import latency
import load
import mcp_chapter
import psutil
import recall
import sandbox
import scale
import streams
import vectors
import versions
from measure import Figure, Size

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"

CHAPTERS: dict[str, Callable[[Size], list[Figure]]] = {
    "latency": latency.measure,
    "load": load.measure,
    "footprint": footprint.measure,
    "branches": branches.measure,
    "mcp": mcp_chapter.measure,
    "sandbox": sandbox.measure,
    "conflicts": conflict_chapter.measure,
    "curation": curation_chapter.measure,
    "extraction": extraction_chapter.measure,
    "scale": scale.measure,
    "recall": recall.measure,
    "versions": versions.measure,
    "vectors": vectors.measure,
    "streams": streams.measure,
}

HEAD = """# Performance

Made by `python bench/report.py{arguments}` (`make bench`); not written by hand. Each figure stands beside its floor,
measured in the same run and in turns with it, so that whatever else the machine does hits both. **The ratios are what
counts**: absolute times are this machine's, at this hour.

- {date}, {seconds:.0f} s, {size} run
- {machine}
- {memory:.0f} GiB of memory; temporary files on {disk}
- load average {load}: other programs {quiet}
- {software}
- durable: `synchronous=FULL`, an answered change is on disk; words are indexed, versions, journal and access log on.
- invented text is from `bench/corpus.py`: a seeded grammar over words that the shipped dictionary was not trained on,
  with names, numbers and references made up. Found text is sentences from the documentation of installed packages.
"""

NOTES = """
## How to read it

- *pipelining clients*: each has {in_flight} requests under way; their frames are encoded before the clock starts. The
  floor is the same handler on the same engine in one process, without socket, frames, layers and access rows.
- *one commit for each request*: the same daemon with `group_max = 1`.
- *echo*: the same Python client against a server that unpacks each frame and packs an answer of the same form.
  Client and servers are kept on two cores while they are compared: whether a pair shares a core halves or doubles its round trip,
  and the scheduler decides it anew each time. One row shows what comes out where it may.
- ratios of p50 are the median over the rounds of each round's own ratio, so they may differ from the quotient of the
  two times beside them. p99 is taken over all rounds; for a create it is compared with the floor's p50.
- a timing that misses its target fails nothing: it is told here.
- search: text and questions from `bench/passages.py`, drawn by Zipf's law; a million with `bench/scale.py --passages 1000000`.
- recall: R@10 is the share of a question's evidence among the first ten hits, nDCG@10 weighs their places. The data is no part of
  the project: `BENCH_RECALL_DATA` names it.
"""


def main() -> int:
    """Measure as asked; 1 where an acknowledged write is missing."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="fewer rounds and smaller stores: about a minute")
    options.add_argument(
        "--only", default=",".join(CHAPTERS), help=f"chapters, with commas between them: {', '.join(CHAPTERS)}"
    )
    options.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options.add_argument(
        "--page",
        type=Path,
        default=PAGE,
        metavar="FILE",
        help="where the page goes; default: docs/performance.md if all is measured",
    )
    asked = options.parse_args()
    chosen = asked.only.split(",")
    if unknown := [name for name in chosen if name not in CHAPTERS]:
        options.error(f"there is no chapter {unknown[0]!r}; there are {', '.join(CHAPTERS)}")
    size: Size = "quick" if asked.quick else "full"
    busy = os.getloadavg()
    began = time.monotonic()
    figures: list[Figure] = []
    for name in chosen:
        since = time.monotonic()
        for figure in CHAPTERS[name](size):
            figures.append(figure)
            print(_line(figure), flush=True)
        print(f"-- {name}: {time.monotonic() - since:.0f} s", flush=True)
    seconds = time.monotonic() - began
    arguments = " --quick" if asked.quick else ""
    if asked.json:
        facts = {"date": _date(), "seconds": round(seconds, 1), "size": size, "machine": _machine(), "load": busy}
        asked.json.write_text(
            json.dumps({**facts, "figures": [dataclasses.asdict(one) for one in figures]}, indent=2) + "\n", "utf-8"
        )
    if set(chosen) == set(CHAPTERS) or asked.page != PAGE:
        asked.page.parent.mkdir(exist_ok=True)
        asked.page.write_text(_page(figures, seconds, size, arguments, busy), "utf-8")
        print(f"wrote {asked.page}")
    missed = [one.name for one in figures if one.met is False]
    print(
        f"{sum(one.met is True for one in figures)} targets met, {len(missed)} missed"
        + "".join(f"\n  {name}" for name in missed)
    )
    return int(any(one.law and not one.met for one in figures))


def _page(figures: list[Figure], seconds: float, size: Size, arguments: str, busy: tuple[float, float, float]) -> str:
    cores = psutil.cpu_count() or 1
    parts = [
        HEAD.format(
            arguments=arguments,
            date=_date(),
            seconds=seconds,
            size=size,
            machine=_machine(),
            memory=psutil.virtual_memory().total / 2**30,
            disk=_file_system(Path(tempfile.gettempdir())),
            load=" ".join(f"{one:.1f}" for one in busy),
            software=_software(),
            quiet="were at work on it too, so single rounds vary" if busy[0] > cores / 4 else "were quiet",
        )
    ]
    for section, lines in groupby(figures, key=lambda one: one.section):
        parts.append(f"\n## {section}\n\n| what | measured | beside | target | |\n|---|---|---|---|---|\n")
        parts += [f"| {one.name} | {one.measured} | {one.floor} | {one.target} | {_verdict(one)} |\n" for one in lines]
    parts.append(NOTES.format(in_flight=load.IN_FLIGHT))
    return "".join(parts)


def _verdict(figure: Figure) -> str:
    return "" if figure.met is None else "met" if figure.met else "**not met**"


def _line(figure: Figure) -> str:
    verdict = "" if figure.met is None else f"  [{figure.target}: {'met' if figure.met else 'NOT MET'}]"
    return f"{figure.name}: {figure.measured}{verdict}\n    {figure.floor}"


def _date() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass  # no Linux: the architecture has to do
    return f"{model}, {psutil.cpu_count()} logical cores, {platform.system()} {platform.release()}"


def _software() -> str:
    try:
        commit = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "no repository"
    packages = ", ".join(f"{name} {version(name)}" for name in ("apsw", "msgspec", "msgpack", "zstandard"))
    own = f"enhanced-memory {version('enhanced-memory')} ({commit})"
    return f"{own}, Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, {packages}"


def _file_system(folder: Path) -> str:
    held = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    return max(held, key=lambda part: len(part.mountpoint)).fstype if held else "an unknown file system"


if __name__ == "__main__":
    sys.exit(main())
