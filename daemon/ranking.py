"""Ranking: what comes first, from what the arms of a search found. Pure."""

import math
import re
from collections.abc import Iterable, Mapping

import msgspec

from enhanced_memory.daemon.store.words import Candidate

__all__ = ["POOL", "SUBSTRING", "Line", "by_entity", "fused", "name_bonus", "order", "snippet"]

# Every constant of the ranking, with the measurement that set it: docs/decisions/0021-ranking.md. The optima are flat, so the
# numbers are round on purpose.

POOL = 200
"""Candidates from each arm; scores are then known for the union of them."""

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

SNIPPET_CHARS = 240


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


def fused(words: Mapping[int, float], meaning: Mapping[int, float]) -> dict[int, float]:
    """Scores of both arms made one, 0 to 1. With one arm alone that arm decides."""
    best_words, best_meaning = max(words.values(), default=0.0), max(meaning.values(), default=0.0)
    share = MEANING if best_meaning > 0 else 0.0
    return {
        one: (1 - share) * words.get(one, 0.0) / (best_words or 1.0)
        + share * max(meaning.get(one, 0.0), 0.0) / (best_meaning or 1.0)
        for one in {*words, *meaning}
    }


def order(query: str, lines: list[Line]) -> list[tuple[Line, float]]:
    """Messages with their scores, best first."""
    scores = fused({one.passage: one.words for one in lines}, {one.passage: one.meaning for one in lines})
    asked = {word.lower() for word in _WORD.findall(query)}
    first_names = {one.speaker.lower().split()[0] for one in lines if one.speaker.strip()}
    named = asked & first_names
    if named == first_names:
        named.clear()  # a name that everybody answers to tells nobody apart
    roles = {one.role for one in lines}
    own = "user" in roles and len(roles) > 1 and bool(asked & _FIRST_PERSON)
    score: dict[int, float] = {}
    best: dict[int, float] = {}
    for one in lines:
        value = scores[one.passage]
        if (one.speaker.strip() and one.speaker.lower().split()[0] in named) or (own and one.role == "user"):
            value += SPEAKER
        value += LENGTH * min(1.0, math.log1p(one.length) / math.log1p(LENGTH_FULL))
        score[one.passage] = value
        best[one.stream] = max(best.get(one.stream, 0.0), value)
    ranked = [(one, score[one.passage] + SESSION * best[one.stream]) for one in lines]
    return sorted(ranked, key=lambda pair: (-pair[1], pair[0].passage))


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
