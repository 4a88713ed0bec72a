"""Cursors: where the next page begins, as text that callers give back and need not understand."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from types import UnionType
from typing import Any

import msgspec

from enhanced_memory.client.errors import Invalid

__all__ = ["read", "write"]


def write(*place: Any) -> str:
    """A cursor for a place."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read(cursor: str, *kinds: type | UnionType) -> list[Any]:
    """The place that a cursor says. `Invalid` for one that this operation did not give out."""
    try:
        place = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[Any])
        if len(place) != len(kinds) or not all(
            isinstance(part, kind) and _fits(part) for part, kind in zip(place, kinds, strict=True)
        ):
            raise ValueError
    except (ValueError, binascii.Error, msgspec.DecodeError, UnicodeEncodeError):
        raise Invalid("The cursor is not one that this operation gave out.", "begin without a cursor") from None
    return place


def _fits(part: Any) -> bool:
    """Whether the store can compare with it: cursors come from outside."""
    return not isinstance(part, bool) and (not isinstance(part, int) or -(2**63) <= part < 2**63)
