"""Conditions and orders of lists, judged on what an entity said at an earlier change. Pure.

The queries judge by the same names what entities say now.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from enhanced_memory.daemon.store import derived
from enhanced_memory.daemon.store.bodies import State, name_mark, type_marks

__all__ = ["Said", "in_order", "marks", "meets", "place"]


class Said(Protocol):
    """What an entity said."""

    id: int
    scope: str
    began: int
    updated_at: int
    state: State


def meets(one: Said, names: Iterable[str], values: Mapping[str, Any]) -> bool:
    """Whether `one` meets every condition of `names`."""
    return all(_CONDITIONS[name](one, values) for name in names)


def place(one: Said, key: str, values: Mapping[str, Any]) -> Any:
    """What `one` is ordered by where `key` names the order; None where it has no such thing and is left out."""
    if key == "key_name":
        return one.state.name
    if key == "key_property":
        of = [value for name, value in derived.properties(one.state) if name == values["order_key"] and value != b""]
        return min(of, key=in_order, default=None)
    if key == "key_spoken":
        return max(one.began, values["spoken"](one.id))
    return {"key_id": one.id, "key_updated": one.began, "key_priority": one.state.attributes.get("priority", 5)}[key]


def marks(names: Iterable[str], values: Mapping[str, Any]) -> list[list[bytes]]:
    """What the plain bytes of all that meet conditions hold: of each list one at least."""
    found = [[name_mark("pinned")]] if "is_pinned" in names else []
    return found + ([type_marks(_list(values, "types"))] if "of_types" in names else [])


def in_order(value: Any) -> tuple[bool, Any]:
    """What sorts as the store does: numbers before text."""
    return (isinstance(value, str), value)


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    return msgspec.json.decode(values[name])


def _own(one: Said, name: str, default: Any) -> Any:
    return one.state.attributes.get(name, default)


def _has_properties(one: Said, values: Mapping[str, Any]) -> bool:
    rows = derived.properties(one.state)
    for wanted in _list(values, "filters"):
        found = any(key == wanted["key"] and _fits(value, wanted) for key, value in rows)
        if found == bool(wanted["absent"]):
            return False
    return True


def _fits(value: Any, wanted: Mapping[str, Any]) -> bool:
    if "any_of" in wanted and value not in wanted["any_of"]:
        return False
    if "at_least" in wanted and not (_comparable(value, wanted["at_least"]) and value >= wanted["at_least"]):
        return False
    return "at_most" not in wanted or (_comparable(value, wanted["at_most"]) and value <= wanted["at_most"])


def _comparable(value: Any, bound: Any) -> bool:
    """Numbers compare with numbers, text with text."""
    return not isinstance(value, bytes) and isinstance(value, str) == isinstance(bound, str)


_CONDITIONS: dict[str, Callable[[Said, Mapping[str, Any]], bool]] = {
    "after_id": lambda one, values: one.id > values["after"],
    "before_id": lambda one, values: one.id < values["after"],
    "of_types": lambda one, values: one.state.type in _list(values, "types"),
    "of_tiers": lambda one, values: _own(one, "tier", 0) in _list(values, "tiers"),
    "in_scope": lambda one, values: one.scope == values["scope"],
    "is_pinned": lambda one, values: bool(_own(one, "pinned", False)),
    "not_pinned": lambda one, values: not _own(one, "pinned", False),
    "is_quarantined": lambda one, values: bool(_own(one, "quarantined", False)),
    "not_quarantined": lambda one, values: not _own(one, "quarantined", False),
    "not_expired": lambda one, values: (
        _own(one, "expires_at", None) is None or one.state.attributes["expires_at"] > values["now"]
    ),
    "updated_since": lambda one, values: one.updated_at >= values["updated_since"],
    "updated_until": lambda one, values: one.updated_at <= values["updated_until"],
    "with_tags": lambda one, values: set(_list(values, "tags")) <= set(one.state.tags),
    "with_properties": _has_properties,
}
"""By the names that the queries have for them."""
