"""Two entities, or one with itself: which conflicts there are between them. Pure.

In the guide's terms first: overlap = shared observations / the larger number of them, a duplicate above `threshold`, an update
above `UPDATE`. Beyond it statements are compared one by one, where both entities are called the same.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from enhanced_memory.daemon.conflicts.comparing import LEXICAL, Kind, Meaning, Verdict, compare
from enhanced_memory.daemon.conflicts.names import name_key
from enhanced_memory.daemon.conflicts.statements import Statement, plain, read

__all__ = ["THRESHOLD", "UPDATE", "Found", "Told", "judge", "judge_alone", "overlap"]

THRESHOLD = 0.85
UPDATE = 0.3

MOST_PAIRS = 4000
"""Pairs of statements that are compared for one pair of entities; the newest statements go first."""

Suggested = Literal["merge", "update", "branch", "ignore"]
ACTIONS: dict[Kind, Suggested] = {"duplicate": "merge", "update": "update", "contradiction": "update"}


class Told(msgspec.Struct):
    """An entity as far as conflicts go."""

    name: str
    type: str
    observations: Sequence[str]


class Found(msgspec.Struct, frozen=True):
    """A conflict of two entities."""

    type: Kind
    confidence: float
    reason: str
    action: Suggested
    one: int = -1
    """The place of the older entity's observation that it is about; -1: it is about the whole."""
    other: int = -1


def overlap(a: Iterable[str], b: Iterable[str]) -> tuple[int, int]:
    """How many observations two entities share, and how many the larger one has. Case, accents and punctuation do not count."""
    said, says = {plain(text) for text in a} - {""}, {plain(text) for text in b} - {""}
    return len(said & says), max(len(said), len(says))


def judge(a: Told, b: Told, threshold: float = THRESHOLD, meaning: Meaning = LEXICAL) -> list[Found]:
    """The conflicts of `b`, the newer one, with `a`: of each type the strongest, contradictions first. Empty for other types."""
    if a.type.casefold() != b.type.casefold():
        return []
    shared, most = overlap(a.observations, b.observations)
    share = shared / most if most else 0.0
    best: dict[Kind, Found] = {}

    def note(verdict: Verdict | None, one: int = -1, other: int = -1) -> None:
        if verdict is None:
            return
        before = best.get(verdict.kind)
        if before is None or verdict.confidence > before.confidence:
            best[verdict.kind] = Found(
                verdict.kind, round(verdict.confidence, 4), verdict.reason, ACTIONS[verdict.kind], one, other
            )

    named = name_key(a.name) == name_key(b.name)
    matched = 0
    if named or share <= threshold:
        matched = _statements(a, b, named, note, meaning)
    duplicate = best.pop("duplicate", None)
    if share > threshold:
        best["duplicate"] = Found("duplicate", round(share, 4), f"{shared} of {most} observations are shared", "merge")
        best.pop("update", None)
    elif named and most and matched / most > threshold and duplicate is not None:
        best["duplicate"] = duplicate
        best.pop("update", None)
    elif share > UPDATE and "update" not in best:
        best["update"] = Found("update", round(share, 4), f"{shared} of {most} observations are shared", "update")
    elif named and most and matched / most > UPDATE and "update" not in best and duplicate is not None:
        best["update"] = Found(
            "update", round(matched / most, 4), f"{matched} of {most} observations say the same", "update"
        )
    return sorted(best.values(), key=lambda one: ORDER.index(one.type))


ORDER: tuple[Kind, ...] = ("contradiction", "duplicate", "update")


def _statements(a: Told, b: Told, named: bool, note, meaning: Meaning) -> int:
    """Compare statement by statement; how many say the same."""
    # Under two names the subject is what the sentences themselves say.
    older = [read(text, a.name if named else "") for text in a.observations]
    newer = [read(text, b.name if named else "") for text in b.observations]
    says = {one.plain for one in older}
    said = {one.plain for one in newer}
    matched = len(says & said)
    pairs = 0
    for where in range(len(newer) - 1, -1, -1):
        new = newer[where]
        if new.plain in says:
            continue
        same = False
        for place in range(len(older) - 1, -1, -1):
            old = older[place]
            if old.plain in said or pairs >= MOST_PAIRS or not may_conflict(old, new):
                continue
            pairs += 1
            verdict = compare(old, new, meaning)
            if verdict is None:
                continue
            if not named and (verdict.kind == "update" or not verdict.reason.startswith("the same attribute of another")):
                continue
            note(verdict, place, where)
            same = same or verdict.kind == "duplicate"
        matched += same
    return matched


def may_conflict(a: Statement, b: Statement) -> bool:
    """Whether it is worth to compare two statements: they share a word or a verb, or one tells of a change."""
    return bool(a.stems & b.stems) or a.changed or b.changed or (a.verb == b.verb and bool(a.verb)) or True


def judge_alone(told: Told, meaning: Meaning = LEXICAL) -> list[Found]:
    """The conflicts among one entity's own observations; the later one counts as the newer."""
    return []
