"""Named queries as PostgreSQL takes them: `:name` becomes `$1`, and each value travels as its place in the text asks for."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from enhanced_memory.daemon.store.postgres import lexemes
from enhanced_memory.daemon.store.queries import of_engine

__all__ = ["QUERIES", "Statement", "filled", "joined", "statement"]

QUERIES = of_engine(Path(__file__).parent)

_VALUE = re.compile(r"(?<![:\w]):([a-z]\w*)(::bigint\[\]|::text\[\]|::halfvec)?")
_SLOT = re.compile(r"/\*(also|key|down)\*/")
_COMMENT = re.compile(r"^--.*\n?", re.MULTILINE)

Way = Callable[[Mapping[str, Any]], Any]


class Statement(NamedTuple):
    """A statement, and how its values are had from those that a chapter gives."""

    text: bytes
    ways: tuple[Way, ...]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The values in their order."""
        return [way(given) for way in self.ways]


@cache
def statement(name: str, also: tuple[str, ...] = (), key: str = "", down: bool = False) -> Statement:
    """A named query with its slots filled."""
    return filled(joined(name, also, key, down))


def joined(name: str, also: tuple[str, ...] = (), key: str = "", down: bool = False) -> str:
    """The text of a named query, its slots filled with named parts."""
    # The conditions may have slots of their own, so they go in first.
    text = QUERIES[name].replace("/*also*/", "\n  ".join(QUERIES[part] for part in also))
    fill = {"also": "", "key": QUERIES[key] if key else "", "down": "DESC" if down else ""}
    return _SLOT.sub(lambda slot: fill[slot.group(1)], text)


def filled(text: str) -> Statement:
    """A text with named values as a statement with numbered ones."""
    places: dict[tuple[str, str], int] = {}

    def numbered(found: "re.Match[str]") -> str:
        name, cast_to = found.group(1), found.group(2) or ""
        place = places.setdefault((name, cast_to), len(places) + 1)
        return f"${place}{cast_to}"

    text = _VALUE.sub(numbered, _COMMENT.sub("", text))
    return Statement(text.encode(), tuple(_way(*which) for which in places))


def _way(name: str, cast_to: str) -> Way:
    base, _, part = name.partition("__")
    if base == "words":
        return (lambda given: indexed(given)[0]) if part == "length" else (lambda given: indexed(given)[1])
    if part:
        place = ("kind", "number", "word").index(part)
        return lambda given: property_value(given[base])[place]
    if cast_to == "::bigint[]":
        # JSON's list of whole numbers is PostgreSQL's but for the brackets.
        return lambda given: "{" + given[name][1:-1] + "}"
    if cast_to == "::text[]":
        return lambda given: msgspec.json.decode(given[name], type=list[str])
    if cast_to == "::halfvec":
        return lambda given: halfvec(given[name])
    if name == "limit":  # where -1 is no limit, PostgreSQL wants none said
        return lambda given: None if given[name] == -1 else given[name]
    if name == "value":  # of a mark in `meta`
        return lambda given: _mark(given[name])
    return lambda given: given[name]


def indexed(given: Mapping[str, Any]) -> tuple[int, str]:
    """A passage's words. Made once, though they have two places in the statement."""
    found: tuple[int, str] | None = given.get("indexed")
    if found is None:
        found = lexemes.vector((given["name"], given["body"], "", given["dates"]))
        cast("dict[str, Any]", given)["indexed"] = found
    return found


def property_value(value: Any) -> tuple[int, str, str]:
    """A property's value as its kind, its number and its text."""
    if value is None:
        return 0, "0", ""
    if isinstance(value, str):
        return 2, "0", value
    if isinstance(value, int | float):
        return 1, repr(value), ""
    return 3, "0", ""


def halfvec(vector: bytes) -> str:
    """An int8 vector as PostgreSQL reads a `halfvec`."""
    return "[" + ",".join(map(str, memoryview(vector).cast("b"))) + "]"


def int8(sent: bytes) -> bytes:
    """An int8 vector from what `halfvec_send` gives: how many numbers, two bytes of nothing, half floats. Its text takes the server and
    us twenty times as long."""
    import numpy as np

    return np.frombuffer(sent, ">f2", offset=4).astype(np.int8).tobytes()


def _mark(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def property_told(kind: int, number: Decimal, word: str) -> Any:
    """A property's value again, from its kind, its number and its text."""
    if kind == 2:
        return word
    return int(number) if number == number.to_integral_value() and "E" not in str(number) else float(number)
