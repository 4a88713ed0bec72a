"""The page of figures, docs/performance.md, and the file beside it that keeps each chapter as it was last measured.

`report.py` renews most chapters; a run that takes long, or is made by hand, renews its own: see `ORDER`.
"""

import os
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import apsw
import msgspec
import psutil
from measure import Figure, Size

__all__ = ["IN_FLIGHT", "ORDER", "PAGE", "Measured", "commit", "date", "keep", "line", "load"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"

HEAD = """# Performance

Made by `python bench/report.py` (`make bench`; `--only CHAPTER` renews one chapter); not written by hand. Each figure stands beside
its floor, measured in the same run and in turns with it, so that whatever else the machine does hits both. **The ratios are
what counts**: absolute times are this machine's, at that hour.

- {machine}
- {memory:.0f} GiB of memory; temporary files on {disk}
- {software}
- durable: `synchronous=FULL`, an answered change is on disk; words are indexed, versions, journal and access log on.
- invented text is from `bench/corpus.py`: a seeded grammar over words that the shipped dictionary was not trained on,
  with names, numbers and references made up. Found text is sentences from the documentation of installed packages.
"""

CHAPTER = """
## {section}

Measured {date} at {commit} in {seconds:.0f} s{size}, load average {load}{busy}.

| what | measured | beside | target | |
|---|---|---|---|---|
"""

ORDER = (
    "latency", "load", "footprint", "branches", "mcp", "sandbox", "conflicts", "curation", "extraction", "scale", "recall",
    "versions", "vectors", "streams", "year", "kills", "crowd", "backup", "frames", "idle", "soak", "encryption",
)  # fmt: skip
"""Chapters as the page has them; what is not named here comes last. Those from `year` on are runs of their own."""

IN_FLIGHT = 8
"""Requests under way at once of each pipelining client."""

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
- runs of their own, not part of `make bench`: `bench/kills.py` and `orchestrator_year.py` (both go on where they were), `crowd.py`, `frames.py`, `idle.py`,
  `soak.py`, `encryption.py`; each writes its chapter with `--record` (the soak with `--draw`). The hour under a steady load is drawn in
  [drawings/soak.svg](drawings/soak.svg).
- recall: R@10 is the share of a question's evidence among the first ten hits, nDCG@10 weighs their places. The data is no part of
  the project: `BENCH_RECALL_DATA` names it.
"""


class Measured(msgspec.Struct):
    """A chapter, as it was last measured."""

    date: str
    commit: str
    seconds: float
    size: Size
    load: list[float]
    figures: list[Figure]


def keep(page: Path, name: str, measured: Measured) -> None:
    """Put a chapter beside the others that are kept, and write the page anew."""
    kept = page.with_suffix(".json")
    chapters = msgspec.json.decode(kept.read_bytes(), type=dict[str, Measured]) if kept.exists() else {}
    chapters[name] = measured
    page.parent.mkdir(exist_ok=True)
    kept.write_bytes(msgspec.json.format(msgspec.json.encode(chapters, order="sorted"), indent=1) + b"\n")
    names = [*(name for name in ORDER if name in chapters), *sorted(chapters.keys() - set(ORDER))]
    page.write_text(_page({name: chapters[name] for name in names}), "utf-8")
    print(f"wrote {page}")


def _page(chapters: dict[str, Measured]) -> str:
    parts = [
        HEAD.format(
            machine=_machine(),
            memory=psutil.virtual_memory().total / 2**30,
            disk=_file_system(Path(tempfile.gettempdir())),
            software=_software(),
        )
    ]
    cores = psutil.cpu_count() or 1
    for one in chapters.values():
        for section, lines in groupby(one.figures, key=lambda figure: figure.section):
            parts.append(
                CHAPTER.format(
                    section=section,
                    date=one.date,
                    commit=one.commit,
                    seconds=one.seconds,
                    size="" if one.size == "full" else ", a quick run",
                    load=" ".join(f"{part:.1f}" for part in one.load),
                    busy=": other programs were at work too, so single rounds vary" if one.load[0] > cores / 4 else "",
                )
            )
            parts += [
                f"| {line.name} | {line.measured} | {line.floor} | {line.target} | {_verdict(line)} |\n"
                for line in lines
            ]
    parts.append(NOTES.format(in_flight=IN_FLIGHT))
    return "".join(parts)


def _verdict(figure: Figure) -> str:
    return "" if figure.met is None else "met" if figure.met else "**not met**"


def line(figure: Figure) -> str:
    """A figure as it is told while it is measured."""
    verdict = "" if figure.met is None else f"  [{figure.target}: {'met' if figure.met else 'NOT MET'}]"
    return f"{figure.name}: {figure.measured}{verdict}\n    {figure.floor}"


def date() -> str:
    """Now, as the page says it."""
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


def commit() -> str:
    """What is measured; "no repository" in a copy without one."""
    try:
        said = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "no repository"
    return said.stdout.strip()


def load() -> list[float]:
    """How busy the machine is, beside what is measured."""
    return [round(one, 1) for one in os.getloadavg()]


def _software() -> str:
    # apsw as it says itself: the build that encrypts is another distribution.
    packages = ", ".join(f"{name} {version(name)}" for name in ("msgspec", "msgpack", "zstandard"))
    sqlite = f"SQLite {apsw.sqlite_lib_version()}, apsw {apsw.apsw_version()}"
    return f"enhanced-memory {version('enhanced-memory')}, Python {platform.python_version()}, {sqlite}, {packages}"


def _file_system(folder: Path) -> str:
    held = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    return max(held, key=lambda part: len(part.mountpoint)).fstype if held else "an unknown file system"
