"""Documents as callers of adapters give them: JSON objects, any JSON, and what may not be missing. Pure."""

from collections.abc import Mapping
from typing import Any, cast

from enhanced_memory.client.errors import Invalid

__all__ = ["mapping", "needed", "plain"]


def mapping(value: Any, column: str) -> dict[str, Any]:
    """A column that holds a JSON object. `Invalid` for anything else."""
    if not isinstance(value, Mapping):
        raise Invalid(f"{column} is a map of names to values, not {type(value).__name__}.", "give it as a dictionary")
    return dict(cast("Mapping[str, Any]", value))


def plain(value: Any) -> Any:
    """A document as it is sent: maps of other types as dictionaries."""
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value


def needed(value: Any, column: str, example: str) -> Any:
    """The value of a column that cannot be null. `Invalid` where it is, or is blank."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Invalid(f"{column} is missing: it cannot be empty.", f"give one, {example} for instance")
    return value
