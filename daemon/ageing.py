"""How memories age: how relevant one still is, and how important one is that nobody has rated. Pure; docs/curation.md has the formulae.

Both follow from times and counts that are kept anyway, so nothing is written as time goes by. A time of the future, after a
clock that was set back, counts as now: nothing ages for it.
"""

import math

import msgspec

__all__ = ["DAY_MS", "Standing", "importance", "keeping", "relevance"]

DAY_MS = 86_400_000

SHARES = {"recency": 0.35, "frequency": 0.30, "confirmation": 0.20, "links": 0.15}
"""What each part has of the importance; together 1."""

RECENT_DAYS = 30.0
"""Half of the recency is left after so many days."""

CONFIRMED_DAYS = 365.0
"""The same for a confirmation."""

MANY_READS = 64
MANY_LINKS = 16
"""Counts that give the whole of their part; below, it grows with the logarithm: the tenth counts less than the first."""


class Standing(msgspec.Struct):
    """A memory, as far as its age and worth go. Times are milliseconds since 1970, 0 for never."""

    touched_at: int
    """When somebody last changed it."""
    used: int = 0
    used_at: int = 0
    confirmed_at: int = 0
    links: int = 0
    rated: float | None = None
    """The importance that somebody gave it."""
    priority: int = 5


def relevance(base: float, last_ms: int, now: int, half_life_days: float) -> float:
    """What is left of a relevance of `base` since it was last changed, read or confirmed. With a half-life of 0 nothing fades."""
    if not half_life_days:
        return base
    return base * _left(now - last_ms, half_life_days)


def importance(one: Standing, now: int) -> dict[str, float]:
    """The parts of a memory's importance, each at most its share; their sum is the importance, 0 to 1."""
    last = max(one.touched_at, one.used_at, one.confirmed_at)
    parts = {
        "recency": _left(now - last, RECENT_DAYS),
        "frequency": min(1.0, math.log1p(one.used) / math.log1p(MANY_READS)),
        "confirmation": _left(now - one.confirmed_at, CONFIRMED_DAYS) if one.confirmed_at else 0.0,
        "links": min(1.0, math.log1p(one.links) / math.log1p(MANY_LINKS)),
    }
    return {name: SHARES[name] * part for name, part in parts.items()}


def keeping(one: Standing, now: int) -> tuple[int, float]:
    """By what memories are kept where there is no room for all: the least goes first. Priority decides, then importance."""
    return one.priority, one.rated if one.rated is not None else sum(importance(one, now).values())


def _left(age_ms: int, half_life_days: float) -> float:
    return 0.5 ** (max(0, age_ms) / DAY_MS / half_life_days)
