"""Which text is accepted, and the plain data that may stand in properties and metadata."""

import math
from typing import Any, cast

from enhanced_memory.client.errors import Invalid, TooLarge

__all__ = ["check_data", "check_name", "check_text"]

DEEPEST = 32


def check_text(text: str, what: str, limit: int) -> str:
    """`text`, if it may be kept. `Invalid` for a NUL character, `TooLarge` above `limit` characters; `what` names it in the error."""
    if "\0" in text:
        raise Invalid(f"{what} holds a NUL character.", "remove it")
    if len(text) > limit:
        raise TooLarge(
            f"{what} has {len(text):,} characters; the limit is {limit:,}.", "shorten it, or split it into several"
        )
    return text


def check_name(name: str, what: str, limit: int, empty: bool = False) -> str:
    """`name`, if something may be called so: text that is not blank (unless `empty` is allowed)."""
    if not empty and not name.strip():
        raise Invalid(f"{what} is empty.", "give it a name")
    return check_text(name, what, limit)


def check_data(value: Any, what: str, limit: int, depth: int = 0) -> None:
    """Refuse what is not plain data: text, whole and finite numbers, true, false, null, and lists and maps of them."""
    if depth > DEEPEST:
        raise Invalid(f"{what} is nested more than {DEEPEST} deep.", "make it flatter, or keep it as text")
    if isinstance(value, str):
        check_text(value, what, limit)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Invalid(f"{what} holds {value}, which is not a finite number.", "give a number, or null for none")
    elif isinstance(value, dict):
        for key, item in cast("dict[Any, Any]", value).items():
            if not isinstance(key, str):
                raise Invalid(f"{what} has a key that is not text.", "write the keys of maps as text: 1 as '1'")
            check_text(key, f"A key of {what}", limit)
            check_data(item, what, limit, depth + 1)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            check_data(item, what, limit, depth + 1)
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise Invalid(f"{what} holds a number beyond 64 bits.", "send it as text")
    elif value is not None:
        raise Invalid(
            f"{what} holds {type(value).__name__}; only text, numbers, true, false, null, lists and maps are kept.",
            "send it as text, or leave it out",
        )
