"""A million frames that nobody would send: does the daemon crash, grow, or keep descriptors? Run by hand.

python bench/frames.py --frames 1000000 --seconds 3600 [--record]
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import page
from measure import Figure, at_least, at_most, law

sys.path.append(str(Path(__file__).parents[1] / "tests" / "fault"))

from conftest import House
from test_fuzz import STORE_HANDLES, Pelted, pelt

SECTION = "Frames that nobody would send"


def figures(found: Pelted, asked: int, seed: int) -> list[Figure]:
    """The chapter."""
    return [
        at_least(SECTION, "frames", found.sent, asked, "", f"torn, noise, wrong types, nearly right; seed {seed}; {found.seconds:.0f} s"),
        law(SECTION, "the daemon is the one that was started, answers, and `verify` finds nothing", int(found.alive and found.sound), 1),
        law(SECTION, "tracebacks in its log: none", int(not found.tracebacks), 1),
        at_most(SECTION, "memory, beside after the first 500", found.grown_mb, 100, " MB", f"{found.memory_mb:.0f} MB at the end"),
        law(SECTION, "descriptors that it kept beside those when it was warm: none", int(not found.opened), 1,
            ", ".join(f"{count} {name}" for name, count in found.opened.items())),
        at_most(SECTION, "handles of the store's files beside those when it was warm", found.handles, STORE_HANDLES, "",
                "as many as were ever open at once; SQLite gives them to the next connection"),
    ]  # fmt: skip


def main() -> int:
    """Pelt, and tell; 1 where the daemon took harm."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=3600, help="no longer than this")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--record", action="store_true", help="write the figures into docs/performance.md")
    given = parser.parse_args()
    busy = page.load()
    house = House(Path(tempfile.mkdtemp(prefix="em-", dir="/tmp")))
    try:
        found = pelt(house, random.Random(given.seed), given.frames, given.seconds)
    finally:
        if house.process is not None and house.process.poll() is None:
            house.kill()
        shutil.rmtree(house.folder)
    told = figures(found, given.frames, given.seed)
    for one in told:
        print(page.line(one))
    if given.record:
        page.keep(page.PAGE, "frames", page.Measured(page.date(), page.commit(), found.seconds, "full", busy, told))
    return int(any(one.law and not one.met for one in told))


if __name__ == "__main__":
    sys.exit(main())
