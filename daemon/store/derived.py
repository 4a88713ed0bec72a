"""What follows from an entity's state and is kept beside it to be found by: columns, tags, property rows, passages. Pure."""

from typing import Any, cast

import msgspec

from enhanced_memory.daemon.kinds import kind_of
from enhanced_memory.daemon.store.bodies import State

__all__ = ["columns", "properties", "tags", "text_bytes", "texts"]

_INDEXED_CHARS = 256
"""Longer text is searched, not filtered by."""


def columns(state: State) -> dict[str, Any]:
    """The part of a state that stands in columns, for filters."""
    own = state.attributes
    return {
        "type": state.type,
        "tier": own.get("tier", 0),
        "priority": own.get("priority", 5),
        "pinned": bool(own.get("pinned")),
        "quarantined": bool(own.get("quarantined")),
        "expires_at": own.get("expires_at"),
    }


def text_bytes(state: State) -> int:
    """Bytes of the state as the JSON text that one would write by hand."""
    plain: dict[str, Any] = {
        "name": state.name,
        "entityType": state.type,
        "observations": [one.text for one in state.observations],
    }
    if state.properties:
        plain["properties"] = state.properties
    if state.tags:
        plain["tags"] = state.tags
    return len(msgspec.json.encode(plain))


def tags(state: State | None) -> set[str]:
    """The rows of the tag index."""
    return set(state.tags) if state is not None else set()


def properties(state: State | None) -> set[tuple[str, Any]]:
    """The rows of the property index: a key and a scalar each; `b""` for what is there but cannot be compared."""
    if state is None or not state.properties:
        return set()
    named = kind_of(state.type).indexed
    found: set[tuple[str, Any]] = set()
    for key, value in state.properties.items():
        if named is None or key in named:
            items = cast("list[Any]", value if isinstance(value, list) and value else [value])
            found |= {(key, _comparable(item)) for item in items}
    return found


def _comparable(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _INDEXED_CHARS):
        return value
    return b""


def texts(state: State | None) -> dict[int, tuple[str, str]]:
    """The passages of an entity by part: 0 for what it is called and its properties' text, else an observation by its id."""
    if state is None:
        return {}
    found = {0: (f"{state.name} {state.type}".strip(), _property_text(state))}
    found.update({one.id: ("", one.text) for one in state.observations})
    return found


def _property_text(state: State) -> str:
    if not state.properties:
        return ""
    named = kind_of(state.type).text
    return "\n".join(
        value for key, value in state.properties.items() if isinstance(value, str) and (named is None or key in named)
    )
