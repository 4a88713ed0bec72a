"""How a query is put to a large words index: in which expressions, strictest first. Pure.

FTS5 finds a passage in 0.05 µs and scores it in 1 to 2 µs, and scores all that it finds: it knows no bound that would let it
pass over what cannot be among the best. So not every passage with any of the words is asked for where that would be too many,
but those with a rare word, or with several common ones; a passage with a single common word is not among the best then
(docs/decisions/0025-words-at-scale.md has the measurements).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["PLAIN", "Step", "budget_of", "steps"]

PLAIN = 8_000
"""Passages up to which every query is put as it is."""

LEAST, MOST, SHARE = 2_000, 4_000, 50
"""Passages that one query may have scored: one of fifty, within bounds. At a hundred thousand a tighter budget is faster and finds
more of the ten best, since it asks for words together; at a million it has more steps follow, which cost what it saves."""

OFTEN = 0.1
ENOUGH = 3
"""A word in every tenth passage is left out where so many rarer ones are asked for: it tells nothing apart."""

LIFT = 3.0
"""How much oftener words of one question stand together than chance has it."""


ANY = (1 << 63) - 1
"""No ceiling."""


class Step(NamedTuple):
    """One expression to ask for, of the passages beyond `floor` and up to `ceiling`."""

    match: str
    floor: int = 0
    ceiling: int = ANY


def budget_of(total: int) -> int:
    """How many of `total` passages one query may have scored."""
    return min(MOST, max(LEAST, total // SHARE))


def steps(counts: Mapping[str, int], total: int, last: int, budget: int | None = None) -> list[Step]:
    """The expressions to ask for until enough is found.

    `counts` says in about how many of `total` passages each expression of the query is, `last` is the newest passage that is to be found.
    The scores of one passage in several steps compare: the highest is its own. `budget` is `budget_of(total)` unless given.
    """
    budget = budget_of(total) if budget is None else budget
    known = sorted((one for one in counts if counts[one]), key=counts.__getitem__)
    asked = known[:ENOUGH] + [one for one in known[ENOUGH:] if counts[one] <= OFTEN * total]
    if not asked:
        return []
    if sum(counts[one] for one in asked) <= budget:
        whole = [Step(_any(asked))]
        return whole if len(asked) == len(known) else [*whole, _newest(known, counts, total, last, budget)]
    rare: list[str] = []
    spent = 0
    for one in asked:
        if spent + counts[one] > budget // 2:
            break
        rare.append(one)
        spent += counts[one]
    common = asked[len(rare) :]
    found: list[Step] = []
    if rare and common:
        found.append(Step(f"({_any(rare)}) AND ({_any(common)})"))
    if len(common) > 1:
        found.append(Step(_several(common, counts, total, budget)))
    if rare:
        found.append(Step(_any(rare)))
    return [*found, _newest(known, counts, total, last, budget)]


def _several(common: Sequence[str], counts: Mapping[str, int], total: int, budget: int) -> str:
    """Passages with a word of each of two groups, or of more, until they are few enough.

    Each word stands once: one that stood twice would count twice.
    """
    groups: list[Sequence[str]] = [common]
    for many in range(2, len(common) + 1):
        groups = [common[at::many] for at in range(many)]
        expected = total * LIFT
        for group in groups:
            expected *= min(1.0, sum(counts[one] for one in group) / total)
        if expected <= budget / 2:
            break
    return " AND ".join(f"({_any(group)})" for group in groups)


def _newest(known: Sequence[str], counts: Mapping[str, int], total: int, last: int, budget: int) -> Step:
    """Any of the words, in the newest passages: as many of these as the budget allows several times over."""
    share = sum(counts[one] for one in known) / (4 * budget)
    return Step(_any(known)) if share <= 1 else Step(_any(known), max(0, last - int(total / share)), last)


def _any(asked: Sequence[str]) -> str:
    return " OR ".join(asked)
