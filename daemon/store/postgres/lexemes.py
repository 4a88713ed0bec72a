# The stemmer comes without types:
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false
"""Text as lexemes: what the words index of the SQLite engine makes of it, made here for PostgreSQL's. Pure.

Cut at what is neither letter nor digit, lowered, stemmed by Porter's algorithm; `store/terms.py` has paired, folded and cut apart
what needs it before. Where a word stands is told by a weight: A to D for the columns name, body, near and dates.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from threading import local
from typing import Any

from Stemmer import Stemmer

__all__ = ["COLUMNS", "lexeme", "tokens", "vector"]

COLUMNS = {"name": "A", "body": "B", "near": "C", "dates": "D"}

_TOKEN = re.compile(r"[^\W_]+")
_LONGEST = 500
"""Characters of a word that tell it from others: a lexeme may have 2,046 bytes."""
_LAST = 16_383
"""The last position that PostgreSQL tells apart."""
_OFTEN = 255
"""How often a word is counted in one passage."""
_ROOM = 900_000
"""Bytes of lexemes in one passage, of the megabyte that there is: what a longer text says first is found."""

_own = local()


@lru_cache(100_000)
def lexeme(word: str) -> str:
    """The stem of a word in lower case."""
    stemmer: Any = getattr(_own, "stemmer", None)
    if stemmer is None:
        stemmer = _own.stemmer = Stemmer("porter", 0)  # a stemmer is for one thread
    stem: str = stemmer.stemWord(word)
    return (stem or word)[:_LONGEST]


def tokens(text: str) -> list[str]:
    """The lexemes of a text in their order."""
    return [lexeme(word) for word in _TOKEN.findall(text.lower())]


def vector(texts: Sequence[str]) -> tuple[int, str]:
    """How many words the texts of the four columns have, and all of them as PostgreSQL reads a `tsvector`."""
    places: dict[str, list[str]] = {}
    length = place = room = 0
    for weight, text in zip(COLUMNS.values(), texts, strict=True):
        found = tokens(text) if text else ()
        length += len(found)
        for one in found:
            place += 1
            known = places.get(one)
            if known is None:
                room += len(one) * 4 + 8
                if room > _ROOM:
                    continue
                known = places[one] = []
            if len(known) < _OFTEN:
                known.append(f"{min(place, _LAST)}{weight}")
                room += 2
        place += 1  # no phrase reaches from one column into the next
    return length, " ".join(_entries(places.items()))


def _entries(places: Iterable[tuple[str, list[str]]]) -> Iterable[str]:
    # A word is letters and digits: nothing in it needs to be escaped.
    for one, where in places:
        yield f"'{one}':{','.join(where)}"
