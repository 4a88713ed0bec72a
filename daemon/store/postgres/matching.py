"""An expression of the words index (`store/terms.py`, `store/plan.py`) as PostgreSQL asks for it. Pure.

    any    = all { "OR" all }
    all    = one { "AND" one }
    one    = "(" any ")" | column ":" "(" any ")" | '"' words '"' [ "*" ]

A phrase of several words matches where they follow one another. Each phrase is also told by itself, for its frequency and its score.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from enhanced_memory.daemon.store.postgres.lexemes import COLUMNS, tokens

__all__ = ["Matching", "Phrase", "parsed"]

LONGEST = 100
"""Words of a phrase that are compared: PostgreSQL reads a longer one by calling itself as often, and refuses."""

_PART = re.compile(r'\s*(?:("(?:[^"]|"")*")|(\()|(\))|(\*)|(:)|(OR|AND)\b|(\w+))')


_Read = Callable[[str], str]


class Phrase(NamedTuple):
    """Words that follow one another; the last is a beginning where `prefix` says so."""

    lexemes: tuple[str, ...]
    prefix: bool

    def query(self, weight: str = "") -> str:
        """The phrase as a `tsquery`."""
        last = len(self.lexemes) - 1
        said = [
            f"'{one}'"
            + (f":{'*' if prefix else ''}{weight}" if (prefix := self.prefix and place == last) or weight else "")
            for place, one in enumerate(self.lexemes)
        ]
        return said[0] if not last else f"({' <-> '.join(said)})"


class Matching(NamedTuple):
    """What is asked for: as a whole, empty where nothing can match, and phrase by phrase."""

    query: str
    phrases: tuple[Phrase, ...]


def parsed(expression: str) -> Matching:
    """An expression, read. `ValueError` where it is none."""
    reader = _Reader(expression)
    query = reader.any("")
    if reader.part is not None:
        raise ValueError(f"more than an expression: {expression!r}")
    return Matching(query, tuple(dict.fromkeys(reader.phrases)))


class _Reader:
    def __init__(self, expression: str) -> None:
        self._text, self._at = expression, 0
        self.phrases: list[Phrase] = []
        self.part: str | None = None
        self._next()

    def _next(self) -> None:
        found = _PART.match(self._text, self._at)
        if found is None:
            if self._text[self._at :].strip():
                raise ValueError(f"not an expression: {self._text!r}")
            self.part = None
            return
        self._at = found.end()
        self.part = found.group().strip()

    def _expect(self, part: str) -> None:
        if self.part != part:
            raise ValueError(f"{part} is missing: {self._text!r}")
        self._next()

    def any(self, weight: str) -> str:
        return self._joined("OR", " | ", self._all, weight)

    def _all(self, weight: str) -> str:
        return self._joined("AND", " & ", self._one, weight)

    def _joined(self, word: str, sign: str, each: _Read, weight: str) -> str:
        found = [each(weight)]
        while self.part == word:
            self._next()
            found.append(each(weight))
        if word == "AND" and not all(found):
            return ""  # what has no words is nowhere, as in the SQLite engine
        found = [one for one in found if one]
        return found[0] if len(found) == 1 else f"({sign.join(found)})" if found else ""

    def _one(self, weight: str) -> str:
        part = self.part
        if part is None:
            raise ValueError(f"an expression ends too soon: {self._text!r}")
        self._next()
        if part == "(":
            inside = self.any(weight)
            self._expect(")")
            return inside
        if part in COLUMNS:
            self._expect(":")
            self._expect("(")
            inside = self.any(COLUMNS[part])
            self._expect(")")
            return inside
        if not part.startswith('"'):
            raise ValueError(f"{part} stands where a phrase should: {self._text!r}")
        prefix = self.part == "*"
        if prefix:
            self._next()
        found = tokens(part[1:-1].replace('""', '"'))
        prefix, lexemes = prefix and len(found) <= LONGEST, tuple(found[:LONGEST])
        if not lexemes:
            return ""
        phrase = Phrase(lexemes, prefix)
        self.phrases.append(phrase)
        return phrase.query(weight)
