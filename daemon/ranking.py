"""Ranking: what comes first, from what the arms of a search found. Pure."""

import math
import re
from collections.abc import Iterable, Mapping

import msgspec

from enhanced_memory.daemon.store.words import Candidate

__all__ = [
    "NEAR", "POOL", "SAME_NAME", "SUBSTRING", "Line", "Ranked", "Standing", "by_entity", "fused", "name_bonus", "order", "snippet",
    "standing", "without_echoes",
]  # fmt: skip

# Every constant of the ranking, with the measurement that set it: docs/decisions/0021-ranking.md. The optima are flat, so the
# numbers are round on purpose.

POOL = 100
"""Candidates from each arm; scores are then known for the union of them. 50 lose on long replies, 200 gain nothing (0021)."""

MEANING = 0.5
"""The share of meaning in the fused score, the rest being words; each side is divided by its best score for the query."""

NEAR = 0.2
"""The cosine from which on a passage counts as near; below it, what shares no word with the query has nothing to do with it."""

SPEAKER = 0.2
"""For a message whose speaker the query names, or the user's own where the query speaks in the first person."""

LENGTH = 0.2
LENGTH_FULL = 40
"""For length, growing with its logarithm up to so many words: a greeting is rarely the answer."""

SESSION = 0.3
"""Of the best score in the same stream: answers stand where the talk was about it."""

REST = 0.25
"""What an entity's further passages add, as a share of their scores: its best one decides, many good ones help."""

EXACT_NAME = 1000.0
SAME_NAME = 500.0
NAME_STARTS = 0.3
NAME_HOLDS = 0.15
"""Bonuses for a name that is the query, is it but for case, starts with it, holds it. The first two put it in front of anything."""

SUBSTRING = 250.0
"""Bonus for holding the query as it stands, where the caller wants that first."""

RELEVANCE = 0.3
"""Taken from what has lost its relevance: half of it costs more than being of today gains, so that what is superseded comes behind."""

FADED = 0.05
"""Taken from what nobody has read, confirmed or changed for long, at the most: as much as being of today gains."""

RECENCY = 0.05
HALF_LIFE_DAYS = 30.0
"""For what was changed or said now; half of it after so many days. It decides between equals: old answers are still answers."""

IMPORTANCE = 0.1
"""For an importance of 1 (what is more counts as 1)."""

PRIORITY = 0.02
"""For each step of priority above 5, and against it for each below."""

PINNED = 0.1
"""For what is part of every context anyway."""

TIERS = (0.0, 0.0, 0.02, 0.02)
"""For what was distilled (semantic) or learnt to do (procedural), before what is still being worked on."""

REPEATED = 0.5
"""The share of its score that a message keeps whose very words stand before it already."""

SNIPPET_CHARS = 240

DAY_MS = 86_400_000


_LENGTH_FULL_LOG = math.log1p(LENGTH_FULL)

_FIRST_PERSON = frozenset(["i", "my", "me", "mine", "myself", "we", "our", "us"])
_WORD = re.compile(r"\w+")


class Line(msgspec.Struct):
    """A message among candidates, as far as its rank depends on it."""

    passage: int
    words: float
    meaning: float
    speaker: str
    role: str
    length: int
    """In words."""
    stream: int
    age_ms: int = 0
    importance: float = 0.0


class Ranked(msgspec.Struct):
    """A message with its score and what that is made of."""

    line: Line
    score: float
    fused: float = 0.0
    speaker: float = 0.0
    length: float = 0.0
    recency: float = 0.0
    importance: float = 0.0
    session: float = 0.0
    repeated: float = 0.0

    @property
    def explained(self) -> dict[str, float]:
        """Every part of the score by its name."""
        told = msgspec.structs.asdict(self)
        return {name: value for name, value in told.items() if name not in ("line", "score")}


class Standing(msgspec.Struct):
    """An entity, as far as its rank depends on what it is."""

    tier: int = 0
    priority: int = 5
    importance: float = 0.0
    pinned: bool = False
    age_ms: int = 0
    relevance: float = 1.0
    fresh: float = 1.0
    """The share of its relevance that time has left."""


def fused(words: Mapping[int, float], meaning: Mapping[int, float]) -> dict[int, float]:
    """Scores of both arms made one, 0 to 1. With one arm alone that arm decides."""
    best_words, best_meaning = max(words.values(), default=0.0), max(meaning.values(), default=0.0)
    share = MEANING if best_meaning > 0 else 0.0
    return {
        one: (1 - share) * words.get(one, 0.0) / (best_words or 1.0)
        + share * max(meaning.get(one, 0.0), 0.0) / (best_meaning or 1.0)
        for one in {*words, *meaning}
    }


def recency(age_ms: int) -> float:
    """What is gained by being of today, less the older it is."""
    return RECENCY * 0.5 ** (max(0, age_ms) / DAY_MS / HALF_LIFE_DAYS)


def standing(one: Standing) -> dict[str, float]:
    """What an entity gains by what it is, whatever is asked."""
    return {
        "recency": recency(one.age_ms),
        "tier": TIERS[one.tier] if 0 <= one.tier < len(TIERS) else 0.0,
        "importance": IMPORTANCE * min(1.0, max(0.0, one.importance)),
        "priority": PRIORITY * (one.priority - 5),
        "pinned": PINNED if one.pinned else 0.0,
        "relevance": RELEVANCE * (min(1.0, max(0.0, one.relevance)) - 1.0),
        "faded": FADED * (one.fresh - 1.0),
    }


def order(query: str, lines: list[Line], count: int | None = None) -> list[Ranked]:
    """Messages with their scores, best first: all of them, or `count`."""
    import numpy as np

    if not lines:
        return []
    asked = {word.lower() for word in _WORD.findall(query)}
    first_names = {_first(speaker) for speaker in {one.speaker for one in lines}} - {""}
    named = asked & first_names
    if named == first_names:
        named.clear()  # a name that everybody answers to tells nobody apart
    roles = {one.role for one in lines}
    own = "user" in roles and len(roles) > 1 and bool(asked & _FIRST_PERSON)
    calls_on = {one.speaker: bool(named) and _first(one.speaker) in named for one in lines}
    scores = fused({one.passage: one.words for one in lines}, {one.passage: one.meaning for one in lines})
    parts = np.stack(
        (
            [scores[one.passage] for one in lines],
            [SPEAKER if calls_on[one.speaker] or (own and one.role == "user") else 0.0 for one in lines],
            LENGTH * np.minimum(1, np.log1p([one.length for one in lines]) / _LENGTH_FULL_LOG),
            [recency(one.age_ms) for one in lines],
            IMPORTANCE * np.clip([one.importance for one in lines], 0, 1),
        )
    )
    score = parts.sum(axis=0)
    _, stream = np.unique([one.stream for one in lines], return_inverse=True)
    best = np.zeros(len(lines))
    np.maximum.at(best, stream, score)
    session = SESSION * best[stream]
    score += session
    first = np.lexsort(([one.passage for one in lines], -score))[:count]
    places: list[int] = first.tolist()
    told_of: list[list[float]] = np.stack((score, *parts, session))[:, first].T.tolist()
    return [Ranked(lines[place], *each) for place, each in zip(places, told_of, strict=True)]


def without_echoes(ranked: list[Ranked], said: Mapping[int, str]) -> list[Ranked]:
    """The same in order, with those set back that say no more than one before them. `said` is what each passage says."""
    heard: set[str] = set()
    for one in ranked:
        words = " ".join(said[one.line.passage].casefold().split())
        if words in heard:
            one.repeated = -(1 - REPEATED) * one.score
            one.score += one.repeated
        heard.add(words)
    return sorted(ranked, key=lambda one: (-one.score, one.line.passage))


def _first(speaker: str) -> str:
    return speaker.lower().split()[0] if speaker.strip() else ""


def by_entity(candidates: Iterable[Candidate]) -> dict[int, tuple[float, list[Candidate]]]:
    """Each entity's score and its passages, best first."""
    of: dict[int, list[Candidate]] = {}
    for one in candidates:
        of.setdefault(one.entity, []).append(one)
    scored: dict[int, tuple[float, list[Candidate]]] = {}
    for entity, passages in of.items():
        passages.sort(key=lambda one: -one.score)
        scored[entity] = (passages[0].score + REST * sum(one.score for one in passages[1:]), passages)
    return scored


def name_bonus(name: str, query: str) -> float:
    """What an entity gains by its name."""
    if name == query:
        return EXACT_NAME
    mine, sought = name.casefold(), query.casefold()
    if not sought:
        return 0.0
    if mine == sought:
        return SAME_NAME
    if mine.startswith(sought):
        return NAME_STARTS
    return NAME_HOLDS if sought in mine else 0.0


def snippet(text: str, terms: Iterable[str], limit: int = SNIPPET_CHARS) -> str:
    """`text`, shortened to about `limit` characters around the first of the terms that it holds."""
    if len(text) <= limit:
        return text
    low = text.lower()
    places = [place for term in terms if (place := low.find(term.lower()[: max(3, len(term) - 2)])) >= 0]
    begin = max(0, min(places, default=0) - limit // 3)
    end = min(len(text), begin + limit)
    begin = max(0, end - limit)
    return ("…" if begin else "") + text[begin:end].strip() + ("…" if end < len(text) else "")
