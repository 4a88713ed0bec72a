"""What encryption costs: the same work on a store with a key and on one without, in turns. Run by hand, with the build that can encrypt.

build/venv-encrypted/bin/python bench/encryption.py [--record]          # after scripts/environment test --encrypted

Processor time and not the clock: what a disk takes is the same for both. The engine is asked in this process, without the
socket, so that the ratios are those of what encryption touches; beside a call over the socket they are smaller.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import page
from corpus import invented
from measure import Figure, at_most, told

from enhanced_memory.client.errors import Error
from enhanced_memory.client.operations.entities import CreateEntities, OpenNodes
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.request import HANDLERS, Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.sqlite import sealing
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

SECTION = "Encryption"
WHAT = ("create, a commit each", "open one entity", "search by words")

assert handlers  # imported for what it registers


async def worked(keyed: bool, entities: int, reads: int) -> list[float]:
    """Seconds of processor time for each create, point read and search."""
    with tempfile.TemporaryDirectory(prefix="em-") as name:
        folder = Path(name)
        given = {"store": str(folder / "memory.db"), "embedder": "none"}
        if keyed:
            given["key_file"] = str(sealing.made(folder / "key").path)
        engine = await SqliteEngine.open(Settings.load(given))
        chance = random.Random(7)

        async def ask(request: Request[Any], write: bool) -> Any:
            call = Call(Peer(client="bench", greeted=True), request)
            return await (engine.write if write else engine.read)(lambda tx: HANDLERS[request.op](tx, request), call)

        took: list[float] = []
        lines = [list(one.observations) for one in invented(7, entities)]
        work: list[list[tuple[Request[Any], bool]]] = [
            [(CreateEntities([EntityInput(f"n{number}", "t", said)]), True) for number, said in enumerate(lines)],
            [(OpenNodes([f"n{chance.randrange(entities)}"]), False) for _ in range(reads)],
            [(SearchNodes(" ".join(chance.choice(chance.choice(lines)).split()[:3])), False) for _ in range(reads)],
        ]
        for asks in work:
            began = time.process_time()
            for request, write in asks:
                await ask(request, write)
            took.append((time.process_time() - began) / len(asks))
        engine.leave()
        await engine.close()
        return took


async def figures(rounds: int, entities: int, reads: int) -> list[Figure]:
    """The chapter: the least of each, over the rounds."""
    found: dict[bool, list[list[float]]] = {False: [], True: []}
    for turn in range(rounds):
        for keyed in (False, True) if turn % 2 else (True, False):
            found[keyed].append(await worked(keyed, entities, reads))
    plain, sealed = ([min(column) for column in zip(*found[keyed], strict=True)] for keyed in (False, True))
    return [
        at_most(SECTION, f"{what}, with a key beside without", new / old, 2, " ×",
                f"{told(new)} / {told(old)} of processor time, the least of {rounds}; {entities:,} entities")
        for what, old, new in zip(WHAT, plain, sealed, strict=True)
    ]  # fmt: skip


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--entities", type=int, default=2000)
    parser.add_argument("--reads", type=int, default=2000)
    parser.add_argument("--record", action="store_true", help="write the figures into docs/performance.md")
    given = parser.parse_args()
    began, busy = time.monotonic(), page.load()
    try:
        found = asyncio.run(figures(given.rounds, given.entities, given.reads))
    except Error as problem:
        print(problem, file=sys.stderr)
        return 1
    for one in found:
        print(page.line(one))
    if given.record:
        seconds = round(time.monotonic() - began, 1)
        page.keep(page.PAGE, "encryption", page.Measured(page.date(), page.commit(), seconds, "full", busy, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
