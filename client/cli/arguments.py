"""What people write on a command line, as values: entities, times, properties, conditions."""

import re
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from enhanced_memory.client.values import At, Filter, Ref, Scalar

__all__ = ["condition", "instant", "later", "pair", "positive", "ref", "since", "span"]

_ID = re.compile(r"(?:#|id:)(\d{1,18})", re.ASCII)
_AGO = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CONDITION = re.compile(r"(?P<key>[^=<>!]+?)\s*(?P<sign>>=|<=|=)\s*(?P<value>.*)", re.DOTALL)


def ref(text: str, *, by_name: bool = False) -> Ref:
    """An entity: by id where `text` is `#12` or `id:12`, else by name."""
    found = None if by_name else _ID.fullmatch(text)
    return int(found[1]) if found else text


def since(text: str) -> datetime:
    """A time: `2026-11-21`, `2026-11-21T10:00`, `today`, `yesterday`, or how long ago: `90m`, `2h`, `3d`, `1w`."""
    return _time(text, -1)


def later(text: str) -> datetime:
    """A time as in `since`, but a length of time means from now on."""
    return _time(text, +1)


def _time(text: str, direction: int) -> datetime:
    length = _AGO.fullmatch(text)
    try:
        if length:
            return datetime.now(UTC) + direction * timedelta(**{_UNITS[length[2]]: int(length[1])})
        if text in ("today", "yesterday"):
            midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
            return (midnight - timedelta(days=text == "yesterday")).astimezone(UTC)
        # A time without a zone is the reader's own.
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ArgumentTypeError(
            f"{text!r} is not a time: write 2026-11-21, 2026-11-21T10:00, today, 2h or 3d"
        ) from None


def instant(text: str) -> At:
    """A moment: a version's (or a change's) number, `change:17`, a time as in `since`, or else a snapshot's name."""
    if text.isascii() and text.isdigit():
        return positive(text)
    try:
        return _time(text, -1).isoformat()
    except ArgumentTypeError:
        return text


def span(text: str) -> tuple[int | None, int | None]:
    """A range of ticks: `5`, `5..9`, `5..`, `..9`."""
    start, dots, end = text.partition("..")
    try:
        first = int(start) if start else None
        last = (int(end) if end else None) if dots else first
    except ValueError:
        first = last = None
    if first is None and last is None:
        raise ArgumentTypeError(f"{text!r} is not a tick or a range of them: write 5, 5..9, 5.. or ..9")
    return first, last


def positive(text: str) -> int:
    """A whole number above zero."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return number


def _plain(text: str) -> Any:
    """`text` as JSON where it is JSON, else as it stands: 42 is a number, "42" and forty are text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text


def pair(text: str) -> tuple[str, Any]:
    """A property: `key=value`, the value being JSON or else text."""
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise ArgumentTypeError(f"{text!r} is not a property: write key=value")
    return key.strip(), _plain(value)


def _scalar(text: str) -> Scalar:
    value = _plain(text)
    return value if isinstance(value, str | int | float | bool) else text


def _bound(text: str) -> float | str:
    value = _plain(text)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else text


def condition(text: str) -> Filter:
    """A condition on a property: `key=value`, `key>=3`, `key<=3`, `key in a,b`, `key` (exists), `!key` (does not)."""
    compared = _CONDITION.fullmatch(text)
    if compared:
        key, sign, value = compared["key"].strip(), compared["sign"], compared["value"]
        if sign == ">=":
            return Filter(property=key, at_least=_bound(value))
        if sign == "<=":
            return Filter(property=key, at_most=_bound(value))
        return Filter(property=key, equal=_scalar(value))
    key, among, values = text.partition(" in ")
    if among and key.strip():
        return Filter(property=key.strip(), any_of=[_scalar(value.strip()) for value in values.split(",")])
    if text.strip("! ") and not any(sign in text for sign in "<>="):
        return Filter(property=text.strip("! "), exists=not text.startswith("!"))
    raise ArgumentTypeError(f"{text!r} is not a condition: write key=value, key>=3, key<=3, 'key in a,b', key or !key")
