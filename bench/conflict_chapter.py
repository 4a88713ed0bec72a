"""Conflicts: how often the judgement is right on labelled pairs, and what looking for them costs in a large store.

The pairs in `bench/conflicts` were written by hand for this, before the rules. The rules were tuned on every other line of
`first.tsv`; the lines between them and `second.tsv` were judged without looking at what was wrong.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from corpus import Known, invented
from home import HERE, Home, until
from measure import Figure, Size, at_least, at_most, percentile, told

from enhanced_memory.client import Memory
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon.conflicts.comparing import LEXICAL, Meaning
from enhanced_memory.daemon.conflicts.entities import Told, judge
from enhanced_memory.daemon.conflicts.meaning import static_meaning

__all__ = ["Pair", "judged", "measure", "pairs", "quality"]

SECTION = "Conflicts"
WANTED = {"duplicate": "duplicate", "paraphrase": "duplicate", "unrelated": "none"}
"""What a pair should be judged as, where that is not its label."""


class Pair(NamedTuple):
    """Two entities, and what they are to each other."""

    label: str
    older: Told
    newer: Told


class Quality(NamedTuple):
    """How often a judgement is right where it is given, and how often it is given where it should be."""

    precision: float
    recall: float
    given: int
    of: int


def pairs(file: str) -> list[Pair]:
    """The labelled pairs of a file in `bench/conflicts`."""
    found: list[Pair] = []
    for line in (HERE / "conflicts" / file).read_text("utf-8").splitlines():
        label, kind, name, says, other, said = line.split("\t")
        found.append(Pair(label, Told(name, kind, says.split(" ;; ")), Told(other, kind, said.split(" ;; "))))
    return found


def judged(pair: Pair, meaning: Meaning) -> str:
    """The strongest conflict between the two, or `none`."""
    found = judge(pair.older, pair.newer, meaning=meaning)
    return found[0].type if found else "none"


def quality(some: list[Pair], kind: str, meaning: Meaning) -> Quality:
    """Of one kind of conflict."""
    table = Counter((WANTED.get(pair.label, pair.label), judged(pair, meaning)) for pair in some)
    right = table[kind, kind]
    given = sum(count for (_, got), count in table.items() if got == kind)
    of = sum(count for (want, _), count in table.items() if want == kind)
    return Quality(right / given if given else 0.0, right / of if of else 0.0, given, of)


def measure(size: Size) -> list[Figure]:
    """All figures of this chapter."""
    return [*judging(), *looking(size)]


def judging() -> list[Figure]:
    """Precision and recall, half by half and set by set."""
    first, second = pairs("first.tsv"), pairs("second.tsv")
    figures: list[Figure] = []
    meaning = static_meaning()
    for said, some in (
        ("tuned on", first[0::2]),
        ("not tuned on", first[1::2]),
        ("second set", second),
    ):
        for kind in ("duplicate", "contradiction"):
            found, words = quality(some, kind, meaning), quality(some, kind, LEXICAL)
            beside = f"{found.given} judged so, {found.of} are; words alone {words.precision:.2f}/{words.recall:.2f}"
            name = f"{kind}, {said} ({len(some)} pairs)"
            figures.append(at_least(SECTION, f"{name}: precision", found.precision, 0.9, "", beside))
            figures.append(at_least(SECTION, f"{name}: recall", found.recall, 0.8, ""))
        update = quality(some, "update", meaning)
        figures.append(
            Figure(SECTION, f"update, {said}", f"{update.precision:.2f}/{update.recall:.2f}", "precision / recall")
        )
    return figures


PLANTED = 300


def looking(size: Size) -> list[Figure]:
    """One new entity against a store, and a whole store against itself."""
    count = 100_000 if size == "full" else 10_000
    base = invented(31, count - PLANTED)
    planted = list(_planted(base))
    with Home(embedder="static") as home:
        daemon = home.serve()
        with home.client(timeout_s=600.0) as memory:
            _fill(memory, [*base, *(known for _, known in planted)])
            until(lambda: ", 0 passages waiting" in memory.get_memory_status().search, 900)
            fresh = invented(32, 200)
            asked: list[float] = []
            quiet = daemon.cpu_times()
            for one in fresh:
                given = EntityInput(one.name, one.type, list(one.observations))
                began = time.perf_counter()
                memory.detect_conflicts(entities=[given])
                asked.append(time.perf_counter() - began)
            busy, began = daemon.cpu_times(), time.perf_counter()
            asked_cpu = busy.user + busy.system - quiet.user - quiet.system
            pings: list[float] = []
            scan = memory.scan_conflicts(wait_s=0.0)
            while scan.state == "running":
                since = time.perf_counter()
                memory.ping()
                pings.append(time.perf_counter() - since)
                scan = memory.scan_conflicts(start=False, wait_s=0.5)
            seconds, after = time.perf_counter() - began, daemon.cpu_times()
            assert scan.state == "done", scan.problem
            seen: set[tuple[str, str]] = set()
            before = None
            while True:
                page = memory.list_conflicts(limit=1000, before=before)
                seen |= {(one.conflicting_entity, one.type) for one in page.conflicts}
                before = page.cursor
                if before is None:
                    break
            again = memory.scan_conflicts(wait_s=0.0)
            while again.state == "running":
                again = memory.scan_conflicts(start=False, wait_s=2.0)
    found = sum((known.name, kind) in seen for kind, known in planted)
    cpu = after.user + after.system - busy.user - busy.system
    said = f"{count:,} entities"
    scanned = f"{cpu:.1f} s of CPU; {scan.pairs:,} pairs compared, {scan.recorded:,} recorded"
    pinged = f"p50 {told(percentile(pings, 0.5))}"
    detected = f"p99 {told(percentile(asked, 0.99))}; {asked_cpu / len(asked) * 1e3:.1f} ms of CPU each"
    return [
        at_most(
            SECTION, f"detect_conflicts for one against {said}, p50", percentile(asked, 0.5) * 1e3, 30, " ms", detected
        ),
        at_most(SECTION, f"whole-store scan of {said}", seconds, 60 * count / 100_000, " s", scanned),
        at_least(SECTION, f"planted conflicts that the scan found, of {len(planted)}", found / len(planted), 0.9, ""),
        Figure(SECTION, "ping while a scan runs, p99", told(percentile(pings, 0.99)), pinged),
        Figure(SECTION, "a second scan recorded", f"{again.recorded}", "nothing has changed since the first"),
    ]


def _planted(base: list[Known]) -> Iterator[tuple[str, Known]]:
    """Entities that conflict with some of `base`: the same under another name, and the same name written otherwise."""
    chance = random.Random(5)
    for number, one in enumerate(chance.sample(base, PLANTED)):
        match number % 3:
            case 0:
                yield "duplicate", Known(f"{one.name} copy", one.type, list(reversed(one.observations)))
            case 1:
                said = [text.replace("the ", "") for text in one.observations]
                yield "duplicate", Known(one.name.upper(), one.type, said)
            case _:
                said = [f"The budget of {one.name} is {number + 100} euros", *one.observations[:1]]
                one.observations.append(f"The budget of {one.name} is {number + 7000} euros")
                yield "contradiction", Known(one.name.upper(), one.type, said)


def _fill(memory: Memory, entities: list[Known]) -> None:
    for begin in range(0, len(entities), 500):
        memory.create_entities(
            [EntityInput(one.name, one.type, list(one.observations)) for one in entities[begin : begin + 500]]
        )
