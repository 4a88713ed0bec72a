"""What few entities a filter leaves, found by an index rather than by looking at all: then whatever is asked of them can be exact."""

from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.words import Candidate

__all__ = ["FEW", "few", "passages_of", "within"]

FEW = 5000
"""Entities that are looked up one by one rather than found by looking at all."""
FEW_OF_TYPES = 500
"""The same where types alone tell them apart: of a common type the next page is soon full, and looking for more would be in vain."""


def within(
    ground: Ground, tags: Iterable[str], equal: Iterable[tuple[str, Any]], types: str = "", most: int = FEW
) -> set[int] | None:
    """As `few`, in the caller's view. None, too, where that is one of the past or of several layers.

    What else is asked of the entities is not looked at.
    """
    view = ground.view
    if not view.now or len(view.layers) != 1:
        return None
    found = few(ground, view.layers[0].space, tags, equal, most, types)
    return None if found is None else set(found)


def passages_of(ground: Ground, entities: Iterable[int]) -> list[Candidate]:
    """The passages of entities of the caller's own space, as they are now."""
    ids = msgspec.json.encode(sorted(entities)).decode()
    return [Candidate(*row) for row in ground.rows.all("passages_within", space=ground.view.layers[0].space, ids=ids)]


def few(
    ground: Ground, space: int, tags: Iterable[str], equal: Iterable[tuple[str, Any]], most: int = FEW,
    types: str = "", pinned: bool = False,
) -> list[int] | None:  # fmt: skip
    """The entities of a space that meet the rarest of some conditions now; None where those are more than `most`.

    The conditions: each tag, each property's value, being of one of `types` (a JSON array of names), being pinned.
    """
    fewest: list[int] | None = None
    for name, at_most, values in (
        *(("tagged", most, {"tag": tag}) for tag in tags),
        *(("having", most, {"property": key, "value": value}) for key, value in equal),
        *([("pinned", most, {})] if pinned else []),
        *([("typed", min(most, FEW_OF_TYPES), {"types": types})] if types else []),
    ):
        rows = ground.rows.all(name, space=space, limit=at_most + 1, **values)
        if len(rows) <= at_most and (fewest is None or len(rows) < len(fewest)):
            fewest = [row[0] for row in rows]
    return fewest
