"""What a property may hold, where its kind says so, and the check that it does. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from enhanced_memory.client.errors import Invalid, TooLarge

__all__ = ["Holds", "Property", "check_properties"]

Holds = Literal["text", "whole", "number", "boolean", "list", "map", "time", "data"]
"""`time` is ISO 8601 text with a time zone, `data` anything that may stand in a property."""

NAMES: dict[Holds, str] = {
    "text": "text",
    "whole": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "map": "a map",
    "time": "a time such as 2026-11-20T08:00:00Z",
    "data": "plain data",
}


@dataclass(frozen=True, slots=True)
class Property:
    """What one property of a kind holds. Null stands for its absence and is always welcome."""

    holds: Holds = "data"
    default: Any = None
    """What a new entity has where it does not say; None: nothing."""
    choices: tuple[str, ...] = ()
    """The texts that it may be; none: any."""
    at_least: float | None = None
    at_most: float | None = None
    chars: int | None = None
    """How long its text may be; None: as the settings say."""


def check_properties(kind: str, table: Mapping[str, Property], given: Mapping[str, Any]) -> None:
    """Refuse values that a kind's properties cannot hold: `Invalid`, or `TooLarge`. Properties that it does not name may be anything."""
    for key, value in given.items():
        declared = table.get(key)
        if declared is not None and value is not None:
            _check(f"The {key} of a {kind}", declared, value)


def _check(what: str, declared: Property, value: Any) -> None:
    if not _holds(declared.holds, value):
        raise Invalid(
            f"{what} must be {NAMES[declared.holds]}, and is {_sort_of(value)}.",
            "docs/kinds.md tells what each kind holds",
        )
    if declared.choices and value not in declared.choices:
        raise Invalid(f"{what} is {str(value)[:100]!r}.", f"it may be {', '.join(declared.choices)}")
    if isinstance(value, int | float):
        low, high = declared.at_least, declared.at_most
        if (low is not None and value < low) or (high is not None and value > high):
            bounds = " and ".join(
                f"{word} {bound:g}" for word, bound in (("at least", low), ("at most", high)) if bound is not None
            )
            raise Invalid(f"{what} is {value}.", f"it may be {bounds}")
    if declared.chars is not None and isinstance(value, str) and len(value) > declared.chars:
        raise TooLarge(f"{what} has {len(value):,} characters; the limit is {declared.chars:,}.", "shorten it")


def _holds(holds: Holds, value: Any) -> bool:
    match holds:
        case "text":
            return isinstance(value, str)
        case "whole":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "list":
            return isinstance(value, list)
        case "map":
            return isinstance(value, dict)
        case "time":
            return isinstance(value, str) and _is_time(value)
        case "data":
            return True


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _sort_of(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case str():
            return f"the text {value[:40]!r}"
        case list():
            return "a list"
        case dict():
            return "a map"
        case _:
            return type(value).__name__
