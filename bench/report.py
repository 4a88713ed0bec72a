"""Measure everything and write docs/performance.md.

`python bench/report.py [--quick] [--only CHAPTER,…] [--page FILE]`

The figures are kept beside the page (docs/performance.json), chapter by chapter: a run of some chapters renews those and leaves
the others, each with the time and the commit of its own. A timing that misses its target is told; only a lost write makes the
exit status 1. All runs in temporary homes, over Unix sockets, and no process is left behind.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import branches
import conflict_chapter
import curation_chapter
import extraction_chapter
import footprint
import latency
import load
import mcp_chapter
import page
import postgres_chapter
import recall
import sandbox
import scale
import streams
import vectors
import versions
from measure import Figure, Size

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
    "postgres": postgres_chapter.measure,
}


def main() -> int:
    """Measure as asked; 1 where an acknowledged write is missing."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--quick", action="store_true", help="fewer rounds and smaller stores; writes no page unless one is named"
    )
    options.add_argument(
        "--only", default=",".join(CHAPTERS), help=f"chapters, with commas between them: {', '.join(CHAPTERS)}"
    )
    options.add_argument("--page", type=Path, metavar="FILE", help="where the page goes; default: docs/performance.md")
    asked = options.parse_args()
    chosen = asked.only.split(",")
    if unknown := [name for name in chosen if name not in CHAPTERS]:
        options.error(f"there is no chapter {unknown[0]!r}; there are {', '.join(CHAPTERS)}")
    written: Path | None = asked.page or (None if asked.quick else page.PAGE)
    size: Size = "quick" if asked.quick else "full"
    figures: list[Figure] = []
    for name in chosen:
        busy, since = page.load(), time.monotonic()
        found = CHAPTERS[name](size)
        for figure in found:
            print(page.line(figure), flush=True)
        seconds = time.monotonic() - since
        print(f"-- {name}: {seconds:.0f} s", flush=True)
        figures += found
        if written is not None:
            page.keep(written, name, page.Measured(page.date(), page.commit(), round(seconds, 1), size, busy, found))
    missed = [one.name for one in figures if one.met is False]
    print(
        f"{sum(one.met is True for one in figures)} targets met, {len(missed)} missed"
        + "".join(f"\n  {name}" for name in missed)
    )
    return int(any(one.law and not one.met for one in figures))


if __name__ == "__main__":
    sys.exit(main())
