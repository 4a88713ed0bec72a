"""What a search in words needs to be asked of PostgreSQL: the expression as a `tsquery`, and what each of its phrases weighs.

The score is BM25 as the SQLite engine's index has it (Robertson and Zaragoza 2009; k1 = 1.2, b = 0.75), from our own document
frequencies: in how many passages a phrase stands, and how long passages are.
"""

import json
import math
from typing import Any, Protocol

import msgspec

from enhanced_memory.daemon.store.bm25 import K1, B, Weights
from enhanced_memory.daemon.store.postgres.matching import Phrase, parsed

__all__ = ["Searching"]

EXACT = 8_000
"""Passages up to which the index is measured for each search anew; beyond, again once it has grown by a hundredth."""

COMMON, GROWN, REMEMBERED = 500, 1.05, 50_000
"""Passages with a word from which on their number is remembered, by how much the index may grow meanwhile, and for how many words."""

_LEAST = 1e-6
"""What a phrase weighs that is in every second passage, or in more."""


class Asked(Protocol):
    """Named queries."""

    def all(self, name: str, /, *also: str, key: str = "", down: bool = False, **values: Any) -> list[tuple[Any, ...]]:
        """Every row."""
        ...


class Held(msgspec.Struct):
    """How much one index holds: its rows, and the words of a row, when passages were numbered up to `last`."""

    last: int
    rows: int
    average: float


class Searching:
    """Puts searches. Shared by the connections of one engine: what it remembers is true of all, or soon is again."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._common: dict[tuple[str, str], tuple[int, int]] = {}
        """For words that many passages hold: how many, when passages were numbered up to where."""
        self._estimated: tuple[int, dict[str, int]] = 0, {}
        """The same of those that the planner's statistics tell of, by what is asked for them."""

    def values(self, rows: Asked, name: str, given: dict[str, Any]) -> dict[str, Any] | None:
        """The values of a search statement; None where it can find nothing."""
        matching = parsed(given["match"])
        if not matching.query:
            return None
        values = given | {"query": matching.query}
        if "weights" not in given or name.endswith("_every"):
            return values
        index = "words_past" if name.startswith("words_past") else "words"
        held = self._measured(rows, index)
        often = self._often(rows, index, matching.phrases)
        asked = [
            {"lexeme": lexeme, "beginning": phrase.prefix and place == len(phrase.lexemes) - 1, "idf": idf(held.rows, count) / len(phrase.lexemes)}
            for phrase, count in often
            for place, lexeme in enumerate(phrase.lexemes)
        ]  # fmt: skip
        weights = Weights.told(given["weights"])
        return values | {
            "asked": json.dumps(asked),
            "average_length": held.average,
            "k1": K1,
            "b": B,
            "name_weight": weights.name,
            "near_weight": 0.0,  # of older rows, and counts no more
            "dates_weight": weights.dates,
        }

    def spans(self, rows: Asked, terms: str) -> list[tuple[Any, ...]]:
        """For each expression in how many passages it is, told as if the whole index had been looked at."""
        first, last = rows.all("passage_span")[0]
        found: list[Any] = []
        for term in json.loads(terms):
            matching = parsed(term)
            count = self._counted(rows, "words", [matching.query])[matching.query] if matching.query else 0
            found.append([term, [count, last], first])
        return [(json.dumps(found),)]

    def _often(self, rows: Asked, index: str, phrases: tuple[Phrase, ...]) -> list[tuple[Phrase, int]]:
        queries = [phrase.query() for phrase in phrases]
        counts = self._counted(rows, index, queries)
        return [(phrase, counts.get(query, 0)) for phrase, query in zip(phrases, queries, strict=True)]

    def _counted(self, rows: Asked, index: str, queries: list[str]) -> dict[str, int]:
        """In how many passages each expression is. What many passages hold takes long to count, and is counted again only once the
        index has grown by a twentieth."""
        last: int = rows.all("last_passage")[0][0]
        known = {
            query: count
            for query in queries
            if (found := self._common.get((index, query))) is not None
            for upto, count in (found,)
            if upto <= last <= upto * GROWN
        }
        if index == "words" and last > EXACT and len(known) < len(set(queries)):
            known = {query: count for query in queries if (count := self._estimates(rows, last).get(query))} | known
        unknown = [query for query in queries if query not in known]
        if unknown:
            counts: dict[str, int] = dict(rows.all(f"{index}_often", queries=json.dumps(unknown)))  # pyright: ignore[reportArgumentType, reportCallIssue]
            if len(self._common) > REMEMBERED:
                self._common.clear()
            if last > EXACT:
                self._common |= {(index, query): (last, count) for query, count in counts.items() if count > COMMON}
            known |= counts
        return known

    def _estimates(self, rows: Asked, last: int) -> dict[str, int]:
        """About how many passages have each common word. To count one takes tens of milliseconds in a million, and its rank hardly tells."""
        upto, told = self._estimated
        if not upto <= last <= upto * GROWN:
            told = {f"'{term}'": count for term, count in rows.all("words_estimated", least=COMMON)}
            self._estimated = last, told
        return told

    def _measured(self, rows: Asked, index: str) -> Held:
        last: int = rows.all("last_passage")[0][0]
        held = self._held.get(index)
        if held is None or last <= EXACT or not held.last <= last <= held.last * 1.01:
            count, average = rows.all(f"{index}_held")[0]
            held = self._held[index] = Held(last, count, average)
        return held


def idf(rows: int, count: int) -> float:
    """What it tells that a phrase is there, which `count` of `rows` passages have."""
    return max(_LEAST, math.log((rows - count + 0.5) / (count + 0.5))) if rows > count else _LEAST
