"""JSON that is found by a part of it, as PostgreSQL's `@>` does: facets that the daemon can filter by, and the exact comparison.

A facet is one scalar of a document with its path, as text. Whoever looks for a part asks for all facets of it, and compares what
comes back: facets of different list items stand side by side.
"""

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from enhanced_memory.client.texts import strings

__all__ = ["contains", "facets", "text_of"]

FACET_CHARS = 200
"""A longer facet is not filtered by, only compared."""


def facets(document: Any) -> list[str]:
    """The scalars of a document that can be filtered by, each with its path: `device.name="kitchen"`, `rooms[]="hall"`."""
    return sorted({facet for facet in _walk(document, "") if len(facet) <= FACET_CHARS})


def _walk(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            yield from _walk(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _walk(item, path + "[]")
    else:
        # 1 and 1.0 are one number.
        plain = int(value) if isinstance(value, float) and value.is_integer() else value
        yield f"{path}={msgspec.json.encode(plain).decode()}"


def contains(document: Any, part: Any) -> bool:
    """Whether `part` is in `document`: every key of a map with its value, every item of a list in any place, a scalar as it is."""
    if isinstance(part, dict):
        if not isinstance(document, dict):
            return False
        held = cast("dict[str, Any]", document)
        return all(key in held and contains(held[key], item) for key, item in cast("dict[str, Any]", part).items())
    if isinstance(part, list):
        if not isinstance(document, list):
            return False
        items = cast("list[Any]", document)
        return all(any(contains(one, item) for one in items) for item in cast("list[Any]", part))
    if isinstance(document, bool) or isinstance(part, bool):
        return document is part
    return bool(document == part)


def text_of(document: Any) -> str:
    """What a document says in words: its `text`, then every other text in it, a line each."""
    first: Any = cast("dict[str, Any]", document).get("text") if isinstance(document, dict) else None
    said = [first] if isinstance(first, str) else []
    said += [text for text in strings(document) if text not in said]
    return "\n".join(dict.fromkeys(said))
