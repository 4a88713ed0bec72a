"""Two entities, or one with itself: which conflicts there are between them. Pure.

In the guide's terms first: overlap = shared observations / the larger number of them, a duplicate above `threshold`, an update
above `UPDATE`. Beyond it statements are compared one by one, where both entities are called the same.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from enhanced_memory.daemon.conflicts.comparing import ALONE, LEXICAL, Kind, Meaning, Verdict, compare, related
from enhanced_memory.daemon.conflicts.names import name_key
from enhanced_memory.daemon.conflicts.statements import Statement, plain, read, rough

__all__ = ["THRESHOLD", "UPDATE", "Found", "Told", "judge", "judge_alone", "overlap"]

THRESHOLD = 0.85
UPDATE = 0.3

MOST_PAIRS = 4000
"""Pairs of statements that are compared for one pair of entities; the newest statements go first."""

MOST_ALONE = 60
"""The newest observations of an entity that are compared with one another."""

ROUGH = 7
"""Texts of more words than this that share less than a third of them are not looked at closely."""

LOOSE = 3
"""Words of a text that may have no counterpart in the other."""

MOST_TOLD = 5
"""Conflicts of one entity with itself that are told at once."""

SURE = 0.85
"""What a verdict needs where less speaks for it."""

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
    if not most:
        return []
    share = shared / most
    named = name_key(a.name) == name_key(b.name)
    best = _Best()
    matched = shared
    if named or share <= threshold:
        matched += _statements(a, b, named, best, meaning)
    duplicate, update = best.kinds.pop("duplicate", None), best.kinds.get("update")
    if share > threshold:
        best.kinds["duplicate"] = _whole("duplicate", share, f"{shared} of {most} observations are shared")
        best.kinds.pop("update", None)
    elif matched / most > threshold and duplicate is not None:
        best.kinds["duplicate"] = duplicate
        best.kinds.pop("update", None)
    elif share > UPDATE and update is None:
        best.kinds["update"] = _whole("update", share, f"{shared} of {most} observations are shared")
    elif named and matched / most > UPDATE and update is None and duplicate is not None:
        best.kinds["update"] = _whole("update", matched / most, f"{matched} of {most} observations say the same")
    return sorted(best.kinds.values(), key=lambda one: ORDER.index(one.type))


def judge_alone(told: Told, meaning: Meaning = LEXICAL) -> list[Found]:
    """The conflicts among one entity's own observations, the more certain first; the later one counts as the newer.

    An observation that tells of a change is reported where it is about another one without doubt: most of an entity's past
    is no conflict.
    """
    texts = told.observations[-MOST_ALONE:]
    skipped = len(told.observations) - len(texts)
    words = [rough(text) for text in texts]
    found: list[Found] = []
    for where, newer in enumerate(words):
        for place, older in enumerate(words[:where]):
            if not _worth(older, newer, True) or not _near(older, newer):
                continue
            old, new = read(texts[place], told.name), read(texts[where], told.name)
            if not related(old, new):
                continue
            verdict = compare(old, new, meaning)
            if verdict is not None and (verdict.kind != "update" or verdict.confidence >= SURE):
                found.append(_found(verdict, place + skipped, where + skipped))
    return sorted(found, key=lambda one: -one.confidence)[:MOST_TOLD]


ORDER: tuple[Kind, ...] = ("contradiction", "duplicate", "update")


class _Best:
    """Of each kind the strongest."""

    def __init__(self) -> None:
        self.kinds: dict[Kind, Found] = {}

    def note(self, found: Found) -> None:
        before = self.kinds.get(found.type)
        if before is None or found.confidence > before.confidence:
            self.kinds[found.type] = found


def _found(verdict: Verdict, one: int, other: int) -> Found:
    return Found(verdict.kind, round(verdict.confidence, 4), verdict.reason, ACTIONS[verdict.kind], one, other)


def _whole(kind: Kind, confidence: float, reason: str) -> Found:
    return Found(kind, round(confidence, 4), reason, ACTIONS[kind])


def _statements(a: Told, b: Told, named: bool, best: _Best, meaning: Meaning) -> int:
    """Compare statement by statement; how many of the newer one say the same as one of the older in other words."""
    older = [(plain(text), rough(text)) for text in a.observations]
    newer = [(plain(text), rough(text)) for text in b.observations]
    says, said = {one for one, _ in older}, {one for one, _ in newer}
    matched: set[str] = set()
    pairs = 0
    for where in range(len(newer) - 1, -1, -1):
        if newer[where][0] in says:
            continue
        for place in range(len(older) - 1, -1, -1):
            if older[place][0] in said or not _worth(older[place][1], newer[where][1], named):
                continue
            # Under two names the subject is what the sentences themselves say.
            old = read(a.observations[place], a.name if named else "")
            new = read(b.observations[where], b.name if named else "")
            if named and not related(old, new):
                continue
            pairs += 1
            if pairs > MOST_PAIRS:
                return len(matched)
            verdict = compare(old, new, meaning)
            if verdict is None or (not named and not _across(verdict, old, new)):
                continue
            best.note(_found(verdict, place, where))
            if verdict.kind == "duplicate":
                matched.add(new.plain)
    return len(matched)


def _worth(older: frozenset[str], newer: frozenset[str], named: bool) -> bool:
    """Whether two texts are worth reading: their words overlap, or they are short; under two names they must say nearly the same."""
    shared = len(older & newer)
    if not named:
        return shared * 2 >= max(len(older), len(newer))
    least = min(len(older), len(newer))
    return least <= ROUGH or shared * 3 >= least


def _near(older: frozenset[str], newer: frozenset[str]) -> bool:
    """Whether so much of two texts is the same that one may take the place of the other, given the most that vectors can add.

    A verdict leaves three words of a statement unaligned at the most. Of what does not agree by letters, vectors are trusted to
    align half, or all where little is left.
    """
    shared = len(older & newer)
    short, long = sorted((len(older), len(newer)))
    rest = short - shared
    return not rest or long - shared - (rest if rest <= LOOSE else (rest + 1) // 2) <= LOOSE + 1


def _across(verdict: Verdict, a: Statement, b: Statement) -> bool:
    """Whether a verdict holds for things of two names: what they say must name its own subject, or be long and all but equal."""
    if verdict.kind == "contradiction":
        return verdict.reason == ALONE
    return verdict.kind == "duplicate" and verdict.confidence >= SURE and min(len(a.words), len(b.words)) >= 3
