"""How an answer is kept within its budget: what fits in full, the names of what does not, and a cursor to go on from.
Pure.

What is cut is cut between entities; within one only where it alone is larger than the budget, between two observations.
So an answer is larger than its budget only where a single observation is.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from enhanced_memory.client.errors import Invalid
from enhanced_memory.mcp_server.fencing import json_text

__all__ = [
    "ENTITIES",
    "NAMES",
    "RELATIONS",
    "Cut",
    "cut_to",
    "first_that_fit",
    "read_cursor",
    "size_of",
    "write_cursor",
]

ENTITIES, RELATIONS, NAMES = 0.7, 0.2, 0.1
"""The shares of a budget that is too small for everything."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What of some entities fits."""

    shown: list[dict[str, Any]]
    whole: int
    """How many of them, counted from the first, are shown to their end."""
    said: int = 0
    """How many observations of the next one are shown, or were in an earlier answer; 0 where it has not been begun."""


def size_of(value: Any) -> int:
    """Bytes that `value` takes in an answer's text, with the comma behind it."""
    return len(json_text(value).encode()) + 1


def cut_to(entities: Sequence[dict[str, Any]], budget: int, said: int = 0) -> Cut:
    """As many of `entities` as fit into `budget`, one at least.

    Of the first, `said` observations are left out: they were told before.
    """
    shown: list[dict[str, Any]] = []
    room = budget
    for place, whole in enumerate(entities):
        skipped = said if place == 0 else 0
        entity: dict[str, Any] = _slice(whole, skipped, None) | {"observationsBefore": skipped} if skipped else whole
        size = size_of(entity)
        if size > room and shown:
            return Cut(shown, place)
        if size > room:
            part, many = _part(entity, room)
            if many < len(entity["observations"]):
                return Cut([part], place, skipped + many)
        shown.append(entity)
        room -= size
    return Cut(shown, len(entities))


def _part(entity: dict[str, Any], room: int) -> tuple[dict[str, Any], int]:
    """`entity` with the first of its observations that fit, one at least, and how many those are."""
    observations = entity["observations"]
    room -= size_of(_slice(entity, 0, 0)) + 40
    beside: list[Any] = entity.get("provenance") or [""] * len(observations)
    many = max(1, len(first_that_fit(list(zip(observations, beside, strict=True)), room)))
    return _slice(entity, 0, many) | {"observationsLeft": len(observations) - many}, many


def _slice(entity: dict[str, Any], begin: int, end: int | None) -> dict[str, Any]:
    """`entity` with some of its observations and what is told of each. `suspicious` still counts from its first."""
    return entity | {name: entity[name][begin:end] for name in ("observations", "provenance") if name in entity}


def first_that_fit(values: Sequence[Any], room: int) -> list[Any]:
    """The first of `values` that fit into `room` together."""
    fitting: list[Any] = []
    for value in values:
        room -= size_of(value)
        if room < 0:
            break
        fitting.append(value)
    return fitting


def write_cursor(*place: str | int) -> str:
    """A place as text that callers give back and need not understand."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read_cursor(cursor: str, *kinds: type) -> list[Any]:
    """The place that a cursor says. `Invalid` for one that this tool did not give out."""
    try:
        place = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[Any])
        if len(place) != len(kinds) or not all(type(part) is kind for part, kind in zip(place, kinds, strict=True)):
            raise ValueError
        if any(isinstance(part, int) and part < 0 for part in place):
            raise ValueError
    except (ValueError, binascii.Error, msgspec.DecodeError, UnicodeEncodeError):
        raise Invalid("The cursor is not one that this tool gave out.", "begin without a cursor") from None
    return place
