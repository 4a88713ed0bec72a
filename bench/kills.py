"""`kill -9` under load, round after round, with a ledger of what was acknowledged. Run by hand; interrupted, it goes on where it was.

python bench/kills.py --in /tmp/kills --rounds 1000            # one line a round in /tmp/kills/ledger.jsonl
python bench/kills.py --in /tmp/kills --judge                  # look for everything again
python bench/kills.py --in /tmp/kills --judge --record         # … and write the chapter of docs/performance.md

Three clients write in groups of sixteen changes; after some ten or some hundred the daemon is killed, and the next one started.
Every hundred rounds, and at the end, all that was ever acknowledged is looked for, and all that is there must be whole. Every 125
rounds begin another store: each start after a kill looks through the whole of it, beside everything else.
"""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import page
import psutil
from measure import Figure, at_least, at_most, law, percentile

sys.path.append(str(Path(__file__).parents[1] / "tests" / "fault"))

from conftest import House
from test_kill import WRITERS, Ledger, check, counted, write

SECTION = "kill -9 under load"
JUDGE_EVERY = 100
STORE_EVERY = 125
PATIENCE_S = 120.0


def rounds_of(folder: Path) -> Iterator[dict[str, Any]]:
    """What the rounds before have written down. A last line that was cut short is none."""
    with suppress(FileNotFoundError), open(folder / "ledger.jsonl") as lines:
        for line in lines:
            with suppress(json.JSONDecodeError):
                yield json.loads(line)


def store_of(line: dict[str, Any]) -> int:
    """Which store a round was on."""
    return line.get("store", 0)


def house_of(folder: Path, store: int) -> House:
    """The house that has a store."""
    return House(folder, folder / (f"memory-{store}.db" if store else "memory.db"))


def ledgers_of(done: list[dict[str, Any]], store: int) -> list[Ledger]:
    """What was sent to a store, and what of it was acknowledged."""
    ledgers = [Ledger(who) for who in range(WRITERS)]
    for line in done:
        if store_of(line) == store:
            for ledger, (sent, kept, said) in zip(ledgers, line["writers"], strict=True):
                ledger.sent.update(sent)
                ledger.kept |= kept
                ledger.said |= said
    return ledgers


def remembered(folder: Path) -> tuple[int, list[dict[str, Any]]]:
    """The number of the next round, and what is told of those that came to their end."""
    following, done = 0, list[dict[str, Any]]()
    for line in rounds_of(folder):
        following = max(following, line["turn"] + 1)
        if "writers" in line:
            done.append(line)
    return following, done


def one_round(house: House, store: int, turn: int, chance: random.Random) -> dict[str, Any]:
    """Start, write, kill. What was acknowledged meanwhile, and how long the first ping took."""
    ledgers = [Ledger(who) for who in range(WRITERS)]
    began = time.monotonic()
    house.start()
    assert house.process is not None
    with house.memory(PATIENCE_S) as memory:
        memory.ping()
    first = time.monotonic() - began
    cpu = sum(psutil.Process(house.process.pid).cpu_times()[:2])
    clients = [house.memory(connect_timeout_s=0.05, retry_changes=bool(turn % 2)) for _ in ledgers]
    threads = [
        threading.Thread(target=write, args=(client, ledger, turn))
        for client, ledger in zip(clients, ledgers, strict=True)
    ]
    for one in threads:
        one.start()
    until, enough = time.monotonic() + PATIENCE_S, chance.randrange(8, 160)
    while sum(len(ledger.kept) for ledger in ledgers) < enough:
        assert time.monotonic() < until, "it is not written to"
        time.sleep(0.002)
    time.sleep(chance.random() * 0.05)  # where in its work it is met is chance
    house.kill()
    for one in threads:
        one.join()
    for ledger in ledgers:
        if ledger.failure is not None:
            raise ledger.failure
    return {
        "turn": turn, "first_ping_s": round(first, 3), "cpu_s": round(cpu, 3),
        "mb": round(sum(Path(f"{house.store}{end}").stat().st_size for end in ("", "-wal")) / 2**20, 1),
        "load": page.load()[0],
        "store": store,
        "writers": [[sorted(one.sent), one.kept, one.said] for one in ledgers],
    }  # fmt: skip


def judged(house: House, ledgers: list[Ledger]) -> tuple[int, int]:
    """Look for all that was acknowledged. `AssertionError` where something is lost, altered, twice or half there; entities that stand, and whole ones."""
    house.start()
    with house.memory(PATIENCE_S, timeout_s=600) as memory:
        problems = memory.verify().problems
        assert problems == [], problems
        for ledger in ledgers:
            check(memory, ledger)
    house.end()
    found = counted(house.store)
    assert found[0] == found[1] >= sum(len(ledger.kept) for ledger in ledgers)
    return found


def acknowledged_in(done: list[dict[str, Any]]) -> int:
    """How many changes were acknowledged."""
    return sum(len(kept) + len(said) for line in done for _, kept, said in line["writers"])


def figures(done: list[dict[str, Any]], found: tuple[int, int]) -> list[Figure]:
    """The chapter."""
    acknowledged = acknowledged_in(done)
    pings, cpu = [one["first_ping_s"] for one in done], [one["cpu_s"] for one in done]
    late = f"{sum(one > 2 for one in pings)} of {len(pings)} later than 2 s"
    busy = f"load up to {max(one['load'] for one in done):.0f}"
    return [
        at_least(SECTION, "rounds", len(done), 1000, "", f"on {len({store_of(one) for one in done})} stores"),
        at_least(SECTION, "changes acknowledged", acknowledged, 100_000, "", "entities and messages, in groups of 16"),
        law(SECTION, "acknowledged ones that are there, as they were sent, once", acknowledged, acknowledged),
        law(SECTION, "entities that stand with change, journal, passages and words", found[1], found[0],
            "those among them that nobody was told of"),
        at_most(SECTION, "first ping after a kill, p50", percentile(pings, 0.5), 2, " s",
                f"p99 {percentile(pings, 0.99):.2f} s, slowest {max(pings):.2f} s; {late}; {busy}"),
        at_most(SECTION, "processor time until then, p99", percentile(cpu, 0.99), 2, " s",
                f"p50 {percentile(cpu, 0.5):.2f} s, most {max(cpu):.2f} s; store and log grew to {max(one['mb'] for one in done):.0f} MB"),
    ]  # fmt: skip


def main() -> int:
    """Go on until there are so many rounds; then judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--in", dest="folder", type=Path, required=True, help="where store and ledger are; made if need be"
    )
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--judge", action="store_true", help="no more rounds; look for everything")
    parser.add_argument("--record", action="store_true", help="write the figures into docs/performance.md")
    given = parser.parse_args()
    folder: Path = given.folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    chance = random.Random()
    turn, done = remembered(folder)
    store = store_of(done[-1]) if done else 0
    house = house_of(folder, store)
    _end_orphan(house)
    began = time.monotonic()
    try:
        with open(folder / "ledger.jsonl", "a") as lines:
            while not given.judge and len(done) < given.rounds:
                if sum(store_of(one) == store for one in done) >= STORE_EVERY:
                    store += 1
                    house = house_of(folder, store)
                lines.write(json.dumps({"turn": turn}) + "\n")  # the names of a round are not used again, come what may
                lines.flush()
                line = one_round(house, store, turn, chance)
                lines.write(json.dumps(line) + "\n")
                lines.flush()
                done.append(line)
                turn += 1
                if len(done) % JUDGE_EVERY == 0:
                    judged(house, ledgers_of(done, store))
                    print(f"{len(done)} rounds, {acknowledged_in(done):,} acknowledged, none lost", flush=True)
        entities, whole = 0, 0
        for one in sorted({store_of(line) for line in done}):
            house = house_of(folder, one)
            stands, sound = judged(house, ledgers_of(done, one))
            entities, whole = entities + stands, whole + sound
    finally:
        if house.process is not None and house.process.poll() is None:
            house.kill()
    told = figures(done, (entities, whole))
    for one in told:
        print(page.line(one))
    if given.record:
        page.keep(
            page.PAGE,
            "kills",
            page.Measured(page.date(), page.commit(), time.monotonic() - began, "full", page.load(), told),
        )
    return 0


def _end_orphan(house: House) -> None:
    """A daemon that was left by a run that was killed itself."""
    with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        left = psutil.Process(int(Path(f"{house.store}.lock").read_text().split()[0]))
        if left.environ().get("HOME") == str(house.folder):
            os.kill(left.pid, signal.SIGKILL)
            left.wait(60)


if __name__ == "__main__":
    sys.exit(main())
